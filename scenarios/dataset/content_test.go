package dataset_test

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios/dataset"
)

// TestContentGolden pins the formula: stored digests of objects must hold on
// every machine and in every version.
func TestContentGolden(t *testing.T) {
	tests := []struct {
		name         string
		seed         uint64
		object       string
		size         int64
		compressible float64
		head         string // first 16 bytes
		sum          uint64 // xxhash of all
	}{
		{"random", 42, "obj-000001", 1 << 20, 0, "4b94d471b98f92296a684a4e8f6f98ef", 0x129f1cb21454c0c},
		{"other seed", 43, "obj-000001", 1 << 20, 0, "fd686c07e59b9623e38b96613cc9b70e", 0xb18acbfde5c61f9f},
		{"other name", 42, "obj-000002", 1 << 20, 0, "c29a1a30ec8f11e0d0eda5c90b3388e7", 0x1b6a156c655535e1},
		{"odd size", 42, "obj-000001", 4099, 0, "4b94d471b98f92296a684a4e8f6f98ef", 0x4a729182aef33871},
		{"half zeros", 42, "obj-000001", 1 << 20, 0.5, "4b94d471b98f92296a684a4e8f6f98ef", 0xd0ba535768e1a3ab},
		{"all zeros", 42, "obj-000001", 5000, 1, "00000000000000000000000000000000", 0xffc474e23032b725},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := io.ReadAll(dataset.Content(tt.seed, tt.object, tt.size, tt.compressible))
			require.NoError(t, err)
			require.Len(t, data, int(tt.size))
			require.Equal(t, tt.head, hex.EncodeToString(data[:16]))
			require.Equal(t, tt.sum, xxhash.Sum64(data), "got %#x", xxhash.Sum64(data))
		})
	}
}

// TestContentReader reads in every awkward way.
func TestContentReader(t *testing.T) {
	for _, size := range []int64{0, 1, 7, 4095, 4096, 4097, 20_000} {
		for _, compressible := range []float64{0, 0.3, 1} {
			t.Run(fmt.Sprintf("size=%d/compressible=%v", size, compressible), func(t *testing.T) {
				open := func() io.Reader { return dataset.Content(3, "x", size, compressible) }
				want, err := io.ReadAll(open())
				require.NoError(t, err)
				require.NoError(t, iotest.TestReader(open(), want))

				var out bytes.Buffer
				n, err := open().(io.WriterTo).WriteTo(&out)
				require.NoError(t, err)
				require.Equal(t, size, n)
				require.True(t, bytes.Equal(want, out.Bytes()))
			})
		}
	}
}

// TestContentPrefix: a shorter object is the start of a longer one, which
// lets a checker stop early.
func TestContentPrefix(t *testing.T) {
	long, err := io.ReadAll(dataset.Content(1, "a", 10_000, 0.2))
	require.NoError(t, err)
	short, err := io.ReadAll(dataset.Content(1, "a", 5001, 0.2))
	require.NoError(t, err)
	require.Equal(t, long[:5001], short)
}

func TestContentBounds(t *testing.T) {
	read := func(size int64, compressible float64) []byte {
		data, err := io.ReadAll(dataset.Content(1, "a", size, compressible))
		require.NoError(t, err)
		return data
	}
	require.Empty(t, read(-1, 0))
	require.Equal(t, read(5000, 0), read(5000, -3))
	require.Equal(t, read(5000, 1), read(5000, 3))
}

// TestContentCompressible: a compressor saves about the share asked for.
func TestContentCompressible(t *testing.T) {
	const size = 1 << 20
	for _, compressible := range []float64{0, 0.25, 0.5, 0.9, 1} {
		t.Run(fmt.Sprint(compressible), func(t *testing.T) {
			var out bytes.Buffer
			w, err := flate.NewWriter(&out, flate.BestSpeed)
			require.NoError(t, err)
			_, err = io.Copy(w, dataset.Content(9, "a", size, compressible))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.InDelta(t, 1-compressible, float64(out.Len())/size, 0.02)
		})
	}
}

func TestContentWriteError(t *testing.T) {
	broken := errors.New("broken")
	n, err := dataset.Content(1, "a", 1<<20, 0).(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) { return 3, broken }))
	require.ErrorIs(t, err, broken)
	require.Equal(t, int64(3), n)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestContentReadDoesNotAllocate(t *testing.T) {
	r := dataset.Content(1, "a", 1<<40, 0.5)
	buf := make([]byte, 10_000)
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Read(buf) }))
}

func BenchmarkContent(b *testing.B) {
	const size = 1 << 20
	for _, compressible := range []float64{0, 0.5} {
		for _, chunk := range []int{32 << 10, 1000} {
			b.Run(fmt.Sprintf("compressible=%v/read=%d", compressible, chunk), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				buf := make([]byte, chunk)
				for b.Loop() {
					r := dataset.Content(1, "a", size, compressible)
					for {
						if _, err := r.Read(buf); err != nil {
							break
						}
					}
				}
			})
		}
	}
	b.Run("writeto", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := dataset.Content(1, "a", size, 0).(io.WriterTo).WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}
