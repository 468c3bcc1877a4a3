package judge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

func TestGatesThatSayNothing(t *testing.T) {
	arms := []results.Arm{{Name: "md5:hpush", Transform: "md5", Comm: "hpush"}, {Name: "md5:hpull", Transform: "md5", Comm: "hpull"},
		{Name: "echo:hpush", Transform: "echo", Comm: "hpush"}}
	for _, c := range []struct{ on, is, err string }{
		{"arm(hpush).response.p99", "< 50ms", ""},
		{"arm(md5:hpush).p99", "<= 1.5s", ""},
		{"all.errors", "< 0.1%", ""},
		{"all.achieved", ">= 99%", ""},
		{"all.warmup.p99", "< 1s", ""},
		{"all.measure.put.service.p99.9", "< 1s", ""},
		{"all.ops/s", ">= 1000/s", ""},
		{"all.mib/s", ">= 1GiB/s", ""},
		{"all.moved", "< 2.5", ""},
		{"all.cpu-us/op", "< 1ms", ""},
		{"compare(md5:hpull,md5:hpush).p99", "not slower than 5%", ""},
		{"arm(hpsh).p99", "< 50ms", `no arm is "hpsh" (did you mean "hpush"?)`},
		{"arms(hpush).p99", "< 50ms", `unknown "arms", want arm(NAME).NUMBER, all.NUMBER or compare(NAME,BASE).NUMBER (did you mean "arm"?)`},
		{"all.p98", "< 50ms", `unknown number "p98" (did you mean "p90"?)`},
		{"all.erors", "< 1%", `unknown number "erors" (did you mean "errors"?)`},
		{"all.p99", "50ms", `"50ms": want <, <=, > or >= and a number with its unit, such as "< 50ms"`},
		{"all.p99", "< 50", `"< 50": the number needs a unit (m, ms, ns, s, us, µs)`},
		{"all.p99", "< 50mss", `"< 50mss": unknown unit "mss" of p99 (did you mean "ms"?)`},
		{"all.errors", "< 0.1", `"< 0.1": the number needs a unit (%)`},
		{"all.p99", "< 1.2.3ms", `"< 1.2.3ms": "1.2.3" is no number`},
		{"compare(hpull,hpush).p99", "not slower than 5%", `1 arms are "hpull" and 2 are "hpush": name one each`},
		{"compare(md5:hpull,md5:hpush).errors", "not slower than 5%", `"errors" is not compared: want p50, p99, ops/s, mib/s, cpu-s/gib or cpu-us/op`},
		{"compare(md5:hpull,md5:hpush).p99", "< 5%", `"< 5%": want "not slower than N%" of a comparison`},
		{"all.warmup.cpu-us/op", "< 1ms", `"cpu-us/op" is not told of a part of the time`},
	} {
		_, err := judge.ParseGates([]results.Gate{{On: c.on, Is: c.is}}, arms)
		if c.err == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.err)
		require.ErrorContains(t, err, "gates[0]: ")
	}
	_, err := judge.ParseGates([]results.Gate{{On: "x", Is: "< 1ms"}, {On: "all.p99", Is: "y"}}, arms)
	require.ErrorContains(t, err, "gates[0]")
	require.ErrorContains(t, err, "gates[1]", "all problems at once")
}

func TestGates(t *testing.T) {
	for _, c := range []struct {
		name   string
		gate   results.Gate
		change func(*runtest.Plan)
		holds  bool
		arm    string
		says   string
	}{
		{"p99 holds", results.Gate{On: "all.p99", Is: "< 50ms"}, nil, true, "", ""},
		{"the worst arm decides", results.Gate{On: "all.response.p99", Is: "< 18ms"}, func(p *runtest.Plan) { p.Arms[1].Ms = 20 }, false, "hpull", "etlbench explain"},
		{"another arm does not", results.Gate{On: "arm(hpush).p99", Is: "< 25ms"}, func(p *runtest.Plan) { p.Arms[1].Ms = 20 }, true, "hpush", ""},
		{"rate", results.Gate{On: "all.ops/s", Is: ">= 150/s"}, nil, true, "", ""},
		{"rate beyond", results.Gate{On: "all.ops/s", Is: "> 150/s"}, nil, false, "", "explain"},
		{"errors", results.Gate{On: "all.errors", Is: "< 0.1%"}, func(p *runtest.Plan) { p.Arms[1].Errors = 9 }, false, "hpull", "hpull.errors"},
		{"achieved", results.Gate{On: "all.achieved", Is: ">= 99%"}, func(p *runtest.Plan) { p.Arms[0].Shed = 3 }, false, "hpush", "who could not keep up"},
		{"tail that was never served", results.Gate{On: "all.p99", Is: "< 1s"}, func(p *runtest.Plan) { p.Arms[0].Shed = 3 }, false, "hpush", "never served"},
		{"warm-up", results.Gate{On: "all.warmup.p99", Is: "< 20ms"}, nil, false, "", "explain"},
		{"no samples", results.Gate{On: "all.put.p99", Is: "< 1s"}, nil, false, "hpush", "a gate without samples does not hold"},
		{"unknown number", results.Gate{On: "all.ttfb.p99", Is: "< 1s"}, nil, false, "", "not known"},
		{"not slower", results.Gate{On: "compare(hpull,hpush).p99", Is: "not slower than 5%"}, nil, true, "hpull", ""},
		{"slower", results.Gate{On: "compare(hpull,hpush).p50", Is: "not slower than 5%"}, func(p *runtest.Plan) { p.Arms[1].Ms = 11 }, false, "hpull", "hpull is slower than hpush"},
		{"unsure", results.Gate{On: "compare(hpull,hpush).p99", Is: "not slower than 2%"}, func(p *runtest.Plan) { p.Own = 0.1 }, false, "hpull", " to tell"},
		{"too few blocks", results.Gate{On: "compare(hpull,hpush).p99", Is: "not slower than 5%"}, func(p *runtest.Plan) { p.Blocks = 2 }, false, "hpull", "2 blocks, a verdict needs 6; it needs about 4 more blocks"},
		{"rate not slower", results.Gate{On: "compare(hpull,hpush).ops/s", Is: "not slower than 5%"}, nil, true, "hpull", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := healthy()
			if c.change != nil {
				c.change(&p)
			}
			p.Gates = []results.Gate{c.gate}
			_, j := judged(t, p)
			g := j.Gates[0]
			require.Equal(t, c.holds, g.Holds, "%+v", g)
			require.Equal(t, c.holds, j.GatesHold())
			require.Contains(t, g.Text, c.says)
			require.Equal(t, g.Holds, g.Text == "")
			if c.arm != "" {
				require.Equal(t, c.arm, g.Arm)
			}
		})
	}
}

// An engine asks about the numbers so far.
func TestGatesOnPartialNumbers(t *testing.T) {
	arms := []results.Arm{{Name: "a"}, {Name: "b"}}
	gates, err := judge.ParseGates([]results.Gate{{On: "all.errors", Is: "< 1%"}}, arms)
	require.NoError(t, err)
	row := func(arm string, ops, errors int64) results.Row {
		return results.Row{Arm: results.Arm{Name: arm}, Op: "get", Measured: results.Measured{Intended: ops + errors, Counts: results.Counts{Ops: ops, Errors: errors}}}
	}
	require.False(t, gates[0].Check([]results.Row{row("a", 100, 0)}).Holds, "nothing of b yet")
	require.True(t, gates[0].Check([]results.Row{row("a", 100, 0), row("b", 1000, 9)}).Holds)
	out := gates[0].Check([]results.Row{row("a", 100, 0), row("b", 100, 9)})
	require.False(t, out.Holds)
	require.Equal(t, "b", out.Arm)

	b, about := gates[0].Of("b")
	require.True(t, about)
	require.True(t, b.Check([]results.Row{row("b", 1000, 9)}).Holds, "of b alone")
	_, about = gates[0].Of("c")
	require.False(t, about)
}

func TestGatesThatCannotBeCheckedEarly(t *testing.T) {
	for on, why := range map[string]string{"all.p99": "", "all.achieved": "", "all.ops/s": "",
		"all.moved": "in the end", "all.cpu-us/op": "in the end", "all.warmup.p99": "measured time", "compare(a,b).p99": "comparison"} {
		is := map[string]string{"all.p99": "< 1s", "all.achieved": "> 1%", "all.ops/s": "> 1/s", "all.moved": "< 3",
			"all.cpu-us/op": "< 1s", "all.warmup.p99": "< 1s", "compare(a,b).p99": "not slower than 5%"}[on]
		gates, err := judge.ParseGates([]results.Gate{{On: on, Is: is}}, []results.Arm{{Name: "a"}, {Name: "b"}})
		require.NoError(t, err)
		if why == "" {
			require.NoError(t, gates[0].CheckEarly(), on)
		} else {
			require.ErrorContains(t, gates[0].CheckEarly(), why, on)
		}
	}
}

// TestGatesLeaveOutWhatIsNotOffered, unless they are about nothing else.
func TestGatesLeaveOutWhatIsNotOffered(t *testing.T) {
	p := runtest.Plan{Seed: 1, Blocks: 1, ForS: 2, PerSecond: 50, Arms: []runtest.Arm{arm("hpush"), arm("hpull")},
		Gates: []results.Gate{{On: "all.errors", Is: "<= 0%"}, {On: "arm(inline).errors", Is: "<= 0%"}, {On: "arm(io).errors", Is: "<= 0%"}}}
	p.Change = func(s *results.Summary) {
		s.Arms = append(s.Arms, results.Arm{Name: "io", Comm: "io", Mode: "inline", Transform: "echo", NotOffered: `unknown comm-type "io://"`})
	}
	j, err := judge.Judge(judge.Of(runtest.Make(p)), judge.Options{})
	require.NoError(t, err)
	require.Nil(t, j.Validity.Arm("io"))
	require.True(t, j.Gates[0].Holds)
	require.True(t, j.Gates[1].Holds)
	require.False(t, j.Gates[2].Holds)
	require.Equal(t, "io", j.Gates[2].Arm)
}
