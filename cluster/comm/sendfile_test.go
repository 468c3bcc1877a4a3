package comm

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// socketPair are two ends of a unix socket.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "")
		c, err := net.FileConn(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

func fileOf(t *testing.T, data []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSendFile(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef!"), 200_000) // more than any socket holds
	for _, tt := range []struct{ at, n, want int64 }{
		{0, int64(len(data)), int64(len(data))},
		{17, 1000, 1000},
		{5, 0, 0},
		{int64(len(data)) - 10, 20, 10}, // a file that is shorter than was said
	} {
		a, b := socketPair(t)
		got := make(chan []byte, 1)
		go func() { all, _ := io.ReadAll(b); got <- all }()
		f, moved := fileOf(t, data), int64(0)
		n, err := SendFile(a, f, tt.at, tt.n, func(n int64) { moved += n })
		require.NoError(t, err)
		require.NoError(t, a.Close())
		require.Equal(t, tt.want, n)
		require.Equal(t, tt.want, moved)
		require.True(t, bytes.Equal(data[tt.at:tt.at+tt.want], <-got))
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.Zero(t, at, "the file's own position stays")
	}
}

func TestSendFileToNobody(t *testing.T) {
	a, b := socketPair(t)
	require.NoError(t, b.Close())
	_, err := SendFile(a, fileOf(t, make([]byte, 1<<20)), 0, 1<<20, nil)
	require.ErrorIs(t, err, unix.EPIPE)
	a, _ = socketPair(t)
	n, err := SendFile(a, fileOf(t, nil), 0, 10, nil)
	require.NoError(t, err)
	require.Zero(t, n)
	dir, err := os.Open(t.TempDir()) // what cannot be sent at all is to be read
	require.NoError(t, err)
	defer dir.Close()
	n, err = SendFile(a, dir, 0, 10, nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestUnixConnSendsPartsOfFiles(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef!"), 100_000)
	a, b := socketPair(t)
	got := make(chan []byte, 1)
	go func() { all, _ := io.ReadAll(b); got <- all }()
	f := fileOf(t, data)
	_, err := f.Seek(100, io.SeekStart)
	require.NoError(t, err)
	c := unixConn{a}
	n, err := c.ReadFrom(&io.LimitedReader{R: f, N: 1_000_000})
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000, n)
	n, err = c.ReadFrom(bytes.NewReader(data[:10]))
	require.NoError(t, err)
	require.EqualValues(t, 10, n)
	require.NoError(t, a.Close())
	require.True(t, bytes.Equal(append(bytes.Clone(data[100:1_000_100]), data[:10]...), <-got))
}

// TestSourceBySocket: a target that offers a socket is asked there, whatever
// listens at its address, and gets results there, too.
func TestSourceBySocket(t *testing.T) {
	name := "@etlbench-test-" + rand.Text()
	ln, err := net.Listen("unix", name)
	require.NoError(t, err)
	put := make(chan string, 1)
	target := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			put <- r.URL.Path + " " + string(body)
			return
		}
		_, _ = io.WriteString(w, "object at "+r.URL.Path)
	})}
	go func() { _ = target.Serve(ln) }()
	defer target.Close()
	echo := func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
		_, err := io.Copy(dst, src)
		return err
	}
	s, err := NewServer(ServerConfig{Transform: echo, TargetURL: "http://127.0.0.1:1/own", TargetSocket: name, DirectPut: true,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	pod, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, pod) }()
	for _, stops := range [][]string{nil, {"http://127.0.0.1:1/name"}} {
		link := dialHpull("http://"+pod.Addr().String(), Options{})
		reply, err := link.Offline(ctx, Request{Uname: "ais/@#/b/o", Stops: stops})
		require.NoError(t, err)
		if stops == nil {
			got, err := io.ReadAll(reply.Body)
			require.NoError(t, err)
			require.Equal(t, "object at /own/ais/@#/b/o", string(got))
			require.NoError(t, reply.Body.Close())
		} else {
			require.True(t, reply.Delivered)
			require.Equal(t, "/own/name object at /own/ais/@#/b/o", <-put)
		}
		require.NoError(t, link.Close())
	}
	stop()
	require.NoError(t, <-served)
}
