package judge_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
	"github.com/etlbench/etlbench/reports/stats"
)

func ptr[T any](v T) *T { return &v }

func arm(comm string) runtest.Arm {
	return runtest.Arm{Arm: results.Arm{Name: comm, Comm: comm, Mode: "inline", Transform: "echo", Language: "go"}, Ms: 10, Shape: 0.15}
}

// healthy is a valid run of two arms that are equally fast.
func healthy() runtest.Plan {
	return runtest.Plan{Seed: 42, Arms: []runtest.Arm{arm("hpush"), arm("hpull")}, Blocks: 10, WarmupS: 2, ForS: 12, PerSecond: 150, Noise: 0.05, Own: 0.005}
}

func judged(t *testing.T, p runtest.Plan) (*judge.Evidence, *judge.Judgement) {
	t.Helper()
	e := judge.Of(runtest.Make(p))
	j, err := judge.Judge(e, judge.Options{})
	require.NoError(t, err)
	return e, j
}

func TestValidity(t *testing.T) {
	generator := func(change func(*results.Generator)) func(runtest.Arm, int) results.Generator {
		return func(a runtest.Arm, block int) results.Generator {
			g := runtest.Healthy(a, block)
			change(&g)
			return g
		}
	}
	for _, c := range []struct {
		name   string
		change func(*runtest.Plan)
		want   judge.Verdict
		check  string // that found it
		says   string
	}{
		{"healthy", func(*runtest.Plan) {}, judge.Valid, "", ""},
		{"noisy", func(p *runtest.Plan) { p.Arms[0].Shape, p.Noise = 1, 0.2 }, judge.Valid, "", ""},
		{"CPU used up", func(p *runtest.Plan) { p.Generator = generator(func(g *results.Generator) { g.CPUSeconds = 90 }) },
			judge.GeneratorBound, "CPU of the generator", "lower the load"},
		{"CPU quota used up", func(p *runtest.Plan) {
			p.Generator = generator(func(g *results.Generator) { g.CPUSeconds, g.CPUQuota = 11, ptr(1.0) })
		},
			judge.GeneratorBound, "CPU of the generator", "lower the load"},
		{"throttled", func(p *runtest.Plan) {
			p.Generator = generator(func(g *results.Generator) { g.ThrottledS = ptr(0.3) })
		},
			judge.GeneratorBound, "throttling", "raise the quota"},
		{"few connections", func(p *runtest.Plan) {
			p.Load = results.Load{Model: "open", Rate: 150, InFlight: 2, Workers: 2}
			p.Arms[0].Shed, p.Arms[0].Ms = 30, 20
		}, judge.GeneratorBound, "achieved", "raise load.workers and load.in-flight"},
		{"few connections to a cluster that has no CPU left", func(p *runtest.Plan) {
			p.Load = results.Load{Model: "open", Rate: 150, InFlight: 2, Workers: 2}
			p.Arms[0].Shed, p.Arms[0].Ms = 30, 20
			p.Change = func(s *results.Summary) {
				for i := range s.Rows {
					s.Rows[i].Resources[3].CPUSeconds = 7 * s.Rows[i].Seconds // of 8 CPUs
				}
			}
		}, judge.NotSteady, "achieved", "the cluster could not keep up"},
		{"few workers", func(p *runtest.Plan) {
			p.Load = results.Load{Model: "open", Rate: 150, InFlight: 512, Workers: 2}
			p.Arms[0].Wait = 50 // from due to sent
			p.Arms[0].Ms = 14
		}, judge.GeneratorBound, "start delay", "raise load.workers"},
		{"books that do not balance", func(p *runtest.Plan) {
			p.Generator = generator(func(g *results.Generator) { g.InFlightMean = ptr(3.0) })
		},
			judge.GeneratorBound, "Little's law", "books"},
		{"books of a queue that a warm-up left", func(p *runtest.Plan) {
			for i := range p.Arms {
				p.Arms[i].Wait, p.Arms[i].Ms = 400, 400
			}
			p.Generator = generator(func(g *results.Generator) { g.InFlightMean = ptr(100.0) })
		}, judge.Valid, "", ""},
		{"too good", func(p *runtest.Plan) {
			p.Change = func(s *results.Summary) { s.Calibration = &results.Calibration{OpsPerS: 10} }
		}, judge.GeneratorBound, "rate over calibration", "more than this generator can make"},
		{"late on a busy machine", func(p *runtest.Plan) {
			p.Arms[0].Wait = 3
			p.Generator = generator(func(g *results.Generator) { g.PacerP99Ms, g.DelayP99Ms = ptr(2.9), ptr(3.0) })
		}, judge.Valid, "", ""},
		{"drifting", func(p *runtest.Plan) { p.Arms[1].Drift = 0.4 }, judge.NotSteady, "mean response drift", "warm up longer"},
		{"drifting in one block", func(p *runtest.Plan) { p.Blocks, p.ForS, p.Arms[1].Drift = 1, 30, 0.6 }, judge.NotSteady, "mean response drift", "warm up longer"},
		{"overloaded", func(p *runtest.Plan) { p.Arms[0].Shed, p.Arms[0].Ms = 10, 400 }, judge.NotSteady, "achieved", "the cluster could not keep up: 93.3 %"},
		{"overloaded, as a gate allows", func(p *runtest.Plan) {
			p.Arms[0].Shed = 10
			p.Gates = []results.Gate{{On: "arm(hpush).achieved", Is: ">= 90%"}}
		}, judge.Valid, "", ""},
		{"errors", func(p *runtest.Plan) { p.Arms[0].Errors = 3 }, judge.Errors, "errors", "30 of 18000 operations failed (status 500 30)"},
		{"errors, as a gate allows", func(p *runtest.Plan) {
			p.Arms[0].Errors = 3
			p.Gates = []results.Gate{{On: "all.errors", Is: "< 1%"}}
		}, judge.Valid, "", ""},
		{"ended early", func(p *runtest.Plan) { p.Blocks, p.Planned = 3, 10 }, judge.TooFewSamples, "", "3 of 10 blocks are complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := healthy()
			c.change(&p)
			_, j := judged(t, p)
			require.Equal(t, c.want, j.Validity.Verdict, "%v", j.Validity.Reasons)
			if c.says == "" {
				require.Empty(t, j.Validity.Reasons)
				return
			}
			require.Contains(t, fmt.Sprint(j.Validity.Reasons), c.says)
			found := c.check == ""
			for _, a := range j.Validity.Arms {
				for _, k := range a.Checks {
					if k.State == judge.Fail {
						require.NotNil(t, k.Value)
						require.NotEmpty(t, k.Wants)
						found = found || k.Name == c.check
					}
				}
			}
			require.True(t, found, "by %s", c.check)
		})
	}
}

func TestEvidenceAgreesWithTheSummary(t *testing.T) {
	p := healthy()
	p.Partial = true
	dir := filepath.Join(t.TempDir(), "run")
	runtest.Write(t, dir, p)
	e, err := judge.Read(dir)
	require.NoError(t, err)
	require.Len(t, e.Series, 2)
	for _, s := range e.Series {
		require.Equal(t, s.Row.Ops, s.Response.TotalCount())
		require.Equal(t, s.Row.Ops, s.Service.TotalCount())
		require.Equal(t, int64(9*2*150), s.Warmup.Ops, "nine whole blocks")
		require.Len(t, s.Points, 9*14)
		p99 := s.P99()
		require.Equal(t, *s.Row.Response.P99Ms, p99.Estimate)
		require.LessOrEqual(t, *p99.Low, p99.Estimate)
		require.GreaterOrEqual(t, *p99.High, p99.Estimate)
	}
}

func TestWarmupEnd(t *testing.T) {
	p := healthy()
	p.WarmupS, p.ForS, p.PerSecond = 20, 60, 100
	p.Change = func(s *results.Summary) { s.Load.AutoWarmup = true }
	_, j := judged(t, p)
	require.Equal(t, judge.Valid, j.Validity.Verdict)
	cut := j.Validity.Arms[0].SteadyFromS
	require.NotNil(t, cut)
	require.True(t, *cut >= 5 && *cut <= 20, "the warm-up decays with a time of 2 s: %v", *cut)
}

func TestComparison(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*runtest.Plan)
		want   []stats.Verdict // of p50 and p99
		reason string
	}{
		{"equal", func(*runtest.Plan) {}, []stats.Verdict{stats.Same, stats.Same}, ""},
		{"10 % slower", func(p *runtest.Plan) { p.Arms[1].Ms = 11 }, []stats.Verdict{stats.Slower, stats.Slower}, ""},
		{"10 % faster", func(p *runtest.Plan) { p.Arms[1].Ms = 9 }, []stats.Verdict{stats.Faster, stats.Faster}, ""},
		{"too noisy", func(p *runtest.Plan) { p.Own, p.Arms[1].Ms = 0.2, 10.8 }, []stats.Verdict{stats.Unsure, stats.Unsure}, "interval reaches beyond"},
		{"one side is not valid", func(p *runtest.Plan) { p.Arms[1].Errors = 1 }, []stats.Verdict{judge.NotCompared, judge.NotCompared}, "hpull is ERRORS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := healthy()
			c.change(&p)
			_, j := judged(t, p)
			require.Empty(t, j.Comparison.Reason)
			for i, metric := range []string{"p50", "p99"} {
				x := j.Comparison.Find("hpull", "get-etl", metric)
				require.NotNil(t, x)
				require.Equal(t, c.want[i], x.Verdict, "%+v", x)
				require.Equal(t, "hpush", x.Base)
				require.Contains(t, x.Reason, c.reason)
				require.Equal(t, x.Verdict == judge.NotCompared, x.ChangePct == nil)
			}
		})
	}
}

func TestFewBlocksAreNotCompared(t *testing.T) {
	p := healthy()
	p.Blocks = 1
	_, j := judged(t, p)
	require.Equal(t, judge.Valid, j.Validity.Verdict, "a run of one block is what was asked for")
	require.Empty(t, j.Comparison.Contrasts)
	require.Contains(t, j.Comparison.Reason, "1 block of each arm, a comparison needs 6")
}

func TestAA(t *testing.T) {
	p := healthy()
	p.Arms = nil
	for _, comm := range []string{"hpush", "hpull"} {
		for r := 1; r <= 2; r++ {
			a := arm(comm)
			a.Name, a.Replica = fmt.Sprintf("%s:#%d", comm, r), r
			if comm == "hpull" {
				a.Ms = 13
			}
			p.Arms = append(p.Arms, a)
		}
	}
	_, j := judged(t, p)
	require.Equal(t, judge.AA{Compared: 6, Different: 0}, *j.Comparison.AA)
	require.Equal(t, stats.Slower, j.Comparison.Find("hpull:#1", "get-etl", "p50").Verdict)
	require.Equal(t, "hpush:#1", j.Comparison.Find("hpull:#1", "get-etl", "p50").Base)
	require.Equal(t, "hpull:#1", j.Comparison.Find("hpull:#2", "get-etl", "p50").Base)
}

// TestFactors: arms are compared in each factor, others being equal; what is
// sent as code does the same as the program, another transform does not.
func TestFactors(t *testing.T) {
	p := healthy()
	p.Arms = nil
	for _, transform := range []string{"md5", "md5/python", "echo"} {
		for _, comm := range []string{"hpush", "hpull"} {
			for _, put := range []string{"relay", "direct"} {
				a := arm(comm)
				a.Name, a.Transform, a.Put = transform+":"+comm+":"+put, transform, put
				p.Arms = append(p.Arms, a)
			}
		}
	}
	_, j := judged(t, p)
	var found []string
	for _, c := range j.Comparison.Contrasts {
		if c.Metric == "p50" {
			found = append(found, c.Factor+": "+c.Other+" vs "+c.Base)
		}
	}
	require.ElementsMatch(t, []string{
		"comm: md5:hpull:relay vs md5:hpush:relay", "comm: md5:hpull:direct vs md5:hpush:direct",
		"comm: md5/python:hpull:relay vs md5/python:hpush:relay", "comm: md5/python:hpull:direct vs md5/python:hpush:direct",
		"comm: echo:hpull:relay vs echo:hpush:relay", "comm: echo:hpull:direct vs echo:hpush:direct",
		"put: md5:hpush:direct vs md5:hpush:relay", "put: md5:hpull:direct vs md5:hpull:relay",
		"put: md5/python:hpush:direct vs md5/python:hpush:relay", "put: md5/python:hpull:direct vs md5/python:hpull:relay",
		"put: echo:hpush:direct vs echo:hpush:relay", "put: echo:hpull:direct vs echo:hpull:relay",
		"server: md5/python:hpush:relay vs md5:hpush:relay", "server: md5/python:hpush:direct vs md5:hpush:direct",
		"server: md5/python:hpull:relay vs md5:hpull:relay", "server: md5/python:hpull:direct vs md5:hpull:direct",
	}, found)
	require.Nil(t, j.Comparison.Find("md5:hpush:direct", "get-etl", "p50"), "it is the base of its group")
}

func TestNamedBase(t *testing.T) {
	e, _ := judged(t, healthy())
	j, err := judge.Judge(e, judge.Options{Base: "hpull"})
	require.NoError(t, err)
	require.NotNil(t, j.Comparison.Find("hpush", "get-etl", "p99"))
	_, err = judge.Judge(e, judge.Options{Base: "hpul"})
	require.EqualError(t, err, `no arm "hpul" in this run (did you mean "hpull"?)`)
}

func TestAcross(t *testing.T) {
	run := func(change func(*runtest.Plan)) *judge.Evidence {
		p := healthy()
		p.Noise = 0.01
		change(&p)
		e, _ := judged(t, p)
		return e
	}
	base := run(func(*runtest.Plan) {})
	for _, c := range []struct {
		name  string
		other *judge.Evidence
		want  stats.Verdict
	}{
		{"same", run(func(p *runtest.Plan) { p.Seed = 43 }), stats.Same},
		{"slower", run(func(p *runtest.Plan) { p.Arms[0].Ms = 11 }), stats.Slower},
		{"faster", run(func(p *runtest.Plan) { p.Arms[0].Ms, p.Arms[1].Ms = 9, 9 }), stats.Faster},
		{"invalid", run(func(p *runtest.Plan) { p.Arms[0].Errors = 1 }), stats.Unsure},
		{"few blocks", run(func(p *runtest.Plan) { p.Blocks = 2 }), stats.Unsure},
		{"nothing in common", run(func(p *runtest.Plan) { p.Arms[0].Comm, p.Arms[1].Comm = "x", "y" }), stats.Unsure},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := judge.Across(base, []*judge.Evidence{c.other}, judge.Options{})
			require.NoError(t, err)
			require.Equal(t, c.want, got.Worst(), "%+v", got.Contrasts)
		})
	}
}

// TestFloor: times that are near those of the tool itself are told as such, and
// do not make a run invalid.
func TestFloor(t *testing.T) {
	for _, c := range []struct {
		floor float64 // ms
		want  judge.State
	}{{0, judge.Unknown}, {0.1, judge.OK}, {50, judge.Warn}} {
		p := healthy()
		p.Change = func(s *results.Summary) { s.Calibration = &results.Calibration{OpsPerS: 50_000, P99Ms: c.floor} }
		_, j := judged(t, p)
		require.Equal(t, judge.Valid, j.Validity.Verdict, "%v", j.Validity.Reasons)
		checks := j.Validity.Arms[0].Checks
		i := slices.IndexFunc(checks, func(c judge.Check) bool { return c.Name == "p99 over the tool's floor" })
		require.Equal(t, c.want, checks[i].State, c.floor)
	}
}
