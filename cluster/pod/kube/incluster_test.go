package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestPublicURL(t *testing.T) {
	client := fake.NewClientset(
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "target-0", Namespace: "ais"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, NodePort: 30007}}}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "inside", Namespace: "ais"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	for _, tt := range []struct{ name, host, hostname, want, err string }{
		{"IPv4", "10.0.0.7", "target-0", "http://10.0.0.7:30007", ""},
		{"IPv6", "fd00::7", "target-0", "http://[fd00::7]:30007", ""},
		{"no address", "", "target-0", "", "HOST_IP and HOSTNAME must be set"},
		{"no service", "10.0.0.7", "nosuch", "", `the service of this pod, ais/nosuch`},
		{"no node port", "10.0.0.7", "inside", "", "must be of type NodePort"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{EnvHostIP: tt.host, "HOSTNAME": tt.hostname}
			got, err := publicURL(t.Context(), client, "ais", func(name string) string { return env[name] })
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestInClusterOutside(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := InCluster()
	require.ErrorContains(t, err, "this process does not run in a pod of Kubernetes")
}
