package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/etlbench/etlbench/cluster/api"
	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// TestContainers: only those that run, and of the ETL that was asked for.
func TestContainers(t *testing.T) {
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pod := func(name string, labels map[string]string, id string, state corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ais", Labels: labels},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{ContainerID: id, State: state}}}}
	}
	of := func(component string) map[string]string {
		return map[string]string{labelName: app, labelManaged: app, labelComponent: component}
	}
	etl := func(target string) map[string]string {
		return map[string]string{"app": "ais", "app.kubernetes.io/name": "etl", podkube.LabelTarget: target}
	}
	c := &Cluster{namespace: "ais", client: fake.NewClientset(
		pod("etlbench-proxy-0", of(api.TypeProxy), "containerd://p0", runs),
		pod("etlbench-target-0", of(api.TypeTarget), "containerd://t0", runs),
		pod("etlbench-target-1", of(api.TypeTarget), "docker://t1", runs),
		pod("etlbench-target-2", of(api.TypeTarget), "containerd://t2", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}),
		pod("etlbench-target-3", of(api.TypeTarget), "", runs),
		pod("loader", of(componentLoader), "containerd://l", runs),
		pod("etl-a-t0", etl("t0"), "containerd://a0", runs),
		pod("etl-a-b-t0", etl("t0"), "containerd://b0", runs))}
	got, err := c.Containers(t.Context(), "etl-a")
	require.NoError(t, err)
	require.Equal(t, &Containers{Proxies: []string{"p0"}, Targets: []string{"t0", "t1"}, Pods: []string{"a0"}}, got)
	got, err = c.Containers(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, got.Pods)
}
