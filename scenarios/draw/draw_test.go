package draw_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios/draw"
)

func TestLogAndExp(t *testing.T) {
	for i := range uint64(20_000) {
		x := math.Ldexp(draw.Unit(draw.Word(1, i)), int(i%200)-100)
		require.InDelta(t, math.Log(x), draw.Log(x), 1e-14*max(1, math.Abs(math.Log(x))), x)
		y := 1400*draw.Unit(draw.Word(2, i)) - 700
		require.InEpsilon(t, math.Exp(y), draw.Exp(y), 1e-12, y)
	}
	require.Equal(t, 0.0, draw.Log(1))
	require.Equal(t, 1.0, draw.Exp(0))
}

func TestNormal(t *testing.T) {
	for i := range uint64(20_000) {
		p := draw.Unit(draw.Word(3, i))
		want := math.Sqrt2 * math.Erfinv(2*p-1)
		require.InDelta(t, want, draw.Normal(p), 1e-8*max(1, math.Abs(want)), p)
	}
	require.InDelta(t, -6.36, draw.Normal(1e-10), 0.01)
}

func TestExponentialMoments(t *testing.T) {
	const n = 200_000
	var sum, square float64
	for i := range uint64(n) {
		x := draw.Exponential(draw.Word(4, i))
		require.Positive(t, x)
		sum += x
		square += x * x
	}
	require.InDelta(t, 1, sum/n, 0.01)
	require.InDelta(t, 2, square/n, 0.05)
}

func TestPermutationVisitsEachOnce(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 5, 64, 65, 1000, 4097} {
		p, other := draw.NewPermutation(7, n), draw.NewPermutation(8, n)
		seen := make([]bool, n)
		same := 0
		for i := range n {
			at := p.At(i)
			require.False(t, seen[at])
			seen[at] = true
			if at == other.At(i) {
				same++
			}
		}
		if n > 60 {
			require.Less(t, same, 10, "another key, another order")
		}
	}
}

// TestZipf compares shares with the weights k^-s, below, at and above 1.
func TestZipf(t *testing.T) {
	const n, draws = 1000, 300_000
	for _, s := range []float64{0.2, 0.9, 1, 1.0000001, 1.5, 3} {
		z := draw.NewZipf(n, s)
		counts := make([]float64, n)
		for i := range uint64(draws) {
			counts[z.At(draw.Word(5, i))]++
		}
		total := 0.0
		for k := 1; k <= n; k++ {
			total += math.Pow(float64(k), -s)
		}
		for _, k := range []int{1, 2, 3, 10, 100, n} {
			want := draws * math.Pow(float64(k), -s) / total
			require.InDelta(t, want, counts[k-1], 5*math.Sqrt(want)+1, "s=%v rank %d", s, k)
		}
	}
	require.Zero(t, draw.NewZipf(1, 1).At(3))
}

// TestSequence pins the numbers themselves: a change of them makes old runs
// incomparable.
func TestSequence(t *testing.T) {
	key := draw.Key(42, "sequence")
	require.Equal(t, uint64(0xf320b4f37f6949e9), key)
	z := draw.NewZipf(100, 0.9)
	p := draw.NewPermutation(key, 100)
	var words, ranks, order []uint64
	var floats []uint64
	for i := range uint64(4) {
		w := draw.Word(key, i)
		words = append(words, w)
		ranks = append(ranks, z.At(w))
		order = append(order, p.At(i))
		floats = append(floats, math.Float64bits(draw.Exponential(w)), math.Float64bits(draw.Normal(draw.Unit(w))))
	}
	require.Equal(t, []uint64{0xfeeeb8a4a16697, 0x8c5070eaf0d82f21, 0x181b5b1fbccc4ce4, 0x3b3cd5c9f2988c37}, words)
	require.Equal(t, []uint64{0x0, 0x3, 0x3, 0x0}, ranks)
	require.Equal(t, []uint64{0x46, 0x4f, 0x38, 0x27}, order)
	require.Equal(t, []uint64{0x4016328a657ac33b, 0xc0054ab3291d9c19, 0x3fe33dcafffb538f, 0x3fbef13e323d4155, 0x4002e6c54feea7a7, 0xbff50c5fd4c42de2, 0x3ff76afd29db335f, 0xbfe77f01ecc3b736}, floats)
}

func BenchmarkExponential(b *testing.B) {
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		draw.Exponential(draw.Word(1, i))
	}
}

func BenchmarkZipf(b *testing.B) {
	z := draw.NewZipf(1e6, 0.9)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		z.At(i)
	}
}
