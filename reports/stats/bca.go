package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// bca is the bias-corrected and accelerated bootstrap interval (Efron 1987) of
// an estimate from its replicates, which it sorts, and from left, the
// estimates without each one value of each sample, of which the smallest has n.
// For each bound
//
//	share = Φ(z0 + (z0+z) / (1 - a(z0+z)))
//
// of the replicates lie below; z is that of the level (see widened), z0 the bias, and a the
// acceleration, for several samples as in Davison and Hinkley (1997), 5.3.
func bca(estimate float64, replicates []float64, left [][]float64, n int, level float64) Interval {
	slices.Sort(replicates)
	below, equal, all := 0.0, 0.0, float64(len(replicates))
	for _, r := range replicates {
		switch {
		case r < estimate:
			below++
		case r == estimate:
			equal++
		}
	}
	z0 := normal(max(0.5/all, min((below+equal/2)/all, 1-0.5/all)))
	a := acceleration(left)
	share := func(z float64) float64 {
		z += z0
		if a*z >= 1 { // beyond the pole, all replicates are below, or none
			return float64(max(0, cmp.Compare(z, 0)))
		}
		return distuv.UnitNormal.CDF(z0 + z/(1-a*z))
	}
	z := widened(level, n)
	return Interval{estimate, atShare(replicates, share(-z)), atShare(replicates, share(z)), level}
}

func acceleration(left [][]float64) float64 {
	cubes, squares := 0.0, 0.0
	for _, sample := range left {
		mean, n := stat.Mean(sample, nil), float64(len(sample))
		for _, l := range sample {
			influence := (mean - l) * (n - 1) / n
			squares += influence * influence
			cubes += influence * influence * influence
		}
	}
	if scale := 6 * math.Pow(squares, 1.5); scale > 0 {
		return cubes / scale
	}
	return 0
}

// student is Student's quantile of a two-sided level.
func student(level float64, degrees int) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: max(1, float64(degrees))}.Quantile((1 + level) / 2)
}

// widened is the normal quantile of a two-sided level, widened to what a sample
// of n values wants: Student's with n-1 degrees of freedom times √(n/(n-1))
// (Hesterberg 2015). Without it, intervals of 95 % hold the truth in 87 % of
// cases from 6 blocks, and in 93 % from 10.
func widened(level float64, n int) float64 {
	return student(level, n-1) * math.Sqrt(float64(n)/float64(n-1))
}
