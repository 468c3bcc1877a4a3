//go:build kind

package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/etlbench/etlbench/cluster/kind"
	clusterkube "github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/pod/kube"
	"github.com/etlbench/etlbench/cluster/pod/podtest"
)

// lab is the cluster that all tests of the package share.
var lab struct {
	client  kubernetes.Interface
	image   string
	workers []string
}

const readable = "/usr" // of the nodes' own file system

func TestMain(m *testing.M) {
	podtest.Main()
	os.Exit(inLab(m))
}

// inLab runs the tests on a kind cluster that is there for them alone.
func inLab(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "etlbench-kind-")
	check(err)
	defer os.RemoveAll(dir)
	c, err := kind.Create(context.Background(), kind.Config{Name: fmt.Sprintf("etlbench-pods-%d", os.Getpid()), Provider: os.Getenv(kind.EnvProvider),
		NodeImage: os.Getenv("KIND_NODE_IMAGE"), Workers: 2, Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	check(err)
	defer func() { check(c.Delete()) }()
	exe, err := os.Executable()
	check(err)
	img, err := kind.NewImage(exe)
	check(err)
	check(c.Load(context.Background(), img))
	config, err := c.REST()
	check(err)
	there, err := clusterkube.New(config, "default")
	check(err)
	check(there.AwaitKubeNodes(context.Background()))
	client, err := kube.NewClient(config)
	check(err)
	nodes, err := client.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{LabelSelector: "!node-role.kubernetes.io/control-plane"})
	check(err)
	for _, n := range nodes.Items {
		lab.workers = append(lab.workers, n.Name)
	}
	slices.Sort(lab.workers)
	lab.client, lab.image = client, img.Name
	return m.Run()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// namespace is a new one for a test, removed with all that is in it.
func namespace(t *testing.T) string {
	ns, err := lab.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "pods-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, lab.client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}))
	})
	return ns.Name
}

func config(t *testing.T, ns string) kube.Config {
	return kube.Config{Client: lab.client, Target: "tgt00001", Image: lab.image, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Self: kube.Self{Namespace: ns, Node: lab.workers[0],
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: readable}}}},
			Mounts:  []corev1.VolumeMount{{Name: "data", MountPath: readable, ReadOnly: true}}}}
}

func open(t *testing.T) pod.Runtime {
	rt, err := kube.New(t.Context(), config(t, namespace(t)))
	require.NoError(t, err)
	return rt
}

// spec is a pod of this very executable in a role.
func spec(role string) pod.Spec {
	s := pod.Spec{Image: lab.image, Probe: pod.Probe{Path: "/health", Timeout: time.Second, Period: time.Second}}
	s.Template = &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{ImagePullPolicy: corev1.PullNever,
		Ports: []corev1.ContainerPort{{Name: "default", ContainerPort: 8000}}}}}}
	s.Env = append(s.Env, envVar(podtest.EnvRole, role))
	return s
}

func TestConformance(t *testing.T) {
	unknown := pod.Spec{Image: "localhost/nosuch:1", Probe: spec("").Probe}
	podtest.Run(t, open, podtest.Programs{Serve: spec("serve"), Crash: spec("crash"), Deaf: spec("deaf"), Unknown: unknown, Readable: readable})
}

func start(t *testing.T, rt pod.Runtime, name string) pod.Pod {
	s := spec("serve")
	s.Name = name
	p, err := rt.Start(t.Context(), s)
	require.NoError(t, err)
	return p
}

func gone(t *testing.T, p pod.Pod) *pod.ExitError {
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
		t.Fatal("the pod did not go")
	}
	var exit *pod.ExitError
	require.ErrorAs(t, p.Err(), &exit)
	return exit
}

// TestPlaced: a pod is on the node of its target, wherever that is.
func TestPlaced(t *testing.T) {
	ns := namespace(t)
	for _, node := range lab.workers {
		cfg := config(t, ns)
		cfg.Node, cfg.Target = node, "tgt-"+node
		rt, err := kube.New(t.Context(), cfg)
		require.NoError(t, err)
		p := start(t, rt, "echo-"+node)
		require.Equal(t, node, p.Info().Node)
		got, err := lab.client.CoreV1().Pods(ns).Get(t.Context(), "echo-"+node, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, node, got.Spec.NodeName)
		require.NoError(t, rt.Close())
	}
}

func TestDeletedFromOutside(t *testing.T) {
	ns := namespace(t)
	rt, err := kube.New(t.Context(), config(t, ns))
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	p := start(t, rt, "serve-deleted")
	require.NoError(t, lab.client.CoreV1().Pods(ns).Delete(t.Context(), "serve-deleted", metav1.DeleteOptions{}))
	require.Contains(t, []string{"Deleted", "Error"}, gone(t, p).Reason, "the order of the two events is Kubernetes'")
}

func TestEvicted(t *testing.T) {
	ns := namespace(t)
	rt, err := kube.New(t.Context(), config(t, ns))
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	p := start(t, rt, "serve-evicted")
	require.NoError(t, lab.client.PolicyV1().Evictions(ns).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "serve-evicted", Namespace: ns}}))
	require.ErrorContains(t, gone(t, p), "EvictionByEvictionAPI")
}

// TestNoRoom: a pod that the node will never take ends the wait at once.
func TestNoRoom(t *testing.T) {
	rt := open(t)
	defer func() { require.NoError(t, rt.Close()) }()
	s := spec("serve")
	s.Name = "serve-huge"
	s.Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": *quantity("1000")}}
	_, err := rt.Start(t.Context(), s)
	require.ErrorContains(t, err, "Unschedulable")
	require.ErrorContains(t, err, "Insufficient cpu")
}

// TestLeftovers: what an earlier life of the target left behind is removed, and
// nothing of another target.
func TestLeftovers(t *testing.T) {
	ns := namespace(t)
	other := config(t, ns)
	other.Target = "tgt00002"
	stays, err := kube.New(t.Context(), other)
	require.NoError(t, err)
	defer func() { require.NoError(t, stays.Close()) }()
	theirs := start(t, stays, "serve-theirs")

	before, err := kube.New(t.Context(), config(t, ns))
	require.NoError(t, err)
	start(t, before, "serve-left")
	after, err := kube.New(t.Context(), config(t, ns))
	require.NoError(t, err)
	defer func() { require.NoError(t, after.Close()) }()
	list, err := after.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	services, err := lab.client.CoreV1().Services(ns).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, services.Items, 1)
	require.NoError(t, theirs.Err())
	require.NoError(t, before.Close())
}
