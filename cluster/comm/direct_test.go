package comm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

func upper(_ context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
	data, err := io.ReadAll(src)
	if err == nil {
		_, err = dst.Write(append(bytes.ToUpper(data), o.Args...))
	}
	return err
}

// ask sends the object "d/x y" by a type that does not redirect.
func (b *bench) ask(ctx context.Context, change func(*comm.Request)) (comm.Reply, error) {
	r := b.request("d/x y", "-args")
	change(&r)
	return b.link.Offline(ctx, r)
}

const dstUname = "ais/@#/dst/new name"

func (b *bench) dst() string {
	return b.target + "/" + url.PathEscape(dstUname) + "?owt=3&uuid=job"
}

// directSizes are sizes of which one is sent whole and one as it comes.
var directSizes = []int{1, 1 << 20}

func TestDirectPut(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		if inline {
			return // there is no target to go to
		}
		for _, size := range directSizes {
			b := newBench(t, typ, upper)
			data := bytes.Repeat([]byte("x"), size)
			b.objects["ais/@#/src/d/x y"] = data
			for range 2 { // also on a connection that was used before
				r, err := b.ask(t.Context(), func(r *comm.Request) { r.Stops = []string{b.dst()} })
				require.NoError(t, err)
				require.True(t, r.Delivered)
				require.Nil(t, r.Body)
				require.EqualValues(t, size+5, r.Size)
				got, ok := b.stored.LoadAndDelete(dstUname + "?owt=3&uuid=job")
				require.True(t, ok)
				require.Equal(t, strings.Repeat("X", size)+"-args", string(got.([]byte)))
			}
		}
	})
}

// TestDirectPutAfterTheTargetHungUp: between two jobs targets close connections
// that nobody uses, and what is read of a result cannot be sent again.
func TestDirectPutAfterTheTargetHungUp(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		if inline {
			return // there is no target to go to
		}
		for _, size := range directSizes {
			b := newBench(t, typ, upper)
			b.objects["ais/@#/src/d/x y"] = bytes.Repeat([]byte("x"), size)
			for range 3 {
				r, err := b.ask(t.Context(), func(r *comm.Request) { r.Stops = []string{b.dst()} })
				require.NoError(t, err)
				require.True(t, r.Delivered)
				b.hangUp()
			}
		}
	})
}

func TestPipeline(t *testing.T) {
	exclaim := func(_ context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		if _, err := io.Copy(dst, src); err != nil {
			return err
		}
		_, err := fmt.Fprintf(dst, "!%s", o.Args)
		return err
	}
	everyType(t, func(t *testing.T, typ comm.Type, _ bool) {
		for _, size := range directSizes {
			b := newBench(t, typ, upper)
			second, third := newBench(t, typ, exclaim), newBench(t, typ, exclaim)
			b.objects["ais/@#/src/d/x y"] = bytes.Repeat([]byte("x"), size)
			want := strings.Repeat("X", size) + "-args!-args!-args"
			pods := []string{second.podURL, third.podURL}
			r, err := b.ask(t.Context(), func(r *comm.Request) { r.Stops = pods })
			require.NoError(t, err)
			require.False(t, r.Delivered)
			got, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.Equal(t, want, string(got))

			// The last pod tells its own target.
			r, err = b.ask(t.Context(), func(r *comm.Request) { r.Stops = append(pods, third.dst()) })
			require.NoError(t, err)
			require.True(t, r.Delivered)
			require.EqualValues(t, len(want), r.Size)
			stored, ok := third.stored.Load(dstUname + "?owt=3&uuid=job")
			require.True(t, ok)
			require.Equal(t, want, string(stored.([]byte)))
		}
	})
}

func TestPipelineErrors(t *testing.T) {
	refuse := func(_ context.Context, _ io.Writer, src io.Reader, _ comm.Info) error {
		_, _ = io.Copy(io.Discard, src)
		return errors.New("not this one")
	}
	everyType(t, func(t *testing.T, typ comm.Type, _ bool) {
		for _, size := range directSizes {
			b, second := newBench(t, typ, upper), newBench(t, typ, refuse)
			b.objects["ais/@#/src/d/x y"] = make([]byte, size)
			_, err := b.ask(t.Context(), func(r *comm.Request) { r.Stops = []string{second.podURL} })
			require.ErrorIs(t, err, comm.ErrTransform)
			require.ErrorContains(t, err, "not this one")
			_, err = b.ask(t.Context(), func(r *comm.Request) { r.Stops = []string{"not a URL"} })
			require.ErrorIs(t, err, comm.ErrTransform)
		}
	})
}

func TestNoDirectPutAnswersWithTheResult(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, _ bool) {
		b := newBench(t, typ, upper, func(c *comm.ServerConfig) { c.DirectPut = false })
		b.objects["ais/@#/src/d/x y"] = []byte("x")
		r, err := b.ask(t.Context(), func(r *comm.Request) { r.Stops = []string{b.dst()} })
		require.NoError(t, err)
		require.False(t, r.Delivered)
		got, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, "X-args", string(got))
	})
}

func TestFilesInPlaceOfBytes(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		if typ.Name == "hrev://" && inline {
			return // it passes the client's own query on
		}
		b := newBench(t, typ, upper)
		file := filepath.Join(b.dir, "50% off")
		require.NoError(t, os.WriteFile(file, []byte("in a file"), 0o644))
		outside := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o644))
		require.NoError(t, os.Symlink(outside, filepath.Join(b.dir, "link")))
		noBytes := func(path string) func(*comm.Request) {
			return func(r *comm.Request) {
				r.Path = path
				r.Open = func() (comm.Object, error) { panic("bytes were asked for") }
			}
		}
		r, err := b.ask(t.Context(), noBytes(file))
		require.NoError(t, err)
		got, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, "IN A FILE-args", string(got))
		for _, path := range []string{outside, filepath.Join(b.dir, "link"), filepath.Join(b.dir, "..", "x"), b.dir, file + "x"} {
			_, err := b.ask(t.Context(), noBytes(path))
			require.ErrorIs(t, err, comm.ErrTransform, path)
		}
	})
}

func TestReplay(t *testing.T) {
	var asked atomic.Int32
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		if asked.Add(1) == 1 {
			w.Header().Set("Ais-Etl-Retry-Reason", "direct-put-transient")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(data)
	}))
	defer pod.Close()
	typ, err := comm.Lookup("hpush")
	require.NoError(t, err)
	link := typ.Dial(pod.URL, comm.Options{})
	r, err := link.Offline(t.Context(), comm.Request{Bucket: "b", Name: "o", Open: func() (comm.Object, error) {
		return comm.Object{Body: io.NopCloser(strings.NewReader("hi")), Size: 2}, nil
	}})
	require.NoError(t, err)
	got, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.NoError(t, link.Close())
	require.Equal(t, "hi", string(got))
	require.EqualValues(t, 2, asked.Load())
}

func TestConnectingIsTriedAgain(t *testing.T) {
	for _, name := range []string{"hpush", "hpull", "ws"} {
		typ, err := comm.Lookup(name)
		require.NoError(t, err)
		// The port is free, and nobody takes it: a context ends the attempts.
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("the pod has died"))
		link := typ.Dial(gone.URL, comm.Options{Retries: 10})
		_, err = link.Offline(ctx, comm.Request{Bucket: "b", Name: "o", Uname: api.AIS("b").Uname("o")})
		require.ErrorContains(t, err, "the pod has died", "and it is tried until then")
		if name != "ws" {
			require.ErrorContains(t, err, "connection refused")
		}
		cancel()
		require.NoError(t, link.Close())
	}
}

func TestLinksConnectByTheirDialer(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, _ bool) {
		b := newBench(t, typ, upper)
		b.objects["ais/@#/src/d/x y"] = []byte("x")
		var dials atomic.Int32
		require.NoError(t, b.link.Close())
		o := comm.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		if typ.NeedsSocket {
			o.Socket = b.socket
		}
		b.link = typ.Dial(b.podURL, o)
		for range 2 {
			r, err := b.ask(t.Context(), func(*comm.Request) {})
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r.Body)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
		}
		require.EqualValues(t, 1, dials.Load(), "one connection serves both")
	})
}

// answering takes connections and does with the n-th of them, from 1 on, what
// do says; it tells how many there were.
func answering(t *testing.T, do func(n int32, c *net.TCPConn)) (base string, taken *atomic.Int32) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	taken = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			do(taken.Add(1), c.(*net.TCPConn))
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return "http://" + ln.Addr().String(), taken
}

// TestPodThatBreaksConnections holds what is asked again: a broken connection
// is, a pod that hangs up in good order is not, and neither is one that takes
// too long.
func TestPodThatBreaksConnections(t *testing.T) {
	reply := func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
	tests := []struct {
		name  string
		first func(ctx context.Context, c *net.TCPConn)
		asked int32
		err   string
	}{
		{"reset", func(_ context.Context, c *net.TCPConn) { _ = c.SetLinger(0) }, 2, ""},
		{"closed", func(context.Context, *net.TCPConn) {}, 1, "EOF"},
		{"silent", func(ctx context.Context, _ *net.TCPConn) { <-ctx.Done() }, 1, "the object timeout"},
	}
	for _, name := range []string{"hpush", "hpull", "hrev", "io"} {
		for _, tt := range tests {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				limit := 20 * time.Second
				if tt.name == "silent" {
					limit = 50 * time.Millisecond
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("the object timeout"))
				defer cancel()
				base, taken := answering(t, func(n int32, c *net.TCPConn) {
					if n == 1 {
						tt.first(ctx, c)
						return
					}
					reply(c)
				})
				typ, err := comm.Lookup(name)
				require.NoError(t, err)
				link := typ.Dial(base, comm.Options{Retries: 10})
				defer link.Close()
				opened := 0
				r, err := link.Offline(ctx, comm.Request{Bucket: "b", Name: "o", Uname: "ais/@#/b/o", Open: func() (comm.Object, error) {
					opened++
					return comm.Object{Body: io.NopCloser(strings.NewReader("x")), Size: 1}, nil
				}})
				if tt.err != "" {
					require.ErrorContains(t, err, tt.err)
				} else {
					require.NoError(t, err)
					got, err := io.ReadAll(r.Body)
					require.NoError(t, err)
					require.NoError(t, r.Body.Close())
					require.Equal(t, "ok", string(got))
				}
				require.Equal(t, tt.asked, taken.Load())
				if name == "hpush" || name == "io" {
					require.EqualValues(t, tt.asked, opened, "the object is sent anew")
				}
			})
		}
	}
}

func TestReplayOnlyOfWhatWasSent(t *testing.T) {
	base, taken := answering(t, func(_ int32, c *net.TCPConn) {
		_, _ = io.WriteString(c, "HTTP/1.1 503 X\r\nAis-Etl-Retry-Reason: direct-put-transient\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	typ, err := comm.Lookup("hpush")
	require.NoError(t, err)
	link := typ.Dial(base, comm.Options{})
	defer link.Close()
	_, err = link.Offline(t.Context(), comm.Request{Bucket: "b", Name: "o", Path: "/a/file"})
	var refused *comm.TransformError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 503, refused.Status)
	require.EqualValues(t, 1, taken.Load())
}
