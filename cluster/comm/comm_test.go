package comm_test

import (
	"bytes"
	"context"
	"crypto/md5"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one clock for the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A stopped worker pool sleeps out its 10 s once more before it looks.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func TestNames(t *testing.T) {
	require.Subset(t, comm.Names(), []string{"hpull://", "hpush://", "hrev://", "io://", "shm://", "ws://"})
	for _, name := range []string{"", "hpush", "hpush://"} {
		typ, err := comm.Lookup(name)
		require.NoError(t, err)
		require.Equal(t, "hpush://", typ.Name)
	}
	_, err := comm.Lookup("nosuch://")
	require.ErrorContains(t, err, "hpull://, hpush://, hrev://, io://, shm://")
	require.Panics(t, func() { comm.Register(comm.Type{Name: "hpush://"}) })
}

// bench is one pod and one target's end of it.
type bench struct {
	t       *testing.T
	socket  string            // of the pod
	objects map[string][]byte // by uname; what the target has
	link    comm.Link
	podURL  string
	dir     string   // the target's objects as files
	target  string   // URL
	hangUp  func()   // the target closes all its connections
	stored  sync.Map // what pods have PUT to the target, by uname
	podStop context.CancelFunc
	podDone chan struct{}
}

func newBench(t *testing.T, typ comm.Type, tr comm.Transform, change ...func(*comm.ServerConfig)) *bench {
	b := &bench{t: t, objects: map[string][]byte{}, podDone: make(chan struct{}), dir: t.TempDir()}
	target := httptest.NewServer(http.HandlerFunc(b.serveObject))
	t.Cleanup(target.Close)
	b.target, b.hangUp = target.URL, target.CloseClientConnections
	cfg := comm.ServerConfig{
		Transform: tr,
		TargetURL: target.URL + "/v1/etl/_object/etl/secret",
		DirectPut: true,
		FQNRoot:   b.dir,
		Log:       slog.New(slog.DiscardHandler),
	}
	for _, fn := range change {
		fn(&cfg)
	}
	srv, err := comm.NewServer(cfg)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	socket, err := net.Listen("unix", "@etlbench-test-"+crand.Text())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	b.podStop = cancel
	go func() {
		defer close(b.podDone)
		_ = srv.Serve(ctx, ln, socket)
	}()
	b.podURL = "http://" + ln.Addr().String()
	b.socket = socket.Addr().String()
	o := comm.Options{Command: []string{"cat", "-u"}}
	if typ.NeedsSocket || strings.HasSuffix(t.Name(), overSocket) {
		o.Socket = b.socket
	}
	b.link = typ.Dial(b.podURL, o)
	t.Cleanup(func() {
		require.NoError(t, b.link.Close())
		cancel()
		<-b.podDone
		http.DefaultClient.CloseIdleConnections()
	})
	return b
}

func (b *bench) serveObject(w http.ResponseWriter, r *http.Request) {
	seg := strings.TrimPrefix(r.URL.EscapedPath(), "/v1/etl/_object/etl/secret/")
	uname, err := url.PathUnescape(seg)
	if err != nil || strings.Contains(seg, "/") {
		http.Error(w, "not one escaped segment: "+seg, http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPut {
		data, err := io.ReadAll(r.Body)
		if err == nil {
			b.stored.Store(uname+"?"+r.URL.RawQuery, data)
		}
		return
	}
	data, ok := b.objects[uname]
	if !ok {
		http.Error(w, uname+" does not exist", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data)
}

func (b *bench) request(name, args string) comm.Request {
	uname := api.AIS("src").Uname(name)
	return comm.Request{Bucket: "src", Name: name, Uname: uname, Args: args,
		Query: url.Values{"etl_args": {args}}.Encode(),
		Open: func() (comm.Object, error) {
			data, ok := b.objects[uname]
			if !ok {
				return comm.Object{}, errNoSource
			}
			return comm.Object{Body: io.NopCloser(bytes.NewReader(data)), Size: int64(len(data))}, nil
		}}
}

var errNoSource = errors.New("no such object")

// get is one object by Inline or Offline; it follows a redirect as a client.
func (b *bench) get(ctx context.Context, inline bool, name, args string) ([]byte, error) {
	call := b.link.Offline
	if inline {
		call = b.link.Inline
	}
	r, err := call(ctx, b.request(name, args))
	if err != nil {
		return nil, err
	}
	if r.Redirect != "" {
		require.True(b.t, inline, "offline never redirects")
		require.Nil(b.t, r.Body)
		return b.follow(ctx, r.Redirect)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err == nil && r.Size >= 0 {
		require.Equal(b.t, r.Size, int64(len(data)))
	}
	return data, err
}

func (b *bench) follow(ctx context.Context, u string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	require.NoError(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 {
		return nil, &comm.TransformError{Status: resp.StatusCode, Text: string(data)}
	}
	return data, err
}

// overSocket ends the name of a test whose target asks its pod on a unix socket.
const overSocket = "/socket"

// everyType runs a test for each registered type, inline and offline, and on a
// unix socket.
func everyType(t *testing.T, fn func(t *testing.T, typ comm.Type, inline bool)) {
	for _, name := range comm.Names() {
		typ, err := comm.Lookup(name)
		require.NoError(t, err)
		for _, inline := range []bool{true, false} {
			mode := map[bool]string{true: "inline", false: "offline"}[inline]
			t.Run(strings.TrimSuffix(name, "://")+"/"+mode, func(t *testing.T) { fn(t, typ, inline) })
		}
		t.Run(strings.TrimSuffix(name, "://")+overSocket, func(t *testing.T) { fn(t, typ, false) })
	}
}

func echo(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
	_, err := io.Copy(dst, src)
	return err
}

func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func TestConformance_SameBytes(t *testing.T) {
	names := []string{"a.bin", "dir/sub/b.bin", "sp ace#?%41.txt", "ünï/cödé+&=;.jpg", "-", "a//b"}
	sizes := []int{0, 1, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 9<<20 + 7}
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		b := newBench(t, typ, echo)
		for i, size := range sizes {
			name := names[i%len(names)]
			data := random(size)
			b.objects[api.AIS("src").Uname(name)] = data
			got, err := b.get(t.Context(), inline, name, "")
			require.NoError(t, err, "%d bytes", size)
			require.True(t, bytes.Equal(data, got), "%q, %d bytes", name, size)
		}
	})
}

func TestConformance_InfoReachesTheTransform(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		b := newBench(t, typ, func(_ context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
			n, err := io.Copy(io.Discard, src)
			fmt.Fprintf(dst, "%s|%s|%d|%d|%s", o.Bucket, o.Name, o.Size, n, o.Args)
			return err
		})
		b.objects["ais/@#/src/d/x y"] = []byte("hello")
		got, err := b.get(t.Context(), inline, "d/x y", `{"a": 1&2}`)
		require.NoError(t, err)
		want := `src|d/x y|5|5|{"a": 1&2}`
		if typ.Name == "ws://" { // its messages carry neither bucket nor size
			want = `|d/x y|-1|5|{"a": 1&2}`
		}
		require.Equal(t, want, string(got))
	})
}

func TestConformance_FailingTransform(t *testing.T) {
	tests := []struct {
		name  string
		tr    comm.Transform
		early bool // before the reply has begun
	}{
		{"at once", func(context.Context, io.Writer, io.Reader, comm.Info) error { return errors.New("boom") }, true},
		{"after reading", func(_ context.Context, _ io.Writer, src io.Reader, _ comm.Info) error {
			_, _ = io.Copy(io.Discard, src)
			return errors.New("boom")
		}, true},
		{"panic", func(context.Context, io.Writer, io.Reader, comm.Info) error { panic("boom") }, true},
		{"half way", func(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
			_, _ = io.CopyN(dst, src, 1<<20)
			return errors.New("boom")
		}, false},
	}
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				b := newBench(t, typ, tt.tr)
				b.objects["ais/@#/src/x"] = random(4 << 20)
				for range 3 { // the connection stays usable
					data, err := b.get(t.Context(), inline, "x", "")
					require.Error(t, err)
					if !tt.early {
						require.Less(t, len(data), 4<<20)
						continue
					}
					require.ErrorIs(t, err, comm.ErrTransform)
					require.ErrorContains(t, err, "boom")
				}
			})
		}
	})
}

func TestConformance_TransformThatReadsNothing(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		b := newBench(t, typ, func(_ context.Context, dst io.Writer, _ io.Reader, o comm.Info) error {
			_, err := io.WriteString(dst, "hi "+o.Name)
			return err
		})
		b.objects["ais/@#/src/big"] = random(3 << 20)
		b.objects["ais/@#/src/small"] = random(3)
		for i := range 6 {
			name := []string{"big", "small"}[i%2]
			got, err := b.get(t.Context(), inline, name, "")
			require.NoError(t, err)
			require.Equal(t, "hi "+name, string(got))
		}
	})
}

func TestConformance_MissingSource(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		b := newBench(t, typ, echo)
		_, err := b.get(t.Context(), inline, "nosuch", "")
		require.Error(t, err)
		var refused *comm.TransformError
		if errors.As(err, &refused) {
			require.Equal(t, http.StatusNotFound, refused.Status)
			require.ErrorContains(t, err, "does not exist")
		} else {
			require.ErrorIs(t, err, errNoSource)
		}
	})
}

func TestConformance_Cancelled(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		started := make(chan struct{}, 1)
		b := newBench(t, typ, func(ctx context.Context, _ io.Writer, _ io.Reader, _ comm.Info) error {
			started <- struct{}{}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond): // a pod does not see that its caller has gone
			}
			return ctx.Err()
		})
		b.objects["ais/@#/src/x"] = []byte("x")
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		_, err := b.get(ctx, inline, "x", "")
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestConformance_PodGone(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		var b *bench
		b = newBench(t, typ, func(ctx context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
			_, _ = io.CopyN(dst, src, 1<<20)
			b.podStop()
			<-ctx.Done()
			return ctx.Err()
		})
		b.objects["ais/@#/src/x"] = random(4 << 20)
		data, err := b.get(t.Context(), inline, "x", "")
		require.Error(t, err, "%d bytes", len(data))
		<-b.podDone
		_, err = b.get(t.Context(), inline, "x", "")
		require.Error(t, err)
		if !inline || !strings.HasPrefix(typ.Name, "hpull") {
			require.ErrorIs(t, err, comm.ErrPod)
		}
	})
}

func TestConformance_Concurrent(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		b := newBench(t, typ, func(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
			h := md5.New()
			_, err := io.Copy(h, src)
			fmt.Fprintf(dst, "%x", h.Sum(nil))
			return err
		})
		const workers, each = 8, 20
		want := map[string]string{}
		for i := range workers {
			name := fmt.Sprintf("o%d", i)
			data := random(i * 30_000)
			b.objects["ais/@#/src/"+name] = data
			want[name] = fmt.Sprintf("%x", md5.Sum(data))
		}
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				name := fmt.Sprintf("o%d", i)
				for range each {
					got, err := b.get(t.Context(), inline, name, "")
					if err != nil || string(got) != want[name] {
						t.Errorf("%s: %q, %v", name, got, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestConformance_StreamsBothWaysInBoundedSpace(t *testing.T) {
	everyType(t, func(t *testing.T, typ comm.Type, inline bool) {
		if typ.Name != "hpush://" && typ.Name != "io://" && typ.Name != "shm://" {
			return // the pod fetches: covered by SameBytes
		}
		b := newBench(t, typ, echo)
		const size = 96 << 20
		r := b.request("x", "")
		r.Open = func() (comm.Object, error) {
			return comm.Object{Body: io.NopCloser(io.LimitReader(zeros{}, size)), Size: size}, nil
		}
		rep, err := b.link.Inline(t.Context(), r)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, rep.Body)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.NoError(t, rep.Body.Close())
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSourceThatEndsEarlyIsAnError(t *testing.T) {
	for _, name := range []string{"hpush", "shm"} {
		typ, err := comm.Lookup(name)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) { sourceThatEndsEarly(t, typ) })
	}
}

func sourceThatEndsEarly(t *testing.T, typ comm.Type) {
	for _, size := range []int64{100, 1 << 20, 3 << 20} {
		b := newBench(t, typ, echo)
		r := b.request("x", "")
		r.Open = func() (comm.Object, error) {
			return comm.Object{Body: io.NopCloser(io.LimitReader(zeros{}, size/2)), Size: size}, nil
		}
		rep, err := b.link.Inline(t.Context(), r)
		if err == nil {
			_, err = io.ReadAll(rep.Body)
			rep.Body.Close()
		}
		require.Error(t, err, "%d bytes", size)
	}
}

func TestCommand(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		want string
		err  string
	}{
		{"filter", []string{"tr", "a-z", "A-Z"}, "HELLO", ""},
		{"arguments are not for a shell", []string{"echo", "-n", "$HOME; `id`"}, "$HOME; `id`", ""},
		{"fails", []string{"sh", "-c", "echo what went wrong >&2; exit 3"}, "", "exit status 3: what went wrong"},
		{"not there", []string{"/nonexistent/prog"}, "", "no such file"},
		{"does not read", []string{"true"}, "", ""},
	}
	env := []string{"PATH=/nowhere", "PATH=/usr/bin:/bin"} // of two the last counts
	for _, ahead := range []int{0, 2} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, %d ahead", tt.name, ahead), func(t *testing.T) {
				f, stop := comm.Command(tt.argv, env, io.Discard), func() {}
				if ahead > 0 {
					f, stop = comm.Ahead(ahead, tt.argv, env, io.Discard)
				}
				defer stop()
				for i := range 2 * (ahead + 1) {
					var out bytes.Buffer
					size := int64(i%2*6 - 1) // unknown or right
					err := f(t.Context(), &out, strings.NewReader("hello"), comm.Info{Size: size})
					if tt.err != "" {
						require.ErrorContains(t, err, tt.err)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, tt.want, out.String())
				}
			})
		}
	}
}

func TestCommandStreams(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 1<<16)
	f := comm.Command([]string{"cat"}, nil, io.Discard)
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, len(body)} {
		for _, said := range []int64{int64(size), -1, 0} { // 0 is wrong, and does no harm
			var out bytes.Buffer
			require.NoError(t, f(t.Context(), &out, strings.NewReader(body[:size]), comm.Info{Size: said}))
			require.True(t, out.String() == body[:size], "%d bytes", size)
		}
	}
	broken := errors.New("broken")
	for _, size := range []int64{5, 1 << 20, -1} {
		src := io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))
		require.ErrorIs(t, f(t.Context(), io.Discard, src, comm.Info{Size: size}), broken)
	}
}

// TestCommandThatDoesNotEnd: neither a program that hangs nor one that leaves a
// child behind keeps its object.
func TestCommandThatDoesNotEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := comm.Command([]string{"sleep", "3600"}, nil, io.Discard)(ctx, io.Discard, strings.NewReader(""), comm.Info{})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	var out bytes.Buffer
	f := comm.Command([]string{"sh", "-c", "sleep 5 & echo done"}, nil, io.Discard)
	require.ErrorContains(t, f(t.Context(), &out, strings.NewReader(""), comm.Info{}), "left its output open")
	require.Equal(t, "done\n", out.String())
}

// TestAheadServesOneObject: a program that was started before its object came
// is gone after it.
func TestAheadServesOneObject(t *testing.T) {
	f, stop := comm.Ahead(2, []string{"sh", "-c", "echo $$; cat"}, nil, io.Discard)
	defer stop()
	seen := map[string]bool{}
	for range 8 {
		var out bytes.Buffer
		require.NoError(t, f(t.Context(), &out, strings.NewReader("x"), comm.Info{Size: 1}))
		pid, rest, _ := strings.Cut(out.String(), "\n")
		require.Equal(t, "x", rest)
		require.False(t, seen[pid], pid)
		seen[pid] = true
	}
}

func BenchmarkCommand(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 4096)
	f := comm.Command([]string{"cat"}, nil, io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		if err := f(b.Context(), io.Discard, bytes.NewReader(body), comm.Info{Size: int64(len(body))}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRepliesThatAreNoResults(t *testing.T) {
	tests := []struct {
		name  string
		reply string
		err   bool
	}{
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"202", "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok", false},
		{"100 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"206", "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nok", true},
		{"302", "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nok", true},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", true},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", true},
		{"cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true},
		{"no HTTP", "hello", true},
		{"nothing", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = io.WriteString(conn, tt.reply)
					conn.Close()
				}
			}()
			typ, err := comm.Lookup("hpush")
			require.NoError(t, err)
			link := typ.Dial("http://"+ln.Addr().String(), comm.Options{})
			defer link.Close()
			rep, err := link.Offline(t.Context(), comm.Request{Bucket: "b", Name: "o", Open: func() (comm.Object, error) {
				return comm.Object{Body: io.NopCloser(strings.NewReader("x")), Size: 1}, nil
			}})
			var data []byte
			if err == nil {
				data, err = io.ReadAll(rep.Body)
				rep.Body.Close()
			}
			if tt.err {
				require.Error(t, err, "%q", data)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "ok", string(data))
		})
	}
}
