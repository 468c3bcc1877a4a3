package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/scenarios"
)

func TestNeeded(t *testing.T) {
	for slo, want := range map[string]int64{"p99<1ms": 1000, "p99.9 < 1s": 10_000, "service.p50<=1ms": 20, "mean<1ms": 1, "errors<1%": 1, "ops/s>5/s": 1} {
		f := findFlags{slos: []string{"errors<1%", slo}}
		gates, err := f.objective()
		require.NoError(t, err)
		require.Equal(t, want, needed(gates), slo)
	}
}

// Whatever loop a scenario has, a window is an open one at a rate.
func TestWindowScenario(t *testing.T) {
	for name, load := range map[string]string{
		"closed": "{workers: 3, think: 5ms}",
		"epoch":  "{model: epoch, epochs: 4}",
		"open":   "{model: open, rate: 7/s, arrival: constant, in-flight: 9}",
		"stages": "{model: open, stages: [{to: 7/s, over: 1s}], in-flight: 9}",
		"trace":  "{model: open, trace: requests.txt, in-flight: 9}",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenarios.Parse(name, []byte("apiVersion: etlbench/v1\ntransforms: [md5]\nload: "+load+"\ngates: [{on: all.errors, is: \"< 1%\"}]\n"))
			require.NoError(t, err)
			one := windowScenario(s, s.Plan()[1], []scenarios.Gate{{On: "all.p99", Is: "<1s"}})
			require.NoError(t, one.Validate())
			require.Equal(t, scenarios.ModelOpen, one.Load.Model)
			require.Equal(t, scenarios.Rate(1), one.Load.Rate)
			require.Equal(t, name == "open" || name == "stages", one.Load.Arrival == scenarios.ArrivalConstant)
			require.Equal(t, s.Load.Model == scenarios.ModelOpen, one.Load.InFlight == 9)
			require.Equal(t, []string{"hpull"}, one.Arms.Comm)
			require.Equal(t, "all.p99", one.Gates[0].On)
			require.Positive(t, one.Phases.Measure)
		})
	}
}

func TestFindingsText(t *testing.T) {
	ms := func(v float64) *float64 { return &v }
	a := findingArm{Arm: "hpush", Windows: []window{
		{Rate: 200, P50Ms: ms(9), Verdict: judge.GeneratorBound, Reason: "late"},
		{Rate: 100, P50Ms: ms(3), P99Ms: ms(8), CPUs: ms(0.25), Holds: true, Verdict: judge.Valid},
		{Rate: 100, P50Ms: ms(1), P99Ms: nil, Holds: true, Verdict: judge.Valid},
		{Rate: 100, P50Ms: ms(2), P99Ms: ms(9), CPUs: ms(0.5), Verdict: judge.Valid},
	}}
	a.found(&foundRate{Rate: 100, Above: 200, HeldAt: 2})
	o := findings{Scenario: "x", Objective: []string{"p99<9ms"}, WithinPct: 5, CPUs: 2, Cluster: "running",
		Arms: []findingArm{a, {Arm: "io", NotFound: "no rate was found"}}}
	var b bytes.Buffer
	o.text(&b)
	require.Contains(t, b.String(), "│ hpush │ 100.0/s │ 2 of 3 │ 2      │ 9      │ 0.5  │\n│ hpush │ 200.0/s │ 0 of 1 │ 9      │ n/a    │ n/a  │\n")
	require.Contains(t, b.String(), "\nhpush: holds at 100.0/s (2 of 3 windows), not at 200.0/s (0 of 3); above it the load generator is the limit: the cluster may do more\nio: no rate was found\n")
}
