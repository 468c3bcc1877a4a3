package loader

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
)

// scripted is a server that answers the requests of every connection with the
// texts of script, in turn and over all connections, and then hangs up. A
// request's body is not read.
func scripted(t testing.TB, script ...string) (host string, requests func() []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		mu    sync.Mutex
		seen  []string
		conns sync.WaitGroup
	)
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					head, err := readHead(r)
					if err != nil {
						return
					}
					mu.Lock()
					seen = append(seen, head)
					answer := "hang up"
					if len(script) > 0 {
						answer, script = script[0], script[1:]
					}
					mu.Unlock()
					answer, hangUp := strings.CutSuffix(answer, "hang up")
					if _, err := io.WriteString(c, answer); err != nil || hangUp {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return ln.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, seen...)
	}
}

func readHead(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if b.WriteString(line); line == "\r\n" {
			return b.String(), nil
		}
	}
}

// testDriver asks host. Its deadline ends a test that hangs.
func testDriver(t testing.TB, host string) *driver {
	d := newDriver([]string{host}, map[string]int{}, 5*time.Second, 0, new(atomic.Int64))
	t.Cleanup(d.close)
	return d
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

func TestDriverReadsBodies(t *testing.T) {
	tests := []struct{ name, answer, class string }{
		{"with a length", ok, ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", ""},
		{"HTTP/1.0 to the end of the connection", "HTTP/1.0 200 OK\r\n\r\nbodyhang up", ""},
		{"HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbodyhang up", ""},
		{"after a 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok, ""},
		{"chunked, closed after it", "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nhang up", ""},
		{"chunked, cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\nhang up", classTruncated},
		{"chunked, cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbodyhang up", classTruncated},
		{"shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbodyhang up", classTruncated},
		{"not HTTP", "SSH-2.0\r\n\r\nhang up", classProtocol},
		{"nothing", "hang up", classClosed},
		{"a redirect to nowhere", "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", classProtocol},
		{"a redirect to another scheme", "HTTP/1.1 301 Moved\r\nLocation: https://h/x\r\nContent-Length: 0\r\n\r\n", classProtocol},
		{"an error that is no JSON", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", "status 404"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host, _ := scripted(t, tt.answer, ok)
			d := testDriver(t, host)
			rep := d.get([]byte("/x"), 3)
			require.Equal(t, tt.class, classOf(rep.err), "%v", rep.err)
			require.Equal(t, 3, rep.target)
			if tt.class == "" {
				require.Equal(t, Digest{xxhash.Sum64String("body"), 4}, rep.got)
				require.Positive(t, rep.ttfb)
				require.LessOrEqual(t, rep.ttfb, rep.ttlb)
			}
			// Whatever happened, the next operation is not affected.
			rep = d.get([]byte("/y"), 0)
			require.NoError(t, rep.err)
		})
	}
}

func TestDriverSendsAgainOnlyOnAKeptConnection(t *testing.T) {
	host, requests := scripted(t, ok, "hang up", ok)
	d := testDriver(t, host)
	require.NoError(t, d.get([]byte("/1"), 0).err)
	require.NoError(t, d.get([]byte("/2"), 0).err)
	require.Len(t, requests(), 3)

	host, requests = scripted(t, "hang up", ok)
	require.Equal(t, classClosed, classOf(testDriver(t, host).get([]byte("/1"), 0).err))
	require.Len(t, requests(), 1)
}

func TestDriverKeepsItsConnection(t *testing.T) {
	var dials int
	host, _ := scripted(t, ok, "HTTP/1.1 301 Moved\r\nLocation: /z\r\nContent-Length: 3\r\n\r\nsee", ok,
		"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", ok)
	d := testDriver(t, host)
	var last *conn
	for i := range 4 {
		rep := d.get([]byte("/x"), 0)
		require.Equal(t, i == 2, rep.err != nil, "%v", rep.err)
		if d.conns[host] != last {
			last = d.conns[host]
			dials++
		}
	}
	require.Equal(t, 1, dials)
}

func TestDriverSendsLocationsAsTheyCame(t *testing.T) {
	pod, asked := scripted(t, ok)
	proxy, _ := scripted(t, "HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: http://"+pod+"/ais%2F@%23%2Fb%2Fa%20b//../x?etl_fqn=%252F\r\n\r\n")
	rep := testDriver(t, proxy).get([]byte("/v1/objects/b/a%20b"), 0)
	require.NoError(t, rep.err)
	require.True(t, strings.HasPrefix(asked()[0], "GET /ais%2F@%23%2Fb%2Fa%20b//../x?etl_fqn=%252F HTTP/1.1\r\n"), asked()[0])
	require.Contains(t, asked()[0], "Host: "+pod+"\r\n")
}

func TestDriverPutNeedsItsWholeContent(t *testing.T) {
	target, _ := scripted(t, ok)
	proxy, asked := scripted(t, "HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: http://"+target+"/x?pid=p\r\n\r\n")
	rep := testDriver(t, proxy).put([]byte("/x"), strings.NewReader("short"), 6, 0)
	require.Equal(t, classSource, classOf(rep.err), "%v", rep.err)
	require.Contains(t, asked()[0], "Content-Length: 0\r\n", "the first hop gets no body")

	proxy, _ = scripted(t, ok)
	rep = testDriver(t, proxy).put([]byte("/x"), strings.NewReader("body"), 4, 0)
	require.Equal(t, classProtocol, classOf(rep.err), "an empty object would have been stored")
}

func TestDeadlineCoversAllHops(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	require.NoError(t, err)
	defer ln.Close()
	proxy, _ := scripted(t, "HTTP/1.1 301 There\r\nContent-Length: 0\r\nLocation: http://"+ln.Addr().String()+"/x\r\n\r\n")
	d := testDriver(t, proxy)
	d.timeout = 20 * time.Millisecond
	rep := d.get([]byte("/x"), 0)
	require.Equal(t, classTimeout, classOf(rep.err), "%v", rep.err)
	require.Empty(t, d.conns[ln.Addr().String()], "the connection is gone")
}

// rawServer answers every request with the same bytes and allocates nothing.
func rawServer(t testing.TB, answer []byte) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf) // a request is one segment
					if err != nil || n == 0 {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return ln.Addr().String()
}

func answerOf(size int) []byte {
	return append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size), bytes.Repeat([]byte("x"), size)...)
}

func TestGetDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	d := testDriver(t, rawServer(t, answerOf(100<<10)))
	uri := []byte("/v1/objects/b/o?provider=ais")
	require.NoError(t, d.get(uri, 0).err)
	for _, d.timed = range []bool{false, true} {
		allocs := testing.AllocsPerRun(200, func() { d.get(uri, 0) })
		require.Less(t, allocs, 1.0)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			d := testDriver(b, rawServer(b, answerOf(size)))
			uri := []byte("/v1/objects/b/o?provider=ais")
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if rep := d.get(uri, 0); rep.err != nil {
					b.Fatal(rep.err)
				}
			}
		})
	}
}
