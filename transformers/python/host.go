// Package python runs Python code that users send: functions from bytes to
// bytes, called for one object at a time.
//
// A Host keeps interpreters running, with the user's module loaded, and is a
// comm.Transform. An IO is the other way to run the same module: a process for
// each object, which communication type io:// asks for. It is forked; what it
// would be if it were started, which costs ten times as much, IOCommand says.
// Find turns runtime names into interpreters, Check
// looks at a module before anything runs it.
//
// The code is trusted as much as the host: it runs as the same user and can do
// what the host can. It may fail, crash, print and hang without harm to other
// objects. Install makes an environment of what a module requires.
//
// Start at Config and Host; worker.go and fork.go say how the two sides talk,
// call.py which calls are made.
package python

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/comm"
)

const (
	defaultMaxBytes = 1 << 30
	pieceSize       = 256 << 10       // bytes of an object that are sent at once
	stopGrace       = 2 * time.Second // for a worker to finish its object when the host closes
	deathGrace      = time.Second     // for a worker that closed its pipe to be gone
)

// Config describes a Host. Python and Code are required.
type Config struct {
	Python string // path of the interpreter itself (Interpreter.Path), Python 2.7 or 3.6 and later
	Code   string // path of the user's module

	Functions
	// Workers is the number of processes, and so of objects that are
	// transformed at the same time. 0 means one for each processor.
	Workers int
	// MaxBytes is the biggest object that is accepted without a ChunkSize, for
	// it then stands in a worker's memory as a whole. 0 means 1 GiB.
	MaxBytes int64
	// MaxRSS bounds the resident memory of a worker, bytes: one that has more
	// after an object is replaced. It is looked at every 50 ms. 0 means 1 GiB
	// more than the worker has when it is ready.
	MaxRSS int64
	// Env is the environment of the workers; nil means this process's own.
	Env []string
	// Stderr gets what the user's code prints, to standard output too, and the
	// tracebacks of objects that failed. Nil means nowhere. Writes to it are
	// never concurrent.
	Stderr io.Writer
}

// withDefaults returns the configuration filled in, or everything that is
// wrong with it.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Python == "" {
		errs = append(errs, errors.New("python: Python, the interpreter's path, is missing"))
	}
	if c.Code == "" {
		errs = append(errs, errors.New("python: Code, the module's path, is missing"))
	}
	if c.Workers < 0 || c.MaxBytes < 0 || c.ChunkSize < 0 || c.MaxRSS < 0 {
		errs = append(errs, fmt.Errorf("python: workers %d, max bytes %d, chunk size %d, max rss %d: must not be negative",
			c.Workers, c.MaxBytes, c.ChunkSize, c.MaxRSS))
	}
	if c.Workers == 0 {
		c.Workers = runtime.NumCPU()
	}
	switch {
	case c.ChunkSize > 0:
		c.MaxBytes = math.MaxInt64
	case c.MaxBytes == 0:
		c.MaxBytes = defaultMaxBytes
	}
	if c.Stderr == nil {
		c.Stderr = io.Discard
	}
	c.Stderr = &lockedWriter{w: c.Stderr}
	return c, errors.Join(errs...)
}

// Host runs a user's Python module in persistent worker processes. Its methods
// may be called concurrently.
type Host struct {
	life
	cfg     Config
	idle    chan *slot // offered and not on loan; has room for all
	buffers sync.Pool  // *[]byte of pieceSize and some more for the info

	mu sync.Mutex // guards the slots' fields
}

// slot is the place of one worker, which stays when the worker is replaced.
type slot struct {
	w       *worker // the latest; may have died
	offered bool    // in idle, or on loan to a Transform
}

var _ comm.Transform = (*Host)(nil).Transform

// New starts the workers and returns when all of them have loaded the module.
// A module that cannot be loaded, or whose functions cannot be called, is a
// *CodeError. Ctx covers the start alone; Close ends the host.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, idle: make(chan *slot, cfg.Workers)}
	life := h.begin(ctx)
	h.buffers.New = func() any { b := make([]byte, pieceSize+4<<10); return &b }
	workers, err := h.startAll(ctx)
	if err != nil {
		h.close()
		return nil, err
	}
	for _, w := range workers {
		h.wg.Go(func() { h.keep(life, &slot{}, w) })
	}
	return h, nil
}

// startAll starts all workers at the same time, or none. The first error is
// returned; the others are the same, for the module is.
func (h *Host) startAll(ctx context.Context) ([]*worker, error) {
	each, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := make([]*worker, h.cfg.Workers)
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			var err error
			if workers[n], err = h.start(each); err != nil {
				cancel(err) // of several causes the first is kept
			}
		})
	}
	wg.Wait()
	if each.Err() == nil {
		return workers, nil
	}
	for _, w := range workers {
		if w != nil {
			w.kill()
			<-w.exited
		}
	}
	if ctx.Err() != nil {
		return nil, h.interrupted(ctx)
	}
	return nil, context.Cause(each)
}

func (h *Host) interrupted(ctx context.Context) error {
	return fmt.Errorf("python: load %s: %w", h.cfg.Code, context.Cause(ctx))
}

// start starts one worker and waits until it has loaded the module.
func (h *Host) start(ctx context.Context) (*worker, error) {
	c := h.cfg
	argv := append([]string{c.Python, "-c", callScript + workerScript, c.Code}, c.argv()...)
	w, err := spawn(&h.wg, argv, c.Env, c.Stderr)
	if err != nil {
		return nil, fmt.Errorf("python: start %s: %w", c.Python, err)
	}
	unwatch := context.AfterFunc(ctx, w.kill)
	if err = h.awaitReady(w); err == nil {
		err = w.limitMemory(c.MaxRSS)
	}
	if !unwatch() {
		err = h.interrupted(ctx)
	}
	if err != nil {
		w.kill()
		<-w.exited
		return nil, err
	}
	return w, nil
}

func (h *Host) awaitReady(w *worker) error {
	w.busy.Lock()
	defer w.closeIfExited()
	defer w.busy.Unlock()
	status, size, err := w.readReply()
	if err == nil && status == statusResult {
		return nil
	}
	if err == nil {
		var failure *CodeError
		if failure, err = w.readFailure(size); err == nil {
			return failure
		}
	}
	w.reap(deathGrace)
	return fmt.Errorf("python: worker died loading %s: %s", h.cfg.Code, w.death())
}

// keep has a worker in the slot and replaces it when it has died, until life
// ends.
func (h *Host) keep(life context.Context, s *slot, w *worker) {
	for {
		h.fill(s, w)
		began := time.Now()
		select {
		case <-w.exited:
		case <-life.Done():
			w.stop(stopGrace)
			return
		}
		if time.Since(began) < restartPause {
			pause(life) // a module that ends its process at once must not keep us busy with it
		}
		if w, _ = replace(life, &h.life, "workers", h.start); w == nil {
			return
		}
	}
}

// fill puts a new worker into a slot and offers it, unless the slot already
// is: then whoever meets the dead worker in it looks again in give.
func (h *Host) fill(s *slot, w *worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.w = w
	if !s.offered {
		s.offered = true
		h.idle <- s
	}
}

// take lends a slot whose worker lives, waiting for one; give it back.
func (h *Host) take(ctx context.Context) (*slot, *worker, error) {
	for {
		select {
		case s := <-h.idle:
			if w := h.workerOf(s); w.alive() {
				return s, w, nil
			}
			h.give(s)
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("python: wait for a worker: %w", context.Cause(ctx))
		case <-h.done:
			return nil, nil, h.Err()
		}
	}
}

func (h *Host) workerOf(s *slot) *worker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.w
}

// give offers a slot again if its worker lives and is to go on, and otherwise
// leaves that to fill.
func (h *Host) give(s *slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.offered = s.w.alive() && !s.w.retired
	if s.offered {
		h.idle <- s
	}
}

// Close gives workers a moment to finish their objects, ends them, and returns
// when no process and no goroutine of the host is left. It is safe to call
// twice and always returns nil.
func (h *Host) Close() error {
	h.close()
	return nil
}
