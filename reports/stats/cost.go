package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// minSizes is the fewest size classes that a line is made from: two would
// always fit.
const minSizes = 3

// SizeClass is what requests of one size cost.
type SizeClass struct {
	MiB   float64   // size, 0 or more, up to 1e9
	Costs []float64 // latency or CPU time of a request, above 0, of each block; all classes have the same blocks
}

// Mean is the mean over blocks, to which a Line is fitted.
func (c SizeClass) Mean() float64 { return stat.Mean(c.Costs, nil) }

// Line is the cost of a request by size: Fixed + PerMiB × MiB, in the unit of
// the costs. Intervals have Level 0 with fewer than MinBlocks blocks.
type Line struct {
	NoFit  string   // why there is none; the rest is then empty
	Fixed  Interval // of a request, 0 or more
	PerMiB Interval // of each MiB, 0 or more
	Misfit float64  // relative error at the worst size

	blocks    int
	low, high float64 // sizes
	best      costs
	fits      []costs // of resamples
}

type costs struct{ fixed, perMiB float64 }

func (c costs) at(mib float64) float64 { return c.fixed + c.perMiB*mib }

// FitLine fits the means over blocks by least squares of the relative errors,
// that is with weights 1/cost², so that small sizes count as much as large
// ones, and with no coefficient below 0. Intervals are percentiles of a
// bootstrap over blocks, the same for all sizes, n-1 drawn of n (Rao and Wu
// 1988). It wants 3 sizes, and a line within 30 % of each. The error is about
// options only.
func FitLine(classes []SizeClass, o Options) (Line, error) {
	o, err := o.filled()
	if err != nil {
		return Line{}, err
	}
	if why := noLine(classes); why != "" {
		return Line{NoFit: why}, nil
	}
	best, worst, ok := fitCosts(classes, nil)
	if !ok || worst > maxMisfit {
		return Line{NoFit: fmt.Sprintf("no fit: a line misses a size by %.0f %%, more than %.0f %%", 100*worst, 100*maxMisfit)}, nil
	}
	l := Line{Misfit: worst, blocks: len(classes[0].Costs), best: best, low: math.Inf(1)}
	for _, c := range classes {
		l.low, l.high = min(l.low, c.MiB), max(l.high, c.MiB)
	}
	if l.blocks >= MinBlocks {
		if l.fits = resampleCosts(classes, l.blocks, o); len(l.fits) < o.Resamples {
			return Line{NoFit: "no fit: blocks differ too much for a line"}, nil
		}
	}
	l.Fixed = resampled(best.fixed, len(l.fits), l.blocks-1, o.Level, func(k int) float64 { return l.fits[k].fixed })
	l.PerMiB = resampled(best.perMiB, len(l.fits), l.blocks-1, o.Level, func(k int) float64 { return l.fits[k].perMiB })
	return l, nil
}

// resampleCosts fits n-1 of n blocks, drawn with replacement. The same seed
// draws the same blocks for every line, so that lines of the same blocks can be
// compared.
func resampleCosts(classes []SizeClass, n int, o Options) []costs {
	var fits []costs
	random, drawn := o.random(), make([]int, n-1)
	for range o.Resamples {
		for i := range drawn {
			drawn[i] = random.IntN(n)
		}
		if c, _, ok := fitCosts(classes, drawn); ok {
			fits = append(fits, c)
		}
	}
	return fits
}

// At is the line's cost of a request of a size in MiB.
func (l Line) At(mib float64) float64 { return l.best.at(mib) }

// noLine says why classes give no line, "" when they do.
func noLine(classes []SizeClass) string {
	distinct := map[float64]bool{}
	for _, c := range classes {
		if !(c.MiB >= 0 && c.MiB <= 1e9) || distinct[c.MiB] {
			return fmt.Sprintf("no fit: size %v MiB: want each once, from 0 to 1e9", c.MiB)
		}
		if len(c.Costs) == 0 || len(c.Costs) != len(classes[0].Costs) {
			return fmt.Sprintf("no fit: %d blocks of %v MiB, and %d of %v MiB", len(c.Costs), c.MiB, len(classes[0].Costs), classes[0].MiB)
		}
		if err := positive(c.Costs); err != nil {
			return fmt.Sprintf("no fit: costs of %v MiB: %v", c.MiB, err)
		}
		distinct[c.MiB] = true
	}
	if len(classes) < minSizes {
		return fmt.Sprintf("no fit: %d sizes, needs %d", len(classes), minSizes)
	}
	return ""
}

// fitCosts fits the means of some blocks, nil for all, and returns the relative
// error at the worst size.
func fitCosts(classes []SizeClass, blocks []int) (costs, float64, bool) {
	terms, y := make([][]float64, len(classes)), make([]float64, len(classes))
	for i, c := range classes {
		some := c.Costs
		if blocks != nil {
			some = make([]float64, len(blocks))
		}
		for k, b := range blocks {
			some[k] = c.Costs[b]
		}
		terms[i], y[i] = []float64{1, c.MiB}, stat.Mean(some, nil)
	}
	f, ok := fitRelative(terms, y)
	if !ok {
		return costs{}, 1, false
	}
	return costs{f.c[0], f.c[1]}, f.worst, true
}

// Crossover is the size at which one line overtakes another.
type Crossover struct {
	None       string   // why there is none, or none that can be told; the rest is then empty
	MiB        Interval // all of it within the sizes measured for both
	FirstBelow bool     // the first costs less below this size, the second above; else the reverse
}

// Cross finds where the costs of two communication types cross, within the
// sizes measured for both. The blocks of the two are the same, in order. Where
// more than a few resamples, by Level, cross beyond an end of the range, or the
// other way round, there is no crossover that can be told. It needs
// MinBlocks blocks. The error is about options only.
func Cross(first, second []SizeClass, o Options) (Crossover, error) {
	o, err := o.filled()
	if err != nil {
		return Crossover{}, err
	}
	f, _ := FitLine(first, o) // its error is about options, which are right
	s, _ := FitLine(second, o)
	if why := notComparable(f, s); why != "" {
		return Crossover{None: why}, nil
	}
	low, high := max(f.low, s.low), min(f.high, s.high)
	if low >= high {
		return Crossover{None: "no crossover: the two have no range of sizes in common"}, nil
	}
	within := fmt.Sprintf("none from %.4g to %.4g MiB", low, high)
	atLow, atHigh := f.At(low)-s.At(low), f.At(high)-s.At(high)
	switch {
	case atLow <= 0 && atHigh <= 0:
		return Crossover{None: within + ": the first costs less, or the same, throughout"}, nil
	case atLow >= 0 && atHigh >= 0:
		return Crossover{None: within + ": the second costs less, or the same, throughout"}, nil
	}
	firstBelow := atLow < 0
	cross := resampled(crossing(f.best, s.best, low, high, firstBelow), len(f.fits), f.blocks-1, o.Level,
		func(k int) float64 { return crossing(f.fits[k], s.fits[k], low, high, firstBelow) })
	if cross.Low < low || cross.High > high {
		return Crossover{None: within + " that can be told: resampled blocks cross beyond"}, nil
	}
	return Crossover{MiB: cross, FirstBelow: firstBelow}, nil
}

func notComparable(f, s Line) string {
	switch {
	case f.NoFit != "":
		return "no crossover: the first has " + f.NoFit
	case s.NoFit != "":
		return "no crossover: the second has " + s.NoFit
	case f.blocks != s.blocks:
		return fmt.Sprintf("no crossover: %d blocks of the first, and %d of the second", f.blocks, s.blocks)
	case f.blocks < MinBlocks:
		return fmt.Sprintf("no crossover: needs %d blocks", MinBlocks)
	}
	return ""
}

// crossing is the size between low and high from which on the first costs more
// (firstBelow), or less. It is -Inf or +Inf when it lies beyond an end. Lines
// that cross the other way round are beyond the nearer one, that is -Inf: they
// agree with what is wanted nowhere in the range.
func crossing(f, s costs, low, high float64, firstBelow bool) float64 {
	if !firstBelow {
		f, s = s, f
	}
	switch atLow, atHigh := f.at(low)-s.at(low), f.at(high)-s.at(high); {
	case atLow >= 0:
		return math.Inf(-1)
	case atHigh <= 0:
		return math.Inf(1)
	default:
		return low + (high-low)*atLow/(atLow-atHigh)
	}
}
