package pod

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/etlbench/etlbench/cluster/api"
)

// Annotations of a Pod YAML that an ETL reads.
const (
	AnnotationComm      = "communication_type"
	AnnotationWait      = "wait_timeout"
	AnnotationDirectPut = "support_direct_put"
)

// Parsed is a checked Pod YAML.
type Parsed struct {
	Spec // without a Name
	// MetaName is metadata.name.
	MetaName string
	// Annotations as given; "" when absent.
	Comm, DirectPut string
	Wait            time.Duration // 0 when absent
}

// portName is the name that the first port must have.
const portName = "default"

// ParseYAML reads the Pod of an ETL and checks it by the reference's tables.
// perObject tells, by the communication type, whether ports and probe may be
// left out. All problems come back at once, each with the path of its field;
// errors.Is(err, ErrSpec).
func ParseYAML(data []byte, perObject func(comm string) bool) (*Parsed, error) {
	var p corev1.Pod
	if err := yaml.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("%w: failed to parse pod spec: %s", ErrSpec, oneLine(err))
	}
	if p.Kind != "Pod" {
		return nil, fmt.Errorf("%w: failed to parse pod spec: kind: is %q, must be Pod", ErrSpec, p.Kind)
	}
	out := &Parsed{MetaName: p.Name, Comm: p.Annotations[AnnotationComm], DirectPut: p.Annotations[AnnotationDirectPut]}
	var problems []error
	bad := func(path, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: %s: %s", ErrSpec, path, fmt.Sprintf(format, args...)))
	}
	if wait := p.Annotations[AnnotationWait]; wait != "" {
		d, err := time.ParseDuration(wait)
		if err != nil || d < 0 {
			bad("metadata.annotations."+AnnotationWait, "%q is not a duration such as 5m", wait)
		}
		out.Wait = d
	}
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		bad("spec.affinity.nodeAffinity", "is forbidden: it is used to place a pod beside its target")
	}
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		bad("spec.affinity.podAntiAffinity", "is forbidden: it is used to place a pod beside its target")
	}
	if n := len(p.Spec.Containers); n != 1 {
		bad("spec.containers", "has %d containers, exactly one is required", n)
		return nil, errors.Join(problems...)
	}
	checkContainer(&p.Spec.Containers[0], perObject(out.Comm), bad)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	out.Spec = containerSpec(&p.Spec.Containers[0])
	return out, nil
}

type complain func(path, format string, args ...any)

func checkContainer(c *corev1.Container, optional bool, bad complain) {
	const path = "spec.containers[0]."
	if c.Image == "" {
		bad(path+"image", "is required")
	}
	switch {
	case len(c.Ports) == 0 && !optional:
		bad(path+"ports", "at least one is required")
	case len(c.Ports) > 0 && c.Ports[0].Name != portName:
		bad(path+"ports[0].name", "is %q, must be %q", c.Ports[0].Name, portName)
	}
	if len(c.Ports) > 0 && (c.Ports[0].ContainerPort < 1 || c.Ports[0].ContainerPort > 65535) {
		bad(path+"ports[0].containerPort", "is %d, must be 1 to 65535", c.Ports[0].ContainerPort)
	}
	for i, e := range c.Env {
		if e.ValueFrom != nil {
			bad(fmt.Sprintf("%senv[%d].valueFrom", path, i), "is not supported: give %s a value", e.Name)
		}
	}
	checkProbe(c.ReadinessProbe, optional, bad)
}

func checkProbe(p *corev1.Probe, optional bool, bad complain) {
	const path = "spec.containers[0].readinessProbe"
	switch {
	case p == nil && optional:
	case p == nil:
		bad(path, "is required")
	case p.HTTPGet == nil:
		bad(path+".httpGet", "is required")
	default:
		if p.HTTPGet.Path == "" {
			bad(path+".httpGet.path", "is required")
		}
		if p.HTTPGet.Port.String() != portName {
			bad(path+".httpGet.port", "is %q, must be %q", p.HTTPGet.Port.String(), portName)
		}
	}
}

// containerSpec takes what a runtime needs of a checked container.
func containerSpec(c *corev1.Container) Spec {
	s := Spec{Image: c.Image, Command: c.Command, Args: c.Args}
	for _, e := range c.Env {
		s.Env = append(s.Env, api.EnvVar{Name: e.Name, Value: e.Value})
	}
	s.Probe = Probe{Timeout: DefaultProbeTimeout, Period: DefaultProbePeriod}
	if p := c.ReadinessProbe; p != nil {
		s.Probe.Path = "/" + strings.TrimPrefix(p.HTTPGet.Path, "/")
		if p.TimeoutSeconds > 0 {
			s.Probe.Timeout = time.Duration(p.TimeoutSeconds) * time.Second
		}
		if p.PeriodSeconds > 0 {
			s.Probe.Period = time.Duration(p.PeriodSeconds) * time.Second
		}
	}
	return s
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
