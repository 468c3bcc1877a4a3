package transformers_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers"
)

func TestParameters(t *testing.T) {
	for _, name := range []string{"expand", "expand-2x", "shrink-1000x", "sleep-5ms", "burn-1.5ms", "sleep-1m", "sleep"} {
		_, ok := transformers.Lookup(name)
		require.True(t, ok, name)
	}
	for _, name := range []string{"expand-", "expand-1x", "expand-10", "expand-010x", "shrink-1001x", "sleep-5", "sleep-0s", "sleep--1s", "burn-2m",
		"echo-2x", "md5-5ms", "tar-images-3", "sleep-5ms-5ms"} {
		_, ok := transformers.Lookup(name)
		require.False(t, ok, name)
	}
}

func TestExpandAndShrink(t *testing.T) {
	for _, size := range []int{0, 1, 9, 10, 4095, 4096, 4097, 100_000} {
		in := text(size)
		var expanded []byte
		for i := 0; i < size; i += 4096 {
			expanded = append(expanded, bytes.Repeat(in[i:min(size, i+4096)], 3)...)
		}
		var shrunk []byte
		for i := 0; i < size; i += 7 {
			shrunk = append(shrunk, in[i])
		}
		for name, want := range map[string][]byte{"expand-3x": expanded, "shrink-7x": shrunk} {
			got, err := run(t, lookup(t, name), bytes.NewReader(in), comm.Info{Size: -1})
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s of %d", name, size)
			got, err = run(t, lookup(t, name), iotest.OneByteReader(iotest.DataErrReader(bytes.NewReader(in))), comm.Info{Size: -1})
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s of %d, byte by byte", name, size)
		}
	}
}

// TestTimes: the service time is what the name says. burn uses the CPU for it,
// sleep does not.
func TestTimes(t *testing.T) {
	cpu := func() time.Duration {
		var u unix.Rusage
		require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for _, name := range []string{"sleep-50ms", "burn-50ms"} {
		start, used := time.Now(), cpu()
		got, err := run(t, lookup(t, name), strings.NewReader("x"), comm.Info{Size: -1})
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
		require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
		if used = cpu() - used; name == "burn-50ms" {
			require.InDelta(t, 50, used.Seconds()*1000, 25)
		} else {
			require.Less(t, used, 25*time.Millisecond)
		}
		same, ok := transformers.Output(name)
		require.True(t, ok)
		start = time.Now()
		got, err = run(t, same, strings.NewReader("x"), comm.Info{Size: -1})
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
		require.Less(t, time.Since(start), 50*time.Millisecond, "nobody has to wait to know the output")
	}
}
