package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// node answers as a proxy and its only target: what f says, behind a redirect.
func node(t *testing.T, f http.HandlerFunc) *api.Client {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has(api.QparamProxyID) {
			http.Redirect(w, r, "http://"+r.Host+r.URL.String()+"&"+api.QparamProxyID+"=p", http.StatusTemporaryRedirect)
			return
		}
		f(w, r)
	}))
	c := api.NewClient(s.URL)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

// helloSum is the XXH64 of "hello world".
const helloSum = "45ab6734b21e6968"

func TestPutObjectComparesChecksums(t *testing.T) {
	tests := []struct {
		name, typ, sum string
		bad            bool
	}{
		{"the same", "xxhash2", helloSum, false},
		{"the older name", "xxhash", helloSum, false},
		{"another", "xxhash2", "45ab6734b21e6969", true},
		{"none where there is a type", "xxhash2", "", true},
		{"a type that is not checked", "md5", "x", false},
		{"not told", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := node(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set(api.HdrChecksumType, tt.typ)
				w.Header().Set(api.HdrChecksumValue, tt.sum)
			})
			i, err := c.PutObject(t.Context(), api.AIS("b"), "o", strings.NewReader("hello world"), 11)
			if tt.bad {
				require.ErrorIs(t, err, api.ErrChecksum)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, 11, i.Size)
		})
	}
}

func TestGetObjectNoticesWhatIsWrong(t *testing.T) {
	part := api.GetOptions{Offset: 6, Length: 5}
	tests := []struct {
		name   string
		opt    api.GetOptions
		answer http.HandlerFunc
		want   string // "" is fine
	}{
		{"whole", api.GetOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(api.HdrChecksumType, "xxhash2")
			w.Header().Set(api.HdrChecksumValue, helloSum)
			_, _ = io.WriteString(w, "hello world")
		}, ""},
		{"another content", api.GetOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(api.HdrChecksumType, "xxhash2")
			w.Header().Set(api.HdrChecksumValue, helloSum)
			_, _ = io.WriteString(w, "hello w0rld")
		}, "the checksums differ"},
		{"cut", api.GetOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "11")
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "after 5 bytes: unexpected EOF"},
		{"cut in chunks", api.GetOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "after 5 bytes: unexpected EOF"},
		{"range", part, func(w http.ResponseWriter, r *http.Request) {
			// The checksum is that of the whole object.
			w.Header().Set(api.HdrChecksumType, "xxhash2")
			w.Header().Set(api.HdrChecksumValue, helloSum)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "hello world"[6:])
			if r.Header.Get("Range") != "bytes=6-10" {
				panic(http.ErrAbortHandler)
			}
		}, ""},
		{"range that is ignored", part, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello world")
		}, "asked for a range, the reply is not one (status 200)"},
		{"error", api.GetOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"ais://b/o does not exist","status":404}`)
		}, "ais://b/o does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := node(t, tt.answer)
			var got bytes.Buffer
			o, err := c.GetObject(t.Context(), api.AIS("b"), "o", tt.opt)
			if err == nil {
				defer o.Close()
				_, err = o.CopyTo(&got)
			}
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "hello world"[tt.opt.Offset:], got.String())
		})
	}
}

// TestAwaitJobThatIdles: a real cluster ends such jobs long after their work.
func TestAwaitJobThatIdles(t *testing.T) {
	polls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get(api.QparamWhat) == "status" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		polls++
		// Busy, idle for a moment, busy, idle.
		idle := map[bool]string{true: "true", false: "false"}[polls == 2 || polls > 3]
		_, _ = io.WriteString(w, `{"t1":[{"id":"tco-1","kind":"etl-listrange","is_idle":true,"stats":{}}],"t2":null,
			"t3":[{"id":"tco-1","kind":"etl-listrange","is_idle":`+idle+`,"stats":{"loc-objs":"3"}}]}`)
	}))
	defer s.Close()
	c := api.NewClient(s.URL)
	defer c.Close()
	seen := 0
	snaps, err := c.AwaitJob(t.Context(), "tco-1", func(map[string][]api.Snap) { seen++ })
	require.NoError(t, err)
	require.Equal(t, 5, polls)
	require.Equal(t, 4, seen)
	require.EqualValues(t, 3, snaps["t3"][0].Stats.LocObjs)
}
