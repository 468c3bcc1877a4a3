package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

// mser is the rule word by word: all cuts, each from the start.
func mser(xs []float64) int {
	n := len(xs) / 5
	z := series(n, func(i int) float64 {
		return (xs[5*i] + xs[5*i+1] + xs[5*i+2] + xs[5*i+3] + xs[5*i+4]) / 5
	})
	best, least := 0, math.Inf(1)
	for d := 0; n-d >= max(5, n/4); d++ {
		mean, squares := 0.0, 0.0
		for _, x := range z[d:] {
			mean += x / float64(n-d)
		}
		for _, x := range z[d:] {
			squares += (x - mean) * (x - mean)
		}
		if m := squares / float64((n-d)*(n-d)); m < least {
			best, least = d, m
		}
	}
	return 5 * best
}

func TestWarmupFollowsTheRule(t *testing.T) {
	r, found := seeded(1), 0
	for range 200 {
		n, decay := 60+r.IntN(300), 1+r.Float64()*30
		xs := series(n, func(i int) float64 { return 100 + 50*math.Exp(-float64(i)/decay) + r.NormFloat64() })
		want := mser(xs)
		cut, err := stats.Warmup(xs)
		if want > n/2 {
			require.ErrorIs(t, err, stats.ErrNoWarmupEnd)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, cut)
		found++
	}
	require.Greater(t, found, 100)
}

func TestWarmup(t *testing.T) {
	r := seeded(2)
	for name, c := range map[string]struct {
		xs        []float64
		low, high int // of the cut
	}{
		"all equal":         {series(100, func(int) float64 { return 7 }), 0, 0},
		"a step at 40":      {series(300, func(i int) float64 { return map[bool]float64{true: 90, false: 100}[i < 40] + r.NormFloat64() }), 40, 45},
		"a slow begin":      {series(300, func(i int) float64 { return 100 + 40*math.Exp(-float64(i)/15) + r.NormFloat64() }), 40, 90},
		"a remainder of 4":  {append(series(300, func(int) float64 { return 5 }), 1e9, 1e9, 1e9, 1e9), 0, 0},
		"negative and tiny": {series(50, func(i int) float64 { return -1e-200 * float64(i%2) }), 0, 0},
	} {
		cut, err := stats.Warmup(c.xs)
		require.NoError(t, err, name)
		require.True(t, c.low <= cut && cut <= c.high, "%s: cut %d", name, cut)
	}
}

func TestWarmupRefuses(t *testing.T) {
	_, err := stats.Warmup(series(300, func(i int) float64 { return float64(i) }))
	require.ErrorIs(t, err, stats.ErrNoWarmupEnd)
	_, err = stats.Warmup(series(50, func(i int) float64 { return float64(i) }))
	require.ErrorIs(t, err, stats.ErrNoWarmupEnd)
	_, err = stats.Warmup(make([]float64, 49))
	var few *stats.TooFewError
	require.ErrorAs(t, err, &few)
	require.EqualError(t, err, "end of the warm-up: n/a (n=49, needs 50)")
	_, err = stats.Warmup(series(60, func(i int) float64 { return math.Log(float64(i - 1)) }))
	require.EqualError(t, err, "value 1 is NaN: want a number within ±1e+100")
}

// TestWarmupOfSteadySeries holds the rates that Warmup's documentation tells.
func TestWarmupOfSteadySeries(t *testing.T) {
	for n, most := range map[int]float64{100: 0.15, 150: 0.08, 300: 0.01} {
		r, refused := seeded(3), 0
		for range 2000 {
			if _, err := stats.Warmup(series(n, func(int) float64 { return 100 + r.NormFloat64() })); err != nil {
				refused++
			}
		}
		require.LessOrEqual(t, float64(refused)/2000, most, "%d values", n)
	}
}
