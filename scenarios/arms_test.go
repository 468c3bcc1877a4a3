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
		{"arms: {comm: [io], endpoints: {b: cluster, a: 'http://h:1'}}", []string{"md5:io", "none:a", "none:b"}},
		{"load: {mix: {get: 1}}\narms: {endpoints: {b: cluster, a: 'http://h:1'}}", []string{"a", "b"}},
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

func TestOnlyIsTheArm(t *testing.T) {
	s, err := scenarios.Parse("only.yaml", []byte(`apiVersion: etlbench/v1
transforms: [md5, echo]
arms: {comm: [hpush, io], mode: [inline, offline], size: [0B, 1KiB], put: [relay, direct], stream: [body, fqn], workers: [1, 2], replicas: 2}
load: {mix: {get-etl: 1, get: 1}}
trials: {blocks: 7, redeploy-every: 2}
gates: [{on: all.errors, is: "< 1%"}]
`))
	require.NoError(t, err)
	for _, a := range s.Plan() {
		one := s.Only(a)
		require.NoError(t, one.Validate())
		require.Equal(t, 1, one.Trials.Blocks)
		plan := one.Plan()
		require.Len(t, plan, 1, a.Name)
		a.Name, a.Replica = plan[0].Name, 1
		require.Equal(t, a, plan[0])
	}
	require.Len(t, s.Arms.Comm, 2, "the scenario itself stays")
}

func TestOnlyOfPlainOperations(t *testing.T) {
	s, err := scenarios.Parse("only.yaml", []byte("apiVersion: etlbench/v1\ntransforms: [md5]\narms: {mode: [inline, offline]}\nload: {mix: {get: 1}}\n"))
	require.NoError(t, err)
	plan := s.Plan()
	require.False(t, plan[0].ETL())
	only := s.Only(plan[0]).Plan()
	require.Len(t, only, 1)
	require.False(t, only[0].ETL())
	last := plan[len(plan)-1]
	require.Equal(t, scenarios.ModeOffline, last.Mode)
	require.Len(t, s.Only(last).Plan(), 1)
}
