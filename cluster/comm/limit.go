package comm

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Limit is t for objects that may be without progress, which is a read or a
// write, for at most so long, and an eighth of it more: then t's context ends,
// and t has to see to that. A target that waits no longer for an object does not
// tell its pod.
func Limit(t Transform, limit time.Duration) Transform {
	w := &watch{limit: limit, started: time.Now(), objects: map[*progress]struct{}{}}
	return func(ctx context.Context, dst io.Writer, src io.Reader, o Info) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		p := &progress{watch: w, cancel: cancel}
		w.add(p)
		defer w.remove(p)
		return t(ctx, progressWriter{dst, p}, progressReader{src, p}, o)
	}
}

// watch looks at all objects from time to time. A timer for each would have the
// Go scheduler wake a thread for each.
type watch struct {
	limit   time.Duration
	started time.Time

	mu      sync.Mutex // guards what follows
	objects map[*progress]struct{}
	looking bool // a look is due
}

func (w *watch) add(p *progress) {
	p.made()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[p] = struct{}{}
	w.again()
}

func (w *watch) remove(p *progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.objects, p)
}

// again has a look taken later, while there are objects; mu is held.
func (w *watch) again() {
	if !w.looking && len(w.objects) > 0 {
		w.looking = true
		time.AfterFunc(w.limit/8, w.look)
	}
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looking = false
	for p := range w.objects {
		if time.Since(w.started)-time.Duration(p.last.Load()) >= w.limit {
			p.cancel(fmt.Errorf("no progress within the object timeout of %s", w.limit))
		}
	}
	w.again()
}

// progress is that of one object.
type progress struct {
	*watch
	cancel context.CancelCauseFunc
	last   atomic.Int64 // when it was made, since the watch was started
}

func (p *progress) made() { p.last.Store(int64(time.Since(p.started))) }

type progressReader struct {
	io.Reader
	*progress
}

func (r progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.made()
	return n, err
}

type progressWriter struct {
	io.Writer
	*progress
}

func (w progressWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.made()
	return n, err
}
