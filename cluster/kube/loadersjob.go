package kube

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/etlbench/etlbench/cluster/api"
)

const (
	componentLoader = "loader" // of labelComponent, and the container's name
	tokenKey        = "token"
	// EnvToken hands loaders the token that they ask for.
	EnvToken   = "ETLBENCH_TOKEN"
	loaderPort = 9000
	// loaderGrace is how long a loader has to stop, seconds. It is idle then.
	loaderGrace = 10
)

// LoaderConfig of loaders. All but ShareNodes are required.
type LoaderConfig struct {
	ID    string // lower case and short; tells them from others in the namespace
	Image string // as Config.Image
	Count int    // 1 or more
	Token string // what whoever connects to them must know
	// ShareNodes lets them run on nodes that have targets.
	ShareNodes bool
}

func (c *LoaderConfig) name() string { return app + "-loaders-" + c.ID }

// objects are the token and the job. Each of its pods has an index of its own,
// and none is made anew: a loader that was lost has lost what it knew.
func (c *LoaderConfig) objects(namespace string) (*corev1.Secret, *batchv1.Job) {
	meta := (&Config{Namespace: namespace}).meta(c.name(), componentLoader)
	secret := &corev1.Secret{TypeMeta: typeMeta("v1", "Secret"), ObjectMeta: meta, Data: map[string][]byte{tokenKey: []byte(c.Token)}}
	n, indexed := int32(c.Count), batchv1.IndexedCompletion
	return secret, &batchv1.Job{TypeMeta: typeMeta("batch/v1", "Job"), ObjectMeta: meta, Spec: batchv1.JobSpec{
		Completions: &n, Parallelism: &n, CompletionMode: &indexed, BackoffLimitPerIndex: new(int32(0)),
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: c.pod()},
	}}
}

func (c *LoaderConfig) pod() corev1.PodSpec {
	p := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(loaderGrace)),
		AutomountServiceAccountToken: new(false), SecurityContext: podSecurity(), Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: beside(componentLoader)}}}},
		Containers: []corev1.Container{{
			Name: componentLoader, Image: c.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"agent", "--listen", fmt.Sprintf(":%d", loaderPort)},
			Ports: []corev1.ContainerPort{{Name: "http", Protocol: corev1.ProtocolTCP, ContainerPort: loaderPort}},
			Env: []corev1.EnvVar{{Name: EnvToken, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: c.name()}, Key: tokenKey}}}},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 2,
				ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}},
			Resources:                corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}},
			SecurityContext:          containerSecurity(),
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		}},
	}
	if !c.ShareNodes {
		p.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = []corev1.PodAffinityTerm{beside(api.TypeTarget)}
	}
	return p
}

// beside is being on a node with pods of a component.
func beside(component string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelName: app, labelComponent: component}}}
}
