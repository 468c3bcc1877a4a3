package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// SpecError is all that is wrong with how a pod is specified: a problem is the
// path of a field and the rule that it breaks. errors.Is(err, ErrSpec).
type SpecError struct{ Problems []string }

// Error lists the problems in one line.
func (e *SpecError) Error() string { return ErrSpec.Error() + ": " + strings.Join(e.Problems, "; ") }

// Is matches ErrSpec.
func (e *SpecError) Is(target error) bool { return target == ErrSpec }

// Add notes that a field breaks a rule.
func (e *SpecError) Add(path, format string, args ...any) {
	e.Problems = append(e.Problems, path+": "+fmt.Sprintf(format, args...))
}

// Take notes what an error says, if it is one.
func (e *SpecError) Take(err error) {
	var more *SpecError
	switch {
	case errors.As(err, &more):
		e.Problems = append(e.Problems, more.Problems...)
	case err != nil:
		e.Problems = append(e.Problems, strings.TrimPrefix(oneLine(err), ErrSpec.Error()+": "))
	}
}

// Err is nil when there is no problem.
func (e *SpecError) Err() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

// ParseYAML reads the Pod of an ETL and checks it by the reference's tables.
// perObject tells, by the communication type, whether ports and probe may be
// left out. All problems come back at once, as a *SpecError, and with them
// what the Pod says of itself; nothing when it is no Pod.
func ParseYAML(data []byte, perObject func(comm string) bool) (*Parsed, error) {
	var (
		p   corev1.Pod
		bad SpecError
	)
	if err := yaml.Unmarshal(data, &p); err != nil {
		return nil, unreadable(data, err)
	}
	if p.Kind != "Pod" {
		bad.Add("failed to parse pod spec: kind", "is %q, must be Pod", p.Kind)
		return nil, &bad
	}
	out := &Parsed{MetaName: p.Name, Comm: p.Annotations[AnnotationComm], DirectPut: p.Annotations[AnnotationDirectPut]}
	if wait := p.Annotations[AnnotationWait]; wait != "" {
		d, err := time.ParseDuration(wait)
		if err != nil || d < 0 {
			bad.Add("metadata.annotations."+AnnotationWait, "%q is not a duration such as 5m", wait)
		}
		out.Wait = d
	}
	checkPod(&p.Spec, bad.Add)
	optional := perObject(out.Comm)
	if n := len(p.Spec.Containers); n != 1 {
		bad.Add("spec.containers", "has %d containers, exactly one is required", n)
		return out, &bad
	}
	c := &p.Spec.Containers[0]
	checkContainer(c, optional, bad.Add)
	if err := bad.Err(); err != nil {
		return out, err
	}
	out.Spec = containerSpec(c)
	out.Template = &p
	return out, nil
}

// unreadable says which fields of a YAML document do not fit a Pod.
func unreadable(data []byte, err error) error {
	var bad SpecError
	if doc, jerr := yaml.YAMLToJSON(data); jerr == nil {
		bad.Problems = api.FieldProblems("", doc, func(b []byte) error { return yaml.Unmarshal(b, new(corev1.Pod)) })
	}
	if len(bad.Problems) == 0 {
		bad.Problems = []string{oneLine(err)}
	}
	bad.Problems[0] = "failed to parse pod spec: " + bad.Problems[0]
	return &bad
}

// checkPod refuses what is the target's to decide, and what nothing here would
// heed.
func checkPod(s *corev1.PodSpec, bad complain) {
	const placed = "is forbidden: it is used to place a pod beside its target"
	if a := s.Affinity; a != nil && a.NodeAffinity != nil {
		bad("spec.affinity.nodeAffinity", placed)
	}
	if a := s.Affinity; a != nil && a.PodAntiAffinity != nil {
		bad("spec.affinity.podAntiAffinity", placed)
	}
	if len(s.InitContainers) > 0 {
		bad("spec.initContainers", "is not supported: the image must be complete")
	}
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
	if len(c.EnvFrom) > 0 {
		bad(path+"envFrom", "is not supported: write the variables into env")
	}
	for i, e := range c.Env {
		if e.ValueFrom != nil {
			bad(fmt.Sprintf("%senv[%d].valueFrom", path, i), "is not supported: give %s a value", e.Name)
		}
	}
	checkEnv(path, containerEnv(c), bad)
	checkResources(path, &c.Resources, bad)
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
	if p != nil && p.TimeoutSeconds < 0 {
		bad(path+".timeoutSeconds", "is %d, must not be negative", p.TimeoutSeconds)
	}
	if p != nil && p.PeriodSeconds < 0 {
		bad(path+".periodSeconds", "is %d, must not be negative", p.PeriodSeconds)
	}
}

// CheckEnv says what is wrong with variables that are set at a path: a program
// could not be given them.
func CheckEnv(path string, env []api.EnvVar) error {
	var bad SpecError
	for i, e := range env {
		if len(e.ValueFrom) > 0 && string(e.ValueFrom) != "null" {
			bad.Add(fmt.Sprintf("%senv[%d].valueFrom", path, i), "is not supported: give %s a value", e.Name)
		}
	}
	checkEnv(path, env, bad.Add)
	return bad.Err()
}

func checkEnv(path string, env []api.EnvVar, bad complain) {
	for i, e := range env {
		at := fmt.Sprintf("%senv[%d].", path, i)
		switch {
		case e.Name == "":
			bad(at+"name", "is required")
		case strings.ContainsAny(e.Name, "=\x00"):
			bad(at+"name", "is %q, must have neither '=' nor a NUL byte", e.Name)
		}
		if strings.Contains(e.Value, "\x00") {
			bad(at+"value", "must have no NUL byte")
		}
	}
}

// Decode reads the JSON of the field at a path, and names what is wrong in it.
func Decode[T any](path string, data []byte, v *T) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	bad := SpecError{Problems: api.FieldProblems(path, data, func(b []byte) error { return json.Unmarshal(b, new(T)) })}
	if len(bad.Problems) == 0 {
		bad.Add(path, "%s", oneLine(err))
	}
	return &bad
}

// ParseResources reads a container's resources, in JSON.
func ParseResources(data []byte) (r corev1.ResourceRequirements, err error) {
	if err := Decode("resources", data, &r); err != nil {
		return r, err
	}
	var bad SpecError
	checkResources("", &r, bad.Add)
	return r, bad.Err()
}

// checkResources checks amounts as Kubernetes does: none is negative, and none
// is requested beyond its limit.
func checkResources(path string, r *corev1.ResourceRequirements, bad complain) {
	for _, of := range []struct {
		key  string
		list corev1.ResourceList
	}{{"limits", r.Limits}, {"requests", r.Requests}} {
		for _, name := range slices.Sorted(maps.Keys(of.list)) {
			q := of.list[name]
			at := path + "resources." + of.key + "." + string(name)
			limit, limited := r.Limits[name]
			if q.Sign() < 0 {
				bad(at, "is %s, must not be negative", q.String())
			} else if limited && q.Cmp(limit) > 0 {
				bad(at, "is %s, more than the limit of %s", q.String(), limit.String())
			}
		}
	}
}

// containerSpec takes what a runtime needs of a checked container.
func containerSpec(c *corev1.Container) Spec {
	s := Spec{Container: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, Env: containerEnv(c), Resources: c.Resources}
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

func containerEnv(c *corev1.Container) (env []api.EnvVar) {
	for _, e := range c.Env {
		env = append(env, api.EnvVar{Name: e.Name, Value: e.Value})
	}
	return env
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
