package comm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Filter is a program that was started for one object: it gets the object on
// standard input, and what it writes to standard output is the result.
type Filter struct {
	Name  string // of the program, for errors
	Pipes *Pipes
	// Wait returns when the program has ended: nil when it exited with 0, else
	// how it ended. It is called once.
	Wait func() error
	// Kill ends the program, also one that has ended. It may be called
	// concurrently.
	Kill func()
}

// PerObject is the Transform of programs that start starts, one an object.
// Their standard error goes to log as it comes, and the end of it into the
// error when a program fails.
func PerObject(log io.Writer, start func(context.Context) (*Filter, error)) Transform {
	log = &syncWriter{w: log}
	return func(ctx context.Context, dst io.Writer, src io.Reader, o Info) error {
		small, err := readSmall(src, o.Size)
		if err != nil {
			return err
		}
		f, err := start(ctx)
		if err == nil {
			err = f.run(ctx, dst, src, small, log)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// readSmall is an object that a pipe holds, nil of another: it is read before
// there is a program to wait for it, and given to it at once. Of one that is
// longer than was said the rest is left in src.
func readSmall(src io.Reader, size int64) (*[]byte, error) {
	if size < 0 || size > pipeSize {
		return nil, nil
	}
	buf := filterBuffers.Get().(*[]byte)
	n, err := io.ReadFull(src, *buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		filterBuffers.Put(buf)
		return nil, err
	}
	small := (*buf)[:n]
	return &small, nil
}

const (
	// pipeSize is how many bytes a pipe holds that nobody reads.
	pipeSize = 64 << 10
	// lingers is how long a program that has ended may leave its output open,
	// by children that it left behind: they must not hold its object.
	lingers = time.Second
)

// filterBuffers have room for more than what is written at once.
var filterBuffers = sync.Pool{New: func() any { b := make([]byte, pipeSize+1); return &b }}

// run has the program transform an object, which is small, or src if that is
// nil. Nothing is left of it afterwards.
func (f *Filter) run(ctx context.Context, dst io.Writer, src io.Reader, small *[]byte, log io.Writer) error {
	stop := context.AfterFunc(ctx, f.Kill)
	defer stop()
	defer f.Pipes.Close()
	var (
		wg             sync.WaitGroup
		ended          atomic.Bool
		status, inErr  error
		end            = &tail{max: 1 << 10}
		stdout, stderr = outlet{f.Pipes.out, &ended}, outlet{f.Pipes.err, &ended}
	)
	wg.Go(func() {
		status = f.Wait()
		ended.Store(true)
		f.Pipes.hurry()
	})
	wg.Go(func() { _ = pass(io.MultiWriter(log, end), stderr) })
	if small != nil {
		defer func() { *small = (*small)[:cap(*small)]; filterBuffers.Put(small) }()
		src = f.Pipes.give(*small, src)
	}
	if src == nil {
		inErr = f.Pipes.given(nil)
	} else {
		wg.Go(func() { inErr = f.Pipes.feed(src) })
	}
	outErr := pass(dst, stdout)
	f.Pipes.out.Close() // the program sees that nobody wants the rest
	wg.Wait()
	switch {
	case status != nil:
		return fmt.Errorf("%s: %w: %s", f.Name, status, end)
	case errors.Is(outErr, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: ended, but left its output open", f.Name)
	}
	return errors.Join(inErr, outErr)
}

// pass copies until the end.
func pass(dst io.Writer, src io.Reader) error {
	buf := filterBuffers.Get().(*[]byte)
	defer filterBuffers.Put(buf)
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, src, *buf)
	return err
}

// outlet is what a program writes. Once that has ended, no read waits long.
type outlet struct {
	pipe  *os.File
	ended *atomic.Bool
}

// Read implements io.Reader.
func (o outlet) Read(p []byte) (int, error) {
	if o.ended.Load() {
		_ = o.pipe.SetReadDeadline(time.Now().Add(lingers))
	}
	return o.pipe.Read(p)
}

// Pipes are a program's standard input, output and error.
type Pipes struct {
	in, out, err *os.File // our ends
	// Theirs are the program's ends. Whoever started it closes them.
	Theirs [3]*os.File
}

// NewPipes makes pipes. No program that is started meanwhile gets any of them.
func NewPipes() (*Pipes, error) {
	p := &Pipes{}
	for i, ours := range []**os.File{&p.in, &p.out, &p.err} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			p.CloseTheirs()
			p.Close()
			return nil, os.NewSyscallError("pipe2", err)
		}
		our, their := fds[1], fds[0]
		if i > 0 {
			our, their = their, our
		}
		// Only ours: a program expects its own to block.
		_ = unix.SetNonblock(our, true)
		*ours, p.Theirs[i] = os.NewFile(uintptr(our), "pipe"), os.NewFile(uintptr(their), "pipe")
	}
	return p, nil
}

// CloseTheirs closes the program's ends, which it has or will never get.
func (p *Pipes) CloseTheirs() {
	for _, f := range p.Theirs {
		f.Close()
	}
}

// Close closes our ends.
func (p *Pipes) Close() {
	for _, f := range []*os.File{p.in, p.out, p.err} {
		f.Close()
	}
}

// hurry has nobody wait for long: the program has ended.
func (p *Pipes) hurry() {
	_ = p.in.SetWriteDeadline(time.Now()) // nobody will read it
	end := time.Now().Add(lingers)
	_ = p.out.SetReadDeadline(end)
	_ = p.err.SetReadDeadline(end)
}

// give writes to standard input what the pipe holds of an object that was read
// from src. It returns what is left to be written, nil if nothing is.
func (p *Pipes) give(small []byte, src io.Reader) io.Reader {
	rest := small
	raw, err := p.in.SyscallConn()
	if err == nil {
		_ = raw.Write(func(fd uintptr) bool {
			if n, err := unix.Write(int(fd), small); err == nil {
				rest = small[n:]
			}
			return true
		})
	}
	switch {
	case len(small) > pipeSize:
		return io.MultiReader(bytes.NewReader(rest), src)
	case len(rest) > 0: // a program that has ended already, or a pipe that is smaller
		return bytes.NewReader(rest)
	}
	return nil
}

// feed copies src to standard input.
func (p *Pipes) feed(src io.Reader) error {
	return p.given(pass(p.in, src))
}

// given closes standard input. A program need not read it to its end.
func (p *Pipes) given(err error) error {
	p.in.Close()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// syncWriter lets processes share a log.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// tail keeps the last max bytes.
type tail struct {
	max int
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	if len(t.buf) == 0 {
		return "nothing on standard error"
	}
	return string(bytes.TrimSpace(t.buf))
}
