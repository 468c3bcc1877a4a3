package loader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// short makes every arm take next to no time.
func (h *harness) short() {
	h.Scenario.Phases = scenarios.Phases{Measure: scenarios.Duration(20 * time.Millisecond)}
}

// order is the arms of each block, in the order in which they were measured.
func order(s *results.Summary) map[int][]string {
	blocks := map[int][]string{}
	for _, b := range s.Blocks {
		blocks[b.Block] = append(blocks[b.Block], b.Arm)
	}
	return blocks
}

func TestBlocksTakeEveryArmInRandomOrder(t *testing.T) {
	h := newHarness(t, some(6))
	h.short()
	h.Scenario.Arms.Comm = []string{"hpush", "hpull", "hrev"}
	h.Scenario.Arms.Mode = []string{"inline", "offline"}
	h.Scenario.Trials = scenarios.Trials{Blocks: 6, Order: scenarios.OrderInterleaved, RedeployEvery: 4}
	s, r := h.run()
	require.Empty(t, r.Errors)
	require.Equal(t, results.Trials{Planned: 6, Complete: 6, Order: "interleaved-random", RedeployEvery: 4}, s.Trials)
	names := []string{}
	for _, a := range s.Arms {
		names = append(names, a.Name)
	}
	require.Equal(t, []string{"hpush:inline", "hpush:offline", "hpull:inline", "hpull:offline", "hrev:inline", "hrev:offline"}, names)
	orders := map[string]bool{}
	for b, arms := range order(s) {
		require.ElementsMatch(t, names, arms, "block %d", b)
		orders[fmt.Sprint(arms)] = true
	}
	require.Greater(t, len(orders), 3, "orders differ")
	require.Len(t, s.Samples, 6*6)
	require.Len(t, h.inits, 3*2, "an ETL serves both modes, and is made anew once")
	for _, row := range s.Rows {
		sum := results.Counts{}
		seconds, samples := 0.0, 0
		for _, sample := range s.Samples {
			require.Equal(t, sample.Intended, sample.Accounted())
			if sample.Arm == row.Name {
				sum.Add(sample.Counts)
				seconds += sample.Seconds
				samples++
			}
		}
		require.Equal(t, 6, samples)
		require.Equal(t, 6, row.Samples)
		require.Equal(t, sum, row.Counts)
		require.InDelta(t, seconds, row.Seconds, 1e-9)
		require.Equal(t, row.Ops, row.Service.Count)
		require.Equal(t, 100.0, row.VerifiedPct)
		require.NotEmpty(t, row.Resources)
	}
	fresh := 0
	for _, b := range s.Blocks {
		if b.Deployed {
			fresh++
			require.Contains(t, []int{1, 5}, b.Block)
		}
	}
	require.Equal(t, 6, fresh)
	again := newHarness(t, some(6))
	again.Scenario = h.Scenario
	s2, _ := again.run()
	require.Equal(t, order(s), order(s2), "the seed decides")
	h.requireClean(t)
}

// TestAnArmThatBreaksLater: pods that cannot be made anew end the arm, not the
// run, and what was measured until then stays.
func TestAnArmThatBreaksLater(t *testing.T) {
	h := newHarness(t, some(4))
	h.short()
	h.Scenario.Arms.Comm = []string{"hpush", "io"}
	h.Scenario.Trials = scenarios.Trials{Blocks: 5, Order: scenarios.OrderInterleaved, RedeployEvery: 2}
	h.initLimit = map[string]int{"io://": 1}
	s, r := h.run()
	require.Equal(t, 5, s.Rows[0].Samples)
	require.Equal(t, 2, s.Rows[1].Samples)
	require.Positive(t, s.Rows[1].Ops)
	require.EqualValues(t, 1, s.Rows[1].Errors)
	require.Equal(t, s.Rows[1].Intended, s.Rows[1].Accounted())
	require.Len(t, r.Errors, 1)
	require.Equal(t, "io", r.Errors[0].Arm)
	require.Equal(t, "init", r.Errors[0].Class)
	h.requireClean(t)
}

func TestSequentialTrials(t *testing.T) {
	h := newHarness(t, some(4))
	h.short()
	h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
	h.Scenario.Trials.Blocks = 3
	s, _ := h.run()
	var got []string
	for _, b := range s.Blocks {
		got = append(got, fmt.Sprint(b.Arm, b.Block))
	}
	require.Equal(t, []string{"hpush1", "hpush2", "hpush3", "hpull1", "hpull2", "hpull3"}, got)
	require.Len(t, h.inits, 2)
}

func TestInterruptedRunKeepsCompleteBlocks(t *testing.T) {
	h := newHarness(t, some(4))
	h.short()
	h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
	h.Scenario.Trials = scenarios.Trials{Blocks: 50, Order: scenarios.OrderInterleaved}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.Progress = func(p loader.Progress) {
		if p.Block >= 3 && p.Phase == "measure" {
			cancel()
		}
	}
	s, err := loader.Run(ctx, h.Config)
	require.ErrorIs(t, err, context.Canceled)
	require.GreaterOrEqual(t, s.Trials.Complete, 2)
	require.Less(t, s.Trials.Complete, 50)
	partial := 0
	for _, sample := range s.Samples {
		if sample.Partial {
			partial++
		} else {
			require.GreaterOrEqual(t, sample.Seconds, 0.02)
		}
	}
	require.LessOrEqual(t, partial, 1)
	for _, row := range s.Rows {
		require.GreaterOrEqual(t, row.Samples, s.Trials.Complete)
		require.Equal(t, row.Intended, row.Accounted())
	}
	h.requireClean(t)
}

func TestStopAtAPrecision(t *testing.T) {
	h := newHarness(t, some(4))
	h.short()
	h.Scenario.Trials = scenarios.Trials{Blocks: 50, Order: scenarios.OrderInterleaved, StopAt: scenarios.StopAt{Metric: "p50", HalfWidth: 5}}
	_, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "trials.stop-at: nobody here can tell")
	h.Precise = func(blocks []float64, within float64) (bool, error) {
		require.Equal(t, 0.05, within)
		return len(blocks) == 8, nil
	}
	s, r := h.run()
	require.Equal(t, 8, s.Trials.Complete)
	require.Equal(t, "after 8 blocks, half the confidence interval of p50 is at most 5% in every arm", s.Trials.Stopped)
	require.False(t, s.Interrupted)
	require.Equal(t, results.EventStop, r.Events[len(r.Events)-1].Kind)
}

func TestMetricsOfStopAtExist(t *testing.T) {
	for _, m := range scenarios.Metrics() {
		require.Contains(t, results.Numbers(), m)
	}
}

// classes is a data set of size classes.
func classes(t *testing.T) dataset.Set {
	set, err := dataset.New(scenarios.Dataset{Kind: "generated", Objects: 5}, 1, 100, 3000)
	require.NoError(t, err)
	return set
}

func TestFactors(t *testing.T) {
	h := newHarness(t, some(1))
	h.short()
	h.Data = classes(t)
	h.Scenario.Dataset.Size = scenarios.Size{}
	h.Scenario.Arms = scenarios.Arms{Comm: []string{"hpush"}, Mode: []string{"inline", "offline"}, Size: []scenarios.Bytes{100, 3000},
		Put: []string{"direct", "relay"}, Workers: []int{1, 4}, Replicas: 2}
	s, r := h.run()
	require.Empty(t, r.Errors)
	require.Len(t, s.Rows, 2*2*2*2*2)
	require.Len(t, h.inits, 2, "one with direct put and one without")
	require.True(t, h.specs[0].DirectPut)
	for _, row := range s.Rows {
		require.Equal(t, strings.Join([]string{row.Mode, row.Size, row.Put, fmt.Sprintf("w%d", row.Workers), fmt.Sprintf("#%d", row.Replica)}, ":"), row.Name)
		size := map[string]int64{"100B": 100, "3KB": 3000}[row.Size]
		require.Equal(t, size*row.Ops, row.BytesIn, row.Name)
		require.Equal(t, 100.0, row.VerifiedPct, row.Name)
		if row.Mode == "offline" {
			require.EqualValues(t, 5, row.Ops)
		}
	}
	h.requireClean(t)
}

func TestEpochs(t *testing.T) {
	h := newHarness(t, some(7))
	h.Scenario.Load.Model, h.Scenario.Load.Epochs = scenarios.ModelEpoch, 3
	h.Scenario.Load.Keys.Dist = scenarios.KeysPermutation
	h.Scenario.Load.Think = scenarios.Duration(time.Millisecond)
	h.Scenario.Phases = scenarios.Phases{}
	asked := map[string]*atomic.Int64{}
	for i := range 7 {
		asked[fmt.Sprintf("obj-%02d", i)] = &atomic.Int64{}
	}
	h.fault = func(op, bucket, object string) string {
		if op == "etl" && bucket == "src" {
			asked[object].Add(1)
		}
		return ""
	}
	s, _ := h.run()
	require.EqualValues(t, 21, s.Rows[0].Ops)
	require.EqualValues(t, 21, s.Rows[0].Intended)
	for name, n := range asked {
		// Once at the proxy's or the target's door, and each op is seen at both.
		require.Zero(t, n.Load()%3, name)
		require.Equal(t, asked["obj-00"].Load(), n.Load(), name)
	}
	require.Equal(t, "epoch", s.Load.Model)
	require.Positive(t, s.Rows[0].Seconds)
}

func TestHeadAndList(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Load.Mix = map[string]int{"get": 2, "head": 1, "list": 1}
	s, r := h.run()
	require.Empty(t, r.Errors)
	ops := map[string]results.Row{}
	for _, row := range s.Rows {
		ops[row.Op] = row
		require.Positive(t, row.Ops)
	}
	require.Len(t, ops, 3)
	require.Equal(t, 100.0, ops["head"].VerifiedPct)
	require.Zero(t, ops["head"].BytesOut)
	require.Positive(t, ops["list"].BytesOut)
}

func TestVerifySampleAndSize(t *testing.T) {
	for _, tt := range []struct {
		content   scenarios.Sampling
		low, high float64
		note      string
	}{
		{"sample 50%", 15, 85, "verify.content is sample 50%"}, {"size", 0, 0, "Only the sizes"},
	} {
		t.Run(string(tt.content), func(t *testing.T) {
			h := newHarness(t, some(30))
			h.Scenario.Arms.Mode = []string{"inline", "offline"}
			h.Scenario.Verify.Content = tt.content
			h.fault = func(op, bucket, object string) string {
				if bucket == "src" && (op == "etl" || op == "job") && object == "obj-07" {
					return faultShort
				}
				return ""
			}
			s, r := h.run()
			for _, row := range s.Rows {
				require.GreaterOrEqual(t, row.VerifiedPct, tt.low, row.Mode)
				require.LessOrEqual(t, row.VerifiedPct, tt.high, row.Mode)
				require.Positive(t, row.Errors, "sizes are compared always")
			}
			for _, c := range r.Errors {
				require.Equal(t, "size", c.Class)
			}
			require.Contains(t, s.Notes[0], tt.note)
		})
	}
}

func TestOpenLoop(t *testing.T) {
	h := newHarness(t, some(8))
	trace := filepath.Join(t.TempDir(), "times.txt")
	require.NoError(t, os.WriteFile(trace, []byte("0\n0.01\n0.01\n0.05\n"), 0o644))
	ms := func(n int) scenarios.Duration { return scenarios.Duration(n) * scenarios.Duration(time.Millisecond) }
	for _, tt := range []struct {
		name     string
		load     scenarios.Load
		phases   scenarios.Phases
		intended int64
		rate     float64
	}{
		{"constant", scenarios.Load{Arrival: "constant", Rate: 300}, scenarios.Phases{Warmup: scenarios.Warmup(ms(50)), Measure: ms(200)}, 60, 300},
		{"poisson", scenarios.Load{Arrival: "poisson", Rate: 310}, scenarios.Phases{Measure: ms(100)}, 31, 310},
		{"stages", scenarios.Load{Arrival: "poisson", Stages: []scenarios.Stage{{To: 400, Over: ms(100)}, {Hold: ms(100)}}}, scenarios.Phases{}, 60, 300},
		{"trace", scenarios.Load{Arrival: "trace", Trace: trace}, scenarios.Phases{}, 4, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, some(8))
			tt.load.Model, tt.load.InFlight, tt.load.Workers, tt.load.Timeout = scenarios.ModelOpen, 1000, 64, h.Scenario.Load.Timeout
			tt.load.Mix, tt.load.Keys = h.Scenario.Load.Mix, h.Scenario.Load.Keys
			h.Scenario.Load, h.Scenario.Phases = tt.load, tt.phases
			s, r := h.run()
			require.Empty(t, r.Errors)
			row := s.Rows[0]
			require.Equal(t, tt.intended, row.Intended)
			require.Equal(t, tt.intended, row.Accounted())
			require.Equal(t, row.Ops, row.Delay.Count)
			require.InEpsilon(t, tt.rate, s.Load.Rate, 0.01)
			require.Equal(t, 100.0, row.VerifiedPct)
			require.NotNil(t, s.Blocks[0].Generator.PacerP99Ms)
			require.LessOrEqual(t, *row.Service.P50Ms, *row.Response.MaxMs)
		})
	}
	h.requireClean(t)
}

func TestFaultsAreInjectedAndUndone(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Phases = scenarios.Phases{Measure: scenarios.Duration(300 * time.Millisecond)}
	h.Scenario.Faults = []scenarios.Fault{
		{Kill: "transformer"},
		{At: scenarios.Duration(10 * time.Millisecond), Delay: 5, On: "proxy", For: scenarios.Duration(20 * time.Millisecond)},
		{Drop: 1, On: "target"},
		{At: scenarios.Duration(time.Hour), Throttle: "target", CPU: 50},
	}
	_, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "nobody here can inject them")
	var undone atomic.Int64
	h.Inject = func(_ context.Context, f loader.Fault) (*loader.Injected, error) {
		if f.Kill != "" {
			return nil, errors.New("no such process")
		}
		return &loader.Injected{Against: []string{"t1"}, How: "a test", Undo: func(context.Context) error { undone.Add(1); return nil }}, nil
	}
	s, r := h.run()
	require.Len(t, s.Faults, 3)
	require.Len(t, r.Summary.Faults, 3)
	require.EqualValues(t, 2, undone.Load())
	byNumber := map[int]results.Fault{}
	for _, f := range s.Faults {
		byNumber[f.Number] = f
		require.Equal(t, []any{"hpush", 1}, []any{f.Arm, f.Block})
		require.False(t, f.Until.Before(f.At))
	}
	require.Equal(t, "no such process", byNumber[0].Failed)
	delay, drop := byNumber[1], byNumber[2]
	require.Equal(t, []any{results.FaultDelay, results.FaultDrop}, []any{delay.Kind, drop.Kind})
	require.Less(t, delay.Until.Sub(delay.At), drop.Until.Sub(drop.At), "one without an end lasts as long as the arm")
	require.Equal(t, []string{"t1"}, drop.Against)
	require.NotNil(t, drop.FirstGoodS)
	require.Positive(t, drop.Done)
	require.Zero(t, drop.Lost())
	var texts []string
	for _, e := range r.Events {
		if e.Kind == results.EventFault {
			texts = append(texts, e.Text)
		}
	}
	require.Contains(t, texts, "kill transformer: failed: no such process")
	require.Contains(t, texts, "undone: drop 1% to target")
	require.False(t, slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "throttle") }))
	require.Contains(t, s.Notes, "The fault at 1h0m0s (throttle target to 50%) never happens in an inline arm: its measured time ends before.")
}

// TestKilledTransformerIsStartedAgain: the cluster aborts an ETL whose pod dies;
// the loader starts it, and tells what was lost until then.
func TestKilledTransformerIsStartedAgain(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Phases = scenarios.Phases{Measure: scenarios.Duration(400 * time.Millisecond)}
	h.Scenario.Faults = []scenarios.Fault{{At: scenarios.Duration(50 * time.Millisecond), Kill: "transformer"}}
	h.Inject = func(_ context.Context, f loader.Fault) (*loader.Injected, error) {
		h.abort(f.ETL)
		assert.Eventually(t, func() bool { return h.refused.Load() > 0 }, time.Minute, time.Millisecond)
		return &loader.Injected{Against: []string{"pod on target00"}, Targets: []string{"target00"}}, nil
	}
	s, r := h.run()
	f := s.Faults[0]
	require.Empty(t, f.Failed)
	require.Positive(t, f.Errored())
	require.NotNil(t, f.FirstGoodS)
	require.LessOrEqual(t, *f.FirstGoodS, s.Rows[0].Seconds)
	require.Equal(t, "status 404", f.Errors[0].Class)
	total := int64(0)
	for _, e := range r.Errors {
		total += e.Count
	}
	require.Equal(t, total, f.Errored(), "nothing else fails")
	require.GreaterOrEqual(t, f.Lost(), f.Errored()-int64(h.Scenario.Load.Workers), "but for what was under way")
	h.requireClean(t)
}

func TestStragglers(t *testing.T) {
	h := newHarness(t, some(8))
	h.slowest = true
	h.Scenario.Arms.Mode = []string{"offline"}
	s, r := h.run()
	job := r.Summary.Samples[0].Job
	require.Equal(t, s.Samples[0].Job, job)
	require.Len(t, job.Stragglers, 8)
	for i := 1; i < len(job.Stragglers); i++ {
		require.GreaterOrEqual(t, job.Stragglers[i-1].Ms, job.Stragglers[i].Ms)
	}
	require.InDelta(t, 0.25, *job.FirstDoneS, 1e-6)
	require.InDelta(t, 0.25, *job.LastDoneS, 1e-6)
}

// TestResourcesOfProcesses: the loader's own are always told, others when
// somebody names their processes.
func TestResourcesOfProcesses(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Collect.Cgroups = []string{"client", "target"}
	h.Loopback = true
	asked := map[string]bool{}
	h.Processes = func(etl string) map[string][]int {
		asked[etl] = true
		return map[string][]int{"target": {os.Getpid(), 1 << 30}, "proxy": {os.Getpid()}}
	}
	s, _ := h.run()
	require.Equal(t, map[string]bool{h.inits[0]: true}, asked)
	var got []string
	for _, res := range s.Rows[0].Resources {
		got = append(got, res.Component)
		require.Equal(t, 1, res.Processes, "one that has gone is none")
		require.Greater(t, res.PeakBytes, int64(1<<20))
		require.NotNil(t, res.CPUUsPerOp)
	}
	require.Equal(t, []string{"client", "target"}, got)
	require.NotNil(t, s.Rows[0].MovedBytes)
	g := s.Blocks[0].Generator
	require.Positive(t, g.CPUSeconds)
	require.Positive(t, g.GOMAXPROCS)
	require.NotNil(t, g.HiccupP99Ms)
	require.Positive(t, g.InFlightMax)
	require.Positive(t, g.Connections)
}

// TestResourcesOfNodes: nodes elsewhere are asked; those of a component of
// which one does not tell are left out.
func TestResourcesOfNodes(t *testing.T) {
	for _, silent := range []bool{false, true} {
		h := newHarness(t, some(8))
		h.Scenario.Collect.Cgroups = []string{"client", "proxy", "target", "transformer"}
		h.AskNodes, h.silent = true, silent
		s, _ := h.run()
		got := map[string]results.Resource{}
		for _, res := range s.Rows[0].Resources {
			got[res.Component] = res
		}
		require.Len(t, got, map[bool]int{false: 3, true: 2}[silent])
		require.Equal(t, 1, got[results.ComponentProxy].Processes)
		require.Positive(t, got[results.ComponentProxy].CPUSeconds)
		require.Less(t, got[results.ComponentProxy].CPUSeconds, 1.0, "what was used before does not count")
		require.EqualValues(t, 8<<20, got[results.ComponentProxy].PeakBytes)
		if !silent {
			require.Equal(t, 2, got[results.ComponentTarget].Processes)
			require.Positive(t, got[results.ComponentTarget].CPUSeconds)
			require.EqualValues(t, 2*8<<20, got[results.ComponentTarget].PeakBytes)
		}
		require.Nil(t, s.Rows[0].MovedBytes, "it does not go over this machine's loopback")
	}
}

// TestPhasesAddUpToTheServiceTime: what the client sees, and what servers tell
// of the operations that ask, by redirect and by relay.
func TestPhasesAddUpToTheServiceTime(t *testing.T) {
	for _, tt := range []struct {
		comm  string
		share scenarios.Sampling
	}{{"hpush", "all"}, {"hpull", "all"}, {"hpush", "off"}, {"hpush", "sample 30%"}} {
		t.Run(tt.comm+" "+string(tt.share), func(t *testing.T) {
			h := newHarness(t, some(8))
			h.serverTiming = true
			h.Scenario.Arms.Comm = []string{tt.comm}
			h.Scenario.Collect.Phases = tt.share
			s, _ := h.run()
			row := s.Rows[0]
			mean, count := map[string]float64{}, map[string]int64{}
			for _, p := range row.Phases {
				mean[p.Name], count[p.Name] = *p.MeanMs, p.Count
			}
			require.InEpsilon(t, *row.Service.MeanMs, mean["proxy"]+mean["target"]+mean["body"], 0.01)
			require.Positive(t, mean["proxy"])
			require.Positive(t, mean["target"])
			switch tt.share {
			case "off":
				require.Len(t, row.Phases, 3)
				return
			case "all":
				require.Equal(t, row.Ops, count["server-proxy"])
			default:
				require.Less(t, count["server-proxy"], row.Ops)
			}
			for name, want := range map[string]float64{"server-proxy": 0.5, "server-target": 2, "server-pod": 1} {
				require.InEpsilon(t, want, mean[name], 0.01, name)
			}
		})
	}
}
