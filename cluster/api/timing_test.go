package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

func TestServerTiming(t *testing.T) {
	v := api.ServerTiming(nil, api.TypeTarget, 250*time.Microsecond)
	v = api.ServerTiming(v, api.TimingPod, 1500*time.Millisecond)
	require.Equal(t, "target;dur=0.250, pod;dur=1500.000", string(v))
	require.Equal(t, map[string]time.Duration{"target": 250 * time.Microsecond, "pod": 1500 * time.Millisecond}, shares(string(v)))
	require.Equal(t, "pod;dur=0.000", string(api.ServerTiming(nil, api.TimingPod, -time.Second)), "clocks do not run backwards")
}

func shares(value string) map[string]time.Duration {
	got := map[string]time.Duration{}
	api.ParseServerTiming(value, func(name string, d time.Duration) { got[name] = d })
	return got
}

func TestParseServerTiming(t *testing.T) {
	for value, want := range map[string]map[string]time.Duration{
		"":                                {},
		"miss":                            {},
		`cache;desc="hit, fast";dur=23.2`: {`fast"`: 23200 * time.Microsecond}, // quoted commas are not ours
		`db;dur=53, app;desc=x;DUR="1"`:   {"db": 53 * time.Millisecond, "app": time.Millisecond},
		"pod;dur=NaN, pod;dur=-1":         {},
		"pod;dur=1e300, target;dur":       {},
	} {
		require.Equal(t, want, shares(value), value)
	}
}

func FuzzParseServerTiming(f *testing.F) {
	f.Add("proxy;dur=0.1, target;dur=2")
	f.Fuzz(func(t *testing.T, value string) {
		api.ParseServerTiming(value, func(_ string, d time.Duration) {
			require.GreaterOrEqual(t, d, time.Duration(0))
			require.Less(t, d, 24*time.Hour)
		})
	})
}
