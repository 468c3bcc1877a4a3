// Package python runs Python code that users send: functions from bytes to
// bytes, called for one object at a time.
//
// A Host keeps interpreters running, with the user's module loaded, and is a
// comm.Transform. IOCommand is the other way to run the same module: a process
// for each object, which communication type io:// asks for and which costs
// hundreds of times as much. Find turns runtime names into interpreters, Check
// looks at a module before anything runs it.
//
// The code is trusted as much as the host: it runs as the same user and can do
// what the host can. It may fail, crash, print and hang without harm to other
// objects. Install makes an environment of what a module requires.
//
// Start at Config and Host; worker.go says how the two sides talk, call.py
// which calls are made.
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
	pieceSize       = 256 << 10 // bytes of an object that are sent at once
	maxFailedStarts = 3         // in a row, then the host is broken
	restartPause    = 100 * time.Millisecond
	stopGrace       = 2 * time.Second // for a worker to finish its object when the host closes
	deathGrace      = time.Second     // for a worker that closed its pipe to be gone
)

// ErrClosed is what Transform returns after Close, and Err then.
var ErrClosed = errors.New("python: host is closed")

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
	if c.Workers < 0 || c.MaxBytes < 0 || c.ChunkSize < 0 {
		errs = append(errs, fmt.Errorf("python: workers %d, max bytes %d, chunk size %d: must not be negative", c.Workers, c.MaxBytes, c.ChunkSize))
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
	cfg     Config
	idle    chan *slot         // offered and not on loan; has room for all
	buffers sync.Pool          // *[]byte of pieceSize and some more for the info
	cancel  context.CancelFunc // ends the keepers
	wg      sync.WaitGroup     // keepers and the workers' own goroutines
	done    chan struct{}

	mu     sync.Mutex // guards err, failed and the slots' fields
	err    error      // why done was closed
	failed int        // starts of workers that failed since the last that did not
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
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h := &Host{
		cfg:    cfg,
		idle:   make(chan *slot, cfg.Workers),
		cancel: cancel,
		done:   make(chan struct{}),
	}
	h.buffers.New = func() any { b := make([]byte, pieceSize+4<<10); return &b }
	workers, err := h.startAll(ctx)
	if err != nil {
		cancel()
		h.wg.Wait()
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
	err = h.awaitReady(w)
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
	for w != nil {
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
		w = h.replace(life)
	}
}

// replace starts a worker in place of a dead one. It returns nil when life
// has ended, and it ends the host when workers fail to start time after time.
func (h *Host) replace(life context.Context) *worker {
	for life.Err() == nil {
		w, err := h.start(life)
		failed := h.countStart(err)
		if err == nil {
			return w
		}
		if failed >= maxFailedStarts {
			h.end(fmt.Errorf("python: %d workers in a row did not start: %w", failed, err))
			return nil
		}
		pause(life)
	}
	return nil
}

func pause(life context.Context) {
	timer := time.NewTimer(restartPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-life.Done():
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

// give offers a slot again if its worker lives, and otherwise leaves that to
// fill.
func (h *Host) give(s *slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.offered = s.w.alive()
	if s.offered {
		h.idle <- s
	}
}

// countStart returns the number of failed starts in a row.
func (h *Host) countStart(err error) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed++
	if err == nil {
		h.failed = 0
	}
	return h.failed
}

// end makes err the reason that the host has ended, unless there is one.
func (h *Host) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return
	}
	h.err = err
	close(h.done)
	h.cancel()
}

// Done is closed when the host takes no more objects: closed, or broken
// because workers that died could not be replaced. Err says why.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err returns nil until Done is closed, then ErrClosed or what broke the host.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Close gives workers a moment to finish their objects, ends them, and returns
// when no process and no goroutine of the host is left. It is safe to call
// twice and always returns nil.
func (h *Host) Close() error {
	h.end(ErrClosed)
	h.wg.Wait()
	return nil
}
