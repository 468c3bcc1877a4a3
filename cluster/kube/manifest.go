package kube

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/etlbench/etlbench/cluster/api"
	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// Labels and annotations of what a cluster consists of.
const (
	labelName      = "app.kubernetes.io/name"
	labelManaged   = "app.kubernetes.io/managed-by"
	labelComponent = "app.kubernetes.io/component" // api.TypeProxy or api.TypeTarget
	labelPod       = "statefulset.kubernetes.io/pod-name"
	// noteRevision is what a pod's template was made of.
	noteRevision = "etlbench/revision"
)

const (
	app       = "etlbench" // also the manager of fields, and the secret's name
	secretKey = "secret"
	// EnvSecret hands the cluster's secret to its nodes.
	EnvSecret = "ETLBENCH_CLUSTER_SECRET"
	dataDir   = "/data"
	// claim is how much a volume claim asks for.
	claim = "10Gi"
	// stopGrace is how long a node has to stop, seconds: a target stops its
	// pods first.
	stopGrace = 60
	user      = 65532
)

// ports of nodes, by type: AIStore's.
var ports = map[string]int32{api.TypeProxy: 51080, api.TypeTarget: 51081}

// setName is the StatefulSet of a type of nodes, and its headless Service.
func setName(kind string) string { return app + "-" + kind }

// nodeName is a node's ID, its pod and the Service that clients reach it by.
func nodeName(kind string, i int) string { return fmt.Sprintf("%s-%d", setName(kind), i) }

// url is where other nodes find a node, in whatever pod and on whatever node of
// Kubernetes it is.
func (c *Config) url(kind, name string) string {
	return fmt.Sprintf("http://%s.%s.%s.svc:%d", name, setName(kind), c.Namespace, ports[kind])
}

// selector finds the objects of a cluster.
var selector = labelName + "=" + app + "," + labelManaged + "=" + app

func (c *Config) meta(name, kind string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: c.Namespace, Labels: map[string]string{labelName: app, labelManaged: app}}
	if kind != "" {
		m.Labels[labelComponent] = kind
	}
	return m
}

// Manifests are the objects that a cluster consists of, in the order in which
// they are to be applied. secret is what its nodes know each other by; "" makes
// one.
func Manifests(c Config, secret string) []runtime.Object {
	if secret == "" {
		secret = rand.Text()
	}
	list := []runtime.Object{
		&corev1.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}},
		&corev1.Secret{TypeMeta: typeMeta("v1", "Secret"), ObjectMeta: c.meta(app, ""), Data: map[string][]byte{secretKey: []byte(secret)}},
	}
	sizes := map[string]int{api.TypeProxy: c.Proxies, api.TypeTarget: c.Targets}
	for _, kind := range []string{api.TypeProxy, api.TypeTarget} {
		list = append(list, c.rights(kind)...)
		list = append(list, c.headless(kind))
		for i := range sizes[kind] {
			list = append(list, c.nodePort(kind, nodeName(kind, i)))
		}
	}
	return append(list, c.proxies(), c.targets())
}

func typeMeta(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// rules are what nodes may do in their own namespace: all of them look up the
// Services by which they are reached, targets run pods.
func rules(kind string) []rbacv1.PolicyRule {
	if kind == api.TypeProxy {
		return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get"}}}
	}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list", "watch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"services", "configmaps"}, Verbs: []string{"create", "get", "list", "delete"}},
		{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods"}, Verbs: []string{"get"}},
	}
}

func (c *Config) rights(kind string) []runtime.Object {
	meta := c.meta(setName(kind), kind)
	return []runtime.Object{
		&corev1.ServiceAccount{TypeMeta: typeMeta("v1", "ServiceAccount"), ObjectMeta: meta},
		&rbacv1.Role{TypeMeta: typeMeta("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: meta, Rules: rules(kind)},
		&rbacv1.RoleBinding{TypeMeta: typeMeta("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: meta.Name, Namespace: c.Namespace}}},
	}
}

func (c *Config) service(name, kind string) *corev1.Service {
	return &corev1.Service{TypeMeta: typeMeta("v1", "Service"), ObjectMeta: c.meta(name, kind),
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: ports[kind], TargetPort: intstr.FromString("http")}}}}
}

// headless gives the nodes of a type their names. They find each other before
// they are ready: a target is ready when it has joined.
func (c *Config) headless(kind string) *corev1.Service {
	s := c.service(setName(kind), kind)
	s.Spec.ClusterIP, s.Spec.PublishNotReadyAddresses = corev1.ClusterIPNone, true
	s.Spec.Selector = map[string]string{labelName: app, labelComponent: kind}
	return s
}

// nodePort is how clients reach a node: at the address of the Kubernetes node
// that it is on, without another hop.
func (c *Config) nodePort(kind, name string) *corev1.Service {
	s := c.service(name, kind)
	s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeNodePort, corev1.ServiceExternalTrafficPolicyLocal
	s.Spec.PublishNotReadyAddresses = true
	s.Spec.Selector = map[string]string{labelPod: name}
	return s
}

// proxies come one after the other: the first begins the cluster.
func (c *Config) proxies() *appsv1.StatefulSet {
	// A proxy whose data went with its pod learns from the targets.
	args := append(c.nodeArgs(api.TypeProxy), "--copies", fmt.Sprintf("http://%s.%s.svc:%d", setName(api.TypeTarget), c.Namespace, ports[api.TypeTarget]))
	if c.Proxies > 1 {
		args = append(args, "--join", c.proxyURLs(), "--begins", nodeName(api.TypeProxy, 0))
	}
	s := c.set(api.TypeProxy, c.Proxies, args, "/v1/health")
	s.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	s.Spec.Template.Spec.Containers[0].Resources.Requests = requests("100m", "128Mi")
	return c.seal(s)
}

// targets are spread over the nodes, one on each while there are enough.
func (c *Config) targets() *appsv1.StatefulSet {
	args := append(c.nodeArgs(api.TypeTarget), "--join", c.proxyURLs(), "--sync", c.Sync, "--pods", "kube", "--image", c.Image)
	if c.TargetCPUs > 0 {
		args = append(args, "--pod-cpus", strconv.FormatFloat(c.PodCPUs(), 'g', -1, 64))
	}
	if c.SharedCPUs {
		args = append(args, "--shared-cpus")
	}
	s := c.set(api.TypeTarget, c.Targets, append(args, c.TargetArgs...), "/v1/health?readiness=true")
	s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	p := &s.Spec.Template.Spec
	p.Containers[0].Resources.Requests = requests("200m", "256Mi")
	if c.TargetCPUs > 0 {
		podkube.LimitCPU(&p.Containers[0].Resources, c.TargetCPUs-c.PodCPUs(), !c.SharedCPUs)
	}
	honor := corev1.NodeInclusionPolicyHonor
	p.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
		NodeTaintsPolicy: &honor, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: app, labelComponent: api.TypeTarget}}}}
	return c.seal(s)
}

func requests(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func (c *Config) proxyURLs() string {
	var urls []string
	for i := range c.Proxies {
		urls = append(urls, c.url(api.TypeProxy, nodeName(api.TypeProxy, i)))
	}
	return strings.Join(urls, ",")
}

func (c *Config) nodeArgs(kind string) []string {
	return []string{"node", kind, "--id", "$(POD_NAME)", "--data", dataDir, "--listen", fmt.Sprintf(":%d", ports[kind]),
		"--cluster-url", c.url(kind, "$(POD_NAME)"), "--node-port"}
}

// set is a StatefulSet of nodes.
func (c *Config) set(kind string, replicas int, args []string, health string) *appsv1.StatefulSet {
	meta := c.meta(setName(kind), kind)
	s := &appsv1.StatefulSet{TypeMeta: typeMeta("apps/v1", "StatefulSet"), ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
		Replicas: new(int32(replicas)), ServiceName: meta.Name,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: app, labelComponent: kind}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(meta.Labels)}, Spec: corev1.PodSpec{
			ServiceAccountName: meta.Name, TerminationGracePeriodSeconds: new(int64(stopGrace)),
			SecurityContext: podSecurity(),
			Containers: []corev1.Container{{
				Name: kind, Image: c.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: args,
				Ports: []corev1.ContainerPort{{Name: "http", Protocol: corev1.ProtocolTCP, ContainerPort: ports[kind]}},
				Env:   environment(),
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 2,
					ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: health, Port: intstr.FromString("http")}}},
				SecurityContext:          containerSecurity(),
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			}},
		}},
	}}
	c.addVolumes(s)
	return s
}

func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)), FSGroup: new(int64(user)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
}

func containerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
}

// environment is what tells a node where it is.
func environment() []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
	}
	return []corev1.EnvVar{
		field("POD_NAME", "metadata.name"), field(podkube.EnvNode, "spec.nodeName"), field(podkube.EnvHostIP, "status.hostIP"),
		{Name: EnvSecret, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: app}, Key: secretKey}}},
	}
}

func (c *Config) addVolumes(s *appsv1.StatefulSet) {
	p := &s.Spec.Template.Spec
	p.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: dataDir}, {Name: "tmp", MountPath: "/tmp"}}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	p.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: empty}}
	if c.StorageClass == "" {
		p.Volumes = append(p.Volumes, corev1.Volume{Name: "data", VolumeSource: empty})
		return
	}
	mode := corev1.PersistentVolumeFilesystem
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: maps.Clone(s.Labels)},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &c.StorageClass, VolumeMode: &mode, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(claim)}}},
	}}
}

// seal notes what the template is made of, by which its pods are told from
// those of an earlier one.
func (c *Config) seal(s *appsv1.StatefulSet) *appsv1.StatefulSet {
	data, err := json.Marshal(s.Spec.Template)
	if err != nil {
		panic(err) // of a struct of Kubernetes' own
	}
	s.Spec.Template.Annotations = map[string]string{noteRevision: fmt.Sprintf("%x", sha256.Sum256(data))[:12]}
	return s
}
