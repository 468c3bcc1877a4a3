package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func names(arms []scenarios.Arm) (list []string) {
	for _, a := range arms {
		list = append(list, a.Name)
	}
	return list
}

// TestPlan: an arm for every combination, named by what varies.
func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		yaml string
		want []string
	}{
		{"", []string{"hpush", "hpull", "hrev", "io"}},
		{"arms: {comm: [ws]}", []string{"ws"}},
		{"arms: {comm: [io], mode: [inline, offline]}", []string{"inline", "offline"}},
		{"arms: {comm: [io, ws], size: [4KiB, 1MiB]}", []string{"io:4KiB", "io:1MiB", "ws:4KiB", "ws:1MiB"}},
		{"arms: {comm: [io], put: [direct, relay], stream: [body, fqn]}", []string{"direct:body", "direct:fqn", "relay:body", "relay:fqn"}},
		{"arms: {comm: [io], workers: [1, 8], replicas: 2}", []string{"w1:#1", "w1:#2", "w8:#1", "w8:#2"}},
		{"arms: {comm: [io], put: [direct]}", []string{"io"}},
		{"load: {mix: {get: 1, put: 1}}", []string{"none"}},
		{"load: {mix: {get: 1}}\narms: {mode: [inline, offline], comm: [io, ws]}", []string{"none:none:inline", "md5:io:offline", "md5:ws:offline"}},
		{"load: {model: offline}\narms: {comm: [io, ws]}", []string{"io", "ws"}},
	} {
		s, err := scenarios.Parse("f.yaml", []byte(minimal+tt.yaml+"\n"))
		require.NoError(t, err)
		require.Equal(t, tt.want, names(s.Plan()), tt.yaml)
	}
	s, err := scenarios.Parse("f.yaml", []byte(minimal+"arms: {comm: [io], size: [0B], put: [relay], stream: [fqn], workers: [3]}\n"))
	require.NoError(t, err)
	require.Equal(t, []scenarios.Arm{{Name: "io", Transform: "md5", Comm: "io", Mode: "inline", Sized: true, Put: "relay", Stream: "fqn", Workers: 3, Replica: 1}}, s.Plan())
	require.True(t, s.Plan()[0].ETL())
}
