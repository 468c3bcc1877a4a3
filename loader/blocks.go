package loader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// step measures one arm in one block.
type step struct {
	arm   *arm
	block int // from 1
}

// steps are all of a run, in their order: every block takes each arm once.
// Their order within a block is random, so that what comes and goes with time
// is not one arm's; it depends on the seed alone.
func steps(arms []*arm, t scenarios.Trials, seed uint64) (list []step) {
	if t.Order == scenarios.OrderSequential {
		for _, a := range arms {
			for b := range t.Blocks {
				list = append(list, step{a, b + 1})
			}
		}
		return list
	}
	key := draw.Key(seed, "blocks")
	for b := range t.Blocks {
		order := draw.NewPermutation(draw.Word(key, uint64(b+1)), uint64(len(arms)))
		for i := range arms {
			list = append(list, step{arms[order.At(uint64(i))], b + 1})
		}
	}
	return list
}

// measure takes all steps. An error ends the run.
func (r *run) measure(ctx context.Context) error {
	for i, s := range r.steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.progress.arm(r.arms, r.steps, i, r.Scenario.Trials.Blocks)
		r.progress.enter("init", 0, r.estimate(r.steps[i:]))
		if err := r.step(ctx, s); err != nil {
			return err
		}
		r.undeployIdle(ctx, r.steps[i+1:])
		if i+1 < len(r.steps) && r.steps[i+1].block > s.block {
			why, err := r.precise(s.block)
			if err != nil {
				return err
			}
			if why != "" {
				r.summary.Trials.Stopped = why
				r.event(results.EventStop, s.arm, s.block, why)
				return nil
			}
		}
	}
	return nil
}

// step measures an arm in a block. Trouble with the ETL or the job ends up in
// the arm's row; an error ends the run.
func (r *run) step(ctx context.Context, s step) error {
	a := s.arm
	if a.dead {
		return nil
	}
	if a.Mode == scenarios.ModeInit {
		out, err := r.coldStart(ctx, a, s.block)
		if out != nil {
			r.account(out)
			return err
		}
		return r.skip(ctx, a, err)
	}
	fresh, err := r.deploy(ctx, a, s.block)
	if err != nil {
		return r.skip(ctx, a, err)
	}
	var out *outcomes
	if a.Mode == scenarios.ModeOffline {
		out, err = r.offline(ctx, a, s.block)
	} else {
		out, err = r.inline(ctx, a, s.block)
	}
	if out != nil {
		out.fresh = fresh
		r.account(out)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// skip gives an arm up whose ETL could not be made, unless the run ends anyway.
// That the cluster has no such communication type is no error.
func (r *run) skip(ctx context.Context, a *arm, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.log.Warn("arm skipped", logETL, a.Name, logErr, err)
	if errors.Is(err, api.ErrNoCommType) && len(a.sums) == 0 && a.partial == nil {
		a.dead, a.notOffered = true, err.Error()
		return nil
	}
	r.kill(a, &failure{classInit, err})
	return nil
}

// kill gives an arm up.
func (r *run) kill(a *arm, err error) {
	a.dead = true
	a.errs.add(err, "", "")
	a.sumOf(a.op(r.Scenario.Load.Mix), len(r.targets)).fail()
}

// precise says that every arm is known as well as trials.stop-at asks for, ""
// when it is not.
func (r *run) precise(block int) (string, error) {
	stop := r.Scenario.Trials.StopAt
	if stop.Metric == "" {
		return "", nil
	}
	for _, a := range r.arms {
		if a.dead {
			continue
		}
		var values []float64
		op := a.op(r.Scenario.Load.Mix)
		for i := range r.summary.Samples {
			s := &r.summary.Samples[i]
			if s.Arm == a.Name && s.Op == op && !s.Partial {
				if v, ok := s.Value(stop.Metric); ok {
					values = append(values, v)
				}
			}
		}
		if ok, err := r.Precise(values, float64(stop.HalfWidth)/100); err != nil || !ok {
			return "", err
		}
	}
	return fmt.Sprintf("after %d blocks, half the confidence interval of %s is at most %s in every arm", block, stop.Metric, stop.HalfWidth), nil
}

// estimate is how long steps take.
func (r *run) estimate(list []step) (d time.Duration) {
	for _, s := range list {
		d += r.armTime(s.arm)
	}
	return d
}

// armTime is how long an arm takes in a block, as far as anybody knows.
func (r *run) armTime(a *arm) time.Duration {
	if a.Mode != scenarios.ModeInline {
		return r.jobTime
	}
	return r.inlineTime
}

// outcomes are what came of a step.
type outcomes struct {
	arm     *arm
	block   int
	partial bool // the run ended in the midst of it
	fresh   bool // its pods were made for it
	started time.Time
	window  time.Duration
	ops     []opOutcome
	errs    *errorLog
	usage   usage
	job     *results.Job
	faults  []results.Fault
	loaders []results.Block // of a fleet's loaders, how each of them fared
}

// opOutcome is what came of one operation.
type opOutcome struct {
	op       string
	intended int64
	cells    []series // by target, the last of all
	// comparable is what verified_pct is a share of.
	comparable int64
}

// all is the series over all targets.
func (o *opOutcome) all() *series { return &o.cells[len(o.cells)-1] }

// account makes samples of outcomes, and adds them to their arm's sums.
func (r *run) account(out *outcomes) {
	a := out.arm
	var ops, bytes int64
	for i := range out.ops {
		ops += out.ops[i].all().Ops
		bytes += out.ops[i].all().BytesIn
	}
	results.PerUnit(out.usage.resources, ops, bytes)
	about := a.op(r.Scenario.Load.Mix)
	for i := range out.ops {
		o := &out.ops[i]
		// The operation that the arm is about has a row, be it empty.
		if o.intended == 0 && (out.partial || o.op != about) {
			continue
		}
		if n := o.all().clamped; n > 0 {
			r.note("%d times of %s were above %s and are counted as that.", n, a.Name, time.Duration(results.MaxLatency))
		}
		m := r.measured(o, out.window)
		m.Resources, m.MovedBytes = out.usage.resources, out.usage.moved
		r.summary.Samples = append(r.summary.Samples, results.Sample{Arm: a.Name, Op: o.op, Block: out.block,
			Partial: out.partial, Started: out.started, Measured: m, Job: out.job})
	}
	blocks := out.loaders
	if blocks == nil {
		blocks = []results.Block{{Generator: out.usage.generator}}
	}
	for _, b := range blocks {
		b.Arm, b.Block, b.Started, b.Seconds, b.Deployed = a.Name, out.block, out.started, out.window.Seconds(), out.fresh
		r.summary.Blocks = append(r.summary.Blocks, b)
	}
	for _, f := range out.faults {
		f.Partial = out.partial
		r.summary.Faults = append(r.summary.Faults, f)
	}
	if out.partial {
		a.partial = out
		return
	}
	a.add(out)
}

// add sums outcomes up.
func (a *arm) add(out *outcomes) {
	for i := range out.ops {
		o := &out.ops[i]
		a.sumOf(o.op, len(o.cells)-1).add(o, out)
	}
	a.errs.merge(out.errs)
}

func (a *arm) sumOf(op string, targets int) *sum {
	for _, s := range a.sums {
		if s.op == op {
			return s
		}
	}
	s := &sum{op: op, cells: make([]packed, targets+1)}
	a.sums = append(a.sums, s)
	return s
}

// rows are those of all arms, in the scenario's order. An arm that was never
// measured in full has what there is.
func (r *run) rows() (rows []results.Row) {
	for _, a := range r.arms {
		if len(a.sums) == 0 && a.partial != nil {
			a.add(a.partial)
		}
		about := a.op(r.Scenario.Load.Mix)
		for _, s := range a.sums {
			o := s.unpack()
			if o.intended == 0 && (s.op != about || a.partial != nil) {
				continue
			}
			m := r.measured(o, s.window)
			m.Resources, m.MovedBytes = s.resources, s.moved
			results.PerUnit(m.Resources, s.allOps, s.allBytes)
			rows = append(rows, results.Row{Arm: a.told(), Op: s.op, Samples: s.samples, Measured: m})
		}
		r.errors = append(r.errors, a.errs.of(a)...)
	}
	return rows
}

// complete is how many blocks took every arm.
func (r *run) complete() int {
	seen := map[step]bool{}
	for _, s := range r.summary.Samples {
		for _, a := range r.arms {
			if a.Name == s.Arm && !s.Partial {
				seen[step{a, s.Block}] = true
			}
		}
	}
	for b := 1; b <= r.Scenario.Trials.Blocks; b++ {
		for _, a := range r.arms {
			if !a.dead && !seen[step{a, b}] {
				return b - 1
			}
		}
	}
	return r.Scenario.Trials.Blocks
}
