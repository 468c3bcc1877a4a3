package stats_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/etlbench/etlbench/reports/stats"
)

// TestQuantileOfRanks takes the values 1 to n, which are their own ranks, and
// checks the interval against the binomial distribution: its chance to hold
// the true quantile is at least the level, and little more.
func TestQuantileOfRanks(t *testing.T) {
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99, 0.999} {
		for _, times := range []int64{1, 2, 5, 50} {
			n := stats.Needed(q) * times
			i, err := stats.Quantile(barsOf(series(int(n), func(i int) float64 { return float64(i + 1) })), q, 0.95)
			require.NoError(t, err)
			require.InDelta(t, q*float64(n), i.Estimate, 1)
			b := distuv.Binomial{N: float64(n), P: q}
			chance := b.CDF(i.High-1) - b.CDF(i.Low-1)
			require.True(t, chance >= 0.95 && chance < 0.975, "p%v of %d: %v, chance %v", 100*q, n, i, chance)
		}
	}
}

func TestQuantileKnowsThePublishedMedian(t *testing.T) {
	// Tables of the distribution-free interval of the median: of 20 values,
	// between the 6th and the 15th (95.86 %).
	i, err := stats.Quantile(barsOf(series(20, func(i int) float64 { return float64(i + 1) })), 0.5, 0.95)
	require.NoError(t, err)
	require.Equal(t, stats.Interval{Estimate: 10, Low: 6, High: 15, Level: 0.95}, i)
}

func TestQuantileOfBarsIsThatOfValues(t *testing.T) {
	r := seeded(6)
	values := series(5000, func(int) float64 { return math.Floor(math.Exp(3 + r.NormFloat64())) })
	counts := map[float64]int64{}
	for _, v := range values {
		counts[v]++
	}
	bars := []stats.Bar{{Value: 12345, Count: 0}} // an empty bar is none
	for v, n := range counts {
		bars = append(bars, stats.Bar{Value: v, Count: n / 2}, stats.Bar{Value: v, Count: n - n/2})
	}
	for _, q := range []float64{0.25, 0.5, 0.99} {
		want, err := stats.Quantile(barsOf(values), q, 0.95)
		require.NoError(t, err)
		got, err := stats.Quantile(bars, q, 0.95)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, slices.Sorted(slices.Values(values))[int(math.Ceil(q*5000))-1], got.Estimate)
	}
}

func TestQuantileCountsWhatNeverEnded(t *testing.T) {
	i, err := stats.Quantile([]stats.Bar{{Value: 1, Count: 1980}, {Value: math.Inf(1), Count: 20}}, 0.99, 0.95)
	require.NoError(t, err)
	require.Equal(t, stats.Interval{Estimate: 1, Low: 1, High: math.Inf(1), Level: 0.95}, i)
}

func TestQuantileRefuses(t *testing.T) {
	some := barsOf(make([]float64, 1204))
	for _, c := range []struct {
		bars     []stats.Bar
		q, level float64
		want     string
	}{
		{some, 0.999, 0.95, "p99.9: n/a (n=1204, needs 10000)"},
		{some, 0.001, 0.95, "p0.1: n/a (n=1204, needs 10000)"},
		{nil, 0.5, 0.95, "p50: n/a (n=0, needs 20)"},
		{some[:20], 0.5, 0.9999999, "p50's interval of 0.9999999: n/a (n=20, needs 21)"},
		{some, 1, 0.95, "quantile 1 at level 0.95: want both between 0 and 1"},
		{some, 0.5, 0, "quantile 0.5 at level 0: want both between 0 and 1"},
		{[]stats.Bar{{Value: 1, Count: -1}}, 0.5, 0.95, "-1 values of 1: want a count, and a number or +Inf"},
		{[]stats.Bar{{Value: math.NaN(), Count: 1}}, 0.5, 0.95, "1 values of NaN: want a count, and a number or +Inf"},
	} {
		_, err := stats.Quantile(c.bars, c.q, c.level)
		require.EqualError(t, err, c.want)
	}
	require.EqualValues(t, 1000, stats.Needed(0.99))
	require.EqualValues(t, 20, stats.Needed(0.5))
	require.EqualValues(t, 100_000, stats.Needed(0.9999))
}

// overTime are histograms of intervals of 50 values, whose level wanders.
func overTime(seed uint64, intervals int, follow, size float64) [][]stats.Bar {
	r, level := seeded(seed), 0.0
	out := make([][]stats.Bar, intervals)
	for i := range out {
		level = follow*level + size*r.NormFloat64()
		out[i] = barsOf(series(50, func(int) float64 { return 100 + level + r.NormFloat64() }))
	}
	return out
}

func TestQuantileOverTimeOfIndependentIntervals(t *testing.T) {
	in := overTime(1, 60, 0, 0)
	want, err := stats.Quantile(slices.Concat(in...), 0.9, 0.95)
	require.NoError(t, err)
	got, err := stats.QuantileOverTime(in, 0.9, stats.Options{})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestQuantileOverTimeIsHonest: where the level wanders, the true median, 100,
// is in most intervals of the block bootstrap, and in few of those that take
// requests for independent.
func TestQuantileOverTimeIsHonest(t *testing.T) {
	honest, naive := 0, 0
	for seed := range uint64(200) {
		in := overTime(seed, 120, 0.5, 1)
		got, err := stats.QuantileOverTime(in, 0.5, stats.Options{Resamples: 200}) // of 10,000: for speed
		require.NoError(t, err)
		if got.Low <= 100 && 100 <= got.High {
			honest++
		}
		simple, err := stats.Quantile(slices.Concat(in...), 0.5, 0.95)
		require.NoError(t, err)
		require.Equal(t, simple.Estimate, got.Estimate)
		if simple.Low <= 100 && 100 <= simple.High {
			naive++
		}
	}
	require.Greater(t, honest, 170)
	require.Less(t, naive, 100)
}

func TestQuantileOverTimeWithRequestsThatNeverEnded(t *testing.T) {
	in := overTime(2, 60, 0, 0)
	for i := 20; i < 25; i++ {
		in[i] = append(in[i], stats.Bar{Value: math.Inf(1), Count: 50})
	}
	got, err := stats.QuantileOverTime(in, 0.95, stats.Options{Resamples: 500})
	require.NoError(t, err)
	require.True(t, math.IsInf(got.High, 1) && got.Low < 105, "%v", got)
	_, err = stats.QuantileOverTime(in[20:25], 0.5, stats.Options{})
	require.EqualError(t, err, "interval over time: n/a (n=5, needs 10)")
}

// barsOf are values as bars of a histogram.
func barsOf(values []float64) []stats.Bar {
	bars := make([]stats.Bar, len(values))
	for i, v := range values {
		bars[i] = stats.Bar{Value: v, Count: 1}
	}
	return bars
}
