package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

func TestMean(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   stats.Interval
	}{
		{[]float64{5}, stats.Interval{Estimate: 5, Low: 5, High: 5}},
		{[]float64{4, 6}, stats.Interval{Estimate: 5, Low: 5, High: 5}},
		{[]float64{7, 7, 7}, stats.Interval{Estimate: 7, Low: 7, High: 7, Level: 0.95}},
		// t(0.975, 2) = 4.30265, s = 1, s/√3 = 0.57735.
		{[]float64{1, 2, 3}, stats.Interval{Estimate: 2, Low: 2 - 2.48414, High: 2 + 2.48414, Level: 0.95}},
	} {
		got, err := stats.Mean(c.values, stats.Options{})
		require.NoError(t, err)
		require.InDelta(t, c.want.Estimate, got.Estimate, 1e-9)
		require.InDelta(t, c.want.Low, got.Low, 1e-4)
		require.InDelta(t, c.want.High, got.High, 1e-4)
		require.Equal(t, c.want.Level, got.Level)
	}
	_, err := stats.Mean(nil, stats.Options{})
	var few *stats.TooFewError
	require.ErrorAs(t, err, &few)
	_, err = stats.Mean([]float64{1, math.NaN()}, stats.Options{})
	require.ErrorContains(t, err, "value 2")
}
