package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// Bar is a bar of a histogram: Count values (0 or more) of about Value. A
// request that never ended counts as +Inf.
type Bar struct {
	Value float64
	Count int64
}

// maxCount bounds a histogram's sum, so that no resample of it overflows.
const maxCount = 1 << 40

// Needed is how many values a quantile q must rest on to be told: 10 beyond it,
// 10/(1-q), or 10/q for q below 0.5.
func Needed(q float64) int64 {
	return int64(math.Ceil(10/min(q, 1-q) - 1e-6)) // 1-0.99 is not 0.01
}

// Quantile is the q-quantile, 0 < q < 1, of a histogram's bars in any order:
// the value of rank ⌈qn⌉, as HdrHistogram tells it. Its interval, of the level
// wanted or a little more, is between two order statistics, whose ranks are
// those of a binomial distribution (Thompson 1936; with its normal approximation
// above 30 values). It assumes independent values: see QuantileOverTime. Fewer
// than Needed(q) values, or a level that they cannot give, are a *TooFewError.
// With bars of +Inf, Estimate and High, and even Low, may be +Inf.
func Quantile(bars []Bar, q, level float64) (Interval, error) {
	sorted, n, err := merged(bars, q, level)
	if err != nil {
		return Interval{}, err
	}
	ci := stats.QuantileCI(int(n), q, level)
	if ci.LoOrder < 1 || int64(ci.HiOrder) > n {
		return Interval{}, &TooFewError{fmt.Sprintf("p%.6g's interval of %v", 100*q, level), n, n + 1}
	}
	return Interval{
		Estimate: atRank(sorted, rank(q, n)),
		Low:      atRank(sorted, int64(ci.LoOrder)),
		High:     atRank(sorted, int64(ci.HiOrder)),
		Level:    level,
	}, nil
}

// merged are the bars sorted by value, without empty ones, and their sum,
// which is enough for the quantile.
func merged(bars []Bar, q, level float64) ([]Bar, int64, error) {
	if !(q > 0 && q < 1 && level > 0 && level < 1) {
		return nil, 0, fmt.Errorf("quantile %v at level %v: want both between 0 and 1", q, level)
	}
	var sorted []Bar
	n := int64(0)
	for _, b := range bars {
		if b.Count < 0 || b.Count > maxCount-n || !math.IsInf(b.Value, 1) && !(math.Abs(b.Value) <= largest) {
			return nil, 0, fmt.Errorf("%d values of %v: want a count, and a number or +Inf", b.Count, b.Value)
		}
		if n += b.Count; b.Count > 0 {
			sorted = append(sorted, b)
		}
	}
	if need := Needed(q); n < need {
		return nil, 0, &TooFewError{fmt.Sprintf("p%.6g", 100*q), n, need}
	}
	slices.SortFunc(sorted, func(a, b Bar) int { return cmp.Compare(a.Value, b.Value) })
	return sorted, n, nil
}

// rank is that of the q-quantile of n values, from 1.
func rank(q float64, n int64) int64 {
	return max(1, min(int64(math.Ceil(q*float64(n)-1e-9)), n))
}

func atRank(sorted []Bar, rank int64) float64 {
	for _, b := range sorted {
		if rank -= b.Count; rank <= 0 {
			return b.Value
		}
	}
	return sorted[len(sorted)-1].Value
}
