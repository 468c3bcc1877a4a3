package judge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// harmed is a healthy run in which 50 operations fail in each second from 10 to
// 12 of hpush's measured time, when its transformer is killed, and those of the
// second after take five times as long. Its throttle, from 24 to 26, slows them
// down, until the end where lasting.
func harmed(blocks int, lasting bool) runtest.Plan {
	p := healthy()
	p.Blocks, p.ForS = blocks, 36
	p.Harm = func(a runtest.Arm, _, s int) (int64, float64) {
		switch {
		case a.Comm != "hpush":
		case s == 10 || s == 11:
			return 50, 1
		case s == 12 || s == 24 || s == 25 || s > 25 && lasting:
			return 0, 5
		}
		return 0, 1
	}
	p.Change = func(s *results.Summary) {
		for _, b := range s.Blocks {
			if b.Arm != "hpush" {
				continue
			}
			at := func(sec float64) time.Time { return b.Started.Add(time.Duration(sec * float64(time.Second))) }
			s.Faults = append(s.Faults,
				results.Fault{Number: 0, Kind: results.FaultKill, What: "kill transformer", Arm: b.Arm, Block: b.Block, At: at(10), Until: at(11.9),
					Against: []string{"pod on t1"}, Intended: 290, Done: 190, Errors: []results.FaultErrors{{Class: "status 500", Count: 100}}, FirstGoodS: ptr(1.5)},
				results.Fault{Number: 1, Kind: results.FaultThrottle, What: "throttle target to 20%", Arm: b.Arm, Block: b.Block, At: at(24), Until: at(26),
					Against: []string{"target t1", "target t2"}, Intended: 300, Done: 300, FirstGoodS: ptr(0.1)})
		}
	}
	return p
}

func TestFaults(t *testing.T) {
	_, j := judged(t, harmed(10, false))
	require.Equal(t, judge.Valid, j.Validity.Verdict, "%v", j.Validity.Reasons)
	require.Len(t, j.Faults, 2)
	kill, throttle := j.Faults[0], j.Faults[1]
	require.Equal(t, []any{"hpush", 10, int64(2900), int64(1000), []string{"pod on t1"}}, []any{kill.Arm, kill.Blocks, kill.Intended, kill.Lost, kill.Against})
	require.Equal(t, []results.FaultErrors{{Class: "status 500", Count: 1000}}, kill.Errors)
	require.InDelta(t, 1.5, kill.FirstGoodS.Estimate, 1e-9)
	require.NotNil(t, kill.RecoverS)
	require.InDelta(t, 3, kill.RecoverS.Estimate, 1e-6, "from the kill to the begin of the first good second")
	require.NotNil(t, kill.RecoverS.Low)
	require.InDelta(t, 0, throttle.RecoverS.Estimate, 1e-6, "from its end")
	require.InDelta(t, 2, throttle.LastsS, 1e-6)
	require.Equal(t, 2, throttle.AtOnce)
	require.Zero(t, kill.NotRecovered+throttle.NotRecovered+kill.Unknown+throttle.Unknown+kill.NoGood)
}

func TestFaultNotGotOver(t *testing.T) {
	_, j := judged(t, harmed(3, true))
	require.Equal(t, judge.Valid, j.Validity.Verdict, "its steady part: %v", j.Validity.Reasons)
	require.Zero(t, j.Faults[0].NotRecovered)
	require.Nil(t, j.Faults[0].RecoverS.Low, "too few blocks")
	require.Equal(t, 3, j.Faults[1].NotRecovered)
	require.Nil(t, j.Faults[1].RecoverS)
}

// TestErrorsOutsideFaults: only those of faults are planned.
func TestErrorsOutsideFaults(t *testing.T) {
	p := harmed(3, false)
	change := p.Change
	p.Change = func(s *results.Summary) {
		change(s)
		s.Faults[0].Errors[0].Count--
	}
	_, j := judged(t, p)
	require.Equal(t, judge.Errors, j.Validity.Verdict)
	require.Contains(t, j.Validity.Reasons[0], "300 of 16200 operations failed (status 500 300), 299 of them while a fault lasted")
}

// TestUnplannedDisturbance: the same without a fault is not steady.
func TestUnplannedDisturbance(t *testing.T) {
	p := harmed(10, true)
	p.Change = nil
	_, j := judged(t, p)
	require.Equal(t, judge.Errors, j.Validity.Verdict)
	harm := p.Harm
	p.Harm = func(a runtest.Arm, b, s int) (int64, float64) { _, slower := harm(a, b, s); return 0, slower }
	_, j = judged(t, p)
	require.Equal(t, judge.NotSteady, j.Validity.Verdict)
}

func TestGatesOfPhasesAroundFaults(t *testing.T) {
	p := harmed(3, false)
	p.Gates = []results.Gate{
		{On: "arm(hpush).before.errors", Is: "<= 0%"},
		{On: "arm(hpush).before.p99", Is: "< 20ms"},
		{On: "arm(hpush).during.errors", Is: "> 10%"},
		{On: "arm(hpush).during.response.p99", Is: "> 40ms"},
		{On: "arm(hpush).after.errors", Is: "<= 0%"},
		{On: "arm(hpush).after.get-etl.p50", Is: "< 20ms"},
		{On: "arm(hpull).during.errors", Is: "<= 0%"},
	}
	_, j := judged(t, p)
	for _, g := range j.Gates[:6] {
		require.True(t, g.Holds, "%+v", g)
	}
	require.False(t, j.Gates[6].Holds, "it has no fault: a gate without samples")
	require.Contains(t, j.Gates[6].Text, "nothing was measured")
}
