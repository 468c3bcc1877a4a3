package pod

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/etlbench/etlbench/cluster/api"
)

// ReadSpecs reads a YAML file as AIStore's transformers ship it, and gives the
// init message of each of its documents: a Pod, whose name and annotations
// become fields of the message, or a runtime spec. What a cluster checks of a
// Pod is left to the cluster. errors.Is(err, ErrSpec).
func ReadSpecs(data []byte) ([]*api.ETLSpec, error) {
	docs, err := documents(data)
	if err != nil {
		return nil, err
	}
	var specs []*api.ETLSpec
	for i, doc := range docs {
		s, err := readSpec(doc)
		if err != nil && len(docs) > 1 {
			err = fmt.Errorf("document %d: %w", i+1, err)
		}
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("%w: there is no Pod and no runtime spec in it", ErrSpec)
	}
	return specs, nil
}

// documents splits a file; documents that are empty are left out.
func documents(data []byte) (docs [][]byte, err error) {
	for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrSpec, yamlProblem(err))
		}
		var v any
		if err := yaml.Unmarshal(doc, &v); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrSpec, yamlProblem(err))
		}
		if v != nil {
			docs = append(docs, doc)
		}
	}
}

func readSpec(doc []byte) (*api.ETLSpec, error) {
	var kind struct {
		Kind    string          `json:"kind"`
		Runtime json.RawMessage `json:"runtime"`
	}
	if err := yaml.Unmarshal(doc, &kind); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSpec, yamlProblem(err))
	}
	switch {
	case kind.Kind == "Pod":
		return podMessage(doc)
	case kind.Kind != "":
		return nil, fmt.Errorf("%w: kind: is %q, must be Pod", ErrSpec, kind.Kind)
	case len(kind.Runtime) == 0 || kind.Runtime[0] != '{':
		return nil, fmt.Errorf("%w: it is neither a Pod (kind: Pod) nor a runtime spec (runtime: with an image)", ErrSpec)
	}
	return runtimeMessage(doc)
}

// podMessage copies what clients copy of a Pod: a cluster of today reads
// neither communication_type nor wait_timeout by itself.
func podMessage(doc []byte) (*api.ETLSpec, error) {
	var p corev1.Pod
	if err := yaml.Unmarshal(doc, &p); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSpec, yamlProblem(err))
	}
	s := &api.ETLSpec{Name: p.Name, Spec: doc, Communication: p.Annotations[AnnotationComm]}
	if wait := p.Annotations[AnnotationWait]; wait != "" {
		d, err := time.ParseDuration(wait)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%w: metadata.annotations.%s: %q is not a duration such as 5m", ErrSpec, AnnotationWait, wait)
		}
		s.InitTimeout = api.Duration(d)
	}
	if direct := p.Annotations[AnnotationDirectPut]; direct != "" {
		v, err := strconv.ParseBool(direct)
		if err != nil {
			return nil, fmt.Errorf("%w: metadata.annotations.%s: %q is not true or false", ErrSpec, AnnotationDirectPut, direct)
		}
		s.DirectPut = v
	}
	return s, nil
}

// runtimeFile is a runtime spec as a file may have it.
type runtimeFile struct {
	Name          string          `json:"name"`
	Runtime       json.RawMessage `json:"runtime"`
	Communication string          `json:"communication"`
	Argument      string          `json:"argument"`
	InitTimeout   api.Duration    `json:"init_timeout"`
	ObjTimeout    api.Duration    `json:"obj_timeout"`
	DirectPut     bool            `json:"support_direct_put"`
	Env           []api.EnvVar    `json:"env"`
	Resources     json.RawMessage `json:"resources"`
}

// runtimeMessage reads a runtime spec strictly: a key that nobody knows is a
// misspelt one, and would be passed over in silence.
func runtimeMessage(doc []byte) (*api.ETLSpec, error) {
	var f runtimeFile
	if err := yaml.UnmarshalStrict(doc, &f); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSpec, yamlProblem(err))
	}
	dec := json.NewDecoder(bytes.NewReader(f.Runtime))
	dec.DisallowUnknownFields()
	var r struct {
		Image   string          `json:"image"`
		Command []string        `json:"command"`
		Env     json.RawMessage `json:"env"` // as Kubernetes has it: the cluster checks it
	}
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: runtime: %s", ErrSpec, yamlProblem(err))
	}
	if r.Image == "" {
		return nil, fmt.Errorf("%w: runtime.image: is required", ErrSpec)
	}
	return &api.ETLSpec{Name: f.Name, Runtime: f.Runtime, Communication: f.Communication, Argument: f.Argument,
		InitTimeout: f.InitTimeout, ObjTimeout: f.ObjTimeout, DirectPut: f.DirectPut, Env: f.Env, Resources: f.Resources}, nil
}

// yamlProblem is a decoder's error without what its layers put in front.
func yamlProblem(err error) string {
	s := oneLine(err)
	for _, layer := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "json: ", "yaml: "} {
		s = strings.TrimPrefix(s, layer)
	}
	return s
}

// variable is ${NAME}, ${NAME-DEFAULT} or ${NAME:-DEFAULT}; a '$' in front
// keeps it as it is.
var variable = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(:?-([^}]*))?\}`)

// Expand replaces ${NAME} and ${NAME:-DEFAULT} in a spec file by what lookup
// finds, as a shell does; a default may stand in double quotes. $${NAME} stays
// in the file as ${NAME}, comment lines stay as they are, and so do $NAME and
// $(NAME), which are for the pod. A variable that is not set and has no default
// is an error: all of them at once, each with its line.
func Expand(text []byte, lookup func(string) (string, bool)) ([]byte, error) {
	var (
		out  bytes.Buffer
		errs []error
		n    int
	)
	for line := range bytes.Lines(text) {
		n++
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) {
			out.Write(line)
			continue
		}
		out.WriteString(variable.ReplaceAllStringFunc(string(line), func(v string) string {
			value, err := expandOne(v, lookup)
			if err != nil {
				errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			}
			return value
		}))
	}
	return out.Bytes(), errors.Join(errs...)
}

func expandOne(v string, lookup func(string) (string, bool)) (string, error) {
	if rest, ok := strings.CutPrefix(v, "$$"); ok {
		return "$" + rest, nil
	}
	m := variable.FindStringSubmatch(v)
	name, fallback := m[1], m[3]
	value, set := lookup(name)
	switch {
	case set && (value != "" || !strings.HasPrefix(m[2], ":")):
		return value, nil
	case m[2] == "":
		return "", fmt.Errorf("the variable %s is not set: set it in the environment, or write $%s to keep it as text", name, v)
	}
	if unquoted, err := strconv.Unquote(fallback); err == nil {
		fallback = unquoted
	}
	return fallback, nil
}
