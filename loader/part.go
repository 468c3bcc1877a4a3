package loader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// Part does what one loader of a Fleet has to do. It makes nothing in the
// cluster and nothing on disk.
type Part struct{ run *run }

// PartConfig says what a Part is of.
type PartConfig struct {
	Scenario *scenarios.Scenario // validated, with its defaults
	Data     dataset.Set
	Share    results.Share
	Order    PartOrder
	Expect   func(transform, name string, src io.Reader) (Digest, error) // as in Config
	// Progress is called four times a second until Close.
	Progress func(Progress)
	Log      *slog.Logger // nil: nothing is logged
}

// PartSink takes what a Part tells of a step. Its functions may be called
// concurrently with each other, and hold the load up: they must be quick. An
// error ends the step.
type PartSink struct {
	Phase func(phase int, at time.Duration) // see StepSink
	Slice func(s Slice) error
}

// NewPart reads the cluster map, and computes what the transforms should give.
// The caller closes the Part.
func NewPart(ctx context.Context, c PartConfig) (*Part, error) {
	full := Config{Scenario: c.Scenario, Data: c.Data, Proxies: c.Order.Proxies, Expect: c.Expect, Progress: c.Progress, Log: c.Log, Share: &c.Share}
	if c.Scenario == nil || c.Data == nil {
		return nil, errors.New("loader: PartConfig needs Scenario and Data")
	}
	if c.Share.Number < 1 || c.Share.Number > c.Share.Of {
		return nil, fmt.Errorf("share %s: there is none", c.Share)
	}
	if len(c.Order.Proxies) == 0 {
		return nil, errors.New("no proxy to talk to")
	}
	for _, p := range c.Order.Proxies {
		if _, err := hostOf(p); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(c.Scenario.Validate(), CheckShare(c.Scenario, c.Share.Of)); err != nil {
		return nil, err
	}
	r, err := newRun(full)
	if err != nil {
		return nil, err
	}
	p := &Part{r}
	if err := p.prepare(ctx, c.Order); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Part) prepare(ctx context.Context, o PartOrder) error {
	r := p.run
	if err := r.connect(ctx); err != nil {
		return err
	}
	if !slices.Equal(r.targets, o.Targets) {
		return fmt.Errorf("the cluster has the targets %q here, and %q for the coordinator", r.targets, o.Targets)
	}
	if o.Scratch != "" {
		r.scratch = api.AIS(o.Scratch)
	}
	return r.expectations(ctx, r.Scenario.Load.Mix[scenarios.OpGet] > 0)
}

// Close frees what the Part holds. No step is under way.
func (p *Part) Close() {
	p.run.progress.stop()
	p.run.client.Close()
}

// Step makes its share of a step ready, calls ready, which gives the agreed
// moment when it is known, and issues the share from then on. When ctx ends it
// finishes what is under way, sends nothing more, and tells what it did.
func (p *Part) Step(ctx context.Context, o StepOrder, ready func(context.Context) (time.Time, error), to PartSink) (*Ended, error) {
	r := p.run
	at := slices.IndexFunc(r.arms, func(a *arm) bool { return a.Name == o.Arm && a.Mode == scenarios.ModeInline })
	if at < 0 || o.Block < 1 || o.Block > r.Scenario.Trials.Blocks {
		return nil, fmt.Errorf("the scenario has no inline arm %q in block %d", o.Arm, o.Block)
	}
	a := r.arms[at]
	a.etl = nil
	if a.ETL() {
		if err := api.CheckNewETLName(o.ETL, false); err != nil {
			return nil, err
		}
		a.etl = &deployment{name: o.ETL}
	}
	il, err := r.inlineLoad(a, o.Block)
	if err != nil {
		return nil, err
	}
	il.sink.pass = func(phase int, iv results.Interval, s *series) error {
		out, err := s.slice()
		if err != nil {
			return err
		}
		out.Phase, out.Op, out.Target, out.Length = phase, iv.Key.Op, iv.Key.Target, iv.Duration
		out.Start = iv.Start.Sub(il.began) - il.phases[phase].start
		return to.Slice(out)
	}
	start, err := ready(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return &Ended{Partial: true}, nil
	case err != nil:
		return nil, err
	}
	late := max(0, time.Since(start))
	il.start = start
	if !il.open {
		il.start = start.Add(late) // a worker can send nothing in the past
	}
	return il.part(ctx, r.watch(a, o.Block, il.load), start, late, to)
}

// part runs the load, and tells its phases by their time from the agreed moment.
func (l *inlineLoad) part(ctx context.Context, watch *watch, start time.Time, late time.Duration, to PartSink) (*Ended, error) {
	shift := l.start.Sub(start)
	end, err := l.run(ctx, func(i int) {
		p := &l.phases[i]
		watch.run.progress.enter(p.name, p.length, 0)
		if p.name == results.PhaseMeasure {
			watch.start()
		}
		to.Phase(i, p.start+shift)
	})
	usage := watch.stop()
	if err != nil {
		return nil, err
	}
	e := &Ended{Late: late, Partial: ctx.Err() != nil, Generator: usage.generator, Client: usage.resources}
	out := l.outcomes(end, e.Partial)
	if out == nil {
		return e, nil
	}
	l.describe(&e.Generator)
	e.Measured, e.Start, e.Window, e.Errors = true, out.started.Sub(start), out.window, l.errs.of(l.arm)
	e.Intended = map[string]int64{}
	for _, o := range out.ops {
		e.Intended[o.op] = o.intended
	}
	return e, nil
}
