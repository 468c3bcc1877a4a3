// Package stats turns the numbers of a run into estimates with intervals, and
// into verdicts: warm-up and steadiness, quantiles, comparisons of arms, scaling,
// cost by size, and the search for the highest rate.
//
// All functions are pure: no input or output, no clock, and randomness only
// from Options.Seed, so equal arguments give equal results. They may be called
// concurrently, keep nothing of their arguments and change none. Numbers that
// would mean nothing are refused: by an error (a *TooFewError where more data
// would help), or by a reason in the result. No finite input gives NaN.
//
// The sample is the block, not the request: a million requests of one block
// are one observation of the machine's state (Kalibera and Jones 2013). So most
// functions take one value for each block, such as its p99 or its rate. The
// package knows nothing of runs, arms or reports. Start reading at Compare.
package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// MinBlocks is the fewest blocks that an interval over blocks, and so a
// verdict, is made from. With 5, no two-sided rank test of pairs can reach 5 %.
const MinBlocks = 6

// Interval is an estimate with its confidence interval, in the unit of the
// values that it is made from.
type Interval struct {
	Estimate, Low, High float64
	Level               float64 // of confidence, as 0.95; 0 says that there is no interval, and Low and High are the estimate
}

// Options are how intervals over blocks are made. The zero value is ready.
type Options struct {
	Seed      uint64  // of the resampling
	Resamples int     // of bootstraps; 0 is 10,000
	Level     float64 // of intervals, between 0 and 1; 0 is 0.95
}

func (o Options) filled() (Options, error) {
	o.Resamples = cmp.Or(o.Resamples, 10_000)
	o.Level = cmp.Or(o.Level, 0.95)
	if o.Resamples < 100 || !(o.Level > 0 && o.Level < 1) {
		return o, fmt.Errorf("%d resamples at level %v: want at least 100, and a level between 0 and 1", o.Resamples, o.Level)
	}
	return o, nil
}

func (o Options) random() *rand.Rand { return rand.New(rand.NewPCG(o.Seed, 0)) }

// TooFewError says that a number is not given because it would rest on too
// little.
type TooFewError struct {
	What       string // is not given, as "p99.9"
	Have, Need int64
}

func (e *TooFewError) Error() string {
	return fmt.Sprintf("%s: n/a (n=%d, needs %d)", e.What, e.Have, e.Need)
}

// largest and smallest bound the magnitude of values, so that no sum of
// squares overflows and no ratio is lost.
const largest, smallest = 1e100, 1e-100

// usable refuses values that are not numbers between ±1e100.
func usable(xs []float64) error {
	for i, x := range xs {
		if !(math.Abs(x) <= largest) {
			return fmt.Errorf("value %d is %v: want a number within ±%g", i+1, x, largest)
		}
	}
	return nil
}

// positive refuses values that have no logarithm, or are beyond use.
func positive(xs []float64) error {
	for i, x := range xs {
		if !(x >= smallest && x <= largest) {
			return fmt.Errorf("value %d is %v: want a number above 0", i+1, x)
		}
	}
	return nil
}

// normal is the standard normal distribution's quantile.
func normal(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// atShare is the value below which a share p of sorted values lies.
func atShare(sorted []float64, p float64) float64 {
	return sorted[max(0, min(int(p*float64(len(sorted))), len(sorted)-1))]
}
