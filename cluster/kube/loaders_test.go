package kube

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"github.com/etlbench/etlbench/cluster/api"
)

// TestLoaderJob: each loader has an index, is made once, has no rights, and no
// target on its node unless told so.
func TestLoaderJob(t *testing.T) {
	for _, share := range []bool{false, true} {
		cfg := LoaderConfig{ID: "a1", Image: "example.com/etlbench:1", Count: 3, Token: "tok", ShareNodes: share}
		secret, job := cfg.objects("ais")
		require.Equal(t, "tok", string(secret.Data[tokenKey]))
		require.Equal(t, batchv1.IndexedCompletion, *job.Spec.CompletionMode)
		require.EqualValues(t, 3, *job.Spec.Completions)
		require.EqualValues(t, 3, *job.Spec.Parallelism)
		require.Zero(t, *job.Spec.BackoffLimitPerIndex)
		p := job.Spec.Template.Spec
		require.Equal(t, corev1.RestartPolicyNever, p.RestartPolicy)
		require.False(t, *p.AutomountServiceAccountToken)
		require.True(t, *p.SecurityContext.RunAsNonRoot)
		c := p.Containers[0]
		require.Equal(t, cfg.Image, c.Image)
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, secret.Name, c.Env[0].ValueFrom.SecretKeyRef.Name, "the token is in no command line")
		never := p.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		if share {
			require.Empty(t, never)
			continue
		}
		require.Len(t, never, 1)
		require.Equal(t, corev1.LabelHostname, never[0].TopologyKey)
		target := set(t, config(), api.TypeTarget).Spec.Template.Labels
		for k, v := range never[0].LabelSelector.MatchLabels {
			require.Equal(t, v, target[k], "it is about targets")
		}
	}
}

func loaderPod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "etlbench-loaders-a1-0-x", Namespace: "ais",
		Labels:      map[string]string{batchv1.JobNameLabel: "etlbench-loaders-a1", labelName: app, labelManaged: app, labelComponent: componentLoader},
		Annotations: map[string]string{batchv1.JobCompletionIndexAnnotation: "0"}}, Spec: corev1.PodSpec{NodeName: "n1"}}
	change(p)
	return p
}

func container(state corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: componentLoader, State: state}}
	}
}

// withProxy is a Kubernetes with a cluster of one proxy, on which jobs have the
// pods that are given.
func withProxy(pods ...*corev1.Pod) *Cluster {
	meta := (&Config{Namespace: "ais"}).meta(nodeName(api.TypeProxy, 0), api.TypeProxy)
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: meta})
	client.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
		for _, p := range pods {
			if err := client.Tracker().Add(p); err != nil {
				return true, nil, err
			}
		}
		return false, nil, nil
	})
	client.PrependReactor("delete", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
		for _, p := range pods {
			_ = client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), p.Namespace, p.Name)
		}
		return false, nil, nil
	})
	return &Cluster{namespace: "ais", client: client}
}

// TestLoadersThatDoNotStart: the error says why, and nothing is left of them.
func TestLoadersThatDoNotStart(t *testing.T) {
	for name, c := range map[string]struct {
		pod  func(*corev1.Pod)
		want string
	}{
		"image": {container(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}),
			"loader etlbench-loaders-a1-0-x: does not start: ImagePullBackOff: no such image"},
		"crash": {container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: "begins\nboom\n"}}),
			"loader etlbench-loaders-a1-0-x: Error, exit code 1; its last words: boom"},
		"evicted": {func(p *corev1.Pod) { p.Status.Reason, p.Status.Message = "Evicted", "low on memory" }, "Evicted: low on memory"},
	} {
		t.Run(name, func(t *testing.T) {
			k := withProxy(loaderPod(c.pod))
			_, err := k.StartLoaders(t.Context(), LoaderConfig{ID: "a1", Image: "i", Count: 1, Token: "t"})
			require.ErrorContains(t, err, c.want)
			_, err = k.client.BatchV1().Jobs("ais").Get(t.Context(), "etlbench-loaders-a1", metav1.GetOptions{})
			require.True(t, apierrors.IsNotFound(err), "%v", err)
			_, err = k.client.CoreV1().Secrets("ais").Get(t.Context(), "etlbench-loaders-a1", metav1.GetOptions{})
			require.True(t, apierrors.IsNotFound(err), "%v", err)
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		k := withProxy(loaderPod(func(*corev1.Pod) {}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := k.StartLoaders(ctx, LoaderConfig{ID: "a1", Image: "i", Count: 1, Token: "t"})
		require.ErrorIs(t, err, context.Canceled)
		pods, err := k.client.CoreV1().Pods("ais").List(t.Context(), metav1.ListOptions{LabelSelector: ofJob("etlbench-loaders-a1")})
		require.NoError(t, err)
		require.Empty(t, pods.Items)
	})
}

func TestNoRoomForLoaders(t *testing.T) {
	full := loaderPod(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: "0/3 nodes are available: 2 node(s) didn't match pod anti-affinity rules"}}
	})
	g := gathering{pods: make([]*corev1.Pod, 2)}
	require.NoError(t, g.noRoom(), "nothing is known yet")
	require.NoError(t, g.take(full, false), "a node may come")
	require.ErrorIs(t, g.noRoom(), ErrNoRoom)
	require.ErrorContains(t, g.noRoom(), "etlbench-loaders-a1-0-x: 0/3 nodes are available")
	require.Equal(t, "etlbench-loaders-a1-0-x has no node: 0/3 nodes are available: 2 node(s) didn't match pod anti-affinity rules; loader 1 is not there", g.missing())
}

// TestWhyALoaderWasLost names pod, node, container and reason.
func TestWhyALoaderWasLost(t *testing.T) {
	p := loaderPod(container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}))
	k := withProxy()
	l := &Loaders{c: k, name: "etlbench-loaders-a1", pods: []*corev1.Pod{p}}
	require.Equal(t, []string{"etlbench-loaders-a1-0-x:9000"}, l.Names())
	require.Equal(t, "pod ais/etlbench-loaders-a1-0-x on node n1, container loader: the pod was deleted", l.Why("etlbench-loaders-a1-0-x:9000"))
	_, err := k.client.CoreV1().Pods("ais").Create(t.Context(), p, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Equal(t, "pod ais/etlbench-loaders-a1-0-x on node n1, container loader: OOMKilled, exit code 137", l.Why("etlbench-loaders-a1-0-x:9000"))
	require.Empty(t, l.Why("other:9000"))
	st, err := k.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Nodes, 1, "a loader is no node of the cluster")
}
