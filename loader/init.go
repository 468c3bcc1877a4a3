package loader

import (
	"context"
	"fmt"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// opInit is a cold start, as results call it.
const opInit = "init"

// coldStart is one cold start and all that is known of it.
type coldStart struct {
	object  *object
	control time.Duration // of the init call, what no pod took: see divide
	pod     api.PodStart  // of the slowest pod; zero when the cluster does not tell
	called  time.Duration // the init call
	first   reply         // of the first GET
}

// took is from the init call to the last byte of the first answer.
func (c *coldStart) took() time.Duration { return c.called + c.first.ttlb }

// coldStart makes the arm's ETL, asks it for one object, and removes it. All
// arms ask for the same object in a block.
func (r *run) coldStart(ctx context.Context, a *arm, block int) (*outcomes, error) {
	objects := r.objectsOf(a)
	at := draw.Word(draw.Key(r.Scenario.Seed, "cold starts"), uint64(block)) % uint64(len(objects))
	c := &coldStart{object: &objects[at]}
	d := &deployment{key: a.key()}
	defer r.undeploy(ctx, d)
	a.etl = nil
	began, before := time.Now(), r.consumed(a)
	bytes, local := moved()
	r.event(results.EventPhase, a, block, results.PhaseMeasure)
	defer r.event(results.EventPhase, a, block, "")
	if err := r.initETL(ctx, a, d); err != nil {
		return nil, err
	}
	c.called, a.etl = time.Since(began), d
	r.get(a, c)
	out := &outcomes{arm: a, block: block, fresh: true, started: began, window: c.took(), errs: &errorLog{}}
	out.usage.resources = between(before, r.consumed(a))
	if now, ok := moved(); ok && local && r.Loopback {
		delta := now - bytes
		out.usage.moved = &delta
	}
	r.divide(ctx, d, c)
	r.jobTime = c.took()
	out.ops = []opOutcome{c.outcome(len(r.targets))}
	if c.first.err != nil {
		out.errs.add(c.first.err, c.object.name, r.targets[c.first.target])
	}
	return out, r.writeStart(a, block, out)
}

// get asks for the object, and checks the answer.
func (r *run) get(a *arm, c *coldStart) {
	d := r.driver(0, time.Duration(r.Scenario.Load.Timeout))
	defer d.close()
	shared := r.inlineArm(a)
	w := &client{inlineArm: shared, drv: d}
	c.first = d.get([]byte(c.object.path+query(a.etlName())), c.object.owner)
	if c.first.err == nil {
		c.first.checked = w.check(op{kind: opGetETL, verify: r.verifies()}, c.object, &c.first)
	}
}

// verifies tells whether outputs are compared as a whole. There are few cold
// starts: a sample is all of them.
func (r *run) verifies() bool {
	share, ok := r.Scenario.Verify.Content.Share()
	return ok && share > 0
}

// divide finds out what the slowest pod took of the init call. All pods start
// at the same time, and the call waits for each.
func (r *run) divide(ctx context.Context, d *deployment, c *coldStart) {
	c.control = c.called
	details, err := r.client.ETL(ctx, d.name)
	if err != nil {
		r.log.Warn("the cluster tells nothing of an etl", logETL, d.name, logErr, err)
		return
	}
	for _, s := range details.Starts {
		if s.Total() > c.pod.Total() {
			c.pod = s
		}
	}
	c.control = max(0, c.called-c.pod.Total())
}

// outcome is the cold start as an operation. Only one that gave the right
// answer has times.
func (c *coldStart) outcome(targets int) opOutcome {
	o := opOutcome{op: opInit, intended: 1, cells: make([]series, targets+1)}
	s := sample{outcome: done, in: c.object.size, out: c.first.got.Size, target: int32(c.first.target), verified: c.first.checked}
	if c.first.err != nil {
		class := classOf(c.first.err)
		s.outcome, s.wrong = broken, class == classDigest || class == classSize
	}
	for _, i := range []int{c.first.target, targets} {
		x := &o.cells[i]
		x.count(&s)
		if s.outcome != done {
			continue
		}
		x.record(metricService, c.took())
		x.record(metricResponse, c.took())
		x.record(metricTTFB, c.called+c.first.ttfb)
		x.record(metricInitControl, c.control)
		x.record(metricInitFirst, c.first.ttlb)
		if c.pod.Total() > 0 {
			if c.pod.Pull > 0 {
				x.record(metricInitPull, c.pod.Pull)
			}
			x.record(metricInitLaunch, c.pod.Launch)
			x.record(metricInitReady, c.pod.Ready)
		}
	}
	o.comparable = o.all().verified + o.all().wrong
	return o
}

// writeStart writes the cold start as an interval of its own.
func (r *run) writeStart(a *arm, block int, out *outcomes) error {
	all := out.ops[0].all()
	for m, h := range all.hist {
		if empty(h) && m != int(metricService) {
			continue
		}
		iv := results.Interval{Key: results.Key{Arm: a.Name, Op: opInit, Phase: results.PhaseMeasure, Metric: metricNames[m], Block: block},
			Start: out.started, Duration: max(1, out.window), Counts: all.Counts, Latency: h}
		if err := r.Results.Interval(iv); err != nil {
			return fmt.Errorf("cold start: %w", err)
		}
	}
	return nil
}
