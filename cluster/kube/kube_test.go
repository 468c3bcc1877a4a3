package kube

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"github.com/etlbench/etlbench/cluster/api"
	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

var update = flag.Bool("update", false, "write the golden file")

func config() Config {
	return Config{Namespace: "ais", Image: "example.com/etlbench:1", Proxies: 1, Targets: 2, Sync: "data"}
}

func set(t *testing.T, c Config, kind string) *appsv1.StatefulSet {
	for _, o := range Manifests(c, "s") {
		if s, ok := o.(*appsv1.StatefulSet); ok && s.Name == setName(kind) {
			return s
		}
	}
	t.Fatalf("no set of %ss", kind)
	return nil
}

// TestRights: nothing is asked for that is not in the cluster's own namespace,
// or that goes beyond running pods.
func TestRights(t *testing.T) {
	for _, o := range Manifests(config(), "s") {
		switch o := o.(type) {
		case *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
			t.Errorf("%T", o)
		case *rbacv1.Role:
			require.Equal(t, "ais", o.Namespace)
			for _, r := range o.Rules {
				require.NotContains(t, r.Resources, "*")
				require.NotContains(t, r.Resources, "secrets")
				require.NotContains(t, r.Verbs, "*")
			}
		case *appsv1.StatefulSet:
			p := o.Spec.Template.Spec
			require.True(t, *p.SecurityContext.RunAsNonRoot)
			require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, p.SecurityContext.SeccompProfile.Type)
			for _, c := range p.Containers {
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
				require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
				require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
				require.NotEmpty(t, c.Resources.Requests)
				require.NotNil(t, c.ReadinessProbe)
			}
		}
	}
}

func TestYAML(t *testing.T) {
	data, err := YAML(Manifests(Config{Namespace: "ais", Image: "example.com/etlbench:1", Proxies: 3, Targets: 2, Sync: "full",
		StorageClass: "fast", TargetCPUs: 0.15, TargetArgs: []string{"--python-image", "python:3.12"}}, "s"))
	require.NoError(t, err)
	const file = "testdata/manifests.golden.yaml"
	if *update {
		require.NoError(t, os.WriteFile(file, data, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(data), "go test ./cluster/kube -update writes it anew")
	for _, part := range strings.Split(string(data), "---\n")[1:] {
		var o struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
			Status            any `json:"status"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(part), &o))
		require.NotEmpty(t, o.Kind)
		require.Nil(t, o.Status, o.Kind)
	}
}

// TestFirstProxyBegins: of several proxies one begins the cluster, and only if
// no other is there; a single one joins nobody.
func TestFirstProxyBegins(t *testing.T) {
	c := config()
	args := set(t, c, api.TypeProxy).Spec.Template.Spec.Containers[0].Args
	require.NotContains(t, args, "--join")
	c.Proxies = 3
	s := set(t, c, api.TypeProxy)
	args = s.Spec.Template.Spec.Containers[0].Args
	require.Subset(t, args, []string{"--begins", "etlbench-proxy-0"})
	require.Contains(t, args, "http://etlbench-proxy-0.etlbench-proxy.ais.svc:51080,http://etlbench-proxy-1.etlbench-proxy.ais.svc:51080,http://etlbench-proxy-2.etlbench-proxy.ais.svc:51080")
	require.Equal(t, appsv1.OrderedReadyPodManagement, s.Spec.PodManagementPolicy, "the first is there before the others ask for it")
}

// TestRevision: what changes a pod changes its revision, and nothing else does.
func TestRevision(t *testing.T) {
	of := func(change func(*Config)) string {
		c := config()
		change(&c)
		return set(t, c, api.TypeTarget).Spec.Template.Annotations[noteRevision]
	}
	same := of(func(*Config) {})
	require.Equal(t, same, of(func(c *Config) { c.Targets = 5 }))
	for name, change := range map[string]func(*Config){
		"image": func(c *Config) { c.Image = "example.com/etlbench:2" }, "CPUs": func(c *Config) { c.TargetCPUs = 1 },
		"arguments": func(c *Config) { c.TargetArgs = []string{"-v"} },
	} {
		require.NotEqual(t, same, of(change), name)
	}
}

func TestSecretIsMade(t *testing.T) {
	secret := func() string {
		for _, o := range Manifests(config(), "") {
			if s, ok := o.(*corev1.Secret); ok {
				return string(s.Data[secretKey])
			}
		}
		return ""
	}
	require.GreaterOrEqual(t, len(secret()), 26)
	require.NotEqual(t, secret(), secret())
}

// podOf is a pod of a target with the state of its container.
func podOf(i int, revision string, s corev1.ContainerStatus, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: nodeName(api.TypeTarget, i), Namespace: "ais", Annotations: map[string]string{noteRevision: revision},
		Labels: map[string]string{labelName: app, labelManaged: app, labelComponent: api.TypeTarget}}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{s}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func waitsFor(reason, message string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func TestWaiting(t *testing.T) {
	noRoom := podOf(1, "r", corev1.ContainerStatus{}, false)
	noRoom.Status = corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}}
	for _, tt := range []struct {
		name    string
		pods    []*corev1.Pod
		done    bool
		err     string
		missing string
	}{
		{"all are ready", []*corev1.Pod{podOf(0, "r", corev1.ContainerStatus{}, true), podOf(1, "r", corev1.ContainerStatus{}, true)}, true, "", ""},
		{"one is not there", []*corev1.Pod{podOf(0, "r", corev1.ContainerStatus{}, true)}, false, "", "etlbench-target-1 is not there"},
		{"one is of before", []*corev1.Pod{podOf(0, "r", corev1.ContainerStatus{}, true), podOf(1, "old", corev1.ContainerStatus{}, true)}, false, "", "etlbench-target-1 is not there"},
		{"what is of before may fail", []*corev1.Pod{podOf(0, "old", waitsFor("ImagePullBackOff", "", 0), false)}, false, "", "etlbench-target-0 is not there; etlbench-target-1 is not there"},
		{"one has no room yet", []*corev1.Pod{podOf(0, "r", corev1.ContainerStatus{}, true), noRoom}, false, "", "etlbench-target-1 has no node: 0/3 nodes are available"},
		{"an image is pulled", []*corev1.Pod{podOf(0, "r", waitsFor("ErrImagePull", "no such host", 0), false)}, false, "", "etlbench-target-0 waits: ErrImagePull: no such host; etlbench-target-1 is not there"},
		{"an image is not there", []*corev1.Pod{podOf(0, "r", waitsFor("ImagePullBackOff", "not\nfound", 0), false)}, false, "etlbench-target-0 does not start: ImagePullBackOff: not; found", ""},
		{"it has ended once", []*corev1.Pod{podOf(0, "r", waitsFor("CrashLoopBackOff", "", 1), false)}, false, "", "etlbench-target-0 waits: CrashLoopBackOff; etlbench-target-1 is not there"},
		{"it keeps ending", []*corev1.Pod{podOf(0, "r", waitsFor("CrashLoopBackOff", "back-off", 3), false)}, false, "etlbench-target-0 does not start: CrashLoopBackOff: back-off", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := waiting{pods: map[string]*corev1.Pod{}, revision: map[string]string{nodeName(api.TypeTarget, 0): "r", nodeName(api.TypeTarget, 1): "r"}}
			var err error
			for _, p := range tt.pods {
				if err == nil {
					err = w.take(p, false)
				}
			}
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.done, w.done())
			require.Equal(t, tt.missing, w.missing())
		})
	}
}

func TestStatus(t *testing.T) {
	on := func(p *corev1.Pod, node string) *corev1.Pod {
		p.Spec.NodeName, p.Status.HostIP = node, "10.0.0.7"
		return p
	}
	etl := func(name, target, node string) *corev1.Pod {
		p := on(podOf(0, "", corev1.ContainerStatus{}, true), node)
		p.Name, p.Labels = name, map[string]string{podkube.LabelTarget: target}
		for _, term := range strings.Split(podkube.Selector, ",") {
			key, value, _ := strings.Cut(term, "=")
			p.Labels[key] = value
		}
		return p
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "etlbench-target-0", Namespace: "ais", Labels: map[string]string{labelName: app, labelManaged: app}},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{NodePort: 30001}}}}
	client := fake.NewClientset(on(podOf(0, "r", corev1.ContainerStatus{RestartCount: 2}, true), "worker-1"), service,
		etl("e-etlbench-target-0", "etlbench-target-0", "worker-1"), etl("f-etlbench-target-0", "etlbench-target-0", "worker-2"))
	st, err := (&Cluster{namespace: "ais", client: client}).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Node{{ID: "etlbench-target-0", Type: api.TypeTarget, URL: "http://10.0.0.7:30001", KubeNode: "worker-1", State: "ready", Restarts: 2}}, st.Nodes)
	require.Len(t, st.Pods, 2)
	require.True(t, st.Pods[0].Beside(), fmt.Sprint(st.Pods[0]))
	require.False(t, st.Pods[1].Beside(), fmt.Sprint(st.Pods[1]))

	_, err = (&Cluster{namespace: "elsewhere", client: client}).Status(t.Context())
	require.ErrorIs(t, err, ErrNotFound)
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "nosuch"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := Open("", "", "ais")
	require.ErrorContains(t, err, "no kubeconfig tells of a Kubernetes")
	_, err = Open(filepath.Join(t.TempDir(), "nosuch"), "", "ais")
	require.ErrorContains(t, err, "no such file")
}
