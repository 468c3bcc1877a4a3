package loader

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// ours reads an answer and its body as a driver does.
func ours(raw string, method string, buffer int) (a answer, data []byte, err error) {
	c := &conn{r: bufio.NewReaderSize(strings.NewReader(raw), buffer)}
	if err = a.read(c.r, method); err != nil {
		return a, nil, err
	}
	var b body
	b.begin(&a, c)
	data, err = io.ReadAll(&b)
	return a, data, err
}

var answers = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
	"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200\r\ncontent-length:3\r\n\r\nabcdef",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.0 200 OK\r\n\r\nold",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 301 Moved\r\nLocation: http://a:1/b?c=d\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
	"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 1\r\n\r\ny",
	"HTTP/1.1 20 OK\r\n\r\n",
	"SSH-2.0-x\r\n",
	"HTTP/1.1 200 OK\r\nContent-Le",
	"",
}

// TestAnswersAgreeWithNetHTTP: whatever net/http reads of an answer, a driver
// does, and what the one refuses the other does, too.
func TestAnswersAgreeWithNetHTTP(t *testing.T) {
	for _, raw := range answers {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, buffer := range []int{16, connBuffer} {
				agree(t, raw, method, buffer)
			}
		}
	}
	_, _, err := ours("", http.MethodGet, 16)
	require.Equal(t, io.EOF, err, "nothing came at all")
	_, _, err = ours("H", http.MethodGet, 16)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func agree(t *testing.T, raw, method string, buffer int) {
	t.Helper()
	a, data, err := ours(raw, method, buffer)
	resp, theirErr := finalResponse(raw, method)
	var theirs []byte
	if theirErr == nil {
		theirs, theirErr = io.ReadAll(resp.Body)
	}
	if theirErr != nil {
		require.Error(t, err, "%q: net/http says %v", raw, theirErr)
		return
	}
	require.NoError(t, err, "%q", raw)
	require.Equal(t, resp.StatusCode, a.status, "%q", raw)
	require.Equal(t, string(theirs), string(data), "%q", raw)
	require.Equal(t, strings.Trim(resp.Header.Get("Location"), " \t"), string(a.location), "%q", raw)
	if a.length != untilEnd || a.noBody {
		require.Equal(t, resp.Close, a.close, "%q", raw)
	}
}

func finalResponse(raw, method string) (*http.Response, error) {
	r := bufio.NewReader(strings.NewReader(raw))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// FuzzAnswer: no answer makes a driver panic or hang, and a whole body is what
// net/http takes it for. net/http is the stricter of the two in what names,
// values and versions may look like.
func FuzzAnswer(f *testing.F) {
	for _, raw := range answers {
		f.Add(raw, false)
		f.Add(raw, true)
	}
	f.Fuzz(func(t *testing.T, raw string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		small, data, err := ours(raw, method, 16)
		large, again, errAgain := ours(raw, method, connBuffer)
		require.Equal(t, err == nil, errAgain == nil, "%v, %v", err, errAgain)
		require.Equal(t, data, again)
		require.Equal(t, small.status, large.status)
		resp, theirErr := finalResponse(raw, method)
		if theirErr != nil || err != nil {
			return
		}
		if theirs, theirErr := io.ReadAll(resp.Body); theirErr == nil {
			require.Equal(t, resp.StatusCode, small.status)
			require.Equal(t, string(theirs), string(data))
		}
	})
}

// TestDriverAgreesWithNetHTTP: of a server's answers, large and small, in chunks
// or not, redirected or not, both clients have the same bytes, whether a driver
// hashes or drops them.
func TestDriverAgreesWithNetHTTP(t *testing.T) {
	content := func(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef!"), n/17+1)[:n] }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/sized?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		case "/sized":
			w.Header().Set("Content-Length", strconv.Itoa(n))
			_, _ = w.Write(content(n))
		case "/chunked":
			all := content(n)
			for i := 0; i < n; i += 10_000 {
				_, _ = w.Write(all[i:min(i+10_000, n)])
				w.(http.Flusher).Flush()
			}
		case "/cut":
			w.Header().Set("Content-Length", strconv.Itoa(n+1))
			_, _ = w.Write(content(n))
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	d := newDriver([]string{srv.Listener.Addr().String()}, nil, 10*time.Second, 0, new(atomic.Int64))
	defer d.close()
	for _, path := range []string{"/moved", "/sized", "/chunked", "/cut", "/missing"} {
		for _, n := range []int{0, 1, 4096, bodyBufferLen, bodyBufferLen + 1, 3_000_001} {
			uri := fmt.Sprintf("%s?n=%d", path, n)
			want, wantErr := fetch(srv.URL + uri)
			for _, drop := range []bool{false, true} {
				d.noHash = drop
				rep := d.get([]byte(uri), 0)
				require.Equal(t, wantErr != nil, rep.err != nil, "%s: %v, %v", uri, wantErr, rep.err)
				if wantErr != nil {
					continue
				}
				require.EqualValues(t, len(want), rep.got.Size, uri)
				if !drop {
					require.Equal(t, Digest{xxhash.Sum64(want), int64(len(want))}, rep.got, uri)
				}
			}
		}
	}
}

func fetch(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}
