package loader

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func seconds(s float64) scenarios.Duration { return scenarios.Duration(s * 1e9) }

// ramps go up, hold, jump down and fade out: 50 + 100 + 40 + 20 operations.
func ramps() *profile {
	return staged(0, []scenarios.Stage{
		{To: 100, Over: seconds(1)}, {Hold: seconds(1)}, {To: 40, Over: 0}, {Hold: seconds(1)}, {To: 0, Over: seconds(1)},
	})
}

func TestScheduleCounts(t *testing.T) {
	for _, tt := range []struct {
		rate scenarios.Rate
		d    time.Duration
		want int64
	}{
		{2000, 30 * time.Second, 60_000}, {0.1, 10 * time.Second, 1}, {0.3, 10 * time.Second, 3}, {3, 500 * time.Millisecond, 1},
		{7.7, 10 * time.Second, 77}, {0.09, 10 * time.Second, 0}, {20_000, time.Hour, 72_000_000},
	} {
		require.Equal(t, tt.want, evenly{steady(tt.rate, tt.d)}.count(), "%s for %s", tt.rate, tt.d)
	}
	require.EqualValues(t, 210, ramps().operations())
	require.EqualValues(t, 210, newPoisson(ramps(), 1).count())
	require.Equal(t, 4*time.Second, ramps().took)
}

// TestSchedulesFollowTheRate: at any moment as many operations were due as the
// rate's integral says.
func TestSchedulesFollowTheRate(t *testing.T) {
	due := func(s float64) float64 { // by hand
		switch {
		case s < 1:
			return 50 * s * s
		case s < 2:
			return 50 + 100*(s-1)
		case s < 3:
			return 150 + 40*(s-2)
		}
		return 190 + 40*(s-3) - 20*(s-3)*(s-3)
	}
	s := evenly{ramps()}
	last := time.Duration(-1)
	for i := range s.count() {
		at := s.at(i)
		require.Greater(t, at, last)
		require.InDelta(t, float64(i), due(at.Seconds()), 1e-4, "operation %d at %s", i, at)
		last = at
	}
	require.Less(t, last, s.length())
	require.Zero(t, s.at(0))
	c := evenly{steady(20_000, time.Hour)}
	require.Equal(t, time.Hour-50*time.Microsecond, c.at(72_000_000-1))
	require.Equal(t, 50*time.Microsecond, c.at(1))
}

// TestPoisson: gaps are exponential, independent, and the same however they
// are asked for.
func TestPoisson(t *testing.T) {
	const n = 100_000
	s := newPoisson(steady(1000, n/1000*time.Second), 42)
	require.EqualValues(t, n, s.count())
	var gaps []float64
	var all []time.Duration
	last := time.Duration(0)
	for i := range s.count() {
		at := s.at(i)
		require.GreaterOrEqual(t, at, last)
		gaps = append(gaps, (at-last).Seconds()*1000)
		all = append(all, at)
		last = at
	}
	require.Less(t, last, s.length())
	mean, square, lag := 0.0, 0.0, 0.0
	longer := map[float64]float64{}
	for i, g := range gaps {
		mean += g / n
		square += g * g / n
		if i > 0 {
			lag += (g - 1) * (gaps[i-1] - 1) / n
		}
		for _, x := range []float64{0.1, 1, 3, 5} {
			if g > x {
				longer[x]++
			}
		}
	}
	require.InDelta(t, 1, mean, 1e-3)
	require.InDelta(t, 2, square, 0.04)
	require.InDelta(t, 0, lag, 0.015)
	for x, got := range longer {
		require.InDelta(t, n*math.Exp(-x), got, 5*math.Sqrt(n*math.Exp(-x)), x)
	}
	for _, i := range []int64{99_999, 5, 4096, 4095, 70_000, 0} {
		require.Equal(t, all[i], s.at(i), "operation %d", i)
	}
	again := newPoisson(steady(1000, n/1000*time.Second), 42)
	require.Equal(t, all[77], again.at(77))
	require.NotEqual(t, all[77], newPoisson(steady(1000, n/1000*time.Second), 43).at(77))
	// The moments themselves, the same on every machine.
	require.Equal(t, []time.Duration{298479, 2128475, 3404256, 4468984}, all[:4])
}

func TestPoissonFollowsARamp(t *testing.T) {
	s := newPoisson(staged(0, []scenarios.Stage{{To: 20_000, Over: seconds(1)}}), 1)
	half := 0
	for i := range s.count() {
		if s.at(i) < 500*time.Millisecond {
			half++
		}
	}
	require.InDelta(t, 2500, half, 250, "a quarter of them in the first half")
}

func TestTrace(t *testing.T) {
	read := func(text string) (trace, error) {
		file := filepath.Join(t.TempDir(), "times.txt")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return readTrace(file)
	}
	s, err := read("# recorded\n0\n0.25\n\n0.25\n1.5\n")
	require.NoError(t, err)
	require.Equal(t, trace{0, 250 * time.Millisecond, 250 * time.Millisecond, 1500 * time.Millisecond}, s)
	require.Equal(t, 1500*time.Millisecond+1, s.length())
	for text, want := range map[string]string{
		"0\nx\n": `times.txt:2: "x" is not a moment`, "-1": "times.txt:1:", "NaN": "times.txt:1:", "2\n1\n": "times.txt:2: 1 s is before", "": "has no moments",
	} {
		_, err := read(text)
		require.ErrorContains(t, err, want)
	}
	_, err = readTrace("nowhere")
	require.ErrorContains(t, err, "load.trace: open nowhere")
}

func BenchmarkSchedule(b *testing.B) {
	s := newPoisson(steady(10_000, 100*time.Second), 42)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		s.at(i % s.n)
	}
}
