package python

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

const (
	memoryEvery = 50 * time.Millisecond // reading it takes 10 us
	defaultGrow = 1 << 30               // bytes
)

// memory is what a worker may have of it.
type memory struct {
	limit   int64 // bytes, resident
	checked time.Time
	retired bool // it gets no more objects
}

// limitMemory sets the limit of a worker that is ready; 0 is the default.
func (w *worker) limitMemory(limit int64) error {
	rss := w.rss()
	if limit == 0 {
		limit = rss + defaultGrow
	}
	if rss > limit {
		return fmt.Errorf("python: a worker that is ready has %d MiB of memory already, and may have %d MiB", rss>>20, limit>>20)
	}
	w.limit, w.checked = limit, time.Now()
	return nil
}

// rss is the process's resident memory, bytes; 0 when it has gone.
func (w *worker) rss() int64 {
	p, err := procfs.NewProc(w.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	stat, err := p.Stat()
	if err != nil {
		return 0
	}
	return int64(stat.ResidentMemory())
}

// retire ends a worker that has grown too much, between two objects.
func (h *Host) retire(w *worker) {
	if time.Since(w.checked) < memoryEvery || !w.alive() {
		return
	}
	rss := w.rss()
	w.checked = time.Now()
	if rss <= w.limit {
		return
	}
	w.retired = true
	fmt.Fprintf(h.cfg.Stderr, "a worker is replaced: it has grown to %d MiB, the limit is %d MiB\n", rss>>20, w.limit>>20)
	h.wg.Go(func() { w.stop(stopGrace) })
}
