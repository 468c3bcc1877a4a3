package stats

import (
	"fmt"
	"math"
)

// Verdict is what a comparison concludes.
type Verdict string

// A verdict follows from the Holm-adjusted test and from the interval of the
// change, in this order:
//
//	SAME            the interval lies inside ±Threshold
//	FASTER, SLOWER  the test rejects "no difference" (adjusted p ≤ 1-Level)
//	UNSURE          neither
//
// So FASTER and SLOWER mean a difference that is there, and that may be as
// large as the threshold. The test keeps the chance of any false one in a whole
// family at 1-Level. SAME is about one comparison: a true difference of just
// the threshold is called so by 1 in 40. All others of that size are found when
// there are blocks enough; to want the estimate itself beyond the threshold
// would miss half of them.
const (
	Faster Verdict = "FASTER"
	Slower Verdict = "SLOWER"
	Same   Verdict = "SAME"
	Unsure Verdict = "UNSURE"
)

// Contrast is one comparison of a family: of one metric of two arms.
type Contrast struct {
	Base, Other    []float64 // a value above 0 for each block, as its p99; paired by index unless Unpaired
	Unpaired       bool      // blocks of the two have nothing in common, as those of two runs
	HigherIsBetter bool      // as throughput; else lower is, as latency
}

// CompareOptions are those of intervals, whose Level is also 1 minus the rate of
// false positives of a family, and the practical threshold.
type CompareOptions struct {
	Options
	Threshold float64 // change that matters, a share of the base between 0 and 1; 0 is 0.05
}

// Comparison is what Compare found of one contrast.
type Comparison struct {
	Verdict    Verdict
	Change     Interval // of other relative to base: 0.05 is 5 % more, whether that is good or bad
	P          float64  // of the test, two-sided
	Adjusted   float64  // P by Holm, for all contrasts of the family that could be tested
	Blocks     int      // of each arm; the fewer when they differ
	MoreBlocks int      // of each arm, that UNSURE is likely to need (power 0.8); 0 when no number would help
	Reason     string   // why it is UNSURE
}

// Compare judges all comparisons of a run together, as a family. Results are in
// the order of the contrasts, and do not depend on it, nor on that of blocks.
//
// The change of paired blocks is that of the log ratios other/base of each
// block: what moves a whole block, such as drift of the machine, cancels. It is
// estimated as Center does, and tested by Wilcoxon's signed ranks (1945). Its
// only assumption, that without a difference either sign is as likely, holds
// when the order of arms inside blocks is drawn. A test of Mann and Whitney
// (1947) would take the drift between blocks for noise, and is used, with the
// shift of Hodges and Lehmann (1963), for unpaired ones only.
//
// Fewer than MinBlocks blocks, and values that have no ratio, are UNSURE without
// a test, and no part of what Holm adjusts for. The error is about options only.
// Time and memory grow with the square of the blocks: 20 take milliseconds, 500
// take seconds.
func Compare(family []Contrast, o CompareOptions) ([]Comparison, error) {
	filled, err := o.Options.filled()
	if err != nil {
		return nil, err
	}
	if o.Options = filled; o.Threshold == 0 {
		o.Threshold = 0.05
	}
	if !(o.Threshold > 0 && o.Threshold < 1) {
		return nil, fmt.Errorf("threshold %v: want a share between 0 and 1", o.Threshold)
	}
	out := make([]Comparison, len(family))
	var p []float64
	var tested []int
	for i, c := range family {
		if out[i] = c.measure(len(family), o.Options); out[i].Reason == "" {
			p, tested = append(p, out[i].P), append(tested, i)
		}
	}
	for k, adjusted := range Holm(p) {
		i := tested[k]
		out[i].Adjusted = adjusted
		out[i].judge(family[i], len(p), o)
	}
	return out, nil
}

// measure is the estimate and the test of a contrast by itself, or the reason
// why there are none, in a family of m.
func (c Contrast) measure(m int, o Options) Comparison {
	r := Comparison{Verdict: Unsure, P: 1, Adjusted: 1, Blocks: min(len(c.Base), len(c.Other))}
	if !c.Unpaired && len(c.Base) != len(c.Other) {
		r.Reason = fmt.Sprintf("%d blocks of the base and %d of the other are no pairs", len(c.Base), len(c.Other))
		return r
	}
	if r.Blocks < MinBlocks {
		r.MoreBlocks = blocksToReject(1-o.Level, m, c.Unpaired) - r.Blocks
		r.Reason = fmt.Sprintf("%d blocks, a verdict needs %d", r.Blocks, MinBlocks)
		return r
	}
	if err := positive(c.Base); err != nil {
		r.Reason = fmt.Sprintf("no ratio: base, %v", err)
		return r
	}
	if err := positive(c.Other); err != nil {
		r.Reason = fmt.Sprintf("no ratio: other, %v", err)
		return r
	}
	base, other := logs(c.Base), logs(c.Other)
	if c.Unpaired {
		r.Change, r.P = ofTwo(base, other).interval(o), mannWhitney(base, other)
		return r
	}
	for i := range other {
		other[i] -= base[i]
	}
	r.Change, r.P = ofOne(other).interval(o), signedRank(other)
	return r
}

func logs(xs []float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = math.Log(x)
	}
	return out
}

// judge gives the verdict, of m tested contrasts, and turns log ratios into
// relative changes.
func (r *Comparison) judge(c Contrast, m int, o CompareOptions) {
	log, alpha := r.Change, 1-o.Level
	for _, x := range []*float64{&r.Change.Estimate, &r.Change.Low, &r.Change.High} {
		*x = math.Expm1(*x)
	}
	switch {
	case r.Change.Low > -o.Threshold && r.Change.High < o.Threshold:
		r.Verdict = Same
	case r.Adjusted <= alpha && log.Estimate != 0:
		r.Verdict = Slower
		if (log.Estimate > 0) == c.HigherIsBetter {
			r.Verdict = Faster
		}
	default:
		need := max(blocksToReject(alpha, m, c.Unpaired), blocksToDecide(log, r.Blocks, m, o))
		r.MoreBlocks = max(1, need-r.Blocks)
		r.Reason = fmt.Sprintf("adjusted p is %.2g, and the interval reaches beyond ±%.3g %%", r.Adjusted, 100*o.Threshold)
	}
}
