package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestAllReady(t *testing.T) {
	node := func(status corev1.ConditionStatus, taints ...string) corev1.Node {
		n := corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Message: "no network"}}}}
		for _, key := range taints {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key})
		}
		return n
	}
	require.Error(t, allReady(nil))
	require.NoError(t, allReady([]corev1.Node{node(corev1.ConditionTrue, "node-role.kubernetes.io/control-plane"), node(corev1.ConditionTrue)}))
	require.ErrorContains(t, allReady([]corev1.Node{node(corev1.ConditionTrue), node(corev1.ConditionFalse)}), "no network")
	require.ErrorContains(t, allReady([]corev1.Node{node(corev1.ConditionTrue, corev1.TaintNodeNotReady)}), "takes no pods yet")
	require.ErrorContains(t, allReady([]corev1.Node{{}}), "has said nothing")
}
