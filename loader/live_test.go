package loader_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// TestLive holds that what is shown of a load is what was measured.
func TestLive(t *testing.T) {
	for _, model := range []string{"closed", "open"} {
		t.Run(model, func(t *testing.T) {
			h := newHarness(t, some(10))
			h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
			h.Scenario.Phases.Measure = scenarios.Duration(3 * time.Second)
			h.Scenario.Collect.Interval = scenarios.Duration(100 * time.Millisecond)
			h.Scenario.Load.Mix = map[string]int{"get-etl": 1, "get": 1}
			if model == "open" {
				h.Scenario.Load.Model, h.Scenario.Load.Arrival, h.Scenario.Load.Rate, h.Scenario.Load.InFlight = "open", "constant", 200, 8
				h.Scenario.Load.Pacer = "spin"
			}
			var seen []loader.Progress
			h.Progress = func(p loader.Progress) {
				if p.Live != nil && p.Phase == "measure" {
					seen = append(seen, p)
				}
			}
			s, err := loader.Run(t.Context(), h.Config)
			require.NoError(t, err)
			require.NotEmpty(t, seen)
			require.Equal(t, h.Scenario.Load.Pacer, s.Load.Pacer)
			rows := map[string]results.Row{}
			for _, r := range s.Rows {
				if r.Op == "get-etl" {
					rows[r.Name] = r
				}
			}
			cap := map[string]int{"closed": 3, "open": 8}[model]
			var used, rated, offered bool
			for _, p := range seen {
				row := rows[p.Name]
				require.LessOrEqual(t, p.Live.Response.Count, row.Response.Count, "of the arm's operation alone, so far")
				require.Equal(t, cap, p.Live.Cap)
				require.LessOrEqual(t, p.Live.InFlight, int64(cap))
				if p.Live.Response.MaxMs != nil && row.Response.MaxMs != nil {
					require.LessOrEqual(t, *p.Live.Response.MaxMs, *row.Response.MaxMs)
				}
				offered = offered || math.Abs(p.Live.OfferedPerS-200) < 20
				rated = rated || p.Live.AchievedPerS > 0 && p.Live.InMiBPerS > 0 && len(p.Live.P99s) > 1
				used = used || len(p.Use) == 1 && p.Use[0].Component == "client" && p.Use[0].RSS > 0 && p.Generator != nil
				next := map[string]string{"hpush": "hpull", "hpull": ""}[p.Name]
				require.Equal(t, next, p.Next)
				require.Equal(t, []loader.ArmBlocks{{Name: "hpush", Done: map[string]int{"hpush": 0, "hpull": 1}[p.Name]}, {Name: "hpull"}}, p.Done)
			}
			require.True(t, rated)
			require.Equal(t, model == "open", offered, "the schedule alone says it")
			require.True(t, used)

			arms := map[string]int{}
			require.NoError(t, results.EachUsage(h.dir, func(u results.Usage) error {
				arms[u.Arm]++
				require.Equal(t, "client", u.Component)
				require.Equal(t, 1, u.Block)
				require.Positive(t, u.RSSBytes)
				return nil
			}))
			require.Greater(t, arms["hpush"], 5, "a line an interval")
			require.Greater(t, arms["hpull"], 5, "a line an interval")
		})
	}
}
