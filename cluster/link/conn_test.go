package link_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/link"
)

// pair is a connection through a link: the end that a server accepts, and the
// client's, which is an ordinary one.
func pair(t *testing.T, l *link.Link) (server, client net.Conn) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln := l.Listener(plain)
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	server, err = ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { client.Close(); server.Close() })
	return server, client
}

// TestSameBytes sends data through every way that a server has.
func TestSameBytes(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef!"), 100_000)
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	open := func() *os.File {
		f, err := os.Open(path)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	tests := map[string]func(net.Conn) (int64, error){
		"write": func(c net.Conn) (int64, error) { n, err := c.Write(data); return int64(n), err },
		"file":  func(c net.Conn) (int64, error) { return c.(io.ReaderFrom).ReadFrom(open()) },
		"part of a file": func(c net.Conn) (int64, error) {
			return c.(io.ReaderFrom).ReadFrom(io.LimitReader(open(), int64(len(data))))
		},
		"file that is shorter": func(c net.Conn) (int64, error) {
			return c.(io.ReaderFrom).ReadFrom(io.LimitReader(open(), 1<<40))
		},
		"part of something": func(c net.Conn) (int64, error) {
			return c.(io.ReaderFrom).ReadFrom(io.LimitReader(bytes.NewReader(data), int64(len(data))))
		},
		"buffered": func(c net.Conn) (int64, error) {
			w := bufio.NewWriter(c)
			n, err := w.ReadFrom(bytes.NewReader(data))
			require.NoError(t, w.Flush())
			return n, err
		},
	}
	for name, send := range tests {
		for _, rate := range []int64{0, 64 << 20} {
			t.Run(name, func(t *testing.T) {
				server, client := pair(t, link.New(rate))
				go func() {
					n, err := send(server)
					if err != nil || n != int64(len(data)) {
						t.Errorf("sent %d: %v", n, err)
					}
					server.Close()
				}()
				got, err := io.ReadAll(client)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got))

				receiver, sender := pair(t, link.New(rate))
				go func() {
					_, _ = sender.Write(data)
					sender.Close()
				}()
				got, err = io.ReadAll(receiver)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got))
			})
		}
	}
}

// TestSlower: a file takes its size over the bandwidth, the burst aside, in
// either direction; the other one is not touched.
func TestSlower(t *testing.T) {
	const rate, size = 4 << 20, 1 << 20
	for _, out := range []bool{true, false} {
		server, client := pair(t, link.New(rate))
		from, to := client, server
		if out {
			from, to = server, client
		}
		go func() { _, _ = from.Write(make([]byte, size)) }()
		start := time.Now()
		_, err := io.ReadFull(to, make([]byte, size))
		require.NoError(t, err)
		require.Greater(t, time.Since(start).Seconds(), 0.9*size/rate)
	}
}

// TestWaitEnds: a deadline and Close end a wait for the link, whether they are
// set before or meanwhile, and a deadline that is taken back lets it go on.
func TestWaitEnds(t *testing.T) {
	slow := make([]byte, 1<<20)
	tests := map[string]struct {
		end  func(net.Conn)
		want error
	}{
		"deadline":      {func(c net.Conn) { _ = c.SetWriteDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		"past deadline": {func(c net.Conn) { _ = c.SetDeadline(time.Now().Add(-time.Second)) }, os.ErrDeadlineExceeded},
		"closed":        {func(c net.Conn) { c.Close() }, net.ErrClosed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, first := range []bool{true, false} {
				server, client := pair(t, link.New(4<<10))
				if first {
					test.end(server)
				}
				ended := make(chan error, 1)
				go func() {
					_, err := server.Write(slow)
					ended <- err
				}()
				if !first {
					_, err := io.ReadFull(client, make([]byte, 4<<10)) // the burst: it waits now
					require.NoError(t, err)
					test.end(server)
				}
				require.ErrorIs(t, <-ended, test.want)
			}
		})
	}
	l := link.New(4 << 10)
	server, client := pair(t, l)
	require.NoError(t, server.SetDeadline(time.Now().Add(-time.Second)))
	require.NoError(t, server.SetDeadline(time.Time{}))
	l.SetRate(0)
	go func() { _, _ = server.Write(slow) }()
	_, err := io.ReadFull(client, make([]byte, len(slow)))
	require.NoError(t, err)
}
