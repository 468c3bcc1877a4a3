// Package runtest fabricates run folders for tests, with known faults. Its
// numbers are drawn, not measured; those of summary.json agree with those of
// the intervals.
package runtest

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

// Started is when every fabricated run began.
var Started = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const objectBytes = 64 << 10

// Arm is an arm and how it behaves.
type Arm struct {
	results.Arm
	Ms     float64 // median response time
	Shape  float64 // sigma of its lognormal distribution; 0 is 0.3
	Drift  float64 // by how much the time grows over the measured time, as a share
	Shed   int64   // operations of each second
	Errors int64   // operations of each block
	Wait   float64 // ms, from when an operation is due to when it is sent
	Inside float64 // share of the service time that the target tells; 0: no phases at all
}

// Plan is a run to be made.
type Plan struct {
	Seed            uint64
	Arms            []Arm
	Blocks, Planned int // Planned 0: as Blocks
	WarmupS, ForS   int
	PerSecond       int // operations that are offered
	Load            results.Load
	Noise           float64 // sigma of what a block does to all of its arms
	Own             float64 // sigma of what it does to each
	Generator       func(arm Arm, block int) results.Generator
	Gates           []results.Gate
	Partial         bool // the last block ended early
	// Harm is what a fault does in a second of the measured time: how many
	// operations fail, and by which factor the others are slower.
	Harm func(arm Arm, block, second int) (failed int64, slower float64)
	// Change is called with the summary before it is written.
	Change func(*results.Summary)
}

// Healthy is a generator with nothing to complain of.
func Healthy(Arm, int) results.Generator {
	v := func(f float64) *float64 { return &f }
	none := int64(0)
	return results.Generator{CPUs: 8, GOMAXPROCS: 8, CPUSeconds: 2, CPUShare: 0.02, GCPauseP99Ms: v(0.02), SchedP99Ms: v(0.03),
		ThrottledTimes: &none, ThrottledS: v(0), RunQueueS: v(0.05), HiccupP99Ms: v(0.06), HiccupMaxMs: v(0.9), PacerP99Ms: v(0.1)}
}

// Write makes the run folder dir. It keeps none of the intervals, so a run may
// be as long as one likes.
func Write(t testing.TB, dir string, p Plan) {
	t.Helper()
	m := newMaker(p)
	run := m.result()
	w, err := results.Create(dir, run.Scenario, run.Env)
	require.NoError(t, err)
	m.emit = func(iv results.Interval) { require.NoError(t, w.Interval(iv)) }
	m.run()
	for _, e := range m.events {
		require.NoError(t, w.Event(e))
	}
	require.NoError(t, w.Finish(m.s, m.errs))
}

// Make makes the run without a folder, which takes a tenth of the time.
func Make(p Plan) (*results.Run, []results.Interval) {
	m := newMaker(p)
	var list []results.Interval
	m.emit = func(iv results.Interval) { list = append(list, iv) }
	m.run()
	return m.result(), list
}

func newMaker(p Plan) *maker {
	return &maker{p: p, now: Started, rnd: rand.New(rand.NewPCG(p.Seed, 7)), sums: map[string]*sum{}}
}

// result is the run as far as it has come.
func (m *maker) result() *results.Run {
	return &results.Run{Dir: "runs/made-up", Scenario: []byte("apiVersion: etlbench/v1\nname: made-up\ntransforms: [echo]\n"),
		Env:     results.Env{Version: "v0.2.0", Go: "go1.26", OS: "linux", Arch: "amd64", CPU: "Example 3000", CPUs: 8},
		Summary: m.s, Errors: m.errs, Events: m.events}
}

type maker struct {
	p      Plan
	now    time.Time
	rnd    *rand.Rand
	s      results.Summary
	errs   []results.ErrorClass
	events []results.Event
	emit   func(results.Interval)
	sums   map[string]*sum
}

// sum is what is known of an arm, or of one of its blocks.
type sum struct {
	results.Counts
	seconds   float64
	n         int
	hist      map[string]*hdrhistogram.Histogram
	resources []results.Resource
}

func newSum() *sum { return &sum{hist: map[string]*hdrhistogram.Histogram{}} }

func (s *sum) record(metric string, ms float64) {
	h := s.hist[metric]
	if h == nil {
		h = results.NewHistogram()
		s.hist[metric] = h
	}
	_ = h.RecordValue(int64(ms * 1e6))
}

func (s *sum) add(o *sum) {
	s.Add(o.Counts)
	s.seconds += o.seconds
	s.n++
	for metric, h := range o.hist {
		if s.hist[metric] == nil {
			s.hist[metric] = results.NewHistogram()
		}
		s.hist[metric].Merge(h)
	}
}

func (m *maker) run() {
	p := m.p
	if p.Load.Model == "" {
		p.Load = results.Load{Model: "open", Arrival: "poisson", Rate: float64(p.PerSecond), InFlight: 512, Workers: 512}
	}
	p.Load.WarmupS, p.Load.ForS, p.Load.TimeoutS = float64(p.WarmupS), float64(p.ForS), 5
	if p.Planned == 0 {
		p.Planned = p.Blocks
	}
	if p.Generator == nil {
		p.Generator = Healthy
	}
	m.p = p
	m.s = results.Summary{Name: "made-up", Seed: p.Seed, Started: Started, Load: p.Load, Gates: p.Gates,
		Cluster: results.Cluster{URL: "http://127.0.0.1:8080", Kind: "spawned", Proxies: 1, Targets: []string{"t1", "t2", "t3"}, Sync: "none"},
		Dataset: results.Dataset{Source: "generated", Objects: 1000, Bytes: 1000 * objectBytes},
		Trials:  results.Trials{Planned: p.Planned, Complete: p.Blocks, Order: "interleaved-random", RedeployEvery: 5}}
	for _, a := range p.Arms {
		m.s.Arms = append(m.s.Arms, a.Arm)
	}
	for block := 1; block <= p.Blocks; block++ {
		shared := math.Exp(p.Noise * m.rnd.NormFloat64())
		for _, i := range m.rnd.Perm(len(p.Arms)) {
			m.block(p.Arms[i], block, shared*math.Exp(p.Own*m.rnd.NormFloat64()))
		}
	}
	for _, a := range p.Arms {
		all := m.sums[a.Name]
		m.s.Rows = append(m.s.Rows, results.Row{Arm: a.Arm, Op: "get-etl", Samples: all.n, Measured: m.measured(all)})
		if all.Errors > 0 {
			m.errs = append(m.errs, results.ErrorClass{Arm: a.Name, Class: "status 500", Count: all.Errors, Examples: []string{"GET obj-17: transformer exited with 1"}})
		}
	}
	m.s.Finished = m.now
	if p.Change != nil {
		p.Change(&m.s)
	}
}

// block measures an arm once: its warm-up, then its measured time.
func (m *maker) block(a Arm, block int, factor float64) {
	m.events = append(m.events, results.Event{At: m.now, Kind: results.EventPhase, Arm: a.Name, Block: block, Text: results.PhaseWarmup})
	for s := range m.p.WarmupS {
		m.interval(a, block, results.PhaseWarmup, factor*(1+math.Exp(-float64(s)/2)), 0)
	}
	partial := m.p.Partial && block == m.p.Blocks
	started, total := m.now, newSum()
	for s := range m.p.ForS {
		if partial && s > 0 {
			break
		}
		drift := 1 + a.Drift*(float64(s)+0.5)/float64(m.p.ForS)
		failed, slower := int64(0), 1.0
		if m.p.Harm != nil {
			failed, slower = m.p.Harm(a, block, s)
		}
		total.add(m.interval(a, block, results.PhaseMeasure, factor*drift*slower, failed))
	}
	total.n, total.Errors = 1, total.Errors+a.Errors
	total.Ops -= a.Errors
	for _, c := range []struct {
		name string
		us   float64
	}{{"client", 40}, {"proxy", 20}, {"target", 80}, {"transformer", 250 * factor}} {
		cpu := c.us * float64(total.Ops) / 1e6
		gib := cpu / (float64(total.BytesIn) / (1 << 30))
		us := c.us
		total.resources = append(total.resources, results.Resource{Component: c.name, Processes: 1, CPUSeconds: cpu, PeakBytes: 64 << 20, CPUUsPerOp: &us, CPUSPerGiB: &gib})
	}
	sample := results.Sample{Arm: a.Name, Op: "get-etl", Block: block, Partial: partial, Started: started, Measured: m.measured(total)}
	m.s.Samples = append(m.s.Samples, sample)
	g := m.p.Generator(a, block)
	if g.InFlightMean == nil {
		mean := 0.0
		if sample.Service.MeanMs != nil {
			mean = sample.OpsPerS * *sample.Service.MeanMs / 1000
		}
		g.InFlightMean = &mean
	}
	m.s.Blocks = append(m.s.Blocks, results.Block{Arm: a.Name, Block: block, Started: started, Seconds: total.seconds, Deployed: block%5 == 1, Generator: g})
	if m.sums[a.Name] == nil {
		m.sums[a.Name] = newSum()
	}
	if !partial {
		m.sums[a.Name].add(total)
		m.sums[a.Name].resources = total.resources
	}
}

func (m *maker) interval(a Arm, block int, phase string, factor float64, failed int64) *sum {
	shape := a.Shape
	if shape == 0 {
		shape = 0.3
	}
	s := newSum()
	s.seconds, s.Shed, s.Errors = 1, a.Shed, failed
	s.Ops = int64(m.p.PerSecond) - a.Shed - failed
	s.BytesIn, s.BytesOut = s.Ops*objectBytes, s.Ops*objectBytes
	for range s.Ops {
		service := a.Ms * factor * math.Exp(shape*m.rnd.NormFloat64())
		s.record(results.MetricService, service)
		s.record(results.MetricResponse, service+a.Wait)
		if a.Wait > 0 {
			s.record(results.MetricDelay, a.Wait)
		}
		if a.Inside > 0 {
			s.record(results.MetricProxy, service*0.1)
			s.record(results.MetricTarget, service*0.8)
			s.record(results.MetricBody, service*0.1)
			s.record(results.MetricServerProxy, service*0.05)
			s.record(results.MetricServerTarget, service*a.Inside)
			s.record(results.MetricServerPod, service*a.Inside*0.8)
		}
	}
	for _, metric := range slices.Sorted(maps.Keys(s.hist)) {
		h := s.hist[metric]
		if metric == results.MetricDelay || metric == results.MetricResponse && a.Wait == 0 {
			continue // as a closed loop, whose response time is the service time
		}
		m.emit(results.Interval{Key: results.Key{Arm: a.Name, Op: "get-etl", Phase: phase, Metric: metric, Block: block},
			Start: m.now, Duration: time.Second, Counts: s.Counts, Latency: h})
	}
	m.now = m.now.Add(time.Second)
	return s
}

func (m *maker) measured(s *sum) results.Measured {
	late := s.Late()
	q := func(metric string, infinite int64) results.Quantiles {
		return results.NewQuantiles(s.hist[metric], infinite)
	}
	out := results.Measured{Intended: s.Accounted(), Counts: s.Counts, VerifiedPct: 100, Seconds: s.seconds, OpsPerS: float64(s.Ops) / s.seconds,
		Response: q(results.MetricResponse, late), Service: q(results.MetricService, 0), Delay: q(results.MetricDelay, 0), Resources: s.resources}
	out.MiBPerS = float64(s.BytesIn) / (1 << 20) / s.seconds
	out.OutMiBPerS = out.MiBPerS
	moved := 3 * s.BytesOut
	out.MovedBytes = &moved
	for _, name := range results.PhaseMetrics() {
		if s.hist[name] != nil {
			out.Phases = append(out.Phases, results.Phase{Name: name, Quantiles: q(name, 0)})
		}
	}
	for _, id := range m.s.Cluster.Targets {
		out.Targets = append(out.Targets, results.Target{ID: id, Ops: s.Ops / 3, MiBPerS: out.MiBPerS / 3, P50Ms: out.Service.P50Ms, P99Ms: out.Service.P99Ms})
	}
	return out
}
