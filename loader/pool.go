package loader

import (
	"context"
	"sync"
	"time"
)

// pool is the workers of an open loop. One that is idle is woken before a new
// one is made, the last to become idle first: few connections stay warm.
type pool struct {
	*load
	wg sync.WaitGroup

	mu      sync.Mutex // guards the rest
	pending int        // operations released and not ended
	started int
	idle    []*worker
	queue   []due // a ring of those that wait for a worker
	head    int   // of the ring
	waiting int   // how many there are
	closed  bool
}

// offer hands an operation to a worker, or lets it wait for one. It tells
// whether there was room for it.
func (p *pool) offer(d due) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == p.inFlight {
		return false
	}
	p.pending++
	switch n := len(p.idle); {
	case n > 0:
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		w.wake <- d // has room: it is idle
	case p.started < p.workers:
		p.started++
		w := p.worker()
		p.wg.Go(func() { p.work(w, d) })
	default:
		p.queue[(p.head+p.waiting)%len(p.queue)] = d
		p.waiting++
	}
	return true
}

// work does d, and then what there is to do.
func (p *pool) work(w *worker, d due) {
	for ok := true; ok; d, ok = p.another(w) {
		_ = w.do(d) // counted; there is no next one to hold back
	}
}

// another is what w does next; false when there is nothing more to come.
func (p *pool) another(w *worker) (due, bool) {
	p.mu.Lock()
	p.pending--
	if p.waiting > 0 {
		d := p.queue[p.head]
		p.head, p.waiting = (p.head+1)%len(p.queue), p.waiting-1
		p.mu.Unlock()
		return d, true
	}
	if p.closed {
		p.mu.Unlock()
		return due{}, false
	}
	p.idle = append(p.idle, w)
	p.mu.Unlock()
	d, ok := <-w.wake
	return d, ok
}

// close sends the idle workers home, and the others when they are done. It
// returns what nobody had begun.
func (p *pool) close() (unsent []due) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for ; p.waiting > 0; p.waiting-- {
		unsent = append(unsent, p.queue[p.head])
		p.head = (p.head + 1) % len(p.queue)
		p.pending--
	}
	for _, w := range p.idle {
		close(w.wake)
	}
	return unsent
}

// longestSleep is how long the pacer is deaf to the end of a run.
const longestSleep = 10 * time.Millisecond

// runOpen releases operations when they are due, in batches when several are,
// whatever becomes of those before: the schedule is the only one to say when.
// What finds no room is shed, never sent later at a higher rate.
func (l *load) runOpen(ctx context.Context, enter func(phase int)) {
	p := &pool{load: l, queue: make([]due, l.inFlight)}
	pacer := l.worker() // it issues nothing, and records what is never sent
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.clock.pin()()
		for i := range l.phases {
			l.current.Store(int32(i))
			enter(i)
			if !l.release(ctx, p, pacer, i) {
				break
			}
		}
		for _, d := range p.close() {
			pacer.rec.record(&sample{due: d.at, kind: d.kind, phase: uint8(d.phase), target: noTarget, outcome: unsent})
		}
	}()
	<-done
	p.wg.Wait()
}

// noTarget is the target of operations that were never sent.
const noTarget = -1

// release goes through the schedule of a phase, and tells whether it got to
// its end.
func (l *load) release(ctx context.Context, p *pool, pacer *worker, phase int) bool {
	ph := &l.phases[phase]
	for i := int64(l.share.from(ph.first) - ph.first); i < ph.due.count(); i += int64(l.share.step()) {
		at := ph.start + ph.due.at(i)
		now, ok := l.until(ctx, at)
		if !ok {
			return false
		}
		_ = l.pacing.RecordValue(int64(now - at))
		d := due{op: l.stream.at(ph.first + uint64(i)), at: at, phase: phase}
		l.intended[phase][d.kind]++
		if !p.offer(d) {
			pacer.rec.record(&sample{due: at, kind: d.kind, phase: uint8(phase), target: noTarget, outcome: shed})
		}
	}
	_, ok := l.until(ctx, ph.start+ph.length)
	return ok
}

// until sleeps to a moment from the start of the load. It returns the time,
// and false when ctx ended.
func (l *load) until(ctx context.Context, at time.Duration) (now time.Duration, ok bool) {
	for {
		now = time.Since(l.began)
		if now >= at {
			return now, ctx.Err() == nil
		}
		if ctx.Err() != nil {
			return now, false
		}
		l.clock.sleep(min(at-now, longestSleep))
	}
}
