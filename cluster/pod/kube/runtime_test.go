package kube

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/etlbench/etlbench/cluster/pod"
)

// play is a cluster in which a new pod gets a status, and a port at which
// something listens.
func play(t *testing.T, status corev1.PodStatus) (*Runtime, *fake.Clientset) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	client := fake.NewClientset()
	client.PrependReactor("create", "services", func(a kubetesting.Action) (bool, runtime.Object, error) {
		s := a.(kubetesting.CreateAction).GetObject().(*corev1.Service)
		s.Spec.Ports[0].NodePort = int32(ln.Addr().(*net.TCPAddr).Port)
		return false, nil, nil
	})
	client.PrependReactor("create", "pods", func(a kubetesting.Action) (bool, runtime.Object, error) {
		p := a.(kubetesting.CreateAction).GetObject().(*corev1.Pod)
		p.UID, p.Status = "uid", status
		return false, nil, nil
	})
	cfg := testRuntime().cfg
	cfg.Client = client
	rt, err := New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close()) })
	return rt, client
}

func ready() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "127.0.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
}

func echo() pod.Spec { return pod.Spec{Name: "echo-tgt00001", Image: "example.com/echo"} }

// left are the names of all that is in the namespace.
func left(t *testing.T, client *fake.Clientset) (names []string) {
	pods, err := client.CoreV1().Pods("ais").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	services, err := client.CoreV1().Services("ais").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, p := range pods.Items {
		names = append(names, "pod "+p.Name)
	}
	for _, s := range services.Items {
		names = append(names, "service "+s.Name)
	}
	return names
}

func TestPodIsReadyAndThenDeleted(t *testing.T) {
	rt, client := play(t, ready())
	p, err := rt.Start(t.Context(), echo())
	require.NoError(t, err)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, p.Info().URL)
	_, err = rt.Start(t.Context(), echo())
	require.ErrorContains(t, err, "a pod of this name runs already")
	require.ElementsMatch(t, []string{"pod echo-tgt00001", "service echo-tgt00001"}, left(t, client))
	require.NoError(t, p.Err())

	require.NoError(t, client.CoreV1().Pods("ais").Delete(t.Context(), "echo-tgt00001", metav1.DeleteOptions{}))
	<-p.Done()
	require.ErrorContains(t, p.Err(), "reason: Deleted, message: somebody has deleted the pod")
	require.NoError(t, p.Stop(t.Context()))
	require.Empty(t, left(t, client))
}

func TestPodThatIsNeverReadyLeavesNothing(t *testing.T) {
	pulling := corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "server",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}}
	noImage := *pulling.DeepCopy()
	noImage.ContainerStatuses[0].State.Waiting.Reason = "ErrImagePull"
	tests := []struct {
		name   string
		status corev1.PodStatus
		want   string
	}{
		{"in time", pulling, `not ready: context deadline exceeded (pod_status="Pending", container server waits: ContainerCreating)`},
		{"no image", noImage, "reason: ErrImagePull"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rt, client := play(t, tt.status)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := rt.Start(ctx, echo())
			require.ErrorContains(t, err, tt.want)
			require.Empty(t, left(t, client))
			list, err := rt.List(t.Context())
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
}

// TestRefusedPod: what Kubernetes refuses is a mistake in the spec, and takes
// the service with it.
func TestRefusedPod(t *testing.T) {
	rt, client := play(t, ready())
	client.PrependReactor("create", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "echo-tgt00001", nil)
	})
	_, err := rt.Start(t.Context(), echo())
	require.ErrorIs(t, err, pod.ErrSpec)
	require.Empty(t, left(t, client))
}
