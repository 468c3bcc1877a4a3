package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestLowPorts(t *testing.T) {
	free := []corev1.Sysctl{{Name: lowPorts, Value: "0"}}
	mine := []corev1.Sysctl{{Name: lowPorts, Value: "80"}}
	for _, tt := range []struct {
		name string
		spec corev1.PodSpec
		port int32
		want []corev1.Sysctl
	}{
		{"low", corev1.PodSpec{}, 80, free},
		{"high", corev1.PodSpec{}, 8000, nil},
		{"the user's own", corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{Sysctls: mine}}, 80, mine},
		{"the node's network", corev1.PodSpec{HostNetwork: true}, 80, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allowPort(&tt.spec, tt.port)
			var got []corev1.Sysctl
			if tt.spec.SecurityContext != nil {
				got = tt.spec.SecurityContext.Sysctls
			}
			require.Equal(t, tt.want, got)
		})
	}
}
