package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/etlbench/etlbench/cluster/pod"
)

func TestLimitCPU(t *testing.T) {
	list := func(cpu string) corev1.ResourceList {
		if cpu == "" {
			return nil
		}
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	for _, tt := range []struct {
		request, limit       string
		cpus                 float64
		reserve              bool
		wantRequest, wantMax string
	}{
		{"", "", 0.125, false, "10m", "125m"},
		{"", "", 0.125, true, "125m", "125m"},
		{"200m", "", 0.125, false, "125m", "125m"},
		{"200m", "", 1, false, "200m", "1"},
		{"200m", "", 1, true, "1", "1"},
		{"", "50m", 0.125, true, "50m", "50m"},
		{"1", "2", 0.5, false, "500m", "500m"},
	} {
		r := corev1.ResourceRequirements{Requests: list(tt.request), Limits: list(tt.limit)}
		before := *r.DeepCopy()
		given := r
		LimitCPU(&r, tt.cpus, tt.reserve)
		require.Equal(t, tt.wantRequest, r.Requests.Cpu().String(), "%+v", tt)
		require.Equal(t, tt.wantMax, r.Limits.Cpu().String(), "%+v", tt)
		require.Equal(t, before, given, "the lists are the user's")
	}
}

// TestPodLimit: all containers of a pod together have what a pod may use.
func TestPodLimit(t *testing.T) {
	r := testRuntime()
	r.cfg.CPUs, r.cfg.SharedCPUs = 0.5, true
	s := parse(t, usersPod)
	m, err := r.manifests(&s)
	require.NoError(t, err)
	require.Equal(t, "500m", m.pod.Spec.Containers[0].Resources.Limits.Cpu().String())
	require.Equal(t, "1", s.Template.Spec.Containers[0].Resources.Limits.Cpu().String())

	s.Template.Spec.Containers = append(s.Template.Spec.Containers, corev1.Container{Name: "beside", Image: "x"})
	m, err = r.manifests(&s)
	require.NoError(t, err)
	for _, c := range m.pod.Spec.Containers {
		require.Equal(t, "250m", c.Resources.Limits.Cpu().String())
	}

	m, err = r.manifests(&pod.Spec{Name: "etl-md5", Image: "etlbench/md5"})
	require.NoError(t, err)
	c := m.pod.Spec.Containers[0]
	require.Equal(t, "500m", c.Resources.Limits.Cpu().String())
	require.Equal(t, "10m", c.Resources.Requests.Cpu().String())
	r.cfg.CPUs = 0
	m, err = r.manifests(&pod.Spec{Name: "etl-md5", Image: "etlbench/md5"})
	require.NoError(t, err)
	require.Empty(t, m.pod.Spec.Containers[0].Resources)
}
