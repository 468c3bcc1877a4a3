package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

func TestHolm(t *testing.T) {
	for _, c := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}}, // worked by hand
		{[]float64{0.5, 0.9}, []float64{1, 1}},
		{[]float64{0.02, 0.02}, []float64{0.04, 0.04}},
		{[]float64{0.3}, []float64{0.3}},
		{[]float64{}, []float64{}},
	} {
		require.InDeltaSlice(t, c.want, stats.Holm(c.p), 1e-12)
	}
	r := seeded(7)
	for range 200 { // monotone, no smaller than p nor larger than Bonferroni's, and blind to the order
		p := series(1+r.IntN(10), func(int) float64 { return r.Float64() * r.Float64() })
		order := r.Perm(len(p))
		shuffled := series(len(p), func(i int) float64 { return p[order[i]] })
		adjusted, again := stats.Holm(p), stats.Holm(shuffled)
		for i := range p {
			require.True(t, adjusted[i] >= p[i] && adjusted[i] <= min(1, float64(len(p))*p[i])+1e-15)
			require.Equal(t, adjusted[order[i]], again[i])
			for j := range p {
				require.True(t, p[i] > p[j] || adjusted[i] <= adjusted[j])
			}
		}
	}
}

func TestCenter(t *testing.T) {
	// By hand: of 1, 2, 4, 8, 16, 1000, the 21 means of pairs have 9 in the middle
	// between 8.5 and 10: 1 1.5 2 2.5 3 4 4.5 5 6 8 | 8.5 | 9 10 12 16 500.5 …
	c, err := stats.Center([]float64{1000, 1, 4, 16, 2, 8}, stats.Options{})
	require.NoError(t, err)
	require.Equal(t, 8.5, c.Estimate)
	require.True(t, c.Low < 8.5 && c.High > 8.5 && c.Level == 0.95)

	_, err = stats.Center([]float64{1, 2, 3, 4, 5}, stats.Options{})
	require.EqualError(t, err, "interval over blocks: n/a (n=5, needs 6)")
	_, err = stats.Center([]float64{1, 2, 3, 4, 5, math.Inf(1)}, stats.Options{})
	require.EqualError(t, err, "value 6 is +Inf: want a number within ±1e+100")
	_, err = stats.Center([]float64{1, 2, 3, 4, 5, 6}, stats.Options{Level: 1})
	require.EqualError(t, err, "10000 resamples at level 1: want at least 100, and a level between 0 and 1")
}

func TestCenterMovesWithTheValues(t *testing.T) {
	r := seeded(8)
	o := stats.Options{Resamples: 500}
	for range 50 {
		xs := series(6+r.IntN(20), func(int) float64 { return math.Round(1000 * r.NormFloat64()) })
		c, err := stats.Center(xs, o)
		require.NoError(t, err)
		require.True(t, c.Low <= c.Estimate && c.Estimate <= c.High)
		moved, err := stats.Center(series(len(xs), func(i int) float64 { return 4*xs[i] + 8192 }), o)
		require.NoError(t, err)
		require.Equal(t, stats.Interval{Estimate: 4*c.Estimate + 8192, Low: 4*c.Low + 8192, High: 4*c.High + 8192, Level: 0.95}, moved)
		r.Shuffle(len(xs), func(i, j int) { xs[i], xs[j] = xs[j], xs[i] })
		shuffled, err := stats.Center(xs, o)
		require.NoError(t, err)
		require.Equal(t, c, shuffled)
	}
}

// TestIntervalsHoldTheTruth: about as often as their level says, also with few
// blocks, and with wild ones.
func TestIntervalsHoldTheTruth(t *testing.T) {
	for _, n := range []int{6, 10, 30} {
		r, held := seeded(9), 0
		for range 500 {
			c, err := stats.Center(series(n, func(int) float64 { return r.NormFloat64() / max(0.1, r.Float64()) }), stats.Options{Resamples: 500}) // of 10,000: for speed
			require.NoError(t, err)
			if c.Low <= 0 && 0 <= c.High {
				held++
			}
		}
		require.InDelta(t, 475, held, 20, "%d blocks", n)
	}
}

// around are 20 blocks of a value, with a noise of 1 %.
func around(value float64, seed uint64) []float64 {
	r := seeded(seed)
	return series(20, func(int) float64 { return value * math.Exp(0.01*r.NormFloat64()) })
}

func TestCompare(t *testing.T) {
	wild := func(seed uint64) []float64 {
		r := seeded(seed)
		return series(20, func(int) float64 { return math.Exp(r.NormFloat64()) })
	}
	for name, c := range map[string]struct {
		stats.Contrast
		want   stats.Verdict
		reason string
	}{
		"10 % more latency":               {stats.Contrast{Base: around(100, 1), Other: around(110, 2)}, stats.Slower, ""},
		"10 % less latency":               {stats.Contrast{Base: around(100, 1), Other: around(90, 2)}, stats.Faster, ""},
		"10 % more throughput":            {stats.Contrast{Base: around(100, 1), Other: around(110, 2), HigherIsBetter: true}, stats.Faster, ""},
		"10 % less throughput":            {stats.Contrast{Base: around(100, 1), Other: around(90, 2), HigherIsBetter: true}, stats.Slower, ""},
		"10 % more latency, unpaired":     {stats.Contrast{Base: around(100, 1), Other: around(110, 2)[:12], Unpaired: true}, stats.Slower, ""},
		"the same":                        {stats.Contrast{Base: around(100, 1), Other: around(100, 2)}, stats.Same, ""},
		"the same, unpaired":              {stats.Contrast{Base: around(100, 1), Other: around(100, 2), Unpaired: true}, stats.Same, ""},
		"2 % more: there, but too little": {stats.Contrast{Base: around(100, 1), Other: around(102, 2)}, stats.Same, ""},
		"all equal":                       {stats.Contrast{Base: series(6, func(int) float64 { return 5 }), Other: series(6, func(int) float64 { return 5 })}, stats.Same, ""},
		"noise":                           {stats.Contrast{Base: wild(1), Other: wild(2)}, stats.Unsure, "adjusted p is 0.93, and the interval reaches beyond ±5 %"},
		"5 blocks":                        {stats.Contrast{Base: around(100, 1)[:5], Other: around(200, 2)[:5]}, stats.Unsure, "5 blocks, a verdict needs 6"},
		"no blocks":                       {stats.Contrast{}, stats.Unsure, "0 blocks, a verdict needs 6"},
		"no pairs":                        {stats.Contrast{Base: around(1, 1), Other: around(1, 2)[:7]}, stats.Unsure, "20 blocks of the base and 7 of the other are no pairs"},
		"a zero":                          {stats.Contrast{Base: around(1, 1)[:6], Other: []float64{1, 2, 0, 1, 1, 1}}, stats.Unsure, "no ratio: other, value 3 is 0: want a number above 0"},
		"not a number":                    {stats.Contrast{Base: []float64{1, 2, 1, 1, 1, math.NaN()}, Other: around(1, 1)[:6]}, stats.Unsure, "no ratio: base, value 6 is NaN: want a number above 0"},
	} {
		got, err := stats.Compare([]stats.Contrast{c.Contrast}, stats.CompareOptions{})
		require.NoError(t, err, name)
		require.Equal(t, c.want, got[0].Verdict, "%s: %+v", name, got[0])
		require.Equal(t, c.reason, got[0].Reason, name)
		require.Equal(t, c.want == stats.Unsure, c.reason != "", name)
	}
	_, err := stats.Compare(nil, stats.CompareOptions{Threshold: 1})
	require.EqualError(t, err, "threshold 1: want a share between 0 and 1")
	_, err = stats.Compare(nil, stats.CompareOptions{Options: stats.Options{Resamples: 10}})
	require.ErrorContains(t, err, "10 resamples")
}

func TestCompareTellsTheChange(t *testing.T) {
	for _, unpaired := range []bool{false, true} {
		got, err := stats.Compare([]stats.Contrast{{Base: around(100, 1), Other: around(125, 2), Unpaired: unpaired}}, stats.CompareOptions{})
		require.NoError(t, err)
		c := got[0]
		require.InDelta(t, 0.25, c.Change.Estimate, 0.015)
		require.True(t, c.Change.Low < c.Change.Estimate && c.Change.Estimate < c.Change.High && c.Change.High-c.Change.Low < 0.03, "%+v", c)
		require.Equal(t, 20, c.Blocks)
		require.Less(t, c.P, 1e-5)
		require.Equal(t, c.P, c.Adjusted)
	}
}

// TestCompareLooksAtPairsOnly: what moves whole blocks, by however much, and the
// order of blocks and of comparisons, change nothing.
func TestCompareLooksAtPairsOnly(t *testing.T) {
	a, b, c := around(100, 1), around(103, 2), around(99, 3)
	o := stats.CompareOptions{Options: stats.Options{Resamples: 500}}
	want, err := stats.Compare([]stats.Contrast{{Base: a, Other: b}, {Base: a, Other: c}}, o)
	require.NoError(t, err)
	order, r := seeded(1).Perm(20), seeded(2)
	drift := series(20, func(int) float64 { return math.Pow(2, float64(r.IntN(10))) }) // powers of 2 are exact
	mixed := func(xs []float64) []float64 {
		return series(20, func(i int) float64 { return xs[order[i]] * drift[i] })
	}
	got, err := stats.Compare([]stats.Contrast{{Base: mixed(a), Other: mixed(c)}, {Base: mixed(a), Other: mixed(b)}}, o)
	require.NoError(t, err)
	slices.Reverse(got)
	for i := range want {
		require.InDelta(t, want[i].Change.Estimate, got[i].Change.Estimate, 1e-12)
		require.InDelta(t, want[i].Change.Low, got[i].Change.Low, 1e-12)
		require.InDelta(t, want[i].Change.High, got[i].Change.High, 1e-12)
		require.Equal(t, want[i].Adjusted, got[i].Adjusted)
		require.Equal(t, want[i].Verdict, got[i].Verdict)
	}
}

func TestAFamilyNeedsMoreBlocksThanAPair(t *testing.T) {
	base, worse := around(100, 1)[:6], around(150, 2)[:6]
	alone, err := stats.Compare([]stats.Contrast{{Base: base, Other: worse}}, stats.CompareOptions{})
	require.NoError(t, err)
	require.Equal(t, stats.Slower, alone[0].Verdict)
	broken := stats.Contrast{Base: base[:2], Other: base[:2]} // it is no test, and costs the others nothing
	family, err := stats.Compare([]stats.Contrast{{Base: base, Other: worse}, {Base: base, Other: worse}, broken, {Base: base, Other: base}}, stats.CompareOptions{})
	require.NoError(t, err)
	require.Equal(t, stats.Unsure, family[0].Verdict, "the smallest p of 6 pairs is 0.031, times 3")
	require.Equal(t, 1, family[0].MoreBlocks, "the smallest p of 7 pairs is 0.016")
	require.InDelta(t, 3*0.03125, family[0].Adjusted, 1e-12)
	require.Equal(t, stats.Same, family[3].Verdict)
	require.Equal(t, 6, family[2].MoreBlocks, "with it they are 4: 8 pairs")
}

// TestMoreBlocksAreEnough: with as many more blocks as UNSURE asks for, most
// comparisons get a verdict, about as many as the power says.
func TestMoreBlocksAreEnough(t *testing.T) {
	o := stats.CompareOptions{Options: stats.Options{Resamples: 300}} // of 10,000: for speed
	for _, change := range []float64{1, 1.03, 1.08} {
		r, unsure, decided := seeded(10), 0, 0
		arm := func(n int, f float64) []float64 {
			return series(n, func(int) float64 { return f * math.Exp(0.06*r.NormFloat64()) })
		}
		for range 100 {
			base, other := arm(10, 1), arm(10, change)
			first, err := stats.Compare([]stats.Contrast{{Base: base, Other: other}}, o)
			require.NoError(t, err)
			if first[0].Verdict != stats.Unsure || first[0].MoreBlocks > 80 {
				continue
			}
			unsure++
			n := first[0].MoreBlocks
			second, err := stats.Compare([]stats.Contrast{{Base: append(base, arm(n, 1)...), Other: append(other, arm(n, change)...)}}, o)
			require.NoError(t, err)
			if second[0].Verdict != stats.Unsure {
				decided++
			}
		}
		require.Greater(t, unsure, 20)
		require.Greater(t, float64(decided)/float64(unsure), 0.75, "a change of %v: %d of %d", change, decided, unsure)
	}
}

// noises are how blocks differ, as factors near 1 from time 0 to 1 of a run,
// by a size.
var noises = map[string]func(r *rand.Rand, size float64) func(time float64) float64{
	"normal": func(r *rand.Rand, size float64) func(float64) float64 {
		return func(float64) float64 { return math.Exp(size * r.NormFloat64()) }
	},
	"heavy-tailed": func(r *rand.Rand, size float64) func(float64) float64 { // one block in ten suffers, up to far more
		return func(float64) float64 {
			x := size * r.NormFloat64()
			if r.Float64() < 0.1 {
				x += 5 * size * r.ExpFloat64()
			}
			return math.Exp(x)
		}
	},
	"drifting": func(r *rand.Rand, size float64) func(float64) float64 { // the machine slows down by 30 %, and wanders
		walk := 0.0
		return func(time float64) float64 {
			walk += size / 3 * r.NormFloat64()
			return math.Exp(0.3*time + walk + size*r.NormFloat64())
		}
	},
}

// simulate makes a run of 20 blocks of 5 arms, in an order drawn for each
// block, whose values are 100, times factor in arm 1, and compares arms 1 to 4
// with arm 0.
func simulate(t *testing.T, r *rand.Rand, noise func(float64) float64, factor float64, higher bool) []stats.Comparison {
	const blocks, arms = 20, 5
	run := make([][]float64, arms)
	for b := range blocks {
		for slot, a := range r.Perm(arms) {
			x := 100 * noise(float64(b*arms+slot)/(blocks*arms))
			if a == 1 {
				x *= factor
			}
			run[a] = append(run[a], x)
		}
	}
	var family []stats.Contrast
	for _, other := range run[1:] {
		family = append(family, stats.Contrast{Base: run[0], Other: other, HigherIsBetter: higher})
	}
	got, err := stats.Compare(family, stats.CompareOptions{Options: stats.Options{Resamples: 400}})
	require.NoError(t, err)
	return got
}

// TestAAFamilies: where arms do not differ, at most 5 % of 200 families have any
// false positive. (With noise so large that no interval is inside the threshold,
// the test alone keeps the rate: TestFamilyWiseErrorRate.) Resamples are fewer
// than the 10,000 of a report, for speed.
func TestAAFamilies(t *testing.T) {
	for name, noise := range noises {
		t.Run(name, func(t *testing.T) {
			r, wrong := seeded(1), 0
			for range 200 {
				got := simulate(t, r, noise(r, 0.03), 1, false)
				if slices.ContainsFunc(got, func(c stats.Comparison) bool { return c.Verdict == stats.Faster || c.Verdict == stats.Slower }) {
					wrong++
				}
			}
			t.Logf("%d of 200 families", wrong)
			require.LessOrEqual(t, wrong, 10)
		})
	}
}

// TestPlantedSlowdown: an arm that is 5 % slower, as much as the threshold, is
// found in at least 90 % of 200 families, with noise of 3 % and drift (and fewer
// resamples than the 10,000 of a report, for speed).
func TestPlantedSlowdown(t *testing.T) {
	for _, name := range []string{"normal", "drifting"} {
		for higher, factor := range map[bool]float64{false: 1.05, true: 0.95} {
			t.Run(fmt.Sprintf("%s %v", name, factor), func(t *testing.T) {
				r, found := seeded(12), 0
				for range 200 {
					got := simulate(t, r, noises[name](r, 0.03), factor, higher)
					require.NotEqual(t, stats.Faster, got[0].Verdict)
					if got[0].Verdict == stats.Slower {
						found++
					}
				}
				t.Logf("%d of 200 families", found)
				require.GreaterOrEqual(t, found, 180)
			})
		}
	}
}

func TestPrecise(t *testing.T) {
	calm := around(100, 1)
	for name, c := range map[string]struct {
		blocks []float64
		within float64
		looks  int
		want   bool
	}{
		"known to 3 %":                      {calm, 0.03, 3, true},
		"not to 0.1 %":                      {calm, 0.001, 3, false},
		"five blocks":                       {calm[:5], 0.5, 1, false},
		"six blocks are one look":           {calm[:6], 0.5, 1, true},
		"six blocks are not two looks":      {calm[:6], 0.5, 2, false},
		"a wild block now":                  {append(slices.Clone(calm[:6]), 1e6), 0.03, 2, false},
		"a wild block that was outnumbered": {append([]float64{1e6}, calm...), 0.03, 2, true},
		"all zero":                          {make([]float64, 8), 0.03, 3, true},
		"about zero":                        {[]float64{-1, 1, -1, 1, -1, 1, -1, 1}, 0.03, 1, false},
	} {
		got, err := stats.Precise(c.blocks, c.within, c.looks, stats.Options{Resamples: 1000})
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	_, err := stats.Precise(append(calm, math.NaN()), 0.1, 1, stats.Options{})
	require.EqualError(t, err, "value 21 is NaN: want a number within ±1e+100")
}
