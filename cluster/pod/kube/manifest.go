package kube

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// Labels of what a target creates, as AIStore has them.
const (
	labelApp  = "app"
	labelName = "nvidia.com/ais-etl-name"
	labelNode = "nvidia.com/ais-etl-node"
	// LabelTarget has the ID of the target.
	LabelTarget    = "nvidia.com/ais-etl-target"
	labelPart      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
)

// Selector finds the pods of all ETLs of a namespace.
const Selector = labelApp + "=" + app + "," + labelPart + "=" + part

const (
	app       = "ais"
	part      = "etl"
	hostname  = "kubernetes.io/hostname" // label of nodes
	portName  = "default"
	container = "server" // of specs that name none
	// defaultPort is where pods listen whose spec does not say it.
	defaultPort = 8000
)

// Folders of pods that this program serves or helps.
const (
	program     = "/etlbench" // in Config.Image
	toolDir     = "/etlbench-bin"
	codeDir     = "/code"
	packagesDir = "/environments" // what init code requires
	tmpDir      = "/tmp"
)

// manifests are the objects that one pod consists of.
type manifests struct {
	files   *corev1.ConfigMap // nil: there are none
	service *corev1.Service
	pod     *corev1.Pod
	runs    string // pod.Info.Runs
}

// manifests says what to create for a spec.
func (r *Runtime) manifests(s *pod.Spec) (*manifests, error) {
	if err := r.checkReads(s.Reads); err != nil {
		return nil, err
	}
	m := &manifests{pod: r.template(s)}
	c := &m.pod.Spec.Containers[0]
	if err := r.program(s, m, c); err != nil {
		return nil, err
	}
	r.limit(m.pod.Spec.Containers)
	r.place(&m.pod.Spec)
	r.shareVolumes(&m.pod.Spec, c)
	m.service = r.serviceOf(s.Name, c.Ports[0].ContainerPort)
	return m, nil
}

// checkReads refuses pods that could not read a folder of the target's.
func (r *Runtime) checkReads(dir string) error {
	if dir == "" || slices.ContainsFunc(r.cfg.Mounts, func(m corev1.VolumeMount) bool { return within(dir, m.MountPath) }) {
		return nil
	}
	return fmt.Errorf("%w: argument: the pod cannot read the objects' folder %s: it is on no volume that pods can share with their target", pod.ErrSpec, dir)
}

func within(dir, root string) bool {
	dir, root = path.Clean(dir), path.Clean(root)
	return dir == root || strings.HasPrefix(dir, strings.TrimSuffix(root, "/")+"/")
}

// template is the user's pod, or an empty one, with what the spec says.
func (r *Runtime) template(s *pod.Spec) *corev1.Pod {
	p := &corev1.Pod{}
	if s.Template != nil {
		p = s.Template.DeepCopy()
	} else {
		p.Spec.Containers = []corev1.Container{{ImagePullPolicy: corev1.PullAlways}}
	}
	p.TypeMeta, p.Status = metav1.TypeMeta{}, corev1.PodStatus{}
	p.ObjectMeta = r.meta(s.Name, p.Labels, p.Annotations)
	p.Labels[labelNode] = r.cfg.Node
	p.Labels[LabelTarget] = r.cfg.Target
	// A pod that is started anew has lost what was under way in it: that is
	// the cluster's to know.
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	// A transformer is foreign code, which has no business with Kubernetes.
	if p.Spec.AutomountServiceAccountToken == nil {
		p.Spec.AutomountServiceAccountToken = new(false)
	}
	p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, r.cfg.PullSecrets...)
	c := &p.Spec.Containers[0]
	c.Name = strings.ReplaceAll(strings.ToLower(s.Container), "_", "-")
	if c.Name == "" {
		c.Name = container
	}
	c.Image, c.Command, c.Args, c.Resources = s.Image, s.Command, s.Args, s.Resources
	c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	setPort(c)
	allowPort(&p.Spec, c.Ports[0].ContainerPort)
	setProbe(c, s.Probe)
	c.Env = variables(c.Ports[0].ContainerPort, s.Env)
	return p
}

// meta is what all objects of a pod have in common.
func (r *Runtime) meta(name string, labels, annotations map[string]string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: r.cfg.Namespace, Labels: maps.Clone(labels), Annotations: annotations}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	maps.Copy(m.Labels, map[string]string{labelApp: app, labelName: name, labelPart: part, labelComponent: "server"})
	if r.cfg.Owner != nil {
		m.OwnerReferences = []metav1.OwnerReference{*r.cfg.Owner}
	}
	return m
}

func setPort(c *corev1.Container) {
	if len(c.Ports) == 0 {
		c.Ports = []corev1.ContainerPort{{ContainerPort: defaultPort}}
	}
	c.Ports[0].Name = portName
}

// lowPorts is the sysctl, safe by Kubernetes' own word, below whose value only
// root may listen.
const lowPorts = "net.ipv4.ip_unprivileged_port_start"

// allowPort lets programs that are not root listen at a low port. AIStore's
// transformers have port 80; some container runtimes allow that by themselves.
func allowPort(s *corev1.PodSpec, port int32) {
	if port >= 1024 || s.HostNetwork {
		return
	}
	if s.SecurityContext == nil {
		s.SecurityContext = &corev1.PodSecurityContext{}
	}
	sysctls := &s.SecurityContext.Sysctls
	if !slices.ContainsFunc(*sysctls, func(y corev1.Sysctl) bool { return y.Name == lowPorts }) {
		*sysctls = append(*sysctls, corev1.Sysctl{Name: lowPorts, Value: "0"})
	}
}

// setProbe completes the readiness probe with the defaults of the spec. A pod
// without a path is ready when its port answers.
func setProbe(c *corev1.Container, probe pod.Probe) {
	if c.ReadinessProbe == nil {
		c.ReadinessProbe = &corev1.Probe{}
	}
	p := c.ReadinessProbe
	p.TimeoutSeconds = max(1, int32(probe.Timeout.Seconds()))
	p.PeriodSeconds = max(1, int32(probe.Period.Seconds()))
	p.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: probe.Path, Port: intstr.FromString(portName)}}
	if probe.Path == "" {
		p.ProbeHandler = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(portName)}}
	}
}

// variables are a pod's environment. The port comes first, so that $(PORT) may
// stand in what follows; of a name that is there twice the last counts.
func variables(port int32, env []api.EnvVar) []corev1.EnvVar {
	list := []corev1.EnvVar{{Name: pod.EnvPort, Value: strconv.Itoa(int(port))}}
	for _, e := range env {
		list = slices.DeleteFunc(list, func(v corev1.EnvVar) bool { return v.Name == e.Name && v.Name != pod.EnvPort })
		if e.Name != pod.EnvPort {
			list = append(list, corev1.EnvVar{Name: e.Name, Value: e.Value})
		}
	}
	return list
}

// limit holds a pod to what each may use.
func (r *Runtime) limit(list []corev1.Container) {
	if r.cfg.CPUs == 0 {
		return
	}
	for i := range list {
		LimitCPU(&list[i].Resources, r.cfg.CPUs/float64(len(list)), !r.cfg.SharedCPUs)
	}
}

// place binds a pod to the target's node.
func (r *Runtime) place(s *corev1.PodSpec) {
	if s.Affinity == nil {
		s.Affinity = &corev1.Affinity{}
	}
	s.Affinity.NodeAffinity = &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: hostname, Operator: corev1.NodeSelectorOpIn, Values: []string{r.cfg.Node}}},
		}}},
	}
}

// shareVolumes gives a pod the target's volumes, unless it has one of the name
// or something mounted there.
func (r *Runtime) shareVolumes(s *corev1.PodSpec, c *corev1.Container) {
	for _, v := range r.cfg.Volumes {
		if !slices.ContainsFunc(s.Volumes, func(have corev1.Volume) bool { return have.Name == v.Name }) {
			s.Volumes = append(s.Volumes, v)
		}
	}
	for _, m := range r.cfg.Mounts {
		if !slices.ContainsFunc(c.VolumeMounts, func(have corev1.VolumeMount) bool { return have.MountPath == m.MountPath }) {
			c.VolumeMounts = append(c.VolumeMounts, m)
		}
	}
}

// serviceOf makes a pod reachable at its node's address.
func (r *Runtime) serviceOf(name string, port int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: r.meta(name, nil, nil)}
	s.Labels[LabelTarget] = r.cfg.Target
	s.Spec = corev1.ServiceSpec{
		Type:     corev1.ServiceTypeNodePort,
		Selector: map[string]string{labelApp: app, labelName: name},
		Ports:    []corev1.ServicePort{{Name: portName, Port: port, TargetPort: intstr.FromString(portName)}},
	}
	return s
}
