package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestFindSelf(t *testing.T) {
	volume := func(name string, s corev1.VolumeSource) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: s}
	}
	own := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "target-0", Namespace: "ais", UID: "u-1"},
		Spec: corev1.PodSpec{
			NodeName: "worker-2", ImagePullSecrets: []corev1.LocalObjectReference{{Name: "s"}},
			Volumes: []corev1.Volume{
				volume("data", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}),
				volume("tmp", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
				volume("token", corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}),
			},
			Containers: []corev1.Container{{Name: "target", VolumeMounts: []corev1.VolumeMount{
				{Name: "data", MountPath: "/data"}, {Name: "tmp", MountPath: "/tmp"}, {Name: "token", MountPath: "/var/run"}}}},
		},
	}
	pending := own.DeepCopy()
	pending.Name, pending.Spec.NodeName = "target-1", ""
	client := fake.NewClientset(own, pending)
	tests := []struct {
		name string
		env  map[string]string
		node string
		fail string
	}{
		{"by its own pod", map[string]string{"HOSTNAME": "target-0"}, "worker-2", ""},
		{"told", map[string]string{"HOSTNAME": "target-0", EnvNode: "worker-9"}, "worker-9", ""},
		{"no HOSTNAME", map[string]string{EnvNode: "worker-9"}, "", "HOSTNAME is not set"},
		{"a HOSTNAME that is none", map[string]string{"HOSTNAME": "box"}, "", "the target's own pod ais/box (by HOSTNAME)"},
		{"on no node", map[string]string{"HOSTNAME": "target-1"}, "", "is on no node yet: set K8S_NODE_NAME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := findSelf(t.Context(), client, "ais", func(name string) string { return tt.env[name] })
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.node, s.Node)
			require.Equal(t, "target-0", s.Owner.Name)
			require.Equal(t, []corev1.VolumeMount{{Name: "data", MountPath: "/data", ReadOnly: true}}, s.Mounts)
			require.Len(t, s.Volumes, 1)
			require.Equal(t, []corev1.LocalObjectReference{{Name: "s"}}, s.PullSecrets)
		})
	}
}
