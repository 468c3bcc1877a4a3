package loader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

// Fleet is several loaders that issue the operations of inline arms together,
// each its share, while this process prepares the cluster, runs jobs and adds
// up. A Part does a loader's work; how orders reach it is the Fleet's matter.
type Fleet interface {
	// Size is how many loaders there are.
	Size() int
	// Loaders tells of them, in the order of their shares.
	Loaders() []results.Loader
	// Prepare makes every loader ready for steps. The data set is in place.
	Prepare(ctx context.Context, o PartOrder) error
	// Step has every loader issue its share of an arm in a block, from the same
	// moment on, and returns when all have ended. When ctx ends, or a loader is
	// lost, they finish what is under way, send nothing more, and tell what they
	// did. It returns how each ended, nil for one that was lost, and the error
	// that says who was lost, or why nothing was begun.
	Step(ctx context.Context, s StepOrder, to StepSink) ([]*Ended, error)
}

// PartOrder is what the loaders of a fleet must agree on.
type PartOrder struct {
	Proxies []string `json:"proxies"` // base URLs
	Targets []string `json:"targets"` // IDs of those that are active, sorted
	Scratch string   `json:"scratch"` // bucket of PUTs, "" without any
}

// StepOrder is an inline arm in a block.
type StepOrder struct {
	Arm   string `json:"arm"`
	Block int    `json:"block"`
	ETL   string `json:"etl"` // name of its ETL in the cluster, "" without one
	// Shortest is the shortest phase's length, for who must know what clocks
	// are good for; 0 when phases have none.
	Shortest time.Duration `json:"-"`
}

// StepSink takes what loaders tell while they are at a step. Its functions are
// not called concurrently, and not after Step has returned. An error of one
// ends the step.
type StepSink struct {
	// Began gives the agreed moment, before it comes.
	Began func(at time.Time)
	// Phase: loader number i, from 0, has begun a phase, at a time from the
	// agreed moment.
	Phase func(i, phase int, at time.Duration)
	// Slice: it has recorded something.
	Slice func(i int, s *Slice) error
	// Progress: so far is it.
	Progress func(i int, p Progress)
}

// Slice is what one of several loaders recorded of one operation at one target
// in one interval. Slices of the same key and start add up.
type Slice struct {
	Phase  int           `json:"phase"`            // index, from 0
	Op     string        `json:"op"`               // as results.Key
	Target string        `json:"target,omitempty"` // as results.Key
	Start  time.Duration `json:"start"`            // from the begin of the phase, nanoseconds
	Length time.Duration `json:"length"`           // nanoseconds
	results.Counts
	Verified int64 `json:"verified,omitempty"` // of Ops: all of the output was compared, and equal
	Wrong    int64 `json:"wrong,omitempty"`    // of Errors: the output came, and was not as expected
	Clamped  int64 `json:"clamped,omitempty"`  // values beyond results.MaxLatency
	// Latency is histograms by metric, as results.EncodeHistogram gives them.
	Latency map[string]string `json:"latency,omitempty"`
}

// Ended is how a loader ended a step. Its times are from the agreed moment.
type Ended struct {
	Measured bool             `json:"measured"` // the measured phase was reached
	Partial  bool             `json:"partial"`  // it was stopped before its time
	Start    time.Duration    `json:"start"`    // of the measured phase
	Window   time.Duration    `json:"window"`   // of it, as one loader's
	Late     time.Duration    `json:"late"`     // by how much the order to begin came after the agreed moment
	Intended map[string]int64 `json:"intended"` // of the measured phase, by operation

	Errors    []results.ErrorClass `json:"errors"`
	Generator results.Generator    `json:"generator"`
	Client    []results.Resource   `json:"client"` // of the loader's process
}

// slice encodes a series.
func (s *series) slice() (Slice, error) {
	out := Slice{Counts: s.Counts, Verified: s.verified, Wrong: s.wrong, Clamped: s.clamped}
	for m, h := range s.hist {
		if empty(h) {
			continue
		}
		text, err := results.EncodeHistogram(h)
		if err != nil {
			return Slice{}, err
		}
		if out.Latency == nil {
			out.Latency = map[string]string{}
		}
		out.Latency[metricNames[m]] = text
	}
	return out, nil
}

// series decodes it. What a loader cannot have recorded is an error.
func (s *Slice) series() (*series, error) {
	c := s.Counts
	if min(c.Ops, c.Errors, c.Timeouts, c.Shed, c.Unsent, c.BytesIn, c.BytesOut, s.Verified, s.Wrong, s.Clamped, int64(s.Start), int64(s.Length)) < 0 {
		return nil, errors.New("negative count or time")
	}
	out := &series{Counts: c, verified: s.Verified, wrong: s.Wrong, clamped: s.Clamped}
	for name, text := range s.Latency {
		m := slices.Index(metricNames[:], name)
		if m < 0 {
			return nil, fmt.Errorf("unknown metric %q", name)
		}
		h, err := results.DecodeHistogram(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.hist[m] = h
	}
	return out, nil
}

// prepareFleet makes the loaders ready.
func (r *run) prepareFleet(ctx context.Context) error {
	r.progress.enter("agents prepare", 0, r.estimate(r.steps))
	o := PartOrder{Proxies: r.Proxies, Targets: r.targets}
	if r.scratch.Name != "" {
		o.Scratch = r.scratch.Name
	}
	return r.Fleet.Prepare(ctx, o)
}

// describeFleet tells who issued the operations, and who was lost.
func (r *run) describeFleet(s *results.Summary) {
	s.Loaders = r.Fleet.Loaders()
	unsure := 0.0
	for _, l := range s.Loaders {
		if l.UncertaintyMs != nil {
			unsure = max(unsure, *l.UncertaintyMs)
		}
	}
	r.note("%d agents issued the operations of inline arms, each its share; they began together, to within %.3g ms.", len(s.Loaders), unsure)
	for _, l := range s.Loaders {
		if l.Lost != "" {
			r.note("The run ended when an agent was lost: %s. What it had told until then is counted.", l.Lost)
		}
	}
}

// gathering adds up what a fleet's loaders tell of a step.
type gathering struct {
	*run
	arm    *arm
	block  int
	phases []phase
	began  time.Time
	starts []time.Duration // of phases, as the first loader had it; -1 before
	enter  func(phase int)
	every  *tally                       // of the measured phase
	told   []map[string]*results.Counts // of the measured phase, by loader and operation
	seen   []Progress                   // by loader, of the phase under way
	broken error                        // of the run folder
}

// together measures an inline arm in a block with the fleet.
func (r *run) together(ctx context.Context, a *arm, block int) (*outcomes, error) {
	phases, err := r.phases(a, block)
	if err != nil {
		return nil, err
	}
	g := &gathering{run: r, arm: a, block: block, phases: phases, every: newTally(len(r.targets)), seen: make([]Progress, r.Fleet.Size())}
	for range phases {
		g.starts = append(g.starts, -1)
	}
	for range g.seen {
		g.told = append(g.told, map[string]*results.Counts{})
	}
	order := StepOrder{Arm: a.Name, Block: block, ETL: a.etlName()}
	for i := range phases {
		if n := phases[i].length; n > 0 && (order.Shortest == 0 || n < order.Shortest) {
			order.Shortest = n
		}
	}
	watch := r.watch(a, block, nil)
	enter := r.entering(a, block, phases)
	g.enter = func(i int) {
		if phases[i].name == results.PhaseMeasure {
			watch.start()
		}
		enter(i)
	}
	ended, err := r.Fleet.Step(ctx, order, StepSink{Began: func(at time.Time) { g.began = at }, Phase: g.phase, Slice: g.slice, Progress: g.progressed})
	if g.broken != nil {
		err = g.broken // and no agent's fault
	}
	usage := watch.stop()
	r.event(results.EventPhase, a, block, "")
	if ended == nil || g.starts[len(phases)-1] < 0 {
		return nil, errors.Join(err, ctx.Err()) // nothing was measured
	}
	out, berr := g.outcomes(ended, err != nil || ctx.Err() != nil)
	out.usage = g.usage(usage, ended)
	return out, errors.Join(err, berr)
}

func (g *gathering) phase(i, phase int, at time.Duration) {
	g.seen[i] = Progress{}
	if phase < 0 || phase >= len(g.phases) || g.starts[phase] >= 0 {
		return
	}
	g.starts[phase] = at
	clear(g.seen)
	g.enter(phase)
}

// slice takes one in. A phase begins for all when it does for the first: then
// the intervals of all loaders are the same, and add up.
func (g *gathering) slice(i int, s *Slice) error {
	kind := slices.Index(opNames[:], s.Op)
	target := len(g.targets)
	if s.Target != "" {
		target = slices.Index(g.targets, s.Target)
	}
	if kind < 0 || target < 0 || s.Phase < 0 || s.Phase >= len(g.phases) || g.starts[s.Phase] < 0 {
		return fmt.Errorf("a slice of %q at target %q in phase %d, of which there is none", s.Op, s.Target, s.Phase)
	}
	one, err := s.series()
	if err != nil {
		return err
	}
	p := &g.phases[s.Phase]
	if p.name == results.PhaseMeasure {
		g.every.cells[kind][target].merge(one)
		if s.Target == "" {
			c := g.told[i][s.Op]
			if c == nil {
				c = &results.Counts{}
				g.told[i][s.Op] = c
			}
			c.Add(s.Counts)
		}
	}
	iv := results.Interval{Key: results.Key{Arm: g.arm.Name, Op: s.Op, Phase: p.name, Block: g.block, Target: s.Target},
		Start: g.began.Add(g.starts[s.Phase] + s.Start), Duration: s.Length}
	g.broken = one.write(iv, g.Results.Interval)
	return g.broken
}

// progressed adds up what loaders have done of the phase under way.
func (g *gathering) progressed(i int, p Progress) {
	last := g.seen[i]
	if p.Ops < last.Ops || p.Errors < last.Errors {
		last = Progress{} // of a phase that has just begun
	}
	g.seen[i] = p
	g.progress.ops.Add(p.Ops - last.Ops)
	g.progress.errors.Add(p.Errors - last.Errors)
	g.progress.shed.Add(p.Shed - last.Shed)
	g.progress.bytes.Add(p.Bytes - last.Bytes)
}

// outcomes are those of all loaders: from the first one's start to the last
// one's end. Of a loader that was lost they are what it had told. The error
// says whose books do not balance.
func (g *gathering) outcomes(ended []*Ended, partial bool) (*outcomes, error) {
	out := &outcomes{arm: g.arm, block: g.block, partial: partial, errs: &errorLog{}}
	var errs []error
	intended := map[string]int64{}
	start, end := time.Duration(-1), time.Duration(0)
	for i, e := range ended {
		name := g.Fleet.Loaders()[i].Name
		failed := int64(0)
		for op, c := range g.told[i] {
			intended[op] += c.Accounted()
			failed += c.Errors
		}
		if e == nil {
			out.errs.lost(name, failed)
			continue
		}
		for op, n := range e.Intended {
			if c := g.told[i][op]; c == nil && n > 0 || c != nil && c.Accounted() != n {
				errs = append(errs, fmt.Errorf("agent %s intended %d operations %s, and has not accounted for all: a bug in etlbench", name, n, op))
			}
		}
		out.partial = out.partial || e.Partial
		out.errs.merge(&errorLog{classes: e.Errors})
		out.loaders = append(out.loaders, results.Block{Loader: name, Generator: e.Generator})
		if e.Measured {
			if start < 0 || e.Start < start {
				start = e.Start
			}
			end = max(end, e.Start+e.Window)
		}
		if e.Late >= time.Millisecond {
			g.note("Agent %s began a block of %s %s after the others.", name, g.arm.Name, e.Late.Round(time.Millisecond))
		}
	}
	if start < 0 { // all were lost
		start = g.starts[len(g.phases)-1]
	}
	out.started, out.window = g.began.Add(start), max(0, end-start)
	stream := newStream(g.Scenario, len(g.objectsOf(g.arm)), g.block)
	for k := range opKinds {
		if stream.has(k) {
			out.ops = append(out.ops, g.every.outcome(k, intended[opNames[k]]))
		}
	}
	return out, errors.Join(errs...)
}

// usage is what the cluster used, as this process saw it, and what the loaders
// did, theirs: CPU time, memory and processes of the client are those of all.
func (g *gathering) usage(u usage, ended []*Ended) usage {
	u.resources = slices.DeleteFunc(u.resources, func(c results.Resource) bool { return c.Component == results.ComponentClient })
	var client results.Resource
	for _, e := range ended {
		if e == nil {
			continue
		}
		for _, c := range e.Client {
			client.Component = results.ComponentClient
			client.Processes += c.Processes
			client.CPUSeconds += c.CPUSeconds
			client.PeakBytes += c.PeakBytes
			client.PeakLasting = client.PeakLasting || c.PeakLasting
		}
	}
	if client.Component != "" {
		u.resources = slices.Insert(u.resources, 0, client)
	}
	return u
}

// write writes a series as an interval for every metric that has values. That of
// the service time is always there, for the counts.
func (s *series) write(iv results.Interval, write func(results.Interval) error) error {
	iv.Counts = s.Counts
	for m, h := range s.hist {
		if m != int(metricService) && empty(h) {
			continue
		}
		iv.Key.Metric, iv.Latency = metricNames[m], h
		if err := write(iv); err != nil {
			return err
		}
	}
	return nil
}
