package transformers_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lookup(t testing.TB, name string) comm.Transform {
	t.Helper()
	f, ok := transformers.Lookup(name)
	require.True(t, ok)
	return f
}

func run(t testing.TB, f comm.Transform, src io.Reader, o comm.Info) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	err := f(t.Context(), &out, src, o)
	return out.Bytes(), err
}

// text is n bytes that compress, but not to nothing.
func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of %x\n", i, i*i*2654435761)
	}
	return b.Bytes()[:n]
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func TestNames(t *testing.T) {
	require.Equal(t, []string{"burn", "echo", "expand", "flac-wav", "gzip", "md5", "shrink", "sleep", "tar-images"}, transformers.Names())
	_, ok := transformers.Lookup("none")
	require.False(t, ok)
}

func TestEcho(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 256 << 10, 1<<20 + 1} {
		for _, known := range []int64{int64(size), -1, 3} { // 3: a wrong size does no harm
			got, err := run(t, lookup(t, "echo"), bytes.NewReader(text(size)), comm.Info{Size: known})
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(size), got))
		}
	}
}

func TestMD5(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"The quick brown fox jumps over the lazy dog", "9e107d9d372bb6826bd81d3542a419d6"},
	} {
		got, err := run(t, lookup(t, "md5"), strings.NewReader(c.in), comm.Info{Size: -1})
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
	}
}

func TestGzip(t *testing.T) {
	f := lookup(t, "gzip")
	for _, c := range []struct {
		size   int
		golden string // changes when the compressor does; then results of two versions do not compare
	}{
		{0, "ac73670af3abed54"},
		{1, "2221b5ff45f4f1b0"},
		{4096, "7d9525cb322cc176"},
		{1 << 20, "7dea9ab2acbbfb16"},
	} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			got, err := run(t, f, bytes.NewReader(text(c.size)), comm.Info{Name: "n", Size: int64(c.size)})
			require.NoError(t, err)
			require.Equal(t, c.golden, digest(got))

			z, err := gzip.NewReader(bytes.NewReader(got))
			require.NoError(t, err)
			require.Zero(t, z.Header.Name)
			require.True(t, z.ModTime.IsZero())
			plain, err := io.ReadAll(z)
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(c.size), plain))
		})
	}
}

// TestGzipIsDeterministic: neither what a compressor did before nor how the
// bytes arrive may show in the output.
func TestGzipIsDeterministic(t *testing.T) {
	want, err := run(t, lookup(t, "gzip"), bytes.NewReader(text(300_000)), comm.Info{Size: -1})
	require.NoError(t, err)
	used := lookup(t, "gzip")
	for n := range 20 {
		_, err := run(t, used, bytes.NewReader(text(n * 50_000)[n:]), comm.Info{Size: -1})
		require.NoError(t, err)
		for _, src := range []io.Reader{
			bytes.NewReader(text(300_000)),
			iotest.HalfReader(bytes.NewReader(text(300_000))),
			iotest.OneByteReader(bytes.NewReader(text(300_000))),
		} {
			got, err := run(t, used, src, comm.Info{Size: 100})
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "after %d objects", n)
		}
	}
}

// runnable are the transforms that can be tried on this machine.
func runnable(t *testing.T) []string {
	names := transformers.Names()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Log("flac-wav is left out: there is no ffmpeg (apt-get install ffmpeg)")
		names = slices.DeleteFunc(names, func(name string) bool { return name == "flac-wav" })
	}
	return names
}

// input is an object that a transform takes.
func input(t *testing.T, name string) []byte {
	if name != "flac-wav" {
		return shard(t)
	}
	data := shard(t)
	wav := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\xff\xff\xff\xff")
	return append(wav, data[:len(data)/2*2]...)
}

func TestTransformsStopWithTheirContext(t *testing.T) {
	for _, name := range runnable(t) {
		ctx, cancel := context.WithCancelCause(t.Context())
		src := io.MultiReader(bytes.NewReader(input(t, name)), readerFunc(func(p []byte) (int, error) {
			cancel(nil) // and goes on for ever
			return len(p), nil
		}))
		err := lookup(t, name)(ctx, io.Discard, src, comm.Info{Size: -1})
		require.ErrorIs(t, err, context.Canceled, name)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTransformsReportBrokenStreams(t *testing.T) {
	broken := errors.New("broken")
	for _, name := range runnable(t) {
		src := io.MultiReader(bytes.NewReader(input(t, name)[:1000]), iotest.ErrReader(broken))
		require.ErrorIs(t, lookup(t, name)(t.Context(), io.Discard, src, comm.Info{Size: -1}), broken, name)
		err := lookup(t, name)(t.Context(), errWriter{broken}, bytes.NewReader(input(t, name)), comm.Info{Size: -1})
		require.ErrorIs(t, err, broken, name)
	}
}

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

func TestTransformsMayBeUsedConcurrently(t *testing.T) {
	for _, name := range runnable(t) {
		f := lookup(t, name)
		want, err := run(t, f, bytes.NewReader(input(t, name)), comm.Info{Size: -1})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 3 {
					var out bytes.Buffer
					if err := f(t.Context(), &out, bytes.NewReader(input(t, name)), comm.Info{Size: -1}); err != nil {
						t.Error(err)
					}
					if !bytes.Equal(want, out.Bytes()) {
						t.Errorf("%s: another output", name)
					}
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkTransforms(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, name := range []string{"echo", "md5", "gzip"} {
			b.Run(fmt.Sprintf("size=%dKiB/transform=%s", size>>10, name), func(b *testing.B) {
				f, body := lookup(b, name), text(size)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := f(b.Context(), io.Discard, bytes.NewReader(body), comm.Info{Size: int64(size)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
