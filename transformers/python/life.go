package python

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	maxFailedStarts = 3 // in a row, then what needs the processes is broken
	restartPause    = 100 * time.Millisecond
)

// ErrClosed is what Transform returns after Close, and Err then.
var ErrClosed = errors.New("python: host is closed")

// life is that of a Host or an IO, which keep processes that are started again
// when they die.
type life struct {
	cancel context.CancelFunc // ends the keepers
	wg     sync.WaitGroup     // keepers and the processes' own goroutines
	done   chan struct{}

	state  sync.Mutex // guards err and failed
	err    error      // why done was closed
	failed int        // starts that failed since the last that did not
}

// begin returns the context of the keepers.
func (l *life) begin(ctx context.Context) context.Context {
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.done = make(chan struct{})
	return ctx
}

// replace starts a process in place of a dead one. It returns false when ctx
// has ended, and it ends l when what are called so fail to start time after
// time.
func replace[P any](ctx context.Context, l *life, what string, start func(context.Context) (P, error)) (p P, ok bool) {
	for ctx.Err() == nil {
		p, err := start(ctx)
		failed := l.countStart(err)
		if err == nil {
			return p, true
		}
		if failed >= maxFailedStarts {
			l.end(fmt.Errorf("python: %d %s in a row did not start: %w", failed, what, err))
			break
		}
		pause(ctx)
	}
	return p, false
}

func pause(ctx context.Context) {
	timer := time.NewTimer(restartPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// countStart returns the number of failed starts in a row.
func (l *life) countStart(err error) int {
	l.state.Lock()
	defer l.state.Unlock()
	l.failed++
	if err == nil {
		l.failed = 0
	}
	return l.failed
}

// end makes err the reason that it has ended, unless there is one.
func (l *life) end(err error) {
	l.state.Lock()
	defer l.state.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	close(l.done)
	l.cancel()
}

// Done is closed when no more objects are taken: closed, or broken because
// processes that died could not be replaced. Err says why.
func (l *life) Done() <-chan struct{} { return l.done }

// Err returns nil until Done is closed, then ErrClosed or what broke it.
func (l *life) Err() error {
	l.state.Lock()
	defer l.state.Unlock()
	return l.err
}

// close returns when no process and no goroutine is left.
func (l *life) close() {
	l.end(ErrClosed)
	l.wg.Wait()
}
