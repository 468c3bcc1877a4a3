package results

import (
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

// drawn is a histogram of n values, of a few ms and some outliers.
func drawn(n int) *hdrhistogram.Histogram {
	h, rnd := NewHistogram(), rand.New(rand.NewPCG(1, uint64(n)))
	for range n {
		_ = h.RecordValue(int64(1e6 + 5e6*rnd.ExpFloat64()))
	}
	return h
}

// TestEncodeHistogram: no reader can tell it from the library's.
func TestEncodeHistogram(t *testing.T) {
	least, most, many := NewHistogram(), NewHistogram(), NewHistogram()
	require.NoError(t, least.RecordValue(0))
	require.NoError(t, most.RecordValue(MaxLatency))
	require.NoError(t, many.RecordValues(MinLatency, 1<<54))
	require.NoError(t, many.RecordValues(3*MinLatency, 64))
	for name, h := range map[string]*hdrhistogram.Histogram{
		"empty": NewHistogram(), "least": least, "most": most, "many": many,
		"one": drawn(1), "some": drawn(100), "much": drawn(100000),
	} {
		want, err := h.EncodeV2()
		require.NoError(t, err)
		for range 2 {
			got, err := EncodeHistogram(h)
			require.NoError(t, err)
			require.Equal(t, string(want), got, name)
		}
		back, err := DecodeHistogram(string(want))
		require.NoError(t, err)
		require.True(t, back.Equals(h), name)
	}
}

func BenchmarkEncodeHistogram(b *testing.B) {
	h := drawn(1000)
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = h.EncodeV2()
		}
	})
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = EncodeHistogram(h)
		}
	})
}
