//go:build kind

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/kind"
	"github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/results"
)

// kindWait bounds what a cluster on a busy machine may take for one thing.
const kindWait = 2 * time.Minute

// kindLab is the cluster on kind that the parts of TestKind use.
type kindLab struct {
	name   string
	state  clusterState
	client *api.Client
	pods   kubernetes.Interface
}

// etlbench runs the program as users do.
func etlbench(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, said strings.Builder
	cmd := exec.CommandContext(t.Context(), program(t), args...)
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&said, t.Output())
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("etlbench %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return out.String(), err
}

func (l *kindLab) status(t *testing.T, name string) *kube.Status {
	st, err := l.askStatus(t, name)
	require.NoError(t, err)
	return st
}

// askStatus is for conditions, which must not end a test: while a pod moves there
// is nobody to tell of.
func (l *kindLab) askStatus(t *testing.T, name string) (*kube.Status, error) {
	out, err := etlbench(t, "status", "--name", name, "-o", "json")
	if err != nil {
		return nil, err
	}
	st := &kube.Status{}
	return st, json.Unmarshal([]byte(out), st)
}

// isReady tells whether Kubernetes has a node of the cluster as ready.
func (l *kindLab) isReady(ctx context.Context, id string) bool {
	p, err := l.pods.CoreV1().Pods(l.state.Kube.Namespace).Get(ctx, id, metav1.GetOptions{})
	return err == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// TestKind takes a cluster up on kind, uses it as its users would, breaks it,
// and takes it down.
func TestKind(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l := &kindLab{name: fmt.Sprintf("test-%d", os.Getpid())}
	defer func() {
		// Whatever has failed, nothing may be left; TestKind/down looks closer.
		cmd := exec.Command(program(t), "down", "--name", l.name)
		_ = cmd.Run()
	}()
	from := time.Now()
	_, err := etlbench(t, "up", "--on", "kind", "--targets", "2", "--loader-nodes", "1", "--name", l.name)
	require.NoError(t, err)
	t.Logf("up took %s", time.Since(from))
	path, err := statePath(&env{lookup: os.LookupEnv}, l.name)
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &l.state))
	l.client = api.NewClient(l.state.URL)
	defer func() { l.client.Close() }()
	config, err := clientcmd.BuildConfigFromFlags("", l.state.Kube.Kubeconfig)
	require.NoError(t, err)
	l.pods, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)

	t.Run("second up", l.secondUp)
	t.Run("run", l.run)
	t.Run("scale", l.scale)
	t.Run("fleet", l.fleet)
	t.Run("lost loader", l.lostLoader)
	t.Run("interrupted fleet", l.interruptedFleet)
	t.Run("no room for loaders", l.noRoom)
	t.Run("init code", l.initCode)
	t.Run("pod killed under load", l.podKilled)
	t.Run("target moves", l.targetMoves)
	t.Run("proxy moves", l.proxyMoves)
	t.Run("worker killed", l.workerKilled)
	t.Run("another namespace", l.anotherNamespace)
	t.Run("does not come up", l.doesNotComeUp)
	t.Run("down", l.down)
}

func (l *kindLab) secondUp(t *testing.T) {
	_, err := etlbench(t, "up", "--on", "kind", "--name", l.name)
	require.ErrorContains(t, err, "runs already at "+l.state.URL)
}

// run measures the four communication types: the second command finds the
// cluster of the first, and clients reach every node and pod.
func (l *kindLab) run(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_, err := etlbench(t, "run", "inline-by-comm", "--out", dir, "--set", "dataset.objects=16", "--set", "dataset.size=64KiB",
		"--set", "phases.warmup=500ms", "--set", "phases.measure=3s", "--set", "trials.blocks=3")
	// On a machine that others use too a run need not be valid.
	if err != nil {
		require.ErrorContains(t, err, "the run is not valid")
	}
	data, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	require.NoError(t, err)
	var s results.Summary
	require.NoError(t, json.Unmarshal(data, &s))
	require.Len(t, s.Rows, 4)
	for _, r := range s.Rows {
		require.Positive(t, r.Ops, r.Name)
		require.Zero(t, r.Errors, r.Name)
		require.EqualValues(t, 100, r.VerifiedPct, r.Name)
		// Its nodes are containers of this machine.
		used := map[string]int{}
		for _, u := range r.Resources {
			require.Positive(t, u.CPUSeconds, u.Component)
			require.Positive(t, u.PeakBytes, u.Component)
			used[u.Component] = u.Processes
		}
		require.GreaterOrEqual(t, used[results.ComponentTransformer], 2, "%v", used)
		delete(used, results.ComponentTransformer) // io has a process for each object
		require.Equal(t, map[string]int{results.ComponentClient: 1, results.ComponentProxy: 1, results.ComponentTarget: 2}, used)
	}
}

// scale has a cluster for each step in a namespace of their own, with a limit
// for each pod, and leaves nothing.
func (l *kindLab) scale(t *testing.T) {
	const ns = "grown"
	dir := filepath.Join(t.TempDir(), "sweep")
	scale := func(ns string) error {
		_, err := etlbench(t, "scale", "scale-targets", "--over", "targets=1..2", "--repeats", "1", "--on", "kube", "--kubeconfig", l.state.Kube.Kubeconfig,
			"--image", l.state.Kube.Image, "--namespace", ns, "--name", ns, "--out", dir, "--set", "target.cpu=40%", "--set", "dataset.objects=24",
			"--set", "phases.warmup=300ms", "--set", "phases.measure=2s")
		return err
	}
	require.ErrorContains(t, scale(l.state.Kube.Namespace), "has a cluster, which scale does not change")
	if err := scale(ns); err != nil {
		require.ErrorContains(t, err, "is not valid") // on a machine that others use, too
	}
	s, err := reports.ReadSweep(dir)
	require.NoError(t, err)
	require.Len(t, s.Points, 3)
	for i, p := range s.Points {
		want := results.Limits{CPUs: 0.4, PodCPUs: 0.2, Reserved: true}
		if s.Plan.Steps[p.Step].Control {
			want = results.Limits{}
		}
		require.Equal(t, want, p.Limits)
		require.Equal(t, []int{1, 2, 2}[i], p.Targets)
		if p.Valid {
			require.Positive(t, p.MiBPerS.Estimate)
			require.NotNil(t, p.Outside, "what client and proxy used is known")
		}
	}
	_, err = l.pods.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	_, err = etlbench(t, "status", "--name", ns)
	require.ErrorContains(t, err, `no cluster "grown" runs here`)
}

// besides checks that an ETL has a pod on every target's node.
func (l *kindLab) besides(t *testing.T, etl string) (pods []kube.ETLPod) {
	for _, p := range l.status(t, l.name).Pods {
		if strings.HasPrefix(p.Name, etl+"-") {
			require.Equal(t, "ready", p.State, p.Name)
			require.NotEmpty(t, p.KubeNode, p.Name)
			require.Equal(t, p.TargetNode, p.KubeNode, p.Name)
			pods = append(pods, p)
		}
	}
	require.Len(t, pods, 2)
	require.NotEqual(t, pods[0].KubeNode, pods[1].KubeNode, "there is a node for each target")
	return pods
}

func (l *kindLab) initCode(t *testing.T) {
	if os.Getenv("PY_IMAGE") == "" {
		t.Skip("init code needs an image of Python: PY_IMAGE=image")
	}
	putBytes(t, l.client, "code", "o", []byte("abc"))
	require.NoError(t, initCode(t, l.client, api.ETLSpec{Name: "etl-upper", Communication: "hpush", Code: []byte("def transform(b): return b.upper()")}))
	l.besides(t, "etl-upper")
	got, err := inline(t, l.client, "code", "o", "etl-upper")
	require.NoError(t, err)
	require.Equal(t, "ABC", string(got))
	require.NoError(t, l.client.DeleteETL(t.Context(), "etl-upper"))
}

func (l *kindLab) initEcho(t *testing.T, name string) {
	_, err := l.client.InitETL(t.Context(), &api.ETLSpec{Name: name, Spec: samplePod("echo", "hpush"), Communication: "hpush"})
	require.NoError(t, err)
}

// podKilled deletes a pod under load: errors are counted, the ETL is aborted
// with the reason, and starts again.
func (l *kindLab) podKilled(t *testing.T) {
	const etl, objects = "etl-killed", 16
	for i := range objects {
		putBytes(t, l.client, "killed", fmt.Sprint(i), []byte("abc"))
	}
	l.initEcho(t, etl)
	pods := l.besides(t, etl)

	var good, bad atomic.Int64
	load, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; load.Err() == nil; i++ {
				if _, err := inline(t, l.client, "killed", fmt.Sprint(i%objects), etl); err != nil {
					bad.Add(1)
				} else {
					good.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return good.Load() > 100 }, kindWait, 10*time.Millisecond)
	require.Zero(t, bad.Load())
	now := int64(0)
	require.NoError(t, l.pods.CoreV1().Pods(l.state.Kube.Namespace).Delete(t.Context(), pods[0].Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	require.Eventually(t, func() bool {
		d, err := l.client.ETL(t.Context(), etl)
		return err == nil && d.Stage == api.StageAborted && bad.Load() > 0
	}, kindWait, 50*time.Millisecond)
	stop()
	wg.Wait()
	d, err := l.client.ETL(t.Context(), etl)
	require.NoError(t, err)
	reason := d.Reason
	require.Contains(t, reason, pods[0].Name)
	require.Contains(t, reason, "container: server")
	t.Logf("%d good, %d errors; aborted: %s", good.Load(), bad.Load(), reason)

	_, err = l.client.StartETL(t.Context(), etl)
	require.NoError(t, err)
	l.besides(t, etl)
	for i := range objects {
		got, err := inline(t, l.client, "killed", fmt.Sprint(i), etl)
		require.NoError(t, err)
		require.Equal(t, "abc", string(got))
	}
	require.NoError(t, l.client.DeleteETL(t.Context(), etl))
}

// targetMoves deletes a target's pod: it comes back as the same node of the
// cluster at another address, and takes objects again.
func (l *kindLab) targetMoves(t *testing.T) {
	const target, ns = "etlbench-target-0", "etlbench"
	before, err := l.client.Map(t.Context())
	require.NoError(t, err)
	old, err := l.pods.CoreV1().Pods(ns).Get(t.Context(), target, metav1.GetOptions{})
	require.NoError(t, err)
	now := int64(0)
	require.NoError(t, l.pods.CoreV1().Pods(ns).Delete(t.Context(), target, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	require.Eventually(t, func() bool {
		p, err := l.pods.CoreV1().Pods(ns).Get(t.Context(), target, metav1.GetOptions{})
		return err == nil && p.UID != old.UID && p.Status.PodIP != "" && l.isReady(t.Context(), target)
	}, kindWait, 200*time.Millisecond)
	p, err := l.pods.CoreV1().Pods(ns).Get(t.Context(), target, metav1.GetOptions{})
	require.NoError(t, err)
	require.NotEqual(t, old.Status.PodIP, p.Status.PodIP)
	after, err := l.client.Map(t.Context())
	require.NoError(t, err)
	require.Len(t, after.Targets, len(before.Targets))
	require.Equal(t, before.Targets[target].ControlNet, after.Targets[target].ControlNet)
	require.Equal(t, before.UUID, after.UUID)
	require.Eventually(t, func() bool { // the others learn where it is now
		for i := range 8 {
			if l.client.Put(t.Context(), api.AIS("killed"), fmt.Sprint(i), strings.NewReader("xyz"), 3) != nil {
				return false
			}
		}
		return true
	}, kindWait, 200*time.Millisecond)
	l.initEcho(t, "etl-moved")
	l.besides(t, "etl-moved")
	for i := range 8 {
		got, err := inline(t, l.client, "killed", fmt.Sprint(i), "etl-moved")
		require.NoError(t, err)
		require.Equal(t, "xyz", string(got))
	}
	require.NoError(t, l.client.DeleteETL(t.Context(), "etl-moved"))
}

// proxyMoves deletes the pod of the only proxy, and with it the metadata: it
// learns from the targets what they were.
func (l *kindLab) proxyMoves(t *testing.T) {
	const proxy, ns = "etlbench-proxy-0", "etlbench"
	before, err := l.client.Map(t.Context())
	require.NoError(t, err)
	buckets, err := l.client.Buckets(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, buckets)
	now := int64(0)
	require.NoError(t, l.pods.CoreV1().Pods(ns).Delete(t.Context(), proxy, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	l.state.URL = ""
	require.Eventually(t, func() bool {
		st, err := l.askStatus(t, l.name)
		if err != nil {
			return false
		}
		for _, n := range st.Nodes {
			if n.ID == proxy && n.State == "ready" {
				l.state.URL = n.URL
			}
		}
		return l.state.URL != ""
	}, kindWait, 200*time.Millisecond)
	l.client.Close()
	l.client = api.NewClient(l.state.URL) // it may be on another node of Kubernetes
	var after *api.Map
	require.Eventually(t, func() bool {
		after, err = l.client.Map(t.Context())
		return err == nil && after.Primary != nil
	}, kindWait, 200*time.Millisecond)
	require.Equal(t, before.UUID, after.UUID)
	require.Len(t, after.Targets, len(before.Targets))
	kept, err := l.client.Buckets(t.Context())
	require.NoError(t, err)
	require.Equal(t, buckets, kept)
	got, err := inline(t, l.client, "killed", "0", "")
	require.NoError(t, err)
	require.Equal(t, "xyz", string(got))
}

// volumes makes local volumes on every worker, by hand, and gives their storage
// class.
func (l *kindLab) volumes(t *testing.T) string {
	const class, each = "by-hand", 4
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	_, err := l.pods.StorageV1().StorageClasses().Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class},
		Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &wait}, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, n := range l.status(t, l.name).Nodes {
		if n.Type != api.TypeTarget {
			continue
		}
		for i := range each {
			dir, name := fmt.Sprintf("/var/by-hand/%d", i), fmt.Sprintf("%s-%d", n.KubeNode, i)
			out, err := exec.CommandContext(t.Context(), l.state.Kube.Engine, "exec", n.KubeNode, "mkdir", "-p", dir).CombinedOutput()
			require.NoError(t, err, string(out))
			_, err = l.pods.CoreV1().PersistentVolumes().Create(t.Context(), localVolume(name, class, n.KubeNode, dir), metav1.CreateOptions{})
			require.NoError(t, err)
		}
	}
	return class
}

func localVolume(name, class, node, dir string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}},
	}}
}

// anotherNamespace puts a second cluster onto the same Kubernetes, changes it
// in place, with data on volumes, and removes it with its namespace.
func (l *kindLab) anotherNamespace(t *testing.T) {
	const ns = "second"
	class := l.volumes(t)
	up := func(args ...string) error {
		_, err := etlbench(t, append([]string{"up", "--on", "kube", "--kubeconfig", l.state.Kube.Kubeconfig, "--namespace", ns, "--name", ns,
			"--image", l.state.Kube.Image, "--storage-class", class}, args...)...)
		return err
	}
	require.NoError(t, up("--proxies", "1", "--targets", "1"))
	st := l.status(t, ns)
	require.Len(t, st.Nodes, 2)
	client := api.NewClient(st.Nodes[0].URL)
	defer client.Close()
	putBytes(t, client, "kept", "o", []byte("on a volume"))
	require.NoError(t, up("--proxies", "1", "--targets", "1", "--target-cpu", "50%"))
	require.Eventually(t, func() bool {
		body, _, err := client.Get(t.Context(), api.AIS("kept"), "o", nil)
		if err != nil {
			return false
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		return err == nil && string(got) == "on a volume"
	}, kindWait, 100*time.Millisecond)
	require.NoError(t, up("--proxies", "3", "--targets", "2"))
	require.Len(t, l.status(t, ns).Nodes, 5)
	require.ErrorContains(t, up("--proxies", "3", "--targets", "1"), "which cannot become 1")

	// What runs there may do what it needs, and nothing more.
	for verb, want := range map[string]bool{"create pods": true, "delete services": true, "get secrets": false, "list nodes": false, "create pods -n etlbench": false} {
		require.Equal(t, want, l.may(t, ns, verb), verb)
	}
	_, err := etlbench(t, "down", "--name", ns)
	require.NoError(t, err)
	_, err = l.pods.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	require.Len(t, l.status(t, l.name).Nodes, 3, "the other cluster is left alone")
}

// may tells whether the targets of a namespace may do something: "VERB RESOURCE
// [-n NAMESPACE]".
func (l *kindLab) may(t *testing.T, ns, what string) bool {
	words := strings.Fields(what)
	ask := authv1.ResourceAttributes{Verb: words[0], Resource: words[1], Namespace: ns}
	if len(words) == 4 {
		ask.Namespace = words[3]
	}
	review, err := l.pods.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authv1.SubjectAccessReview{Spec: authv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + ns + ":etlbench-target", ResourceAttributes: &ask}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// doesNotComeUp: the reason is told, and nothing stays of it.
func (l *kindLab) doesNotComeUp(t *testing.T) {
	_, err := etlbench(t, "up", "--on", "kube", "--kubeconfig", l.state.Kube.Kubeconfig, "--namespace", "broken", "--name", "broken", "--image", "localhost/nosuch:1")
	require.ErrorContains(t, err, " does not start: ImagePullBackOff")
	_, err = l.pods.CoreV1().Namespaces().Get(t.Context(), "broken", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	_, err = etlbench(t, "status", "--name", "broken")
	require.ErrorContains(t, err, `no cluster "broken" runs here`)
}

func (l *kindLab) down(t *testing.T) {
	_, err := etlbench(t, "down", "--name", l.name)
	require.NoError(t, err)
	_, ok, err := kind.Open(kind.Config{Name: l.state.Kube.Kind, Provider: l.state.Kube.Engine})
	require.NoError(t, err)
	require.False(t, ok, "the kind cluster is still there")
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_STATE_HOME"), "etlbench", "*"))
	require.NoError(t, err)
	for _, f := range left {
		require.True(t, strings.HasSuffix(f, ".lock"), "%s is left", f)
	}
}
