package comm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// dialIO pushes to a shim, which runs the pod's command once an object. The
// command values are what the historical shim of published images expects.
// They come from the stored spec alone; our own shim ignores them and runs the
// command it was started with, so no client ever names a program to run.
func dialIO(base string, o Options) Link {
	p := &pusher{c: newClient(base, o)}
	if len(o.Command) > 0 {
		p.fixed = url.Values{"command": {"bash", "-c", strings.Join(o.Command, " ")}}
	}
	return p
}

// Command is the Transform of a program: it is started once an object, gets
// it on standard input, and what it writes to standard output is the result.
// Its standard error goes to log, line by line as it comes, and the end of it
// into the error when the program fails. argv is run as it is, without a shell.
func Command(argv, env []string, log io.Writer) Transform {
	shared := &syncWriter{w: log}
	return func(ctx context.Context, dst io.Writer, src io.Reader, _ Info) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = env
		// A program that leaves children behind must not hold its object.
		cmd.WaitDelay = time.Second
		end := &tail{max: 1 << 10}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = src, dst, io.MultiWriter(shared, end)
		err := cmd.Run()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("%s: %s: %s", argv[0], exit, end)
		}
		return err
	}
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

func init() {
	// The shim's end is hpush's.
	Register(Type{Name: "io://", Dial: dialIO, PerObject: true})
}
