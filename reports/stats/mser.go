package stats

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/stat"
)

// ErrNoWarmupEnd says that values never settled: the best cut would leave less
// than half of them.
var ErrNoWarmupEnd = errors.New("no end of the warm-up: the best cut leaves less than half; run longer")

const (
	mserBatch   = 5  // values a batch, as in MSER-5
	mserBatches = 10 // below which the rule mostly sees noise
)

// Warmup tells how many of the first values are warm-up, by MSER-5 (White
// 1997; White, Cobb and Spratt 2000). Values are those of intervals of equal
// length, in order. Of the means z of n batches of 5 values, the first d are
// cut where the squared standard error of the rest is least:
//
//	MSER(d) = Σ (z_i - mean of the rest)² / (n-d)²    summed over i > d
//
// It returns 5d. It looks at cuts that leave a quarter, at least 5 batches, as
// the error of a short rest is small by accident (Hoad, Robinson and Davies
// 2010), and returns ErrNoWarmupEnd when the least is above n/2, or where the
// looking ended. It needs 50 values, and is better given 300: of steady series
// it refuses 1 in 8 of 100 values, 1 in 15 of 150, 1 in 100 of 300.
func Warmup(values []float64) (int, error) {
	if len(values) < mserBatch*mserBatches {
		return 0, &TooFewError{"end of the warm-up", int64(len(values)), mserBatch * mserBatches}
	}
	if err := usable(values); err != nil {
		return 0, err
	}
	n := len(values) / mserBatch // an incomplete last batch has no say
	rest := max(5, n/4)
	least, cut := math.Inf(1), 0
	mean, squares := 0.0, 0.0
	for d := n - 1; d >= 0; d-- { // backwards, so that each step adds one batch (Welford 1962)
		k, z := float64(n-d), stat.Mean(values[d*mserBatch:(d+1)*mserBatch], nil)
		off := z - mean
		mean += off / k
		squares += off * (z - mean)
		if mser := squares / (k * k); n-d >= rest && mser <= least {
			least, cut = mser, d
		}
	}
	if cut > n/2 || cut == n-rest {
		return 0, ErrNoWarmupEnd
	}
	return cut * mserBatch, nil
}
