package loader

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

const (
	collectEvery  = 250 * time.Millisecond // how often samples are fetched, for the live view
	hungUpBackOff = 10 * time.Millisecond  // of a closed loop after a connection refused or cut: do not spin
)

// phase is a stretch of a load. Its operations are those whose intended start
// lies in it.
type phase struct {
	name   string
	start  time.Duration // from the start of the load; of closed loops set when it begins
	length time.Duration // 0: as long as it takes
	first  uint64        // index of its first operation in the stream
	most   int64         // operations of it at most; 0: as many as there is time for
	due    schedule      // of an open loop
}

// issuer issues operations, one at a time, for one worker.
type issuer interface {
	// issue does o and fills s in, but for what the loop knows: due, delay,
	// phase and kind. It returns when the operation began, and its error.
	issue(o op, s *sample) (began time.Time, err error)
	// close frees what it holds.
	close()
}

// load issues the operations of an arm in one block. It knows nothing of
// HTTP: see issuer.
//
// A closed loop's operation is due when its worker sends it. An open loop's is
// due when the schedule says so; whatever keeps it from being sent then is its
// delay, and counts in its response time.
type load struct {
	phases   []phase
	stream   *stream
	workers  int
	inFlight int           // of an open loop
	share    share         // of the stream
	start    time.Time     // when it begins, with a monotonic reading; zero: at once
	think    time.Duration // of a closed one
	open     bool
	issuer   func(worker int) issuer
	failed   func(phase int, o op, target int32, err error) // called concurrently
	faults   *faultLog                                      // nil when there are none
	clock    clock                                          // of the pacer
	sink     *collector
	looks    []func(now time.Time) // called when samples were fetched, by the goroutine that does

	began    time.Time
	busy     underWay
	next     atomic.Uint64 // index of a closed loop's next operation
	mu       sync.Mutex    // guards list, and intended of a closed loop
	list     []*worker
	intended [][opKinds]int64        // by phase; of an open loop the pacer's
	pacing   *hdrhistogram.Histogram // by how much the pacer was late
	current  atomic.Int32            // phase under way
}

// clock is how the pacer of an open loop waits.
type clock struct {
	sleep func(time.Duration)
	pin   func() (unpin func()) // prepares the goroutine that sleeps
}

// sharp is as exact as this machine is. The pacer has a thread to itself: Go's
// timers round to a millisecond, and a goroutine may wait for a thread.
var sharp = clock{sleep: nanosleep, pin: func() func() {
	runtime.LockOSThread()
	blunt := sharpTimer()
	return func() {
		blunt()
		runtime.UnlockOSThread()
	}
}}

// spinning is how a pacer waits that has a CPU to itself: it never sleeps, so
// nobody has to wake it.
var spinning = clock{pin: sharp.pin, sleep: func(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; {
	}
}}

// clockOf is that of a scenario's pacer.
func clockOf(pacer string) clock {
	if pacer == scenarios.PacerSpin {
		return spinning
	}
	return sharp
}

// worker issues one operation after the other.
type worker struct {
	*load
	issuer
	rec      recorder
	intended [opKinds]int64 // of a closed loop, in the phase under way
	wake     chan due       // of an open loop, holds one
}

// due is an operation that the pacer has released.
type due struct {
	op
	at    time.Duration // from the start of the load
	phase int
}

// run issues all operations and returns when the last one has ended. It
// returns the moment of that, from the start of the load, and an error of the
// collector's. When ctx ends, what is under way is finished and nothing more
// is sent.
func (l *load) run(ctx context.Context, enter func(phase int)) (time.Duration, error) {
	l.intended = make([][opKinds]int64, len(l.phases))
	l.pacing = results.NewHistogram()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := l.collect(cancel)
	l.began = l.start
	if l.began.IsZero() {
		l.began = time.Now()
	}
	l.sink.mu.Lock()
	l.sink.began = l.began
	l.sink.mu.Unlock()
	if l.open {
		l.runOpen(ctx, enter)
	} else {
		l.runClosed(ctx, enter)
	}
	end := time.Since(l.began)
	stop()
	for _, w := range l.list {
		w.close()
	}
	return end, l.sink.finish(end)
}

// collect fetches samples now and then, until it is stopped. broken is called
// when they cannot be written.
func (l *load) collect(broken func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(collectEvery)
		defer tick.Stop()
		for ended := false; !ended; {
			select {
			case <-tick.C:
			case <-quit:
				ended = true
			}
			l.fetch()
			for _, look := range l.looks {
				look(time.Now())
			}
			if !ended && l.sink.tick() != nil {
				broken() // no need to go on
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (l *load) fetch() {
	l.mu.Lock()
	list := l.list[:len(l.list):len(l.list)]
	l.mu.Unlock()
	for _, w := range list {
		l.sink.take(w.rec.swap())
	}
}

// worker makes one more.
func (l *load) worker() *worker {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &worker{load: l, issuer: l.issuer(len(l.list)), wake: make(chan due, 1)}
	w.rec.full = l.sink.take
	l.list = append(l.list, w)
	return w
}

// do issues an operation that is due at a moment; of a closed loop, at notTold,
// when it is sent.
func (w *worker) do(d due) error {
	s := sample{kind: d.kind, phase: uint8(d.phase)}
	w.busy.add(1, time.Now())
	began, err := w.issue(d.op, &s)
	w.busy.add(-1, time.Now())
	at := began.Sub(w.began)
	s.due = d.at
	if d.at == notTold {
		s.due = at
	}
	s.delay = max(0, at-s.due)
	if w.faults != nil {
		w.faults.ended(w.began.Add(s.due), began, time.Now(), s.target, err)
	}
	if err != nil {
		s.outcome, s.wrong = broken, wrong(err)
		if classOf(err) == classTimeout {
			s.outcome = late
		}
		w.failed(d.phase, d.op, s.target, err)
	}
	w.rec.record(&s)
	return err
}

// runClosed takes the phases one after the other. Between them every worker
// finishes what it is at, so that no operation belongs to two.
func (l *load) runClosed(ctx context.Context, enter func(phase int)) {
	for range l.workers {
		l.worker()
	}
	l.next.Store(l.share.from(0))
	if _, ok := l.until(ctx, 0); !ok {
		return
	}
	for i := range l.phases {
		if ctx.Err() != nil {
			return
		}
		p := &l.phases[i]
		l.sink.mu.Lock()
		p.start = time.Since(l.began)
		l.sink.mu.Unlock()
		l.current.Store(int32(i))
		enter(i)
		if p.first > 0 || p.most > 0 {
			l.next.Store(l.share.from(p.first))
		}
		over, cancel := ctx, context.CancelFunc(func() {})
		if p.length > 0 {
			over, cancel = context.WithTimeout(ctx, p.length)
		}
		var wg sync.WaitGroup
		for _, w := range l.list {
			wg.Go(func() { w.loop(over, i) })
		}
		wg.Wait()
		cancel()
	}
}

// loop sends the next operation when the last byte of the one before has come.
func (w *worker) loop(ctx context.Context, phase int) {
	p := &w.phases[phase]
	clear(w.intended[:])
	for ctx.Err() == nil {
		index := w.next.Add(w.share.step()) - w.share.step()
		if p.most > 0 && index >= p.first+uint64(p.most) {
			break
		}
		o := w.stream.at(index)
		w.intended[o.kind]++
		err := w.do(due{op: o, at: notTold, phase: phase})
		if c := classOf(err); c == classConnect || c == classClosed {
			pause(ctx, hungUpBackOff)
		}
		if w.think > 0 {
			pause(ctx, w.think)
		}
	}
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	for k, n := range w.intended {
		w.load.intended[phase][k] += n
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// phasesOf are those of an inline arm of a scenario. key decides where a
// Poisson process has its operations.
func phasesOf(sc *scenarios.Scenario, key uint64) ([]phase, error) {
	l, warmup := sc.Load, sc.Phases.WarmupTime()
	measure := phase{name: results.PhaseMeasure, length: time.Duration(sc.Phases.Measure)}
	switch {
	case l.Model == scenarios.ModelEpoch:
		measure.most = -1 // to be set by who knows the objects
	case l.Trace != "":
		t, err := readTrace(l.Trace)
		if err != nil {
			return nil, err
		}
		measure.due = t
	case len(l.Stages) > 0:
		p := staged(l.Rate, l.Stages)
		if err := p.check(); err != nil {
			return nil, err
		}
		measure.due = arrivals(l.Arrival, p, key)
	case l.Model == scenarios.ModelOpen:
		p := steady(l.Rate, measure.length)
		if err := errors.Join(p.check(), steady(l.Rate, warmup).check()); err != nil {
			return nil, err
		}
		measure.due = arrivals(l.Arrival, p, key)
	}
	if measure.due != nil {
		measure.length = measure.due.length()
	}
	if warmup <= 0 {
		return []phase{measure}, nil
	}
	warm := phase{name: results.PhaseWarmup, length: warmup}
	if measure.due != nil {
		warm.due = arrivals(l.Arrival, steady(l.Rate, warmup), ^key)
		measure.start, measure.first = warmup, uint64(warm.due.count())
	}
	return []phase{warm, measure}, nil
}

func arrivals(how string, p *profile, key uint64) schedule {
	if how == scenarios.ArrivalPoisson {
		return newPoisson(p, key)
	}
	return evenly{p}
}
