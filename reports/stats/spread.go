package stats

import (
	"errors"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Spread is how evenly targets share something, such as bandwidth.
type Spread struct {
	Mean, Min, Max float64
	CV             float64 // coefficient of variation: standard deviation (n-1) over mean; 0 is even
}

// MaxToMin is Max/Min, 1 when even; false when a target had nothing.
func (s Spread) MaxToMin() (float64, bool) {
	if s.Min < smallest {
		return 0, false
	}
	return s.Max / s.Min, true
}

// SpreadOf is the spread of one value for each target, 0 or more, of at least 2
// targets that had anything.
func SpreadOf(values []float64) (Spread, error) {
	if len(values) < 2 {
		return Spread{}, &TooFewError{"spread", int64(len(values)), 2}
	}
	if err := usable(values); err != nil {
		return Spread{}, err
	}
	mean, deviation := stat.MeanStdDev(values, nil)
	s := Spread{Mean: mean, Min: slices.Min(values), Max: slices.Max(values), CV: deviation / mean}
	if s.Min < 0 || mean < smallest {
		return Spread{}, errors.New("spread: want values of 0 or more, not all 0")
	}
	return s, nil
}
