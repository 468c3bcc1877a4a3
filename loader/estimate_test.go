package loader_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/scenarios"
)

// TestPlanIsWhatTheRunDoes compares the estimate with the run.
func TestPlanIsWhatTheRunDoes(t *testing.T) {
	for _, model := range []string{scenarios.ModelOpen, scenarios.ModelEpoch} {
		t.Run(model, func(t *testing.T) {
			h := newHarness(t, some(6))
			h.Scenario.Arms.Comm, h.Scenario.Arms.Mode = []string{"hpush", "hpull"}, []string{"inline", "offline"}
			h.Scenario.Trials = scenarios.Trials{Blocks: 4, Order: scenarios.OrderInterleaved, RedeployEvery: 2}
			l := &h.Scenario.Load
			l.Model = model
			h.Scenario.Phases = scenarios.Phases{Warmup: scenarios.Warmup(20 * time.Millisecond), Measure: scenarios.Duration(50 * time.Millisecond)}
			if model == scenarios.ModelOpen {
				l.Arrival, l.Rate, l.InFlight, l.Workers = scenarios.ArrivalPoisson, 200, 16, 16
			} else {
				l.Epochs, l.Keys.Dist, h.Scenario.Phases.Measure = 2, scenarios.KeysSequential, 0
			}
			plan, err := loader.Plan(h.Scenario, h.Data)
			require.NoError(t, err)
			s, _ := h.run()
			require.Equal(t, len(s.Blocks), plan.Steps)
			require.Len(t, h.inits, plan.Deploy)
			require.Equal(t, 8, plan.Jobs)
			require.Equal(t, s.Dataset.Bytes, plan.Bytes)
			require.Equal(t, s.Dataset.Bytes, plan.ExpectBytes, "one transform")
			require.Equal(t, s.Dataset.Bytes, plan.StoredBytes, "one job at a time")
			for _, a := range plan.Arms {
				for _, sample := range s.Samples {
					if sample.Arm == a.Name {
						require.Equal(t, a.Ops, sample.Intended, "%s %d", a.Name, sample.Block)
					}
				}
			}
			if model == scenarios.ModelOpen {
				require.EqualValues(t, 4*2*(4+10), plan.Operations)
				require.Equal(t, 4*2*70*time.Millisecond, plan.Time)
			}
			require.Greater(t, plan.Memory, int64(32<<20))
		})
	}
	h := newHarness(t, some(2))
	h.Scenario.Load.Model, h.Scenario.Load.Rate = scenarios.ModelOpen, 1e6
	h.Scenario.Phases.Measure = scenarios.Duration(time.Hour)
	_, err := loader.Plan(h.Scenario, h.Data)
	require.ErrorContains(t, err, "3600000000 operations an arm and block, more than 1000000000")
}
