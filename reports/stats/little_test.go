package stats_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

func TestLittle(t *testing.T) {
	e, err := stats.Little(10, 1000, 10*time.Millisecond)
	require.NoError(t, err)
	require.InDelta(t, 0, e, 1e-12)
	e, err = stats.Little(8, 1000, 10*time.Millisecond)
	require.NoError(t, err)
	require.InDelta(t, 0.25, e, 1e-12)
	for _, l := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, err = stats.Little(l, 1, time.Second)
		require.ErrorContains(t, err, "want numbers above 0")
	}
	_, err = stats.Little(1, 1, 0)
	require.EqualError(t, err, "law of Little for 1 in flight, 1/s and 0s: want numbers above 0")
}
