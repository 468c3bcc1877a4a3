//go:build kind

package main

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// victim is a Kubernetes node with a target and no proxy, by which this test
// does not reach the cluster.
func (l *kindLab) victim(t *testing.T) (target, kubeNode string) {
	at, err := url.Parse(l.state.URL)
	require.NoError(t, err)
	nodes := l.status(t, l.name).Nodes
	var taken []string
	for _, n := range nodes {
		u, err := url.Parse(n.URL)
		require.NoError(t, err)
		if n.Type == api.TypeProxy || u.Hostname() == at.Hostname() {
			taken = append(taken, n.KubeNode)
		}
	}
	for _, n := range nodes {
		if n.Type == api.TypeTarget && !slices.Contains(taken, n.KubeNode) {
			return n.ID, n.KubeNode
		}
	}
	require.Fail(t, "every target's node has a proxy", "%+v", nodes)
	return "", ""
}

// container stops or starts a node of kind, as a machine that loses its power.
func (l *kindLab) container(t *testing.T, verb, kubeNode string) {
	out, err := exec.CommandContext(t.Context(), l.state.Kube.Engine, verb, kubeNode).CombinedOutput()
	require.NoError(t, err, string(out))
}

// workerKilled kills a worker's container with a job under way: what other
// targets have stays there, the job ends with the target's name, and with the
// worker everything comes back.
func (l *kindLab) workerKilled(t *testing.T) {
	const etl, objects = "etl-worker", 64
	from, to := api.AIS("worker"), api.AIS("worker-out")
	for i := range objects {
		putBytes(t, l.client, from.Name, fmt.Sprint(i), []byte("abc"))
	}
	require.NoError(t, l.client.CreateBucket(t.Context(), to))
	_, err := l.client.InitETL(t.Context(), &api.ETLSpec{Name: etl, Spec: samplePod("sleep-2s", "hpush"), Communication: "hpush://"})
	require.NoError(t, err)
	target, kubeNode := l.victim(t)
	m, err := l.client.Map(t.Context())
	require.NoError(t, err)

	job, err := l.client.TransformBucket(t.Context(), from, to, api.TransformMsg{ID: etl, Workers: 1})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // it has come somewhere
		some := false
		err := l.client.ListAll(t.Context(), to, func(*api.ListEntry) error { some = true; return nil })
		return err == nil && some
	}, kindWait, 100*time.Millisecond)
	l.container(t, "kill", kubeNode)
	started := false
	defer func() {
		if !started {
			_ = exec.CommandContext(context.WithoutCancel(t.Context()), l.state.Kube.Engine, "start", kubeNode).Run()
		}
	}()
	kept := 0
	for i := range objects {
		owner, err := m.Owner(from, fmt.Sprint(i))
		require.NoError(t, err)
		if owner.ID == target {
			continue
		}
		got, err := inline(t, l.client, from.Name, fmt.Sprint(i), "")
		require.NoError(t, err)
		require.Equal(t, "abc", string(got))
		kept++
	}
	require.Positive(t, kept)
	var ended api.JobStatus
	require.Eventually(t, func() bool {
		list, err := l.client.Jobs(t.Context(), api.JobQuery{ID: job})
		if err != nil || len(list) != 1 || !list[0].Done() {
			return false
		}
		ended = list[0]
		return true
	}, kindWait, 200*time.Millisecond)
	t.Logf("%d of %d objects stayed; the job: %s", kept, objects, ended.Err)
	require.True(t, ended.Aborted)
	require.Contains(t, ended.Err, target)

	l.container(t, "start", kubeNode)
	started = true
	require.Eventually(t, func() bool {
		for i := range objects {
			if got, err := inline(t, l.client, from.Name, fmt.Sprint(i), ""); err != nil || string(got) != "abc" {
				return false
			}
		}
		return l.isReady(t.Context(), target)
	}, 2*kindWait, 500*time.Millisecond, "the worker is back, with its objects")
	_, err = l.client.StartETL(t.Context(), etl)
	require.NoError(t, err)
	l.besides(t, etl)
	require.NoError(t, l.client.DeleteETL(t.Context(), etl))
}
