package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestPulled(t *testing.T) {
	require.Zero(t, pulled([]corev1.Event{
		{Reason: "Pulling", Message: `Pulling image "a:1"`},
		{Reason: "Pulled", Message: `Container image "a:1" already present on machine`},
	}))
	require.Equal(t, 1704*time.Millisecond, pulled([]corev1.Event{
		{Reason: "Pulled", Message: `Successfully pulled image "a:1" in 1.204s (1.204s including waiting). Image size: 12345 bytes.`},
		{Reason: "Pulled", Message: `Successfully pulled image "b in 3s:1" in 500.0ms (1.7s including waiting). Image size: 1 bytes.`},
		{Reason: "Started", Message: "Started container main"},
	}))
}

func TestFailure(t *testing.T) {
	state := func(s corev1.ContainerState) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", State: s}}}
	}
	tests := []struct {
		name   string
		status corev1.PodStatus
		want   string // "" there is hope
	}{
		{"new", corev1.PodStatus{Phase: corev1.PodPending}, ""},
		{"is created", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}), ""},
		{"runs", state(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), ""},
		{"has exited", state(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 3, Message: "cannot\ngo on\n"}}),
			"container: main, state: Terminated, reason: Error, message: cannot; go on, exitCode: 3"},
		{"is done", state(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}),
			"container: main, state: Terminated, reason: Completed, message: , exitCode: 0"},
		{"no image", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such host"}}),
			"container: main, state: Waiting, reason: ErrImagePull, message: no such host, exitCode: 0"},
		{"its secret is not known", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: "secret \"s\" not found"}}),
			"container: main, state: Waiting, reason: CreateContainerConfigError, message: secret \"s\" not found, exitCode: 0"},
		{"its secret is not known yet", state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError",
			Message: "failed to sync secret cache: timed out waiting for the condition"}}), ""},
		{"its preparation has failed", corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "etlbench",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1}}}}},
			"container: etlbench, state: Terminated, reason: Error, message: , exitCode: 1"},
		{"its preparation is done", corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "etlbench",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}}}}, ""},
		{"evicted", corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."},
			"container: main, state: Failed, reason: Evicted, message: The node was low on resource: memory., exitCode: 0"},
		{"no room", corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 1 Insufficient cpu."}}},
			"container: main, state: Pending, reason: Unschedulable, message: 0/3 nodes are available: 1 Insufficient cpu., exitCode: 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := failure(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}, Status: tt.status})
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
		})
	}
}
