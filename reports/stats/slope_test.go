package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

// The true slope lies in the interval about as often as it says, also when
// values depend on those before.
func TestSlopeCovers(t *testing.T) {
	for _, c := range []struct {
		name  string
		keep  float64 // of the deviation before
		least int     // of 2000 families
	}{{"independent", 0, 1860}, {"dependent", 0.7, 1840}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			covered, found := 0, 0
			for range 2000 {
				x, y, off := make([]float64, 1000), make([]float64, 1000), 0.0
				for i := range x {
					off = c.keep*off + r.NormFloat64()
					x[i], y[i] = float64(i)/100, 50+0.3*float64(i)/100+off
				}
				s, err := stats.Slope(x, y, stats.Options{})
				require.NoError(t, err)
				if s.Low <= 0.3 && 0.3 <= s.High {
					covered++
				}
				if s.Low > 0 {
					found++
				}
			}
			require.GreaterOrEqual(t, covered, c.least)
			require.GreaterOrEqual(t, found, 1900, "a slope is seen")
		})
	}
}

// What memory does that a collector sweeps is no slope.
func TestSlopeOfASawtooth(t *testing.T) {
	var x, y []float64
	for i := range 3600 {
		x, y = append(x, float64(i)), append(y, 100+float64(i%37))
	}
	s, err := stats.Slope(x, y, stats.Options{})
	require.NoError(t, err)
	require.True(t, s.Low < 0 && 0 < s.High, "%+v", s)
	for i := range y {
		y[i] += 0.01 * x[i] // a leak of a third of a tooth in the whole hour
	}
	s, err = stats.Slope(x, y, stats.Options{})
	require.NoError(t, err)
	require.InEpsilon(t, 0.01, s.Estimate, 0.05)
	require.Positive(t, s.Low)
}

func TestSlopeNeeds(t *testing.T) {
	x := make([]float64, 40)
	var few *stats.TooFewError
	_, err := stats.Slope(x, x, stats.Options{})
	require.ErrorAs(t, err, &few, "no width")
	_, err = stats.Slope(x[:39], x[:39], stats.Options{})
	require.ErrorAs(t, err, &few)
	for i := range x {
		x[i] = float64(i)
	}
	s, err := stats.Slope(x, x, stats.Options{})
	require.NoError(t, err)
	require.InDelta(t, 1, s.Estimate, 1e-9)
	x[3] = math.Inf(1)
	_, err = stats.Slope(x, x, stats.Options{})
	require.Error(t, err)
}
