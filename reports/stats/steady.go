package stats

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// MaxDrift is the share of the mean by which a steady series may change from
// its begin to its end.
const MaxDrift = 0.02

// minSteady is the fewest values that a slope is judged by, and minEffective the
// fewest that they may count as.
const minSteady, minEffective = 10, 5

// Steadiness is what Steady found.
type Steadiness struct {
	Steady          bool     // |Drift| < MaxDrift, and Slope's interval holds 0
	Drift           float64  // slope times number of values, as a share of the mean
	Slope           Interval // by least squares, unit of the values per interval
	Autocorrelation float64  // of the residuals, lag 1
}

// Steady tests whether values of intervals of equal length, in order, keep
// their level. The slope's interval (95 %, Student) counts n values with lag-1
// autocorrelation r of the residuals as n(1-r)/(1+r), for r > 0 (Santer and
// others 2000). It needs 10 values that count as 5: a series that wanders has no
// slope. A twentieth of the truly steady series is found
// unsteady, as the interval is one of 95 %.
func Steady(values []float64) (Steadiness, error) {
	if err := usable(values); err != nil {
		return Steadiness{}, err
	}
	n := float64(len(values))
	if n < minSteady {
		return Steadiness{}, &TooFewError{"steadiness", int64(n), minSteady}
	}
	mean := stat.Mean(values, nil)
	at := make([]float64, len(values))
	for i := range at {
		at[i] = float64(i)
	}
	base, slope := stat.LinearRegression(at, values, nil, false)
	drift := slope * n / mean
	if math.IsNaN(drift) || math.IsInf(drift, 0) {
		return Steadiness{}, errors.New("steadiness: values about 0 have no relative drift")
	}
	rest, squares := make([]float64, len(values)), 0.0
	for i, v := range values {
		rest[i] = v - base - slope*at[i]
		squares += rest[i] * rest[i]
	}
	r := lag1(rest)
	effective := n * (1 - max(r, 0)) / (1 + max(r, 0))
	if effective < minEffective {
		return Steadiness{}, &TooFewError{"steadiness (values follow their predecessors)", int64(effective), minEffective}
	}
	spread := math.Sqrt(squares / (effective - 2) / (n * (n*n - 1) / 12)) // Σ(i - mean of i)² is n(n²-1)/12
	half := spread * distuv.StudentsT{Sigma: 1, Nu: effective - 2}.Quantile(0.975)
	s := Steadiness{Drift: drift, Slope: Interval{slope, slope - half, slope + half, 0.95}, Autocorrelation: r}
	s.Steady = math.Abs(drift) < MaxDrift && s.Slope.Low <= 0 && s.Slope.High >= 0
	return s, nil
}

// lag1 is the autocorrelation of lag 1, from -1 to 1, of values in order; 0 when
// they are all equal:
//
//	r = Σ (x_i - m)(x_{i+1} - m) / Σ (x_i - m)²
func lag1(xs []float64) float64 {
	mean := stat.Mean(xs, nil)
	products, squares := 0.0, 0.0
	for i, x := range xs {
		squares += (x - mean) * (x - mean)
		if i > 0 {
			products += (x - mean) * (xs[i-1] - mean)
		}
	}
	if squares == 0 {
		return 0
	}
	return products / squares
}
