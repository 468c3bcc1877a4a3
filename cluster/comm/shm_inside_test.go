package comm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// shmPod is a Server on a unix socket, and a link to it.
type shmPod struct {
	t      *testing.T
	socket string
	link   *shmLink
	stop   func() // the pod, once
}

func newShmPod(t *testing.T, o Options, tr Transform) *shmPod {
	s, err := NewServer(ServerConfig{Transform: tr, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ln, err := net.Listen("unix", "@etlbench-test-"+rand.Text())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, ln) }()
	o.Socket = ln.Addr().String()
	p := &shmPod{t: t, socket: o.Socket, link: dialShm("", o).(*shmLink), stop: func() { cancel(); <-done }}
	t.Cleanup(func() {
		p.stop()
		require.NoError(t, p.link.Close())
		require.Empty(t, p.link.slots)
		require.Zero(t, shmMapped(t), "all memory is given back")
	})
	return p
}

// shmMapped counts the memories that are mapped by this process: both ends'.
func shmMapped(t testing.TB) int {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(maps), "memfd:etlbench-shm")
}

func (p *shmPod) ask(ctx context.Context, src io.Reader, size int64) (Reply, error) {
	return p.link.Inline(ctx, Request{Bucket: "b", Name: "o", Open: func() (Object, error) {
		return Object{Body: io.NopCloser(src), Size: size}, nil
	}})
}

func (p *shmPod) get(src []byte, size int64) ([]byte, error) {
	r, err := p.ask(p.t.Context(), bytes.NewReader(src), size)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func shmBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>10 ^ i)
	}
	return b
}

// TestShmResults: results are right however a transform goes about it.
func TestShmResults(t *testing.T) {
	twice := func(b []byte) []byte { return append(b[:len(b):len(b)], b...) }
	same := func(b []byte) []byte { return b }
	tests := []struct {
		name string
		tr   func(dst io.Writer, src io.Reader) error
		want func([]byte) []byte
	}{
		{"as it is", func(dst io.Writer, src io.Reader) error { _, err := io.Copy(dst, src); return err }, same},
		{"copied", func(dst io.Writer, src io.Reader) error {
			_, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
			return err
		}, same},
		{"read from", func(dst io.Writer, src io.Reader) error {
			_, err := io.Copy(dst, struct{ io.Reader }{src})
			return err
		}, same},
		{"a part read before", func(dst io.Writer, src io.Reader) error {
			_, err := io.CopyN(dst, src, 1000)
			if err == nil {
				_, err = io.Copy(dst, src)
			}
			if err == io.EOF {
				err = nil
			}
			return err
		}, same},
		{"something before and behind", func(dst io.Writer, src io.Reader) error {
			_, err := io.WriteString(dst, "<")
			if err == nil {
				_, err = io.Copy(dst, src)
			}
			if err == nil {
				_, err = io.WriteString(dst, ">")
			}
			return err
		}, func(b []byte) []byte { return append(append([]byte("<"), b...), '>') }},
		{"larger", func(dst io.Writer, src io.Reader) error {
			b, err := io.ReadAll(src)
			if err == nil {
				_, err = dst.Write(twice(b))
			}
			return err
		}, twice},
		{"at both ends at once", func(dst io.Writer, src io.Reader) error {
			pr, pw := io.Pipe()
			go func() { _, err := io.Copy(pw, src); pw.CloseWithError(err) }()
			_, err := io.Copy(dst, pr)
			return err
		}, same},
		{"announced", func(dst io.Writer, src io.Reader) error {
			b, err := io.ReadAll(src)
			if err == nil {
				SetSize(dst, int64(len(b)))
				_, err = dst.Write(b)
			}
			return err
		}, same},
		{"nothing read", func(dst io.Writer, _ io.Reader) error { _, err := io.WriteString(dst, "x"); return err },
			func([]byte) []byte { return []byte("x") }},
		{"nothing written", func(_ io.Writer, src io.Reader) error { _, err := io.Copy(io.Discard, src); return err },
			func([]byte) []byte { return nil }},
	}
	sizes := []int{0, 1, 1000, shmPiece - 1, shmPiece, shmPiece + 1, shmSlot - 1, shmSlot, shmSlot + 1, 3*shmSlot + 7}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newShmPod(t, Options{Slots: 1}, func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error { return tt.tr(dst, src) })
			for _, n := range sizes {
				for _, size := range []int64{int64(n), -1} {
					src := shmBytes(n)
					got, err := p.get(src, size)
					require.NoError(t, err, "%d bytes, said to be %d", n, size)
					require.True(t, bytes.Equal(tt.want(src), got), "%d bytes, said to be %d", n, size)
				}
			}
			require.Equal(t, 2, shmMapped(t), "one connection has served all, with one memory at each end")
		})
	}
}

// TestShmAnnouncedSizes: a large result has the size that its transform says, and
// fails when that is not so.
func TestShmAnnouncedSizes(t *testing.T) {
	for _, size := range []int{10, 2 * shmSlot} {
		for _, more := range []int{0, -1, 1, -shmSlot - 1, shmSlot + 1} {
			if size+more < 0 {
				continue
			}
			t.Run(fmt.Sprint(size, "+", more), func(t *testing.T) {
				p := newShmPod(t, Options{}, func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
					SetSize(dst, int64(size+more))
					_, err := io.Copy(dst, src)
					return err
				})
				r, err := p.ask(t.Context(), bytes.NewReader(shmBytes(size)), int64(size))
				if err == nil {
					require.EqualValues(t, size+more, r.Size)
					_, err = io.Copy(io.Discard, r.Body)
					require.NoError(t, r.Body.Close())
				}
				if more == 0 {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, "the transform announced")
				}
			})
		}
	}
}

// TestShmMovesPayloadOnce: one read brings an object into the memory, one write
// takes the result from there, and no other system call moves a byte of it.
func TestShmMovesPayloadOnce(t *testing.T) {
	p := newShmPod(t, Options{}, func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
		_, err := io.Copy(dst, src)
		return err
	})
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer null.Close()
	for _, size := range []int{4 << 10, 64 << 10, shmSlot, 16 << 20} {
		path := filepath.Join(t.TempDir(), "object")
		require.NoError(t, os.WriteFile(path, shmBytes(size), 0o600))
		once := func() {
			f, err := os.Open(path)
			require.NoError(t, err)
			src := &counting{Reader: f}
			r, err := p.ask(t.Context(), src, int64(size))
			require.NoError(t, err)
			x := r.Body.(*shmBody)
			require.Less(t, x.cur, x.requests(), "the result is where the object was read to")
			dst := &counting{Writer: null}
			n, err := x.WriteTo(dst)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			require.NoError(t, x.Close())
			f.Close()
			pieces := 1
			if size > shmSlot {
				pieces = size / shmPiece
			}
			require.Equal(t, pieces, src.calls)
			require.Equal(t, pieces, dst.calls)
		}
		once()
		read, written := ioBytes(t)
		once()
		read2, written2 := ioBytes(t)
		// What frames take, and /proc's own text.
		const most = 16 << 10
		require.InDelta(t, size, read2-read, most, "%d bytes", size)
		require.InDelta(t, size, written2-written, most, "%d bytes", size)
	}
}

type counting struct {
	io.Reader
	io.Writer
	calls int
}

func (c *counting) Read(p []byte) (int, error)  { c.calls++; return c.Reader.Read(p) }
func (c *counting) Write(p []byte) (int, error) { c.calls++; return c.Writer.Write(p) }

// ioBytes are what this process has read and written by system calls.
func ioBytes(t *testing.T) (read, written int) {
	data, err := os.ReadFile("/proc/self/io")
	require.NoError(t, err)
	_, err = fmt.Sscanf(string(data), "rchar: %d\nwchar: %d\n", &read, &written)
	require.NoError(t, err)
	return read, written
}

// TestShmSlotsBoundMemory: no more objects are under way than there are slots,
// and one that waits for a slot can be called off.
func TestShmSlotsBoundMemory(t *testing.T) {
	var now, most atomic.Int32
	hold := make(chan struct{})
	p := newShmPod(t, Options{Slots: 3}, func(ctx context.Context, dst io.Writer, src io.Reader, _ Info) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		_, err := io.Copy(dst, src)
		return err
	})
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			got, err := p.get([]byte("x"), 1)
			if err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	require.Eventually(t, func() bool { return now.Load() == 3 }, 20*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("called off"))
	_, err := p.ask(ctx, strings.NewReader("x"), 1)
	require.ErrorContains(t, err, "called off")
	close(hold)
	wg.Wait()
	require.EqualValues(t, 3, most.Load())
	require.LessOrEqual(t, shmMapped(t), 2*3)
}

// TestShmEndsTogether: when one end goes, in the middle of an object, the other
// notices, and nothing is kept.
func TestShmEndsTogether(t *testing.T) {
	ended := make(chan error, 1)
	tr := func(ctx context.Context, dst io.Writer, src io.Reader, _ Info) error {
		_, err := io.CopyN(dst, src, shmSlot)
		if err == nil {
			<-ctx.Done()
			err = context.Cause(ctx)
		}
		ended <- err
		return err
	}
	begin := func(t *testing.T, ctx context.Context) (*shmPod, Reply) {
		p := newShmPod(t, Options{}, tr)
		r, err := p.ask(ctx, bytes.NewReader(make([]byte, 8<<20)), 8<<20)
		require.NoError(t, err)
		_, err = io.ReadFull(r.Body, make([]byte, shmPiece))
		require.NoError(t, err)
		return p, r
	}
	t.Run("the client goes", func(t *testing.T) {
		p, r := begin(t, t.Context())
		require.NoError(t, r.Body.Close())
		require.Error(t, <-ended)
		require.Empty(t, p.link.idle)
	})
	t.Run("the object is called off", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p, r := begin(t, ctx)
		cancel(errors.New("called off"))
		_, err := io.Copy(io.Discard, r.Body)
		require.ErrorContains(t, err, "called off")
		require.NoError(t, r.Body.Close())
		require.Error(t, <-ended)
		require.Empty(t, p.link.idle)
	})
	t.Run("the link is closed", func(t *testing.T) {
		p := newShmPod(t, Options{}, func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
			_, err := io.Copy(dst, src)
			return err
		})
		r, err := p.ask(t.Context(), strings.NewReader("x"), 1)
		require.NoError(t, err)
		require.NoError(t, p.link.Close())
		require.NoError(t, r.Body.Close())
		require.Empty(t, p.link.idle)
	})
	t.Run("the pod goes", func(t *testing.T) {
		p, r := begin(t, t.Context())
		p.stop()
		_, err := io.Copy(io.Discard, r.Body)
		require.ErrorIs(t, err, ErrPod)
		require.NoError(t, r.Body.Close())
		require.NoError(t, r.Body.Close(), "twice is as good as once")
		require.Error(t, <-ended)
		_, err = p.get(nil, 0)
		require.ErrorIs(t, err, ErrPod)
	})
}

// TestShmOutlivesItsTransform: what a transform leaves running gets an error, not
// memory that is somebody else's or is gone.
func TestShmOutlivesItsTransform(t *testing.T) {
	var left sync.WaitGroup
	p := newShmPod(t, Options{}, func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
		for _, step := range []func() error{
			func() error { _, err := src.Read(make([]byte, 10)); return err },
			func() error { _, err := io.Copy(io.Discard, src); return err },
			func() error { _, err := dst.Write([]byte("x")); return err },
			func() error { _, err := dst.(io.ReaderFrom).ReadFrom(bytes.NewReader(make([]byte, 100))); return err },
		} {
			left.Go(func() {
				for {
					if err := step(); errors.Is(err, errShmOver) {
						return
					}
				}
			})
		}
		time.Sleep(time.Millisecond)
		return errors.New("enough")
	})
	for range 20 {
		_, err := p.get(shmBytes(3<<20), 3<<20)
		require.ErrorContains(t, err, "enough")
	}
	left.Wait()
}

// lyingPod makes connections over which a test speaks for the pod.
func lyingPod(t testing.TB, speak func(c *net.UnixConn, mem *shmMemory, br *bufio.Reader)) *shmLink {
	ln, err := net.Listen("unix", "@etlbench-test-"+rand.Text())
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			u := c.(*net.UnixConn)
			serving.Go(func() {
				defer u.Close()
				br := bufio.NewReader(u)
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				_, _ = io.WriteString(u, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "+shmProtocol+"\r\n\r\n")
				mem, err := receiveShm(u)
				if err != nil {
					return
				}
				defer mem.free()
				_, _ = u.Write((&shmFrame{kind: shmReady}).append(nil))
				speak(u, mem, br)
			})
		}
	})
	l := dialShm("", Options{Socket: ln.Addr().String()}).(*shmLink)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		ln.Close()
		serving.Wait()
		require.Empty(t, l.slots)
		require.Zero(t, shmMapped(t))
	})
	return l
}

func TestShmPodThatLies(t *testing.T) {
	data := func(piece byte, n int, last bool) shmFrame {
		return shmFrame{kind: shmData, piece: piece, n: n, last: last}
	}
	tests := []struct {
		name   string
		frames []shmFrame
		want   error
	}{
		{"a piece that there is not", []shmFrame{data(4, 1, true)}, ErrPod},
		{"a piece of the highest number", []shmFrame{data(255, 1, true)}, ErrPod},
		{"more than a piece has", []shmFrame{data(2, shmPiece+1, true)}, ErrPod},
		{"the largest length", []shmFrame{data(2, 1<<32-1, true)}, ErrPod},
		{"two pieces, one twice", []shmFrame{data(2, 1, false), data(0, 1, false), data(0, 1, false), {kind: shmFree, piece: 0}, {kind: shmFree, piece: 0}}, ErrPod},
		{"a reply piece given back", []shmFrame{{kind: shmFree, piece: 2}}, ErrPod},
		{"no kind", []shmFrame{{}}, ErrPod},
		{"a size that is none", []shmFrame{{kind: shmData, piece: 2, n: 1, text: []byte("x")}}, ErrPod},
		{"a size below what comes", []shmFrame{{kind: shmData, piece: 2, n: 1, text: []byte("2")}, data(3, 5, true)}, ErrPod},
		{"a size above what comes", []shmFrame{{kind: shmData, piece: 2, n: 1, text: []byte("9")}, data(3, 5, true)}, ErrPod},
		{"a target's frame", []shmFrame{{kind: shmObject, piece: 2}}, ErrPod},
		{"a text too long", []shmFrame{{kind: shmFailed, text: make([]byte, maxShmText+1)}}, ErrPod},
		{"delivered to nobody", []shmFrame{{kind: shmDelivered, text: []byte("3")}}, ErrPod},
		{"delivered what was begun", []shmFrame{data(2, 1, false), {kind: shmDelivered, text: []byte("3")}}, ErrPod},
		{"an odd status", []shmFrame{{kind: shmFailed, n: 200, text: []byte("x")}}, ErrTransform},
		{"nothing", nil, ErrPod},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := lyingPod(t, func(c *net.UnixConn, _ *shmMemory, br *bufio.Reader) {
				if _, err := readShmFrame(br); err != nil {
					return
				}
				drained := make(chan struct{})
				go func() { defer close(drained); _, _ = io.Copy(io.Discard, br) }() // until an end is closed
				for _, f := range tt.frames {
					_, _ = c.Write(f.append(nil))
				}
				if tt.want == ErrTransform {
					<-drained
				}
			})
			r, err := l.Inline(t.Context(), Request{Name: "o", Open: func() (Object, error) {
				return Object{Body: io.NopCloser(bytes.NewReader(make([]byte, 8<<20))), Size: 8 << 20}, nil
			}})
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
				require.NoError(t, r.Body.Close())
			}
			require.ErrorIs(t, err, tt.want)
			if tt.want == ErrTransform {
				var refused *TransformError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, 500, refused.Status)
			}
		})
	}
}

func TestShmPodThatSharesNoMemory(t *testing.T) {
	ln, err := net.Listen("unix", "@etlbench-test-"+rand.Text())
	require.NoError(t, err)
	web := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = web.Serve(ln) }()
	defer web.Close()
	for _, tt := range []struct {
		o   Options
		err string
	}{
		{Options{Socket: ln.Addr().String()}, "it does not share memory: GET /shm: 404 Not Found"},
		{Options{}, "it offers no unix socket"},
		{Options{Socket: "@etlbench-nobody"}, "connection refused"},
	} {
		l := dialShm("http://127.0.0.1:1", tt.o).(*shmLink)
		err := l.Check(t.Context())
		require.ErrorIs(t, err, ErrPod)
		require.ErrorContains(t, err, tt.err)
		require.NotContains(t, err.Error(), "\n")
		require.NoError(t, l.Close())
	}
}

// TestShmMemoryIsSealed: a pod takes no memory that could shrink under it.
func TestShmMemoryIsSealed(t *testing.T) {
	mem, f, err := newShmMemory()
	require.NoError(t, err)
	defer f.Close()
	defer mem.free()
	require.Error(t, f.Truncate(1))
	require.Error(t, f.Truncate(shmSize+1))
	fd, err := unix.MemfdCreate("etlbench-test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	loose := os.NewFile(uintptr(fd), "loose")
	defer loose.Close()
	require.NoError(t, loose.Truncate(shmSize))
	_, err = mapShm(loose)
	require.ErrorIs(t, err, errShmWire)
	require.NoError(t, loose.Truncate(1))
	_, err = unix.FcntlInt(loose.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	require.NoError(t, err)
	_, err = mapShm(loose)
	require.ErrorIs(t, err, errShmWire)
}

// FuzzShmPod: whatever a pod's socket says, a target reads inside the pieces, and
// ends.
func FuzzShmPod(f *testing.F) {
	frames := func(list ...shmFrame) (b []byte) {
		for _, f := range list {
			b = f.append(b)
		}
		return b
	}
	f.Add(frames(shmFrame{kind: shmData, piece: 0, n: 9, last: true}), int64(9))
	f.Add(frames(shmFrame{kind: shmData, piece: 2, n: shmPiece}, shmFrame{kind: shmFree, piece: 0}, shmFrame{kind: shmEnd}), int64(2<<20))
	f.Add(frames(shmFrame{kind: shmFailed, n: 400, text: []byte("x")}), int64(-1))
	f.Add(frames(shmFrame{kind: shmData, piece: 3, n: 1 << 31}), int64(0))
	f.Fuzz(func(t *testing.T, said []byte, size int64) {
		size = max(-1, size%(2<<20))
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		go func() { _, _ = far.Write(said); far.Close() }()
		l := dialShm("", Options{}).(*shmLink)
		c := &shmConn{Conn: near, br: bufio.NewReader(near), mem: shmMemoryOf(make([]byte, shmSize))}
		r, err := l.exchange(t.Context(), c, Request{Open: func() (Object, error) {
			return Object{Body: io.NopCloser(io.LimitReader(shmZeros{}, max(size, 1000))), Size: size}, nil
		}})
		if err != nil || r.Body == nil {
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		require.LessOrEqual(t, n, int64(len(said))*shmSlot)
		if r.Size >= 0 {
			require.NoError(t, err)
			require.Equal(t, r.Size, n)
		}
		l.slots <- struct{}{}
		require.NoError(t, r.Body.Close())
		require.NoError(t, l.Close())
	})
}

type shmZeros struct{}

func (shmZeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzShmTarget: whatever comes over a connection, a pod's session ends with it,
// and its memory is given back.
func FuzzShmTarget(f *testing.F) {
	m := shmMeta{size: 5, bucket: "b", name: "o", args: "x"}
	object := shmFrame{kind: shmObject, n: 5, last: true, text: m.append(nil)}
	f.Add(object.append(object.append(nil)))
	object.last, object.n = false, shmSlot
	f.Add((&shmFrame{kind: shmData, piece: 1, n: 1 << 30}).append(object.append(nil)))
	f.Add((&shmFrame{kind: shmFree, piece: 3}).append((&shmFrame{kind: shmEnough}).append(object.append(nil))))
	f.Fuzz(func(t *testing.T, said []byte) {
		s := fuzzServer(t, "")
		s.transform = func(_ context.Context, dst io.Writer, src io.Reader, _ Info) error {
			_, err := io.Copy(dst, src)
			return err
		}
		s.ctx = t.Context()
		target, pod := socketPair(t)
		mem, file, err := newShmMemory()
		require.NoError(t, err)
		defer mem.free()
		_, _, err = target.WriteMsgUnix([]byte{0}, unix.UnixRights(int(file.Fd())), nil)
		require.NoError(t, err)
		file.Close()
		done := make(chan struct{})
		go func() { defer close(done); _ = s.shmSession(pod) }()
		_, _ = target.Write(said)
		_ = target.CloseWrite()
		_, _ = io.Copy(io.Discard, target)
		target.Close()
		<-done
	})
}

// FuzzShmMeta: what tells of an object is read as it was written.
func FuzzShmMeta(f *testing.F) {
	m := shmMeta{size: -1, bucket: "b", name: "d/o", args: "a", path: "%2Fx", stops: "http://a,http://b"}
	f.Add(m.append(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseShmMeta(text)
		if err != nil {
			require.ErrorIs(t, err, errShmWire)
			return
		}
		again, err := parseShmMeta(m.append(nil))
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
