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
	pod    pod.Spec // without Name and the target's environment
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

// planETL checks an init message in any of its forms. It is pure: a target
// plans again what the primary stored, with the same result.
func planETL(s api.ETLSpec) (*plan, error) {
	name, old := s.ETLName(), s.ID != ""
	if s.Name != "" && s.ID != "" && s.Name != s.ID {
		return nil, badSpec("id is %q but name is %q: give one of them", s.ID, s.Name)
	}
	if name == "" {
		return nil, badSpec("the ETL has no name: give \"name\" (or \"id\")")
	}
	if err := api.CheckNewETLName(name, old); err != nil {
		return nil, badSpec("%v", err)
	}
	s.Name = name
	p := &plan{spec: s}
	var err error
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
	if err != nil {
		return nil, err
	}
	return p, p.finish(old)
}

func badSpec(format string, args ...any) error {
	return fmt.Errorf("%w: %s", pod.ErrSpec, fmt.Sprintf(format, args...))
}

// finish fills in what all forms share.
func (p *plan) finish(old bool) error {
	s := &p.spec
	s.Communication = p.typ.Name
	if p.typ.NeedsDirectPut && !s.DirectPut {
		return badSpec("communication: %s needs support_direct_put to be true", p.typ.Name)
	}
	switch s.Argument {
	case "", "url", api.ArgumentFQN:
	default:
		return badSpec("argument: %q, must be \"\", \"url\" or %q", s.Argument, api.ArgumentFQN)
	}
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
	p.pod.PerObject = p.typ.PerObject
	return nil
}

// setComm finds the communication type: the message's own, else the
// annotation's, else hpush.
func (p *plan) setComm(annotation string) (err error) {
	name := p.spec.Communication
	if name == "" {
		name = annotation
	}
	if p.typ, err = comm.Lookup(name); err != nil {
		return badSpec("communication: %v", err)
	}
	return nil
}

// fromPod takes a Pod YAML.
func (p *plan) fromPod() error {
	perObject := func(annotation string) bool {
		return p.setComm(annotation) == nil && p.typ.PerObject
	}
	parsed, err := pod.ParseYAML(p.spec.Spec, perObject)
	if err != nil {
		return err
	}
	if err := p.setComm(parsed.Comm); err != nil {
		return err
	}
	if parsed.DirectPut != "" {
		direct, err := strconv.ParseBool(parsed.DirectPut)
		if err != nil {
			return badSpec("metadata.annotations.%s: %q is not true or false", pod.AnnotationDirectPut, parsed.DirectPut)
		}
		p.spec.DirectPut = direct
	}
	if p.spec.InitTimeout == 0 && p.spec.Timeout == 0 {
		p.spec.InitTimeout = api.Duration(parsed.Wait)
	}
	p.pod = parsed.Spec
	return nil
}

// defaultProbe is the readiness probe of pods that are not given as YAML.
func defaultProbe() pod.Probe {
	return pod.Probe{Path: "/health", Timeout: pod.DefaultProbeTimeout, Period: pod.DefaultProbePeriod}
}

// fromRuntime takes a runtime spec: an image with its command.
func (p *plan) fromRuntime() error {
	var r api.RuntimeSpec
	if err := json.Unmarshal(p.spec.Runtime, &r); err != nil {
		return badSpec("runtime: %v", err)
	}
	if r.Image == "" {
		return badSpec("runtime.image: is required")
	}
	if len(p.spec.Resources) == 0 {
		p.spec.Resources = json.RawMessage("{}") // as today's clients always send it
	}
	p.pod = pod.Spec{Image: r.Image, Command: r.Command, Env: r.Env, Probe: defaultProbe()}
	return p.setComm("")
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
