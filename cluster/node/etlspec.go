package node

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/pod"
)

// Timeouts of an ETL that does not say.
const (
	defaultInit = 45 * time.Second
	// unlimitedInit is the old dialect's "infinity"; a pod that fails ends
	// the wait at once anyway.
	unlimitedInit = 24 * time.Hour
	defaultObject = 10 * time.Second
)

// plan is what an init message comes to: checked, with all defaults.
type plan struct {
	spec   api.ETLSpec // normalised, as it is stored and shown
	typ    comm.Type
	pod    pod.Spec // without Name, and only with the environment that comes first
	init   time.Duration
	object time.Duration
}

// describe is an init message in AIStore's few words.
func (p *plan) describe() string {
	s := &p.spec
	form, env := "init-spec", ""
	switch {
	case len(s.Code) > 0:
		form = "init-code"
	case len(s.Runtime) > 0:
		form = "init-etl-spec"
		var list []string
		for _, e := range p.pod.Env {
			list = append(list, fmt.Sprintf("{%q:%q}", e.Name, e.Value))
		}
		env = ", env=[" + strings.Join(list, ",") + "]"
	}
	return fmt.Sprintf("%s[%s-%s]%s, timeout=(%s, %s)", form, s.Name, p.typ.Name, env, p.init, p.object)
}

// maxChunk is the largest chunk_size.
const maxChunk = 1 << 20

// planETL checks an init message in any of its forms, and says all that is
// wrong with it at once. It is pure: a target plans again what the primary
// stored, with the same result.
func planETL(s api.ETLSpec) (*plan, error) {
	p := &plan{spec: s}
	var (
		bad pod.SpecError
		err error
	)
	old := s.ID != ""
	bad.Take(p.setName(old))
	switch {
	case len(s.Code) > 0:
		err = p.fromCode()
	case len(s.Runtime) > 0 && s.Runtime[0] == '{':
		err = p.fromRuntime()
	case len(s.Spec) > 0:
		err = p.fromPod()
	default:
		err = badSpec("needs one of code, spec (a Pod) and runtime (an image)")
	}
	bad.Take(err)
	bad.Take(p.finish(old))
	if err := bad.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// setName takes the name, in the dialect that it came in.
func (p *plan) setName(old bool) error {
	s := &p.spec
	if s.Name != "" && s.ID != "" && s.Name != s.ID {
		return badSpec("id: is %q but name is %q: give one of them", s.ID, s.Name)
	}
	key := "name"
	if old {
		key = "id"
	}
	s.Name = s.ETLName()
	if s.Name == "" {
		return badSpec("name: is required: the ETL has no name")
	}
	if err := api.CheckNewETLName(s.Name, old); err != nil {
		return badSpec("%s: %v", key, err)
	}
	return nil
}

func badSpec(format string, args ...any) error {
	return &pod.SpecError{Problems: []string{fmt.Sprintf(format, args...)}}
}

// finish checks and fills in what all forms share. The type is not there when
// it was wrong.
func (p *plan) finish(old bool) error {
	var bad pod.SpecError
	s := &p.spec
	s.Communication = p.typ.Name
	if p.typ.NeedsDirectPut && !s.DirectPut {
		bad.Add("communication", "%s needs support_direct_put to be true", p.typ.Name)
	}
	switch s.Argument {
	case "", "url", api.ArgumentFQN:
	default:
		bad.Add("argument", "%q, must be \"\", \"url\" or %q", s.Argument, api.ArgumentFQN)
	}
	bad.Take(pod.CheckEnv("", s.Env))
	bad.Take(p.setResources())
	p.setTimeouts(old)
	p.pod.PerObject = p.typ.PerObject
	return bad.Err()
}

// setResources takes the message's resources in place of the Pod's own.
func (p *plan) setResources() error {
	if raw := p.spec.Resources; len(raw) == 0 || string(raw) == "null" {
		p.spec.Resources = nil
		return nil
	}
	r, err := pod.ParseResources(p.spec.Resources)
	if len(r.Limits) > 0 || len(r.Requests) > 0 {
		p.pod.Resources = r
	}
	return err
}

func (p *plan) setTimeouts(old bool) {
	s := &p.spec
	if s.InitTimeout == 0 {
		s.InitTimeout = s.Timeout
	}
	s.Timeout = 0
	p.init, p.object = time.Duration(s.InitTimeout), time.Duration(s.ObjTimeout)
	if p.init == 0 && old {
		p.init = unlimitedInit
	} else if p.init == 0 {
		p.init = defaultInit
		s.InitTimeout = api.Duration(p.init)
	}
	if p.object == 0 {
		p.object = defaultObject
		s.ObjTimeout = api.Duration(p.object)
	}
}

// setComm finds the communication type: the message's own, else the
// annotation's, else hpush.
func (p *plan) setComm(annotation string) (err error) {
	name, path := p.spec.Communication, "communication"
	if name == "" && annotation != "" {
		name, path = annotation, "metadata.annotations."+pod.AnnotationComm
	}
	if p.typ, err = comm.Lookup(name); err != nil {
		return badSpec("%s: %v", path, err)
	}
	return nil
}

// fromPod takes a Pod YAML.
func (p *plan) fromPod() error {
	perObject := func(annotation string) bool {
		return p.setComm(annotation) == nil && p.typ.PerObject
	}
	var bad pod.SpecError
	parsed, err := pod.ParseYAML(p.spec.Spec, perObject)
	bad.Take(err)
	if parsed == nil {
		return bad.Err()
	}
	bad.Take(p.setComm(parsed.Comm))
	if parsed.DirectPut != "" {
		if p.spec.DirectPut, err = strconv.ParseBool(parsed.DirectPut); err != nil {
			bad.Add("metadata.annotations."+pod.AnnotationDirectPut, "%q is not true or false", parsed.DirectPut)
		}
	}
	if p.spec.InitTimeout == 0 && p.spec.Timeout == 0 {
		p.spec.InitTimeout = api.Duration(parsed.Wait)
	}
	p.pod = parsed.Spec
	return bad.Err()
}

// defaultProbe is the readiness probe of pods that are not given as YAML.
func defaultProbe() pod.Probe {
	return pod.Probe{Path: "/health", Timeout: pod.DefaultProbeTimeout, Period: pod.DefaultProbePeriod}
}

// fromRuntime takes a runtime spec: an image with its command.
func (p *plan) fromRuntime() error {
	var (
		r   api.RuntimeSpec
		bad pod.SpecError
	)
	if err := pod.Decode("runtime", p.spec.Runtime, &r); err != nil {
		bad.Take(err)
	} else if r.Image == "" {
		bad.Add("runtime.image", "is required")
	}
	bad.Take(pod.CheckEnv("runtime.", r.Env))
	if len(p.spec.Resources) == 0 {
		p.spec.Resources = []byte("{}") // as today's clients show it
	}
	p.pod = pod.Spec{Image: r.Image, Command: r.Command, Env: r.Env, Probe: defaultProbe(), Container: p.spec.Name}
	bad.Take(p.setComm(""))
	return bad.Err()
}

// runtimePattern is what a runtime of init code looks like. Whether there is
// one of the version is for targets to say.
var runtimePattern = regexp.MustCompile(`^python[23](\.\d{1,2}(v2)?)?$`)

// fromCode takes init code.
func (p *plan) fromCode() error {
	s := &p.spec
	var runtime string
	if len(s.Runtime) == 0 {
		return badSpec("runtime: is required with code, such as \"python3\"")
	}
	if err := json.Unmarshal(s.Runtime, &runtime); err != nil {
		return badSpec("runtime: %v", err)
	}
	if !runtimePattern.MatchString(runtime) {
		return badSpec("runtime: %q, must be python2 or python3, or one with a version, such as python3.11 or python3.11v2", runtime)
	}
	if s.ChunkSize < 0 || s.ChunkSize > maxChunk {
		return badSpec("chunk_size: %d, must be 0 to %d", s.ChunkSize, maxChunk)
	}
	if err := p.setComm(""); err != nil {
		return err
	}
	funcs := api.Funcs{}
	if s.Funcs != nil {
		funcs = *s.Funcs
	}
	if funcs.Transform == "" {
		funcs.Transform = "transform"
	}
	s.Funcs = &funcs
	p.pod = pod.Spec{
		Runtime: runtime, Files: map[string][]byte{pod.CodeFile: s.Code}, Probe: defaultProbe(),
		Env: []api.EnvVar{
			{Name: "MOD_NAME", Value: "code"},
			{Name: "FUNC_TRANSFORM", Value: funcs.Transform},
			{Name: "FUNC_BEFORE", Value: funcs.Before},
			{Name: "FUNC_AFTER", Value: funcs.After},
			{Name: "COMM_TYPE", Value: p.typ.Name},
			{Name: "CHUNK_SIZE", Value: strconv.FormatInt(s.ChunkSize, 10)},
		},
	}
	if len(s.Dependencies) > 0 {
		p.pod.Files[pod.RequirementsFile] = s.Dependencies
	}
	s.Spec = codePod(s.Name, runtime, p.typ.Name)
	return nil
}

// codePod is the Pod YAML that today's clients expect to see of an ETL made
// from code.
func codePod(name, runtime, commType string) api.Blob {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Pod
metadata:
  name: %s
  annotations:
    communication_type: %q
spec:
  containers:
    - name: server
      image: aistorage/runtime_python:%s
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`, strings.ToLower(strings.ReplaceAll(name, "_", "-")), commType, strings.TrimPrefix(runtime, "python"))
}
