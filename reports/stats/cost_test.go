package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

var sizes = []float64{1.0 / 256, 1.0 / 16, 1, 16, 64} // 4 KiB to 64 MiB

// costs of a request in each block follow a line, with noise.
func costs(seed uint64, fixed, perMiB, noise float64, blocks int) []stats.SizeClass {
	r := seeded(seed)
	var classes []stats.SizeClass
	for _, mib := range sizes {
		classes = append(classes, stats.SizeClass{MiB: mib, Costs: series(blocks, func(int) float64 {
			return (fixed + perMiB*mib) * math.Exp(noise*r.NormFloat64())
		})})
	}
	return classes
}

// weighted is the line of least squares with weights w, by its textbook formulas.
func weighted(x, y, w []float64) (fixed, perX float64) {
	sum, mx, my, sxx, sxy := 0.0, 0.0, 0.0, 0.0, 0.0
	for i := range x {
		sum += w[i]
		mx += w[i] * x[i]
		my += w[i] * y[i]
	}
	mx, my = mx/sum, my/sum
	for i := range x {
		sxx += w[i] * (x[i] - mx) * (x[i] - mx)
		sxy += w[i] * (x[i] - mx) * (y[i] - my)
	}
	return my - sxy/sxx*mx, sxy / sxx
}

func TestFitLineIsWeightedLeastSquares(t *testing.T) {
	for seed := range uint64(50) {
		classes := costs(seed, 2, 5, 0.05, 1)
		var y, w []float64
		for _, c := range classes {
			y, w = append(y, c.Costs[0]), append(w, 1/(c.Costs[0]*c.Costs[0]))
		}
		fixed, perMiB := weighted(sizes, y, w)
		l, err := stats.FitLine(classes, stats.Options{})
		require.NoError(t, err)
		require.Empty(t, l.NoFit)
		require.InEpsilon(t, fixed, l.Fixed.Estimate, 1e-9)
		require.InEpsilon(t, perMiB, l.PerMiB.Estimate, 1e-9)
		require.Zero(t, l.Fixed.Level, "one block gives no interval")
		require.InEpsilon(t, fixed+10*perMiB, l.At(10), 1e-9)
	}
}

func TestFitLineIntervalsHoldTheTruth(t *testing.T) {
	fixed, perMiB := 0, 0
	for seed := range uint64(200) {
		l, err := stats.FitLine(costs(seed, 2, 5, 0.05, 12), stats.Options{Resamples: 200}) // of 10,000: for speed
		require.NoError(t, err)
		if l.Fixed.Low <= 2 && 2 <= l.Fixed.High {
			fixed++
		}
		if l.PerMiB.Low <= 5 && 5 <= l.PerMiB.High {
			perMiB++
		}
	}
	require.InDelta(t, 188, fixed, 12)
	require.InDelta(t, 188, perMiB, 12)
}

func TestFitLineIsNeverBelowZero(t *testing.T) {
	l, err := stats.FitLine([]stats.SizeClass{{MiB: 1, Costs: []float64{1}}, {MiB: 2, Costs: []float64{2.2}}, {MiB: 4, Costs: []float64{4.5}}}, stats.Options{})
	require.NoError(t, err)
	require.Zero(t, l.Fixed.Estimate)
	l, err = stats.FitLine([]stats.SizeClass{{MiB: 1, Costs: []float64{3}}, {MiB: 2, Costs: []float64{3}}, {MiB: 4, Costs: []float64{2.9}}}, stats.Options{})
	require.NoError(t, err)
	require.Zero(t, l.PerMiB.Estimate)
}

func TestFitLineRefuses(t *testing.T) {
	good := costs(1, 2, 5, 0, 6)
	for want, classes := range map[string][]stats.SizeClass{
		"no fit: 0 sizes, needs 3":                                    nil,
		"no fit: 2 sizes, needs 3":                                    good[:2],
		"no fit: size 1 MiB: want each once, from 0 to 1e9":           {good[2], good[2]},
		"no fit: size -1 MiB: want each once, from 0 to 1e9":          {{MiB: -1, Costs: []float64{1}}},
		"no fit: 1 blocks of 2 MiB, and 6 of 1 MiB":                   {good[2], {MiB: 2, Costs: []float64{1}}},
		"no fit: 0 blocks of 2 MiB, and 0 of 2 MiB":                   {{MiB: 2}},
		"no fit: costs of 2 MiB: value 1 is 0: want a number above 0": {{MiB: 2, Costs: []float64{0}}},
		"no fit: a line misses a size by 88 %, more than 30 %":        {{MiB: 1, Costs: []float64{1}}, {MiB: 2, Costs: []float64{9}}, {MiB: 3, Costs: []float64{1}}},
	} {
		l, err := stats.FitLine(classes, stats.Options{})
		require.NoError(t, err)
		require.Equal(t, want, l.NoFit)
	}
	_, err := stats.FitLine(good, stats.Options{Resamples: -1})
	require.Error(t, err)
}

func TestCross(t *testing.T) {
	o := stats.Options{Resamples: 300} // of 10,000: for speed
	for name, c := range map[string]struct {
		first, second []stats.SizeClass
		none          string
		mib           float64
		firstBelow    bool
	}{
		"2 + 5 s and 10 + 3 s cross at 4": {costs(1, 2, 5, 0.02, 10), costs(2, 10, 3, 0.02, 10), "", 4, true},
		"and the other way round":         {costs(1, 10, 3, 0.02, 10), costs(2, 2, 5, 0.02, 10), "", 4, false},
		"without noise":                   {costs(1, 2, 5, 0, 10), costs(2, 10, 3, 0, 10), "", 4, true},
		"the first throughout":            {costs(1, 2, 3, 0.02, 10), costs(2, 10, 5, 0.02, 10), "none from 0.003906 to 64 MiB: the first costs less, or the same, throughout", 0, false},
		"the second throughout":           {costs(1, 10, 5, 0.02, 10), costs(2, 2, 3, 0.02, 10), "none from 0.003906 to 64 MiB: the second costs less, or the same, throughout", 0, false},
		"beyond the sizes, at 800":        {costs(1, 2, 5, 0, 10), costs(2, 10, 4.99, 0, 10), "none from 0.003906 to 64 MiB: the first costs less, or the same, throughout", 0, false},
		"the same, in noise":              {costs(1, 2, 5, 0.05, 10), costs(4, 2, 5, 0.05, 10), "none from 0.003906 to 64 MiB that can be told: resampled blocks cross beyond", 0, false},
		"the very same":                   {costs(1, 2, 5, 0.1, 10), costs(1, 2, 5, 0.1, 10), "none from 0.003906 to 64 MiB: the first costs less, or the same, throughout", 0, false},
		"5 blocks":                        {costs(1, 2, 5, 0.02, 5), costs(2, 10, 3, 0.02, 5), "no crossover: needs 6 blocks", 0, false},
		"other blocks":                    {costs(1, 2, 5, 0.02, 6), costs(2, 10, 3, 0.02, 7), "no crossover: 6 blocks of the first, and 7 of the second", 0, false},
		"no line":                         {costs(1, 2, 5, 0.02, 6)[:2], costs(2, 10, 3, 0.02, 6), "no crossover: the first has no fit: 2 sizes, needs 3", 0, false},
		"nothing in common":               {costs(1, 2, 5, 0.02, 6)[:3], shifted(costs(2, 10, 3, 0.02, 6), 100), "no crossover: the two have no range of sizes in common", 0, false},
	} {
		x, err := stats.Cross(c.first, c.second, o)
		require.NoError(t, err, name)
		require.Equal(t, c.none, x.None, name)
		require.Equal(t, c.firstBelow, x.FirstBelow, name)
		require.InDelta(t, c.mib, x.MiB.Estimate, 0.5, name)
		require.True(t, x.MiB.Low <= x.MiB.Estimate && x.MiB.Estimate <= x.MiB.High && x.MiB.High-x.MiB.Low < 2, "%s: %v", name, x)
	}
}

// shifted are the classes with larger sizes, of the same costs.
func shifted(classes []stats.SizeClass, mib float64) []stats.SizeClass {
	for i := range classes {
		classes[i].MiB += mib
		for k := range classes[i].Costs {
			classes[i].Costs[k] = 5
		}
	}
	return classes
}

// TestCrossSharesBlocks: drift that moves whole blocks moves no crossover.
func TestCrossSharesBlocks(t *testing.T) {
	r := seeded(1)
	drift := series(12, func(int) float64 { return math.Exp(r.NormFloat64()) })
	first, second := costs(1, 2, 5, 0, 12), costs(2, 10, 3, 0, 12)
	for _, classes := range [][]stats.SizeClass{first, second} {
		for _, c := range classes {
			for b := range c.Costs {
				c.Costs[b] *= drift[b]
			}
		}
	}
	x, err := stats.Cross(first, second, stats.Options{Resamples: 300})
	require.NoError(t, err)
	require.Empty(t, x.None)
	require.InDelta(t, 4, x.MiB.Low, 1e-6)
	require.InDelta(t, 4, x.MiB.High, 1e-6)
}

// TestNothingFixed: what costs nothing per request is told to cost 0, not what
// rounding makes of it.
func TestNothingFixed(t *testing.T) {
	for _, per := range []float64{8, 0.3, 1.0 / 3, 17.7} {
		var classes []stats.SizeClass
		for _, mib := range []float64{0.1, 0.3, 1.1, 7} {
			classes = append(classes, stats.SizeClass{MiB: mib, Costs: []float64{per * mib, per * mib}})
		}
		l, err := stats.FitLine(classes, stats.Options{})
		require.NoError(t, err)
		require.Empty(t, l.NoFit)
		require.Zero(t, l.Fixed.Estimate)
		require.InEpsilon(t, per, l.PerMiB.Estimate, 1e-9)
	}
}
