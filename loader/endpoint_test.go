package loader_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/loader"
)

// TestEndpoints: another cluster's GETs are measured in the same run, verified,
// and nothing is left there; its processes are asked for by its URL.
func TestEndpoints(t *testing.T) {
	h, other := newHarness(t, some(8)), newFake(t)
	h.Scenario.Load.Direct, h.direct = true, true
	h.Scenario.Collect.Cgroups = []string{"client", "target"}
	h.Scenario.Arms.Endpoints = map[string]string{"other": other.proxy.URL, "plain": "cluster"}
	var asked string
	h.EndpointProcesses = func(url string) map[string][]int {
		asked = url
		return map[string][]int{"target": {1}}
	}
	s, r := h.run()
	require.Empty(t, r.Errors)
	require.Len(t, s.Rows, 3)
	for i, want := range []string{"hpush", "other", "plain"} {
		require.Equal(t, want, s.Rows[i].Comm)
		require.Positive(t, s.Rows[i].Ops)
		require.Equal(t, 100.0, s.Rows[i].VerifiedPct)
	}
	require.Equal(t, "get-etl", s.Rows[0].Op)
	require.Equal(t, "get", s.Rows[1].Op)
	require.Equal(t, other.proxy.URL, asked)
	h.requireClean(t)
	other.requireClean(t)
	for _, o := range some(8).Objects() {
		require.Zero(t, h.count("GET /v1/objects/src/"+o.Name), "asked a proxy, though load.direct")
	}
}

// TestEndpointWhoseBucketIsThere: it may be somebody's, and is left alone.
func TestEndpointWhoseBucketIsThere(t *testing.T) {
	h, other := newHarness(t, some(2)), newFake(t)
	other.buckets["src"] = map[string][]byte{"theirs": {1}}
	h.Scenario.Arms.Endpoints = map[string]string{"other": other.proxy.URL}
	_, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "arms.endpoints.other: create bucket ais://src")
	require.Len(t, other.buckets["src"], 1)
	h.requireClean(t)
}
