package loader

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

const (
	collectEvery  = 250 * time.Millisecond // how often samples are fetched, for the live view
	intervalOf    = 4                      // collections to an interval
	putNames      = 16                     // names that a worker PUTs to, over and over
	hungUpBackOff = 10 * time.Millisecond  // after a connection refused or cut: do not spin
)

// inlineArm is what all workers of an inline arm share. They only read it.
type inlineArm struct {
	*run
	arm   *arm
	mix   mix
	query [opKinds]string     // what follows the path
	want  [opKinds][]expected // by object; nil: not known, or the cluster checks
}

// worker issues one operation after the other, the next as soon as the last
// byte of the one before has come (a closed loop).
type worker struct {
	*inlineArm
	id    uint64
	index uint64 // of the next operation; runs on from phase to phase
	drv   *driver
	rec   recorder
	uri   []byte
}

// inline warms up and measures. Between the two every worker finishes what it
// is at, so that no operation belongs to both.
func (r *run) inline(ctx context.Context, a *arm) ([]results.Row, error) {
	workers := r.workers(a)
	defer func() {
		for _, w := range workers {
			w.drv.close()
		}
	}()
	phases := r.Scenario.Phases
	warmup, measure := time.Duration(phases.Warmup), time.Duration(phases.Measure)
	after := r.progress.left() - warmup - measure
	if warmup > 0 {
		r.progress.enter(phaseWarmup, warmup, after+measure)
		_, _, err := r.phase(ctx, a, workers, phaseWarmup, warmup)
		// Failures while warming up show in the intervals only: the error
		// classes of an arm add up to the errors in its rows.
		a.errs.reset()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
	}
	r.progress.enter(phaseMeasure, measure, after)
	t, window, err := r.phase(ctx, a, workers, phaseMeasure, measure)
	if err != nil {
		return nil, err
	}
	return r.rows(a, &workers[0].mix, t, window, ctx.Err() != nil), ctx.Err()
}

func (r *run) workers(a *arm) []*worker {
	sc := r.Scenario
	shared := &inlineArm{
		run:   r,
		arm:   a,
		mix:   newMix(sc.Load.Mix, sc.Seed, len(r.objects)),
		query: [opKinds]string{opGetETL: query(a.etl), opGet: query(""), opPut: query("")},
		want:  [opKinds][]expected{opGetETL: r.expect[a.transform], opGet: r.expect[none]},
	}
	list := make([]*worker, sc.Load.Workers)
	for i := range list {
		list[i] = &worker{inlineArm: shared, id: uint64(i), drv: r.driver(i, time.Duration(sc.Load.Timeout))}
	}
	return list
}

// phase lets the workers loose for d, or until ctx ends, and waits until each
// has finished its operation. It returns what they did and the seconds they
// did it in: from the start of the phase to its end or, if that is later, to
// the end of the last operation without error, because those count too. Of a
// phase that was cut short, the last operation is the end.
func (r *run) phase(ctx context.Context, a *arm, workers []*worker, name string, d time.Duration) (*tally, time.Duration, error) {
	phase, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	c := r.collector(a, workers, name)
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { w.loop(phase, c.start) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			c.collect()
			if n%intervalOf == 0 && c.flush() != nil {
				cancel() // the run folder is broken: no need to go on
			}
			continue
		case <-done:
		}
		break
	}
	c.collect()
	err := c.flush()
	window := c.total.lastOK
	if ctx.Err() == nil {
		window = max(window, d)
	}
	return c.total, window, err
}

func (w *worker) loop(ctx context.Context, start time.Time) {
	for ctx.Err() == nil {
		o := w.mix.at(w.id, w.index)
		w.index++
		rep, s := w.issue(o)
		s.at, s.ttfb, s.ttlb = time.Since(start), rep.ttfb, rep.ttlb
		s.kind, s.target = o.kind, int32(rep.target)
		if rep.err != nil {
			s.failed, s.wrong = true, wrong(rep.err)
			w.arm.errs.add(rep.err, w.name(o), w.targets[rep.target])
		}
		w.rec.record(s)
		if c := classOf(rep.err); c == classConnect || c == classClosed {
			pause(ctx, hungUpBackOff)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// issue does one operation and checks its outcome.
func (w *worker) issue(o op) (reply, sample) {
	obj := &w.objects[o.object]
	s := sample{in: obj.size}
	var rep reply
	if o.kind == opPut {
		rep = w.put(obj)
		s.verified = rep.checked
	} else {
		w.uri = append(append(w.uri[:0], obj.path...), w.query[o.kind]...)
		rep = w.drv.get(w.uri, obj.owner)
		s.verified = check(&rep, w.want[o.kind], o.object)
	}
	s.out = rep.got.Size
	return rep, s
}

// check compares an output with what it should be and turns a difference into
// rep's error. It tells whether both are known to be equal.
func check(rep *reply, want []expected, i int) bool {
	if rep.err != nil || want == nil || !want[i].known {
		return false
	}
	rep.err = differ(rep.got, want[i].Digest)
	return rep.err == nil
}

// put stores an object's content under the next of the worker's names. They
// are few, so that a long run does not fill the disk.
func (w *worker) put(obj *object) reply {
	w.uri = append(append(w.uri[:0], api.PathObjects...), '/')
	w.uri = append(append(w.uri, w.scratch.Name...), '/')
	from := len(w.uri)
	w.uri = append(w.uri, "put-"...)
	w.uri = append(strconv.AppendUint(w.uri, w.id, 10), '-')
	w.uri = strconv.AppendUint(w.uri, w.index%putNames, 10)
	owner, err := w.owner(w.scratch, string(w.uri[from:]))
	w.uri = append(w.uri, w.query[opPut]...)
	if err != nil {
		return reply{err: failed(classProtocol, err)}
	}
	body, err := w.Data.Open(obj.name)
	if err != nil {
		return reply{target: owner, err: failed(classSource, err)}
	}
	defer body.Close()
	return w.drv.put(w.uri, body, obj.size, owner)
}

// name says which object an operation was about.
func (w *worker) name(o op) string {
	name := w.objects[o.object].name
	if o.kind == opPut {
		return "put of " + name
	}
	return name
}

// collector fetches samples, adds them up and writes intervals. An operation
// counts in the interval that it ended in.
type collector struct {
	*run
	arm      *arm
	workers  []*worker
	phase    string
	start    time.Time
	from     time.Time // of the interval under way
	to       time.Time // of the last collection
	interval *tally
	total    *tally
	err      error // the first of writing
}

func (r *run) collector(a *arm, workers []*worker, phase string) *collector {
	now := time.Now()
	return &collector{run: r, arm: a, workers: workers, phase: phase, start: now, from: now, to: now,
		interval: newTally(len(r.targets)), total: newTally(len(r.targets))}
}

func (c *collector) collect() {
	for _, w := range c.workers {
		for _, s := range w.rec.swap() {
			c.interval.add(&s)
			c.total.add(&s) // cheaper than merging histograms of 20,000 counts
			if s.failed {
				c.progress.errors.Add(1)
			} else {
				c.progress.ops.Add(1)
				c.progress.bytes.Add(s.in)
			}
		}
	}
	c.to = time.Now()
}

// flush ends the interval.
func (c *collector) flush() error {
	m := &c.workers[0].mix
	for k := range opKinds {
		if c.err == nil && m.has(k) {
			c.err = c.writeIntervals(c.arm, opNames[k], c.phase, c.interval.cells[k], c.from, c.to.Sub(c.from), metricTTLB, results.MetricResponse, metricTTFB)
		}
	}
	c.interval.reset()
	c.from = c.to
	return c.err
}
