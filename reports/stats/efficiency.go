package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
)

// minRepeats is the fewest repeats at each N that intervals are made from.
const minRepeats = 3

// Load is what was measured with N workers, targets or requests in flight.
type Load struct {
	N     float64   // 1 to 1e9
	Rates []float64 // throughput above 0, of each repeat; repeats of different N are not paired
}

// Efficiency is X(N)/(N X(1)) of the mean rates X at each of the loads, in
// their order: 1 when throughput grows in proportion to N. N=1 has to be among
// them. Intervals are made as those of FitUSL.
func Efficiency(loads []Load, o Options) ([]Interval, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	one := -1
	for i, l := range loads {
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("efficiency: %w", err)
		}
		if l.N == 1 {
			one = i
		}
	}
	if one < 0 {
		return nil, errors.New("efficiency: needs N=1")
	}
	measured := means(loads)
	var resamples [][]float64
	if repeats(loads) >= minRepeats {
		random := o.random()
		for range o.Resamples {
			resamples = append(resamples, drawMeans(random, loads))
		}
	}
	out := make([]Interval, len(loads))
	for i, l := range loads {
		efficiency := func(rates []float64) float64 { return rates[i] / rates[one] / l.N }
		degrees := len(l.Rates) + len(loads[one].Rates) - 2
		out[i] = resampled(efficiency(measured), len(resamples), degrees, o.Level, func(k int) float64 { return efficiency(resamples[k]) })
	}
	return out, nil
}

// Mean is the mean of values of repeats, with Student's interval from 3 of them
// on. No values, and those that are not numbers, are an error.
func Mean(values []float64, o Options) (Interval, error) {
	o, err := o.filled()
	if err != nil {
		return Interval{}, err
	}
	if err := usable(values); err != nil {
		return Interval{}, err
	}
	n := len(values)
	if n == 0 {
		return Interval{}, &TooFewError{"mean", 0, 1}
	}
	mean := stat.Mean(values, nil)
	if n < minRepeats {
		return Interval{Estimate: mean, Low: mean, High: mean}, nil
	}
	half := student(o.Level, n-1) * stat.StdDev(values, nil) / math.Sqrt(float64(n))
	return Interval{Estimate: mean, Low: mean - half, High: mean + half, Level: o.Level}, nil
}

func (l Load) check() error {
	if !(l.N >= 1 && l.N <= 1e9) {
		return fmt.Errorf("load of N=%v: want 1 to 1e9", l.N)
	}
	if len(l.Rates) == 0 {
		return fmt.Errorf("no rates at N=%v", l.N)
	}
	if err := positive(l.Rates); err != nil {
		return fmt.Errorf("rates at N=%v: %w", l.N, err)
	}
	return nil
}

// repeats is the fewest at any load.
func repeats(loads []Load) int {
	n := math.MaxInt
	for _, l := range loads {
		n = min(n, len(l.Rates))
	}
	return n
}

func means(loads []Load) []float64 {
	out := make([]float64, len(loads))
	for i, l := range loads {
		out[i] = stat.Mean(l.Rates, nil)
	}
	return out
}

// drawMeans are means of n-1 of the n repeats at each load, drawn with
// replacement: the mean of n would vary too little (Rao and Wu 1988).
func drawMeans(random *rand.Rand, loads []Load) []float64 {
	out := make([]float64, len(loads))
	for i, l := range loads {
		n := len(l.Rates)
		for range n - 1 {
			out[i] += l.Rates[random.IntN(n)] / float64(n-1)
		}
	}
	return out
}
