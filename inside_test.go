package main

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInside: what is to be run in a pod is a command as it stands.
func TestInside(t *testing.T) {
	text := (&kubeState{Namespace: "bench", Image: "example.com/etlbench:1"}).inside()
	require.Contains(t, text, "kubectl run client -n bench --rm -i --restart=Never --image example.com/etlbench:1 ")
	require.Contains(t, text, "--cluster http://etlbench-proxy-0.etlbench-proxy.bench.svc:51080")
}

// TestChooseUnreachable: a cluster on Kubernetes that does not answer says
// more than that.
func TestChooseUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + ln.Addr().String()
	require.NoError(t, ln.Close())
	s := &clusterState{Name: "c", URL: url, Kube: &kubeState{Namespace: "bench", Kubeconfig: t.TempDir() + "/nosuch", Image: "x"}}
	_, err = s.choose(context.Background(), &env{lookup: func(string) (string, bool) { return "", false }})
	var exit *exitError
	require.True(t, errors.As(err, &exit))
	require.Equal(t, exitRuntime, exit.code)
	require.ErrorContains(t, err, "cluster c cannot be used from this machine")
}

// TestSweepIsNotChosen: the cluster of a sweep is nobody else's.
func TestSweepIsNotChosen(t *testing.T) {
	state := t.TempDir()
	e := &env{lookup: func(name string) (string, bool) {
		if name != "XDG_STATE_HOME" {
			return "", false
		}
		return state, true
	}}
	s := &clusterState{Name: "scale", URL: "http://127.0.0.1:1", Kube: &kubeState{Namespace: "n"}, Sweep: true}
	require.NoError(t, s.save(e))
	where, err := chooseCluster(t.Context(), e, "", nil)
	require.NoError(t, err)
	require.Nil(t, where)
	_, err = chooseKube(t.Context(), e, onKube, "")
	require.ErrorContains(t, err, "no cluster on Kubernetes was started from here")
	require.ErrorContains(t, (&upFlags{name: "scale"}).checkFree(e), "cluster scale runs already")
}
