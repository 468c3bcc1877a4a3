package stats

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// percentile is the interval of an estimate that is between percentiles of its
// replicates (Efron 1979), which it sorts. The percentiles are those of
// Student's quantile, not the normal one, for what the data have degrees of
// freedom (Hesterberg 2015): with few, intervals would be too narrow.
func percentile(estimate float64, replicates []float64, degrees int, level float64) Interval {
	slices.Sort(replicates)
	tail := distuv.UnitNormal.CDF(-student(level, degrees))
	return Interval{estimate, atShare(replicates, tail), atShare(replicates, 1-tail), level}
}

// resampled is percentile of what n resamples give. Without any, the interval
// has no Level.
func resampled(estimate float64, n, degrees int, level float64, of func(k int) float64) Interval {
	if n == 0 {
		return Interval{Estimate: estimate, Low: estimate, High: estimate}
	}
	replicates := make([]float64, n)
	for k := range replicates {
		replicates[k] = of(k)
	}
	return percentile(estimate, replicates, degrees, level)
}
