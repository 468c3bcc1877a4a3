//go:build kind

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// fleetRun starts a run of fleetScenario on the cluster, into the folder that it
// returns.
func (l *kindLab) fleetRun(t *testing.T, args ...string) (p *process, dir string) {
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(fleetScenario), 0o600))
	args = append([]string{"run", "fleet.yaml", "--out", "run", "--set", "phases.measure=3s"}, args...)
	return startAt(t, dir, os.Getenv("XDG_STATE_HOME"), args...), filepath.Join(dir, "run")
}

// nothingLeft: no loader, and nothing that was made for them.
func (l *kindLab) nothingLeft(t *testing.T) {
	t.Helper()
	of := metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=loader"}
	ns := l.state.Kube.Namespace
	pods, err := l.pods.CoreV1().Pods(ns).List(t.Context(), of)
	require.NoError(t, err)
	jobs, err := l.pods.BatchV1().Jobs(ns).List(t.Context(), of)
	require.NoError(t, err)
	secrets, err := l.pods.CoreV1().Secrets(ns).List(t.Context(), of)
	require.NoError(t, err)
	require.Zero(t, len(pods.Items)+len(jobs.Items)+len(secrets.Items), "pods, jobs and secrets of loaders")
}

// fleet: two loaders make the same of a seed as this process alone, operation by
// operation at every target, and not on the nodes of targets.
func (l *kindLab) fleet(t *testing.T) {
	type row struct {
		intended int64
		results.Counts
		targets [2]int64
	}
	rows := func(args ...string) (map[string]row, *process, results.Summary) {
		p, dir := l.fleetRun(t, args...)
		require.Contains(t, []int{0, exitUnfit}, p.code(), "a busy machine may be GENERATOR-BOUND: %s", p.stderr())
		out, s := map[string]row{}, summaryOf(t, dir)
		for _, r := range s.Rows {
			require.Equal(t, r.Intended, r.Accounted())
			require.EqualValues(t, 100, r.VerifiedPct)
			out[r.Op] = row{r.Intended, r.Counts, [2]int64{r.Targets[0].Ops, r.Targets[1].Ops}}
		}
		require.Len(t, out, 2)
		return out, p, s
	}
	one, _, _ := rows()
	two, p, s := rows("--on", "kind", "--agents", "2")
	require.Equal(t, one, two)
	require.Len(t, s.Loaders, 2)
	nodes := p.says(`they are ready, on: (.+)\n`)[1]
	for _, n := range l.status(t, l.name).Nodes {
		if n.Type == api.TypeTarget {
			require.NotContains(t, strings.Split(nodes, ", "), n.KubeNode)
		}
	}
	l.nothingLeft(t)
}

// lostLoader: its pod, container and the reason are named, what was measured is
// kept, and the others are removed.
func (l *kindLab) lostLoader(t *testing.T) {
	p, dir := l.fleetRun(t, "--on", "kube", "--agents", "2", "--set", "phases.measure=10m")
	p.says(`measure \d+ ops`)
	pods, err := l.pods.CoreV1().Pods(l.state.Kube.Namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/component=loader,batch.kubernetes.io/job-completion-index=1"})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	lost, now := pods.Items[0].Name, int64(0)
	require.NoError(t, l.pods.CoreV1().Pods(l.state.Kube.Namespace).Delete(t.Context(), lost, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	require.Equal(t, exitRuntime, p.code(), "%s", p.stderr())
	require.Regexp(t, `etlbench: agent `+lost+`:9000: .* \(pod `+l.state.Kube.Namespace+`/`+lost+` on node \S+, container loader: .+\)`, p.stderr())
	require.NotContains(t, p.stderr(), "portforward.go")
	s := summaryOf(t, dir)
	require.Empty(t, s.Loaders[0].Lost)
	require.Contains(t, s.Loaders[1].Lost, "container loader: ")
	require.Positive(t, s.Rows[0].Ops)
	require.Equal(t, s.Rows[0].Intended, s.Rows[0].Accounted())
	l.nothingLeft(t)
}

func (l *kindLab) interruptedFleet(t *testing.T) {
	p, dir := l.fleetRun(t, "--on", "kind", "--agents", "1", "--share-nodes", "--set", "phases.measure=10m")
	p.says(`measure \d+ ops`)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.Equal(t, exitInterrupted, p.code(), "%s", p.stderr())
	require.True(t, summaryOf(t, dir).Interrupted)
	l.nothingLeft(t)
}

// noRoom: where all nodes have targets, or take nothing, the reason is told.
func (l *kindLab) noRoom(t *testing.T) {
	nodes := l.pods.CoreV1().Nodes()
	list, err := nodes.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range list.Items {
		name := list.Items[i].Name
		if list.Items[i].Spec.Unschedulable {
			continue
		}
		cordon(t, l, name, true)
		defer cordon(t, l, name, false)
	}
	p, dir := l.fleetRun(t, "--on", "kind", "--agents", "1")
	require.Equal(t, exitRuntime, p.code(), "%s", p.stderr())
	require.Regexp(t, `etlbench: no room for loaders: etlbench-loaders-\S+: 0/4 nodes are available`, p.stderr())
	require.Contains(t, p.stderr(), "or --share-nodes")
	require.NoDirExists(t, dir)
	l.nothingLeft(t)
}

// cordon has a node take no new pods, or take them again.
func cordon(t *testing.T, l *kindLab, node string, closed bool) {
	nodes := l.pods.CoreV1().Nodes()
	require.Eventually(t, func() bool { // others change it, too
		n, err := nodes.Get(t.Context(), node, metav1.GetOptions{})
		if err != nil {
			return false
		}
		n.Spec.Unschedulable = closed
		_, err = nodes.Update(t.Context(), n, metav1.UpdateOptions{})
		return err == nil
	}, kindWait, kindWait/600)
}
