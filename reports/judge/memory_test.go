package judge_test

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// A leak of 6 MiB an hour is told from memory that a collector sweeps and from
// memory that is given back, also of more intervals than are kept.
func TestMemory(t *testing.T) {
	for _, n := range []int{600, 20_000} {
		dir := filepath.Join(t.TempDir(), "run")
		w, err := results.Create(dir, []byte("name: x\n"), results.Env{})
		require.NoError(t, err)
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range n {
			hours, at := float64(i)/3600, start.Add(time.Duration(i)*time.Second)
			use := func(component string, mib float64) results.Usage {
				return results.Usage{At: at, Seconds: 1, Arm: "a", Block: 1, Component: component, Processes: 1, RSSBytes: int64(mib * (1 << 20))}
			}
			wave := math.Sin(float64(i) / 5)
			require.NoError(t, w.Usage([]results.Usage{use("client", 50+float64(i%13)), use("target", 100+6*hours+wave), use("transformer", 900-20*hours+wave)}))
		}
		require.NoError(t, w.Usage([]results.Usage{{At: start, Seconds: 1, Arm: "short", Component: "client", RSSBytes: 1}}))
		require.NoError(t, w.Finish(results.Summary{Name: "x"}, nil))
		e, err := judge.Read(dir)
		require.NoError(t, err)
		j, err := judge.Judge(e, judge.Options{})
		require.NoError(t, err)
		require.Len(t, j.Memory, 3, "one interval tells nothing")
		found := map[string]judge.Memory{}
		for _, m := range j.Memory {
			require.Equal(t, "a", m.Arm)
			require.InEpsilon(t, float64(n-1)/3600, m.Hours, 0.01)
			found[m.Component] = m
		}
		require.Equal(t, judge.MemorySteady, found["client"].Verdict)
		require.Equal(t, judge.MemoryGrows, found["target"].Verdict)
		require.Equal(t, judge.MemoryShrinks, found["transformer"].Verdict)
		require.InEpsilon(t, 6<<20, found["target"].BytesPerHour.Estimate, 0.15)
		require.Greater(t, found["target"].LastBytes, found["target"].FirstBytes)
	}
}
