package stats

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// maxDependence is the lag-1 autocorrelation of interval means above which
// requests are no longer taken as independent.
const maxDependence = 0.2

// minIntervals is the fewest intervals that are resampled.
const minIntervals = 10

// QuantileOverTime is the q-quantile of the histograms of intervals of equal
// length, in order, together. It is Quantile of all bars, unless requests
// depend on when they were sent: when the lag-1 autocorrelation of the
// intervals' means is above 0.2, or any bar is +Inf. Then the interval is that
// of a block bootstrap, in which runs of intervals stay together (circular,
// Politis and Romano 1992; length by Carlstein 1986). That needs 10 intervals,
// and time in proportion to resamples and bars of all intervals.
func QuantileOverTime(intervals [][]Bar, q float64, o Options) (Interval, error) {
	o, err := o.filled()
	if err != nil {
		return Interval{}, err
	}
	all := slices.Concat(intervals...)
	sorted, n, err := merged(all, q, o.Level)
	if err != nil {
		return Interval{}, err
	}
	r := dependence(intervals)
	if r <= maxDependence {
		return Quantile(sorted, q, o.Level)
	}
	if len(intervals) < minIntervals {
		return Interval{}, &TooFewError{"interval over time", int64(len(intervals)), minIntervals}
	}
	return blockBootstrap(intervals, atRank(sorted, rank(q, n)), q, runLength(r, len(intervals)), o), nil
}

// dependence is the lag-1 autocorrelation of intervals' means: 1 when there is
// an infinite one, 0 for fewer than 3 that have any values.
func dependence(intervals [][]Bar) float64 {
	var means []float64
	for _, bars := range intervals {
		mean, n := 0.0, 0.0
		for _, b := range bars {
			if math.Abs(b.Value) > largest {
				return 1
			}
			if n += float64(b.Count); b.Count > 0 {
				mean += (b.Value - mean) * float64(b.Count) / n
			}
		}
		if n > 0 {
			means = append(means, mean)
		}
	}
	if len(means) < 3 {
		return 0
	}
	return lag1(means)
}

// runLength is how many of n intervals stay together: (2r/(1-r²))^⅔ n^⅓, at
// least 1 and at most a quarter of them.
func runLength(r float64, n int) int {
	r = min(r, 0.99)
	l := math.Pow(2*r/(1-r*r), 2.0/3) * math.Cbrt(float64(n))
	return max(1, min(int(math.Ceil(l)), n/4))
}

// blockBootstrap sorts the bars of all intervals once. A resample is how often
// it has each interval, and a walk over the bars.
func blockBootstrap(intervals [][]Bar, estimate, q float64, length int, o Options) Interval {
	type owned struct {
		Bar
		of int
	}
	var bars []owned
	sums := make([]int64, len(intervals))
	for i, in := range intervals {
		for _, b := range in {
			bars = append(bars, owned{b, i})
			sums[i] += b.Count
		}
	}
	slices.SortFunc(bars, func(a, b owned) int { return cmp.Compare(a.Value, b.Value) })
	random, replicates := o.random(), make([]float64, 0, o.Resamples)
	for range o.Resamples {
		times := drawRuns(random, len(intervals), length)
		n := int64(0)
		for i, k := range times {
			n += k * sums[i]
		}
		left := rank(q, n)
		for _, b := range bars {
			if left -= b.Count * times[b.of]; left <= 0 && b.Count*times[b.of] > 0 {
				replicates = append(replicates, b.Value)
				break
			}
		}
	}
	return resampled(estimate, len(replicates), len(intervals)/length-1, o.Level, func(k int) float64 { return replicates[k] })
}

// drawRuns draws n intervals in runs of the length, around the end, and
// returns how often each is drawn.
func drawRuns(random *rand.Rand, n, length int) []int64 {
	times := make([]int64, n)
	for drawn := 0; drawn < n; {
		from := random.IntN(n)
		for i := 0; i < length && drawn < n; i++ {
			times[(from+i)%n]++
			drawn++
		}
	}
	return times
}
