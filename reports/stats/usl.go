package stats

import (
	"fmt"
	"math"
)

const (
	minLoads = 6 // distinct N that a fit of 3 parameters is made from
	reach    = 2 // times the largest N measured, as far as a fit is told
)

// USL is a fit of the Universal Scalability Law (Gunther 1993, 2007):
//
//	X(N) = λN / (1 + σ(N-1) + κN(N-1))
//
// Intervals have Level 0 with fewer than 3 repeats at any N.
type USL struct {
	NoFit  string   // why there is none; the rest is then empty
	Lambda Interval // λ, throughput of one, in the unit of Load.Rates; above 0
	Sigma  Interval // σ, contention: the share that is serial, 0 or more
	Kappa  Interval // κ, coherency: the cost of each pair, 0 or more
	Misfit float64  // relative error at the worst N
	Peak   Interval // N of the highest throughput, √((1-σ)/κ); all of it within twice the largest N measured
	NoPeak string   // why Peak is not told

	most    float64 // largest N measured
	best    usl     // of all repeats
	fits    []usl   // of resamples
	degrees int     // of freedom: repeats beyond the first of each N
	level   float64 // of intervals
}

type usl struct{ lambda, sigma, kappa float64 }

func (u usl) at(n float64) float64 {
	return u.lambda * n / (1 + u.sigma*(n-1) + u.kappa*n*(n-1))
}

// peak is +Inf when throughput only ever rises.
func (u usl) peak() float64 {
	if u.sigma >= 1 {
		return 1
	}
	return max(1, math.Sqrt((1-u.sigma)/u.kappa))
}

// FitUSL fits the mean rates at each N by least squares of the relative errors
// of N/X, which is linear: N/X = 1/λ + σ/λ (N-1) + κ/λ N(N-1), with no
// coefficient below 0. Intervals are percentiles of a bootstrap over repeats,
// n-1 drawn of n (Rao and Wu 1988), as so few would look too sure otherwise.
// It wants 6 distinct N, 1 among them, and a fit within 30 % of each. The error
// is about options only.
func FitUSL(loads []Load, o Options) (USL, error) {
	o, err := o.filled()
	if err != nil {
		return USL{}, err
	}
	u := USL{level: o.Level}
	if u.NoFit = unfit(loads); u.NoFit != "" {
		return u, nil
	}
	best, worst, ok := fitUSL(loads, means(loads))
	if !ok || worst > maxMisfit {
		u.NoFit = fmt.Sprintf("no fit: the law misses a point by %.0f %%, more than %.0f %%", 100*worst, 100*maxMisfit)
		return u, nil
	}
	if repeats(loads) >= minRepeats {
		if u.fits = resampleUSL(loads, o); len(u.fits) < o.Resamples*19/20 {
			return USL{NoFit: "no fit: repeats differ too much for one"}, nil
		}
	}
	u.best, u.Misfit = best, worst
	for _, l := range loads {
		u.most = max(u.most, l.N)
		u.degrees += len(l.Rates) - 1
	}
	u.Lambda = u.interval(func(f usl) float64 { return f.lambda })
	u.Sigma = u.interval(func(f usl) float64 { return f.sigma })
	u.Kappa = u.interval(func(f usl) float64 { return f.kappa })
	u.findPeak()
	return u, nil
}

// unfit says why loads cannot be fitted, "" when they can.
func unfit(loads []Load) string {
	distinct := map[float64]bool{}
	for _, l := range loads {
		if err := l.check(); err != nil {
			return fmt.Sprintf("no fit: %v", err)
		}
		if distinct[l.N] {
			return fmt.Sprintf("no fit: N=%v is given twice", l.N)
		}
		distinct[l.N] = true
	}
	switch {
	case len(loads) < minLoads:
		return fmt.Sprintf("no fit: %d distinct N, needs %d", len(loads), minLoads)
	case !distinct[1]:
		return "no fit: needs N=1"
	}
	return ""
}

// fitUSL also returns the relative error at the worst point.
func fitUSL(loads []Load, rates []float64) (usl, float64, bool) {
	terms, y := make([][]float64, len(loads)), make([]float64, len(loads))
	for i, l := range loads {
		terms[i] = []float64{1, l.N - 1, l.N * (l.N - 1)}
		y[i] = l.N / rates[i]
	}
	f, ok := fitRelative(terms, y)
	if !ok || f.c[0] == 0 {
		return usl{}, 1, false
	}
	return usl{1 / f.c[0], f.c[1] / f.c[0], f.c[2] / f.c[0]}, f.worst, true
}

func (u *USL) interval(of func(usl) float64) Interval {
	return resampled(of(u.best), len(u.fits), u.degrees, u.level, func(k int) float64 { return of(u.fits[k]) })
}

func (u *USL) findPeak() {
	peak, limit := u.interval(usl.peak), reach*u.most
	switch {
	case peak.Level == 0:
		u.NoPeak = fmt.Sprintf("no peak: needs %d repeats at each N", minRepeats)
	case max(peak.Estimate, peak.High) > limit:
		u.NoPeak = fmt.Sprintf("no peak within %g, twice the largest N measured: it may be as low as %.3g, or not exist", limit, min(peak.Low, limit))
	default:
		u.Peak = peak
	}
}

// At is the law's throughput at n, with the interval of the law (not of a
// single measurement). It is an error where there is no fit, and outside 1 to
// twice the largest N measured.
func (u *USL) At(n float64) (Interval, error) {
	if u.best.lambda == 0 {
		return Interval{}, fmt.Errorf("throughput at %v: there is no fit", n)
	}
	if !(n >= 1 && n <= reach*u.most) {
		return Interval{}, fmt.Errorf("throughput at %v: the fit is told from 1 to %g, twice the largest N measured", n, reach*u.most)
	}
	return u.interval(func(f usl) float64 { return f.at(n) }), nil
}

func resampleUSL(loads []Load, o Options) []usl {
	var fits []usl
	random := o.random()
	for range o.Resamples {
		if f, _, ok := fitUSL(loads, drawMeans(random, loads)); ok {
			fits = append(fits, f)
		}
	}
	return fits
}
