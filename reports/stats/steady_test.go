package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

// TestSteadyKnowsAPublishedSlope takes the first set of Anscombe (1973), by x:
// slope 0.500, standard error 0.118, 9 degrees of freedom (t is 2.262).
// Neighbours' residuals are opposed, so nothing is corrected.
func TestSteadyKnowsAPublishedSlope(t *testing.T) {
	s, err := stats.Steady([]float64{4.26, 5.68, 7.24, 4.82, 6.95, 8.81, 8.04, 8.33, 10.84, 7.58, 9.96})
	require.NoError(t, err)
	require.InDelta(t, 0.500, s.Slope.Estimate, 0.0005)
	require.InDelta(t, 0.118*2.262, s.Slope.High-s.Slope.Estimate, 0.0005*2.262)
	require.InDelta(t, 0.5001*11/7.501, s.Drift, 0.0005)
	require.Negative(t, s.Autocorrelation)
	require.False(t, s.Steady)
}

func TestSteady(t *testing.T) {
	r := seeded(4)
	noise := func(size float64) func(int) float64 {
		return func(int) float64 { return 100 + size*r.NormFloat64() }
	}
	rising := func(by, size float64) func(int) float64 {
		return func(i int) float64 { return 100 + by*float64(i)/100 + size*r.NormFloat64() }
	}
	for name, c := range map[string]struct {
		of   func(int) float64
		want bool
	}{
		"all equal":                      {func(int) float64 { return 3 }, true},
		"noise of 1 %":                   {noise(1), true},
		"rises by 4 % in noise of 1 %":   {rising(4, 1), false},
		"rises by 1 %, without noise":    {rising(1, 0.01), false}, // the interval leaves 0 out
		"seems to rise in noise of 50 %": {func(i int) float64 { return 100 + 50*float64(i%10) + float64(i)/10 }, false},
		"falls by a half":                {func(i int) float64 { return 100 - float64(i)/2 }, false},
	} {
		s, err := stats.Steady(series(100, c.of))
		require.NoError(t, err, name)
		require.Equal(t, c.want, s.Steady, "%s: %+v", name, s)
	}
}

// TestSteadyIsSeldomFooled: of series whose values follow their predecessors,
// about the twentieth that the level says is found to have a slope.
func TestSteadyIsSeldomFooled(t *testing.T) {
	for _, follow := range []float64{0, 0.3, 0.6} {
		r, sloping := seeded(5), 0
		for range 1000 {
			level := 0.0
			s, err := stats.Steady(series(200, func(int) float64 { level = follow*level + r.NormFloat64(); return 1000 + level }))
			require.NoError(t, err)
			if s.Slope.Low > 0 || s.Slope.High < 0 {
				sloping++
			}
		}
		require.InDelta(t, 50, sloping, 25, "autocorrelation %v", follow)
	}
}

func TestSteadyRefuses(t *testing.T) {
	var few *stats.TooFewError
	_, err := stats.Steady(make([]float64, 9))
	require.ErrorAs(t, err, &few)
	_, err = stats.Steady(series(40, func(i int) float64 { return math.Abs(float64(i-20)) + 1 })) // a V wanders
	require.ErrorAs(t, err, &few)
	_, err = stats.Steady(series(10, func(i int) float64 { return float64(i%2)*2 - 1 }))
	require.EqualError(t, err, "steadiness: values about 0 have no relative drift")
}
