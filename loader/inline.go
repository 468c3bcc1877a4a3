package loader

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

const (
	putNames = 16      // names that a worker's share of PUTs go to, over and over
	pageSize = 1000    // entries that a list operation asks for
	epochLap = 1 << 48 // where the stream of an epoch load's warm-up begins
	listBody = `{"action":"list","value":{"pagesize":"%d"}}`
)

// inlineArm is what all workers of an inline arm share. They only read it.
type inlineArm struct {
	*run
	objects  []object
	query    [opKinds]string     // what follows the path
	want     [opKinds][]expected // by object; nil: not known, or the cluster checks
	list     []byte              // URI of the list operation
	page     []byte              // and its message
	putNames uint64
}

// client is an issuer of HTTP requests.
type client struct {
	*inlineArm
	drv *driver
	uri []byte
}

var _ issuer = (*client)(nil)

func (w *client) close() { w.drv.close() }

// issue does one operation and checks its outcome.
func (w *client) issue(o op, s *sample) (time.Time, error) {
	obj := &w.objects[o.object]
	w.drv.timed, w.drv.noHash = o.timed, !o.verify
	rep := w.send(o, obj)
	s.in, s.target = obj.size, int32(rep.target)
	s.service, s.ttfb, s.proxy, s.headers, s.server = rep.ttlb, rep.ttfb, rep.proxy, rep.headers, rep.server
	if rep.err == nil {
		s.verified = w.check(o, obj, &rep)
	}
	s.out = rep.got.Size
	return rep.began, rep.err
}

func (w *client) send(o op, obj *object) reply {
	switch o.kind {
	case opPut:
		return w.put(o, obj)
	case opList:
		return w.drv.ask(w.list, w.page, obj.owner)
	}
	w.uri = append(append(w.uri[:0], obj.path...), w.query[o.kind]...)
	if o.kind == opHead {
		return w.drv.head(w.uri, obj.owner)
	}
	return w.drv.get(w.uri, obj.owner)
}

// check compares what came with what should have come, and turns a difference
// into rep's error. It tells whether all of it was compared and is equal.
func (w *client) check(o op, obj *object, rep *reply) bool {
	switch o.kind {
	case opPut:
		return rep.checked
	case opList:
		return false
	case opHead:
		rep.err = differ(rep.got, Digest{Size: obj.size}, true)
		rep.got.Size = 0 // nothing was delivered
		return rep.err == nil
	}
	want := w.want[o.kind]
	if want == nil || !want[obj.number].known {
		return false
	}
	rep.err = differ(rep.got, want[obj.number].Digest, !o.verify)
	return rep.err == nil && o.verify
}

// put stores an object's content under one of a few names, so that a long run
// does not fill the disk.
func (w *client) put(o op, obj *object) reply {
	w.uri = append(append(w.uri[:0], api.PathObjects...), '/')
	w.uri = append(append(w.uri, w.scratch.Name...), '/')
	from := len(w.uri)
	w.uri = strconv.AppendUint(append(w.uri, "put-"...), o.index%w.putNames, 10)
	owner, err := w.owner(w.scratch, string(w.uri[from:]))
	w.uri = append(w.uri, w.query[opPut]...)
	if err != nil {
		rep := newReply(0)
		rep.err = failed(classProtocol, err)
		return rep
	}
	body, err := w.Data.Open(obj.name)
	if err != nil {
		rep := newReply(owner)
		rep.err = failed(classSource, err)
		return rep
	}
	defer body.Close()
	return w.drv.put(w.uri, body, obj.size, owner)
}

// describe says which object an operation was about.
func (a *inlineArm) describe(o op) string {
	name := a.objects[o.object].name
	switch o.kind {
	case opPut:
		return "put of " + name
	case opList:
		return "list"
	}
	return name
}

// inlineArm prepares an arm whose ETL, if it has one, is deployed.
func (r *run) inlineArm(a *arm) *inlineArm {
	i := &inlineArm{
		run:      r,
		objects:  r.objectsOf(a),
		query:    [opKinds]string{opGetETL: query(a.etlName()), opGet: query(""), opPut: query(""), opHead: query("")},
		list:     []byte(api.PathBuckets + "/" + r.src.Name + query("")),
		page:     fmt.Appendf(nil, listBody, pageSize),
		putNames: uint64(putNames * r.workersOf(a)),
	}
	if share, _ := r.Scenario.Verify.Content.Share(); share > 0 || r.Scenario.Verify.Content == scenarios.SampleSize {
		i.want = [opKinds][]expected{opGetETL: r.expect[a.Transform], opGet: r.expect[none]}
	}
	return i
}

// inline measures an arm in a block.
func (r *run) inline(ctx context.Context, a *arm, block int) (*outcomes, error) {
	if r.Fleet != nil {
		return r.together(ctx, a, block)
	}
	il, err := r.inlineLoad(a, block)
	if err != nil {
		return nil, err
	}
	if err := r.lively(il); err != nil {
		return nil, err
	}
	watch, undo := r.watch(a, block, il.load), func() {}
	enter := r.entering(a, block, il.phases)
	ctx, abort := r.guarded(ctx, a, il.load)
	defer abort(nil)
	end, err := il.run(ctx, func(i int) {
		if il.phases[i].name == results.PhaseMeasure {
			watch.start()
			undo = r.inject(ctx, a, block, il.faults)
		}
		enter(i)
	})
	undo()
	usage := watch.stop()
	r.event(results.EventPhase, a, block, "")
	out := il.outcomes(end, ctx.Err() != nil)
	if out == nil {
		return nil, errors.Join(err, ctx.Err()) // nothing was measured
	}
	var aborted *AbortedError
	if errors.As(context.Cause(ctx), &aborted) {
		r.summary.Aborted = aborted.Text
		r.event(results.EventStop, a, block, aborted.Text)
		err = errors.Join(err, aborted)
	}
	if il.faults != nil {
		out.faults = il.faults.told()
	}
	out.usage = usage
	il.describe(&out.usage.generator)
	return out, err
}

// inlineLoad is the load of an inline arm in a block.
type inlineLoad struct {
	*load
	arm   *arm
	block int
	errs  *errorLog
}

func (r *run) inlineLoad(a *arm, block int) (*inlineLoad, error) {
	shared := r.inlineArm(a)
	phases, err := r.phases(a, block)
	if err != nil {
		return nil, err
	}
	il := &inlineLoad{arm: a, block: block, errs: &errorLog{}}
	il.load = &load{
		phases: phases, stream: newStream(r.asked(a), len(shared.objects), block), share: r.share,
		workers: r.share.part(r.workersOf(a)), inFlight: r.share.part(r.Scenario.Load.InFlight),
		think: time.Duration(r.Scenario.Load.Think), open: r.Scenario.Load.Model == scenarios.ModelOpen, clock: clockOf(r.Scenario.Load.Pacer),
		issuer: func(worker int) issuer {
			return &client{inlineArm: shared, drv: r.armDriver(a, worker)}
		},
		failed: func(p int, o op, target int32, err error) {
			// Failures while warming up show in the intervals only: the error
			// classes of an arm add up to the errors in its rows.
			if phases[p].name == results.PhaseMeasure {
				il.errs.add(err, shared.describe(o), r.targets[target])
			}
		},
	}
	if len(r.Scenario.Faults) > 0 {
		il.faults = &faultLog{}
	}
	il.sink = r.collector(a, block, il.load)
	return il, nil
}

// phases are those of an inline arm in a block.
func (r *run) phases(a *arm, block int) ([]phase, error) {
	phases, err := phasesOf(r.Scenario, draw.Word(draw.Key(r.Scenario.Seed, "arrivals"), uint64(block)))
	if err != nil {
		return nil, err
	}
	last := &phases[len(phases)-1]
	if last.most < 0 {
		last.most = int64(r.Scenario.Load.Epochs) * int64(len(r.objectsOf(a)))
		phases[0].first = epochLap * uint64(len(phases)-1)
	}
	return phases, nil
}

// entering gives what tells the live view and the run folder that a phase of a
// load begins.
func (r *run) entering(a *arm, block int, phases []phase) func(i int) {
	after := r.progress.left() - r.armTime(a)
	return func(i int) {
		p, rest := &phases[i], after
		for _, next := range phases[i+1:] {
			rest += next.length
		}
		r.progress.enter(p.name, p.length, rest)
		r.event(results.EventPhase, a, block, p.name)
	}
}

// outcomes are what came of the measured phase of a load that ended at a
// moment from its start; nil when it was not reached.
func (l *inlineLoad) outcomes(end time.Duration, partial bool) *outcomes {
	measured := len(l.phases) - 1
	if int(l.current.Load()) < measured {
		return nil
	}
	p, t := &l.phases[measured], l.sink.totals[measured]
	out := &outcomes{arm: l.arm, block: l.block, errs: l.errs, partial: partial,
		started: l.began.Add(p.start), window: window(p, t, end, partial)}
	for k := range opKinds {
		if l.stream.has(k) {
			out.ops = append(out.ops, t.outcome(k, l.intended[measured][k]))
		}
	}
	return out
}

// outcome is what came of an operation, of which so many were intended.
func (t *tally) outcome(k opKind, intended int64) opOutcome {
	return opOutcome{op: opNames[k], intended: intended, cells: t.cells[k], comparable: t.all(k).Ops + t.all(k).wrong}
}

// describe adds how late the load was.
func (l *inlineLoad) describe(g *results.Generator) {
	var delays series
	for k := range opKinds {
		delays.merge(l.sink.totals[len(l.phases)-1].all(k))
	}
	g.DelayP99Ms = quantile(delays.hist[metricDelay], 99)
	if l.open {
		g.PacerP99Ms = quantile(l.pacing, 99)
	}
}

// window is the time that a phase's operations took: to its end or, if that is
// later, to the end of the last operation without error, because those count
// too. Of a phase that was cut short, or has no length, the last operation is
// the end.
func window(p *phase, t *tally, end time.Duration, partial bool) time.Duration {
	last := max(0, t.lastOK-p.start)
	switch {
	case partial:
		return last
	case p.length == 0:
		return max(last, end-p.start)
	}
	return max(last, p.length)
}

// collector writes the intervals of an arm in a block.
func (r *run) collector(a *arm, block int, l *load) *collector {
	c := newCollector(l.phases, r.targets)
	c.every = time.Duration(r.Scenario.Collect.Interval)
	c.key = results.Key{Arm: a.Name, Block: block}
	c.write = r.Results.Interval
	for k := range opKinds {
		if l.stream.has(k) {
			c.kinds = append(c.kinds, k)
		}
	}
	c.seen = func(s *sample) {
		if l.faults != nil && l.phases[s.phase].name == results.PhaseMeasure {
			l.faults.counted(l.began.Add(s.due), s.outcome)
		}
		switch {
		case int32(s.phase) != l.current.Load():
		case s.outcome == done:
			r.progress.ops.Add(1)
			r.progress.bytes.Add(s.in)
		case s.outcome == shed || s.outcome == unsent:
			r.progress.shed.Add(1)
		default:
			r.progress.errors.Add(1)
		}
	}
	return c
}

// workersOf is how many workers an inline arm has.
func (r *run) workersOf(a *arm) int {
	if a.Workers > 0 {
		return a.Workers
	}
	return r.Scenario.Load.Workers
}
