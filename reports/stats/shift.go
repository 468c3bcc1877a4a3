package stats

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Center is the middle of one value for each block, by Hodges and Lehmann
// (1963): the median of the means of all pairs. It is nearly as exact as the
// mean when noise is normal, and unmoved by a few wild blocks. The interval is
// the BCa bootstrap's (Efron 1987) over blocks, whose order has no influence.
// It needs MinBlocks values.
func Center(blocks []float64, o Options) (Interval, error) {
	o, err := o.filled()
	if err != nil {
		return Interval{}, err
	}
	if err := usable(blocks); err != nil {
		return Interval{}, err
	}
	if len(blocks) < MinBlocks {
		return Interval{}, &TooFewError{"interval over blocks", int64(len(blocks)), MinBlocks}
	}
	return ofOne(blocks).interval(o), nil
}

// shift is a Hodges-Lehmann estimate: the median of what all pairs of values
// give. Its terms are sorted once; a resample says how often it has each
// value, and the estimate is then a weighted median: no sorting, no copies.
type shift struct {
	terms []term
	first int // values of the first sample; those of a second one are numbered on
	all   int // values of all samples
}

type term struct {
	value float64
	i, j  int // the values that it is made from
}

// ofOne is the shift of one sample from 0: pairs with themselves included.
func ofOne(xs []float64) shift {
	xs = slices.Sorted(slices.Values(xs)) // so that the order has no influence on the resamples
	s := shift{first: len(xs), all: len(xs)}
	for i, x := range xs {
		for j := i; j < len(xs); j++ {
			s.terms = append(s.terms, term{(x + xs[j]) / 2, i, j})
		}
	}
	return s.sorted()
}

// ofTwo is the shift from the first sample to the second.
func ofTwo(base, other []float64) shift {
	base, other = slices.Sorted(slices.Values(base)), slices.Sorted(slices.Values(other))
	s := shift{first: len(base), all: len(base) + len(other)}
	for i, x := range base {
		for j, y := range other {
			s.terms = append(s.terms, term{y - x, i, len(base) + j})
		}
	}
	return s.sorted()
}

func (s shift) sorted() shift {
	slices.SortFunc(s.terms, func(a, b term) int { return cmp.Compare(a.value, b.value) })
	return s
}

// median of the terms of a sample that has value i times[i] times.
func (s shift) median(times []int) float64 {
	total := sum(times[:s.first])
	if s.all > s.first {
		total *= sum(times[s.first:])
	} else {
		total = total * (total + 1) / 2
	}
	seen, low, found := 0, 0.0, false
	for _, t := range s.terms {
		if t.i == t.j {
			seen += times[t.i] * (times[t.i] + 1) / 2
		} else {
			seen += times[t.i] * times[t.j]
		}
		if !found && seen >= (total+1)/2 {
			low, found = t.value, true
		}
		if seen >= total/2+1 {
			return (low + t.value) / 2
		}
	}
	return low
}

func sum(xs []int) int {
	total := 0
	for _, x := range xs {
		total += x
	}
	return total
}

func (s shift) interval(o Options) Interval {
	times := slices.Repeat([]int{1}, s.all)
	estimate := s.median(times)
	left := make([]float64, s.all) // the estimate without each value: the jackknife
	for i := range left {
		times[i] = 0
		left[i] = s.median(times)
		times[i] = 1
	}
	random, replicates := o.random(), make([]float64, o.Resamples)
	for r := range replicates {
		clear(times)
		draw(random, times[:s.first])
		draw(random, times[s.first:])
		replicates[r] = s.median(times)
	}
	n := s.first
	if second := s.all - s.first; second > 0 {
		n = min(n, second)
	}
	return bca(estimate, replicates, [][]float64{left[:s.first], left[s.first:]}, n, o.Level)
}

// draw counts a resample of as many values as times has, with replacement.
func draw(random *rand.Rand, times []int) {
	for range times {
		times[random.IntN(len(times))]++
	}
}
