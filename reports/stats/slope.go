package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	slopeBatches = 20 // means that a line is put through
	slopeLeast   = 40 // values: two a batch
)

// Slope is by how much y grows for each unit of x, over values in the order of
// rising x: least squares through the means of 20 runs of values that follow
// each other, with Student's interval for 18 degrees of freedom. Neighbouring
// values of a series that is sampled in time depend on each other; means of
// long runs hardly do (batch means, Law and Kelton 2000, section 9.5.3). It
// needs 40 values, at x that are not all the same.
func Slope(x, y []float64, o Options) (Interval, error) {
	o, err := o.filled()
	if err != nil {
		return Interval{}, err
	}
	if err := usable(append(append([]float64{}, x...), y...)); err != nil {
		return Interval{}, err
	}
	if len(x) < slopeLeast || x[0] == x[len(x)-1] {
		return Interval{}, &TooFewError{"slope", int64(len(x)), slopeLeast}
	}
	bx, by := batches(x), batches(y)
	a, b := stat.LinearRegression(bx, by, nil, false)
	mean := stat.Mean(bx, nil)
	var rest, spread float64
	for i := range bx {
		rest += square(by[i] - a - b*bx[i])
		spread += square(bx[i] - mean)
	}
	const free = slopeBatches - 2
	half := distuv.StudentsT{Sigma: 1, Nu: free}.Quantile(0.5+o.Level/2) * math.Sqrt(rest/free/spread)
	return Interval{Estimate: b, Low: b - half, High: b + half, Level: o.Level}, nil
}

func square(x float64) float64 { return x * x }

// batches are the means of slopeBatches runs of values, as even as can be.
func batches(xs []float64) []float64 {
	means := make([]float64, slopeBatches)
	for i := range means {
		means[i] = stat.Mean(xs[i*len(xs)/slopeBatches:(i+1)*len(xs)/slopeBatches], nil)
	}
	return means
}
