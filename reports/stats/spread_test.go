package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

func TestSpread(t *testing.T) {
	s, err := stats.SpreadOf([]float64{2, 4, 4, 4, 5, 5, 7, 9}) // mean 5, squares 32
	require.NoError(t, err)
	require.InDelta(t, math.Sqrt(32.0/7)/5, s.CV, 1e-12)
	require.Equal(t, stats.Spread{Mean: 5, Min: 2, Max: 9, CV: s.CV}, s)
	ratio, ok := s.MaxToMin()
	require.True(t, ok && ratio == 4.5)
	s, err = stats.SpreadOf([]float64{0, 3})
	require.NoError(t, err)
	_, ok = s.MaxToMin()
	require.False(t, ok, "a target had nothing")
	_, err = stats.SpreadOf([]float64{1})
	require.EqualError(t, err, "spread: n/a (n=1, needs 2)")
	for _, xs := range [][]float64{{0, 0}, {-1, 3}} {
		_, err = stats.SpreadOf(xs)
		require.EqualError(t, err, "spread: want values of 0 or more, not all 0")
	}
}
