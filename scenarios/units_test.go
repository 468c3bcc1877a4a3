package scenarios_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func TestParseBytes(t *testing.T) {
	tests := []struct {
		in   string
		want scenarios.Bytes
		err  string
	}{
		{in: "0B", want: 0},
		{in: "10B", want: 10},
		{in: "64KiB", want: 64 << 10},
		{in: "3MiB", want: 3 << 20},
		{in: "2GiB", want: 2 << 30},
		{in: "1TiB", want: 1 << 40},
		{in: "1KB", want: 1e3},
		{in: "1MB", want: 1e6},
		{in: "1GB", want: 1e9},
		{in: "1TB", want: 1e12},
		{in: "-1KB", want: -1000},
		{in: "8388607TiB", want: 8388607 << 40},
		{in: "64", err: `"64" has no unit (write 64B, 64KiB or 64MiB)`},
		{in: "0", err: `"0" has no unit (write 0B, 0KiB or 0MiB)`},
		{in: "64K", err: `"64K" has no clear unit (write 64KiB for 1024s or 64KB for 1000s)`},
		{in: "1M", err: `"1M" has no clear unit (write 1MiB for 1024s or 1MB for 1000s)`},
		{in: "1m", err: `"1m" has no clear unit (write 1MiB for 1024s or 1MB for 1000s)`},
		{in: "5gb", err: `"5gb" has no clear unit (write 5GiB for 1024s or 5GB for 1000s)`},
		{in: "5b", err: `"5b" has an unknown unit (use B, KiB, MiB, GiB, TiB, KB, MB, GB or TB)`},
		{in: "1.5MiB", err: `"1.5MiB" is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)`},
		{in: "64 KiB", err: `"64 KiB" is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)`},
		{in: "+1B", err: `"+1B" is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)`},
		{in: "KiB", err: `"KiB" is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)`},
		{in: "", err: `"" is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)`},
		{in: "9999999TiB", err: `"9999999TiB" is too large (at most 8388607TiB)`},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := scenarios.ParseBytes(tt.in)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			again, err := scenarios.ParseBytes(got.String())
			require.NoError(t, err)
			require.Equal(t, got, again)
		})
	}
}

func TestBytesString(t *testing.T) {
	for b, want := range map[scenarios.Bytes]string{
		0: "0B", 1: "1B", 1023: "1023B", 1024: "1KiB", 1000: "1KB", 1536: "1536B", 1 << 20: "1MiB", 1e6: "1MB", -1 << 10: "-1KiB",
	} {
		require.Equal(t, want, b.String())
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		in, out, err string
		want         time.Duration
	}{
		{in: "10s", out: "10s", want: 10 * time.Second},
		{in: "60s", out: "1m", want: time.Minute},
		{in: "1h", out: "1h", want: time.Hour},
		{in: "1h0m1s", out: "1h0m1s", want: time.Hour + time.Second},
		{in: "1m30s", out: "1m30s", want: 90 * time.Second},
		{in: "250ms", out: "250ms", want: 250 * time.Millisecond},
		{in: "0s", out: "0s", want: 0},
		{in: "10", err: `"10" has no unit (write 10s or 10ms)`},
		{in: "0", err: `"0" has no unit (write 0s or 0ms)`},
		{in: "1.5", err: `"1.5" has no unit (write 1.5s or 1.5ms)`},
		{in: "10 s", err: `"10 s" is not a duration (write it like 10s, 250ms or 1m30s)`},
		{in: "1d", err: `"1d" is not a duration (write it like 10s, 250ms or 1m30s)`},
		{in: "", err: `"" is not a duration (write it like 10s, 250ms or 1m30s)`},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			var d scenarios.Duration
			err := d.UnmarshalText([]byte(tt.in))
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, time.Duration(d))
			require.Equal(t, tt.out, d.String())
		})
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"0B", "64KiB", "1MB", "-3TB", "64K", "9223372036854775807B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := scenarios.ParseBytes(s)
		if err != nil {
			return
		}
		again, err := scenarios.ParseBytes(b.String())
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}
