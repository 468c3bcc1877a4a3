package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

// cisco are the rates at 1 to 32 in flight of Schwartz, Practical Scalability
// Analysis with the Universal Scalability Law (2015).
var cisco = []float64{955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24,
	10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39}

// TestFitUSLKnowsAPublishedFit: λ 995.6486, σ 0.02671591, κ 7.690945e-4, of
// absolute errors. Ours is of relative ones: it is nearer in these, and the two
// curves hardly differ.
func TestFitUSLKnowsAPublishedFit(t *testing.T) {
	var loads []stats.Load
	for i, x := range cisco {
		loads = append(loads, stats.Load{N: float64(i + 1), Rates: []float64{x}})
	}
	u, err := stats.FitUSL(loads, stats.Options{})
	require.NoError(t, err)
	require.Empty(t, u.NoFit)
	ours, published := 0.0, 0.0
	for i, x := range cisco {
		n := float64(i + 1)
		theirs := 995.6486 * n / (1 + 0.02671591*(n-1) + 7.690945e-4*n*(n-1))
		at, err := u.At(n)
		require.NoError(t, err)
		require.InEpsilon(t, theirs, at.Estimate, 0.04, "N=%v", n)
		ours += math.Pow(x/at.Estimate-1, 2)
		published += math.Pow(x/theirs-1, 2)
	}
	require.Less(t, ours, published)
	require.InEpsilon(t, 35, math.Sqrt((1-u.Sigma.Estimate)/u.Kappa.Estimate), 0.1)
	require.Less(t, u.Misfit, 0.06)
	require.Zero(t, u.Kappa.Level, "one repeat gives no interval")
	require.Equal(t, "no peak: needs 3 repeats at each N", u.NoPeak)
}

// scaling are loads that follow the law, with repeats and noise.
func scaling(seed uint64, sigma, kappa, noise float64, repeats int, ns ...float64) []stats.Load {
	r := seeded(seed)
	var loads []stats.Load
	for _, n := range ns {
		loads = append(loads, stats.Load{N: n, Rates: series(repeats, func(int) float64 {
			return 1000 * n / (1 + sigma*(n-1) + kappa*n*(n-1)) * math.Exp(noise*r.NormFloat64())
		})})
	}
	return loads
}

func TestFitUSLFindsWhatWasPut(t *testing.T) {
	for _, c := range []struct{ sigma, kappa float64 }{{0.05, 0.002}, {0, 0.01}, {0.2, 0}, {0, 0}, {1.2, 0.1}} {
		u, err := stats.FitUSL(scaling(1, c.sigma, c.kappa, 0, 3, 16, 1, 2, 4, 8, 32), stats.Options{Resamples: 100})
		require.NoError(t, err)
		require.Empty(t, u.NoFit)
		for _, p := range []struct {
			want float64
			got  stats.Interval
		}{{1000, u.Lambda}, {c.sigma, u.Sigma}, {c.kappa, u.Kappa}} {
			require.InDelta(t, p.want, p.got.Estimate, 1e-6*p.want+1e-9)
			require.InDelta(t, 0, p.got.High-p.got.Low, 1e-6*p.want+1e-9)
		}
		if c.kappa > 0 {
			require.InDelta(t, max(1, math.Sqrt(max(0, 1-c.sigma)/c.kappa)), u.Peak.Estimate, 1e-6)
			require.Empty(t, u.NoPeak)
		} else {
			require.Contains(t, u.NoPeak, "no peak within 64, twice the largest N measured")
		}
	}
}

// TestUSLIntervalsHoldTheTruth, from 5 repeats with noise of 3 %.
func TestUSLIntervalsHoldTheTruth(t *testing.T) {
	sigma, peak, at, told := 0, 0, 0, 0
	for seed := range uint64(200) {
		u, err := stats.FitUSL(scaling(seed, 0.05, 0.003, 0.03, 5, 1, 2, 4, 8, 16, 24), stats.Options{Resamples: 200}) // of 10,000: for speed
		require.NoError(t, err)
		require.Empty(t, u.NoFit)
		if u.Sigma.Low <= 0.05 && 0.05 <= u.Sigma.High {
			sigma++
		}
		if u.NoPeak == "" {
			told++
			if n := math.Sqrt(0.95 / 0.003); u.Peak.Low <= n && n <= u.Peak.High {
				peak++
			}
		}
		x, err := u.At(16)
		require.NoError(t, err)
		if truth := 16000 / (1 + 0.05*15 + 0.003*16*15); x.Low <= truth && truth <= x.High {
			at++
		}
	}
	require.Greater(t, told, 190)
	for _, held := range []int{sigma, peak * 200 / told, at} {
		require.InDelta(t, 190, held, 14)
	}
}

func TestFitUSLRefuses(t *testing.T) {
	good := scaling(1, 0.05, 0.002, 0, 3, 1, 2, 4, 8, 16, 32)
	with := func(i int, l stats.Load) []stats.Load {
		loads := append([]stats.Load(nil), good...)
		loads[i] = l
		return loads
	}
	for want, loads := range map[string][]stats.Load{
		"no fit: 0 distinct N, needs 6":                               nil,
		"no fit: 5 distinct N, needs 6":                               good[:5],
		"no fit: needs N=1":                                           with(0, stats.Load{N: 3, Rates: []float64{1}}),
		"no fit: N=1 is given twice":                                  with(1, good[0]),
		"no fit: load of N=0.5: want 1 to 1e9":                        with(1, stats.Load{N: 0.5, Rates: []float64{1}}),
		"no fit: no rates at N=2":                                     with(1, stats.Load{N: 2}),
		"no fit: rates at N=2: value 1 is 0: want a number above 0":   with(1, stats.Load{N: 2, Rates: []float64{0}}),
		"no fit: the law misses a point by 51 %, more than 30 %":      with(2, stats.Load{N: 4, Rates: []float64{10000, 10000, 10000}}),
		"no fit: rates at N=2: value 1 is NaN: want a number above 0": with(1, stats.Load{N: 2, Rates: []float64{math.NaN()}}),
	} {
		u, err := stats.FitUSL(loads, stats.Options{Resamples: 100})
		require.NoError(t, err)
		require.Equal(t, want, u.NoFit)
		_, err = u.At(1)
		require.EqualError(t, err, "throughput at 1: there is no fit")
	}
	_, err := stats.FitUSL(good, stats.Options{Level: 2})
	require.Error(t, err)
	u, err := stats.FitUSL(good, stats.Options{Resamples: 100})
	require.NoError(t, err)
	_, err = u.At(64)
	require.NoError(t, err)
	for _, n := range []float64{64.1, 0.9, math.NaN()} {
		_, err = u.At(n)
		require.ErrorContains(t, err, "the fit is told from 1 to 64, twice the largest N measured")
	}
}

func TestEfficiency(t *testing.T) {
	loads := []stats.Load{{N: 4, Rates: []float64{300, 320, 340}}, {N: 1, Rates: []float64{95, 100, 105}}, {N: 2, Rates: []float64{200, 200, 200}}}
	e, err := stats.Efficiency(loads, stats.Options{})
	require.NoError(t, err)
	require.InDelta(t, 0.8, e[0].Estimate, 1e-12)
	require.True(t, e[0].Low < 0.8 && e[0].Low > 0.7 && e[0].High > 0.8 && e[0].High < 0.9, "%v", e[0])
	require.Equal(t, stats.Interval{Estimate: 1, Low: 1, High: 1, Level: 0.95}, e[1])
	require.InDelta(t, 1, e[2].Estimate, 1e-12)

	loads[0].Rates = loads[0].Rates[:2]
	e, err = stats.Efficiency(loads, stats.Options{})
	require.NoError(t, err)
	require.Zero(t, e[2].Level, "2 repeats somewhere give no intervals")
	for want, loads := range map[string][]stats.Load{
		"efficiency: needs N=1":                                          loads[:1],
		"efficiency: no rates at N=1":                                    {{N: 1}},
		"efficiency: load of N=-1: want 1 to 1e9":                        {{N: -1, Rates: []float64{1}}},
		"efficiency: rates at N=1: value 1 is -3: want a number above 0": {{N: 1, Rates: []float64{-3}}},
	} {
		_, err = stats.Efficiency(loads, stats.Options{})
		require.EqualError(t, err, want)
	}
}
