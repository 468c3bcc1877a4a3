package comm

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
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
// Its standard error goes to log as it comes, and the end of it into the error
// when the program fails. argv is run as it is, without a shell; env nil is
// this process's own.
func Command(argv, env []string, log io.Writer) Transform {
	p := newProgram(argv, env)
	return PerObject(log, func(context.Context) (*Filter, error) { return p.start() })
}

// Ahead is Command with count programs that have been started before there is
// an object, and that wait for it on standard input. Each gets one object all
// the same. stop ends those that wait, when no object is under way any more.
func Ahead(count int, argv, env []string, log io.Writer) (t Transform, stop func()) {
	w := &waiting{program: newProgram(argv, env), ready: make(chan *Filter, count), taken: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.fill(ctx) })
	return PerObject(log, w.take), func() {
		cancel()
		wg.Wait()
		w.drop()
	}
}

// program is what is started again and again.
type program struct{ argv, env []string }

func newProgram(argv, env []string) *program {
	return &program{argv, (&exec.Cmd{Env: env}).Environ()} // without those that are there twice
}

// start starts it. This takes os.StartProcess rather than exec.Cmd, which sorts
// the environment and starts a goroutine for each pipe, every time.
func (p *program) start() (*Filter, error) {
	path, err := exec.LookPath(p.argv[0])
	if err != nil {
		return nil, err
	}
	pipes, err := NewPipes()
	if err != nil {
		return nil, err
	}
	proc, err := os.StartProcess(path, p.argv, &os.ProcAttr{Env: p.env, Files: pipes.Theirs[:]})
	pipes.CloseTheirs()
	if err != nil {
		pipes.Close()
		return nil, err
	}
	wait := func() error {
		state, err := proc.Wait()
		if err == nil && !state.Success() {
			err = errors.New(state.String())
		}
		return err
	}
	return &Filter{Name: p.argv[0], Pipes: pipes, Wait: wait, Kill: func() { _ = proc.Kill() }}, nil
}

// waiting are programs that have been started ahead.
type waiting struct {
	*program
	ready chan *Filter
	taken chan struct{}
}

// fill starts programs in place of those that were taken, until ctx ends. What
// cannot be started is tried again at the next object, which meets the error.
func (w *waiting) fill(ctx context.Context) {
	for ctx.Err() == nil {
		for err := error(nil); err == nil && len(w.ready) < cap(w.ready); {
			var f *Filter
			if f, err = w.start(); err == nil {
				w.ready <- f
			}
		}
		select {
		case <-ctx.Done():
		case <-w.taken:
		}
	}
}

// take is a program that waits, or else a new one.
func (w *waiting) take(context.Context) (f *Filter, err error) {
	select {
	case f = <-w.ready:
	default:
		f, err = w.start()
	}
	select {
	case w.taken <- struct{}{}:
	default:
	}
	return f, err
}

// drop ends those that wait.
func (w *waiting) drop() {
	for len(w.ready) > 0 {
		f := <-w.ready
		f.Kill()
		_ = f.Wait() // killed
		f.Pipes.Close()
	}
}

func init() {
	// The shim's end is hpush's.
	Register(Type{Name: "io://", Dial: dialIO, PerObject: true})
}
