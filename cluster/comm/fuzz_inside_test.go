package comm

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// fuzzServer is a transformer that nobody has started.
func fuzzServer(t testing.TB, root string) *Server {
	s, err := NewServer(ServerConfig{TargetURL: "http://127.0.0.1:1/v1/etl/_object/etl/secret", DirectPut: true, FQNRoot: root, Log: slog.New(slog.DiscardHandler),
		Transform: func(context.Context, io.Writer, io.Reader, Info) error { return nil }})
	require.NoError(t, err)
	return s
}

// FuzzStops: whatever a header or a control message names as the stops of a
// result, the next request is one request, and to the first of them.
func FuzzStops(f *testing.F) {
	f.Add("http://10.0.0.1:8000,http://10.0.0.2:8000", "/src/a")
	f.Add("http://10.0.0.1:8081/ais%2F@%23%2Fdst%2Fo?owt=3&uuid=x", "/src/a b")
	f.Add("http://a:1,http://b\r\nEvil: 1", "/")
	f.Add("http://a:1,http://b#\x00", "/")
	f.Fuzz(func(t *testing.T, header, name string) {
		s := fuzzServer(t, "")
		stops := s.stops(header)
		if len(stops) == 0 {
			return
		}
		u, err := checkStops(stops)
		if err != nil {
			require.ErrorIs(t, err, ErrTransform)
			return
		}
		c := call{method: http.MethodPut}
		c.target, c.stops, err = s.nextTarget(u, stops, "/"+(&url.URL{Path: name}).EscapedPath(), Info{Args: name})
		require.NoError(t, err)
		near, far := net.Pipe()
		go func() {
			_, _ = send(&clientConn{Conn: near}, u.Host, c)
			near.Close()
		}()
		req, err := http.ReadRequest(bufio.NewReader(far))
		require.NoError(t, err)
		require.Equal(t, u.Host, req.Host)
		for k := range req.Header {
			require.Contains(t, []string{"Content-Length", "User-Agent", hdrNodeURL}, k)
		}
		rest, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Empty(t, rest)
	})
}

// FuzzFQN: no name of a file leads out of the folder.
func FuzzFQN(f *testing.F) {
	root := f.TempDir()
	require.NoError(f, os.WriteFile(filepath.Join(root, "in"), []byte("inside"), 0o644))
	secret := filepath.Join(f.TempDir(), "out")
	require.NoError(f, os.WriteFile(secret, []byte("outside"), 0o644))
	require.NoError(f, os.Symlink(secret, filepath.Join(root, "link")))
	s := fuzzServer(f, root)
	for _, seed := range []string{root + "/in", root + "%2Fin", root + "/link", secret, root + "/../out", "in", "", "/", root} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		file, err := s.openFile(escaped)
		if err != nil {
			require.ErrorIs(t, err, ErrTransform)
			return
		}
		defer file.Close()
		data, err := io.ReadAll(file)
		require.NoError(t, err)
		require.Equal(t, "inside", string(data))
	})
}

// FuzzRequestLine: what a transformer makes of the path that it is asked with.
func FuzzRequestLine(f *testing.F) {
	f.Add("/src/d/a%20b?etl_args=x")
	f.Add("/ais%2F@%23%2Fsrc%2Fa?etl_fqn=%252Fx")
	f.Add("//%zz?;")
	f.Fuzz(func(t *testing.T, uri string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetRequestURI(uri)
		o := fuzzServer(t, "").describe(&ctx)
		require.False(t, strings.Contains(o.Bucket, "/"))
		if o.Bucket != "" {
			require.NotContains(t, o.Bucket, "..")
		}
		require.False(t, bytes.ContainsRune([]byte(o.Bucket), 0))
	})
}
