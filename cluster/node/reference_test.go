package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// The tables of the reference and of AIStore's contract that are about an init
// message: a row of a document is a row of a test.

// reference is a Pod with every field of the reference's table, spelled as the
// table spells it. The values are JSON, which is YAML.
func reference() map[string]any {
	return map[string]any{
		"kind": "Pod",
		"metadata": map[string]any{"name": "compute-md5", "annotations": map[string]any{
			"communication_type": "hrev://", "wait_timeout": "7m"}},
		"spec": map[string]any{"containers": []any{map[string]any{
			"image": "x",
			"ports": []any{map[string]any{"Name": "default", "containerPort": 8080}},
			"readinessProbe": map[string]any{"timeoutSeconds": 2, "periodSeconds": 3,
				"httpGet": map[string]any{"Path": "/ready", "Port": "default"}},
		}}},
	}
}

// at sets or, with nil, removes the field at a path such as
// "spec.containers[0].ports[0].Name".
func at(doc any, path string, value any) {
	steps := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	for i, step := range steps {
		if list, ok := doc.([]any); ok {
			n, _ := strconv.Atoi(step)
			doc = list[n]
			continue
		}
		m := doc.(map[string]any)
		switch {
		case i < len(steps)-1 && m[step] == nil:
			m[step] = map[string]any{}
		case i == len(steps)-1 && value == nil:
			delete(m, step)
		case i == len(steps)-1:
			m[step] = value
		}
		doc = m[step]
	}
}

// planPod plans an ETL of a Pod; change changes the message around it.
func planPod(t *testing.T, doc any, change ...func(*api.ETLSpec)) (*plan, error) {
	data, err := json.Marshal(doc)
	require.NoError(t, err)
	s := api.ETLSpec{ID: "etl-md5", Spec: data}
	for _, c := range change {
		c(&s)
	}
	return planETL(s)
}

func TestReferenceRequiredOrAdditionalFields(t *testing.T) {
	p, err := planPod(t, reference())
	require.NoError(t, err)
	require.Equal(t, "hrev://", p.typ.Name)
	require.Equal(t, 7*time.Minute, p.init)
	require.Equal(t, pod.Probe{Path: "/ready", Timeout: 2 * time.Second, Period: 3 * time.Second}, p.pod.Probe)

	const c = "spec.containers[0]."
	tests := []struct {
		path     string // as the document has it
		required string // how the error begins without it; "" when it is not required
		exceptIO bool
		standard func(*plan) any // what the default is seen in, of fields that have one
		is       any             // the default
		wrong    any             // a value that the field's rule refuses
		rule     string          // how that error begins
	}{
		{path: "metadata.annotations.communication_type", standard: func(p *plan) any { return p.typ.Name }, is: "hpush://",
			wrong: "smoke://", rule: `metadata.annotations.communication_type: unknown communication type "smoke://"`},
		{path: "metadata.annotations.wait_timeout", standard: func(p *plan) any { return p.init }, is: unlimitedInit,
			wrong: "soon", rule: `metadata.annotations.wait_timeout: "soon" is not a duration`},
		{path: "spec.containers", required: "spec.containers: has 0 containers, exactly one is required",
			wrong: []any{map[string]any{}, map[string]any{}}, rule: "spec.containers: has 2 containers"},
		{path: c + "image", required: c + "image: is required", wrong: "", rule: c + "image: is required"},
		{path: c + "ports", required: c + "ports: at least one is required", exceptIO: true, wrong: []any{}, rule: c + "ports: at least one"},
		{path: c + "ports[0].Name", required: c + `ports[0].name: is "", must be "default"`, wrong: "http", rule: c + `ports[0].name: is "http", must be "default"`},
		{path: c + "ports[0].containerPort", required: c + "ports[0].containerPort: is 0, must be 1 to 65535",
			wrong: 65536, rule: c + "ports[0].containerPort: is 65536, must be 1 to 65535"},
		{path: c + "readinessProbe", required: c + "readinessProbe: is required", exceptIO: true,
			wrong: map[string]any{"exec": map[string]any{"command": []any{"ls"}}}, rule: c + "readinessProbe.httpGet: is required"},
		{path: c + "readinessProbe.timeoutSeconds", standard: func(p *plan) any { return p.pod.Probe.Timeout }, is: 5 * time.Second,
			wrong: -1, rule: c + "readinessProbe.timeoutSeconds: is -1, must not be negative"},
		{path: c + "readinessProbe.periodSeconds", standard: func(p *plan) any { return p.pod.Probe.Period }, is: 10 * time.Second,
			wrong: "3s", rule: "failed to parse pod spec: " + c + "readinessProbe.periodSeconds: is a string, must be a number"},
		{path: c + "readinessProbe.httpGet.Path", required: c + "readinessProbe.httpGet.path: is required", wrong: "", rule: c + "readinessProbe.httpGet.path: is required"},
		{path: c + "readinessProbe.httpGet.Port", required: c + `readinessProbe.httpGet.port: is "0", must be "default"`,
			wrong: 8080, rule: c + `readinessProbe.httpGet.port: is "8080", must be "default"`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			doc := reference()
			at(doc, tt.path, nil)
			p, err := planPod(t, doc)
			switch {
			case tt.required != "":
				require.EqualError(t, err, "invalid ETL: "+tt.required)
			default:
				require.NoError(t, err)
				require.Equal(t, tt.is, tt.standard(p))
			}
			if tt.exceptIO {
				_, err = planPod(t, doc, func(s *api.ETLSpec) { s.Communication = "io://" })
				require.NoError(t, err, "except io://")
			}
			doc = reference()
			at(doc, tt.path, tt.wrong)
			_, err = planPod(t, doc)
			require.ErrorIs(t, err, pod.ErrSpec)
			require.Contains(t, err.Error(), "invalid ETL: "+tt.rule)
		})
	}
}

func TestReferenceForbiddenFields(t *testing.T) {
	for _, path := range []string{
		"spec.affinity.nodeAffinity",
		"spec.affinity.podAntiAffinity", // today's AIStore
	} {
		t.Run(path, func(t *testing.T) {
			doc := reference()
			at(doc, path, map[string]any{})
			_, err := planPod(t, doc)
			require.EqualError(t, err, "invalid ETL: "+path+": is forbidden: it is used to place a pod beside its target")
		})
	}
	doc := reference()
	at(doc, "spec.affinity.podAffinity", map[string]any{})
	_, err := planPod(t, doc)
	require.NoError(t, err)
}

// TestPodThatCannotBeHeeded holds what Kubernetes would do and a pod here
// would not: it is refused rather than left out.
func TestPodThatCannotBeHeeded(t *testing.T) {
	const c = "spec.containers[0]."
	tests := []struct {
		path  string
		value any
		want  string
	}{
		{c + "env", []any{map[string]any{"name": "A", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "x"}}}}, c + "env[0].valueFrom: is not supported: give A a value"},
		{c + "env", []any{map[string]any{"value": "1"}}, c + "env[0].name: is required"},
		{c + "env", []any{map[string]any{"name": "A=B"}}, c + `env[0].name: is "A=B", must have neither '='`},
		{c + "env", []any{map[string]any{"name": "A", "value": "\x00"}}, c + "env[0].value: must have no NUL byte"},
		{c + "envFrom", []any{map[string]any{"configMapRef": map[string]any{"name": "x"}}}, c + "envFrom: is not supported"},
		{"spec.initContainers", []any{map[string]any{"name": "x"}}, "spec.initContainers: is not supported"},
		{c + "resources", map[string]any{"limits": map[string]any{"cpu": "much"}}, "failed to parse pod spec: " + c + "resources.limits.cpu: quantities must match"},
		{c + "resources", map[string]any{"limits": map[string]any{"cpu": "-1"}}, c + "resources.limits.cpu: is -1, must not be negative"},
		{c + "resources", map[string]any{"limits": map[string]any{"memory": "1Gi"}, "requests": map[string]any{"memory": "2Gi"}}, c + "resources.requests.memory: is 2Gi, more than the limit of 1Gi"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			doc := reference()
			at(doc, tt.path, tt.value)
			_, err := planPod(t, doc)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	doc := reference()
	at(doc, "metadata.annotations", map[string]any{"communication_type": "smoke://", "wait_timeout": "soon", "support_direct_put": "maybe"})
	at(doc, "spec.affinity.nodeAffinity", map[string]any{})
	at(doc, "spec.containers[0]", map[string]any{"env": []any{map[string]any{"name": ""}}})
	doc["spec"].(map[string]any)["containers"] = []any{map[string]any{"env": []any{map[string]any{"name": ""}}}}
	_, err := planPod(t, doc, func(s *api.ETLSpec) {
		s.ID, s.Argument = "1", "file"
		s.Env, s.Resources = []api.EnvVar{{}}, json.RawMessage(`{"limits":{"cpu":[]}}`)
	})
	require.ErrorIs(t, err, pod.ErrSpec)
	for _, want := range []string{"id: ", "metadata.annotations.communication_type: ", "metadata.annotations.wait_timeout: ",
		"metadata.annotations.support_direct_put: ", "spec.affinity.nodeAffinity: ", "spec.containers[0].image: ", "spec.containers[0].ports: ",
		"spec.containers[0].readinessProbe: ", "spec.containers[0].env[0].name: ", "argument: ", "; env[0].name: ", "resources.limits.cpu: "} {
		require.ErrorContains(t, err, want)
	}
	_, err = planETL(api.ETLSpec{Name: "Etl", Runtime: []byte(`{"env":[{"name":"A","valueFrom":{}}]}`), Communication: "ws"})
	require.EqualError(t, err, `invalid ETL: name: invalid etl name "Etl": must be 6 to 32 characters long; runtime.image: is required; `+
		`runtime.env[0].valueFrom: is not supported: give A a value; communication: ws:// needs support_direct_put to be true`)
	_, err = planETL(api.ETLSpec{Name: "etl-a1", Runtime: []byte(`{"image":7,"command":"sh"}`)})
	require.EqualError(t, err, "invalid ETL: runtime.command: is a string, must be a list; runtime.image: is a number, must be a string")
}

// TestReferenceNames holds the four rules of the reference for the name of an
// ETL, and the table of the dialects.
func TestReferenceNames(t *testing.T) {
	named := func(n int) string { return "a" + strings.Repeat("b", n-1) }
	tests := []struct {
		rule, name string
		old, new   bool // taken with the key "id", and with "name"
	}{
		{"1. starts with a letter", "Abcdef", true, false},
		{"1. starts with a letter", "zbcdef", true, true},
		{"1. starts with a letter: not a digit", "1abcdef", false, true},
		{"1. starts with a letter: not an underscore", "_abcdef", false, false},
		{"1. starts with a letter: not a hyphen", "-abcdef", false, false},
		{"2. letters, numbers, underscore, hyphen", "aB3_-x", true, false},
		{"2. letters, numbers, hyphen", "a3-bcd", true, true},
		{"3. longer than 5", named(5), false, false},
		{"3. longer than 5", named(6), true, true},
		{"3. shorter than 21", named(20), true, true},
		{"3. shorter than 21", named(21), false, true},
		{"today's: at most 32", named(32), false, true},
		{"today's: at most 32", named(33), false, false},
		{"today's: the same for the last", "abcdef-", true, false},
		{"4. no special characters", "abc.def", false, false},
		{"4. no special characters", "abc def", false, false},
		{"4. no special characters", "abc/def", false, false},
		{"4. no special characters", "äbcdef", false, false},
		{"there is one", "", false, false},
	}
	runtime := []byte(`{"image":"x"}`)
	for _, tt := range tests {
		t.Run(tt.rule+": "+tt.name, func(t *testing.T) {
			_, err := planETL(api.ETLSpec{ID: tt.name, Runtime: runtime})
			require.Equal(t, tt.old, err == nil, "id: %v", err)
			_, err = planETL(api.ETLSpec{Name: tt.name, Runtime: runtime})
			require.Equal(t, tt.new, err == nil, "name: %v", err)
			require.True(t, !tt.old && !tt.new || api.CheckETLName(tt.name) == nil, "what is taken can be looked up")
		})
	}
}

// TestContractDefaults holds etl-api.md 1.1 and 1.2: what is taken when the
// message, the Pod's annotation, or neither says.
func TestContractDefaults(t *testing.T) {
	plain := reference()
	at(plain, "metadata.annotations", nil)
	full := reference()
	at(full, "metadata.annotations.support_direct_put", "false")
	own := func(s *api.ETLSpec) {
		s.Communication, s.InitTimeout, s.DirectPut = "io", api.Duration(time.Second), true
	}
	isNew := func(s *api.ETLSpec) { s.ID, s.Name = "", "etl-md5" }
	tests := []struct {
		name   string
		doc    any
		change []func(*api.ETLSpec)
		comm   string
		init   time.Duration
		direct bool
	}{
		{"neither, old", plain, nil, "hpush://", unlimitedInit, false},
		{"neither, new", plain, []func(*api.ETLSpec){isNew}, "hpush://", 45 * time.Second, false},
		{"annotations", full, nil, "hrev://", 7 * time.Minute, false},
		{"the message", plain, []func(*api.ETLSpec){own}, "io://", time.Second, true},
		{"both: only support_direct_put is the annotation's", full, []func(*api.ETLSpec){own}, "io://", time.Second, false},
		{"the old name of the timeout", full, []func(*api.ETLSpec){func(s *api.ETLSpec) { s.Timeout = api.Duration(time.Minute) }}, "hrev://", time.Minute, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := planPod(t, tt.doc, tt.change...)
			require.NoError(t, err)
			require.Equal(t, tt.comm, p.typ.Name)
			require.Equal(t, tt.comm, p.spec.Communication)
			require.Equal(t, tt.init, p.init)
			require.Equal(t, tt.direct, p.spec.DirectPut)
			require.Equal(t, 10*time.Second, p.object)
		})
	}
}

func TestResourcesAndEnvironment(t *testing.T) {
	doc := reference()
	at(doc, "spec.containers[0].resources", map[string]any{"limits": map[string]any{"cpu": 1, "memory": "64Mi"}})
	at(doc, "spec.containers[0].env", []any{map[string]any{"name": "A", "value": "1"}})
	last := func(s *api.ETLSpec) { s.Env = []api.EnvVar{{Name: "B", Value: "2"}} }
	p, err := planPod(t, doc, last)
	require.NoError(t, err)
	require.Equal(t, "64Mi", p.pod.Resources.Limits.Memory().String())
	tg := fuzzTarget(t)
	tg.self = tg.state().Map.Targets["tgt00001"]
	env := func(fqn bool) (list []string) {
		for _, e := range tg.podSpec(p, &runningETL{name: "etl-md5", secret: "SECRET", fqn: fqn}).Env {
			list = append(list, e.Name+"="+e.Value)
		}
		return list
	}
	want := []string{"A=1", "AIS_TARGET_URL=http://127.0.0.1:1/v1/etl/_object/etl-md5/SECRET", "DIRECT_PUT=false", "direct_put=false", "B=2"}
	require.Equal(t, append(slices.Clone(want), "ETLBENCH_FQN_ROOT="), env(false), "the Pod's first, the message's last, and no folder of a client's choice")
	p.pod.PerObject = true
	require.Contains(t, env(false), "ETLBENCH_OBJECT_TIMEOUT=0s", "of what a shim runs")
	p.pod.PerObject = false
	require.Equal(t, append(want, "ARG_TYPE=fqn", "ETLBENCH_FQN_ROOT="+tg.dir), env(true))

	const resources = `{"limits":{"cpu":"1"},"requests":{"cpu":"500m"}}`
	p, err = planETL(api.ETLSpec{Name: "etl-a1", Runtime: []byte(`{"image":"x","env":[{"name":"A","value":"1"}]}`), Env: []api.EnvVar{{Name: "B", Value: "2"}}, Resources: []byte(resources)})
	require.NoError(t, err)
	require.Equal(t, "500m", p.pod.Resources.Requests.Cpu().String())
	require.JSONEq(t, resources, string(p.spec.Resources), "they are shown as they were given")
	require.Equal(t, []api.EnvVar{{Name: "A", Value: "1"}}, p.pod.Env)
	require.Equal(t, []api.EnvVar{{Name: "B", Value: "2"}}, p.spec.Env)
	p, err = planETL(api.ETLSpec{Name: "etl-a1", Runtime: []byte(`{"image":"x"}`)})
	require.NoError(t, err)
	require.Equal(t, "{}", string(p.spec.Resources))
}

// TestReferenceCommunicationTypes holds the names of the reference's table of
// communication mechanisms, and of today's; what each does on the wire is in
// cluster/comm and, for a whole cluster, in cluster.
func TestReferenceCommunicationTypes(t *testing.T) {
	tests := []struct {
		row, value           string
		redirects, perPod    bool // inline requests go to the pod; a process for each object
		onlyDirect, default_ bool
	}{
		{row: "post", value: "hpush://", default_: true},
		{row: "reverse proxy", value: "hrev://"},
		{row: "redirect", value: "hpull://", redirects: true},
		{row: "input/output", value: "io://", perPod: true},
		{row: "today's WebSocket", value: "ws://", onlyDirect: true},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			names := []string{tt.value, strings.TrimSuffix(tt.value, "://")}
			if tt.default_ {
				names = append(names, "")
			}
			for _, name := range names {
				s := api.ETLSpec{Name: "etl-a1", Communication: name, Runtime: []byte(`{"image":"x"}`), DirectPut: tt.onlyDirect}
				p, err := planETL(s)
				require.NoError(t, err)
				require.Equal(t, tt.value, p.spec.Communication)
				require.Equal(t, []bool{tt.redirects, tt.perPod, tt.onlyDirect}, []bool{p.typ.Redirects, p.pod.PerObject, p.typ.NeedsDirectPut})
				s.DirectPut = false
				_, err = planETL(s)
				require.Equal(t, tt.onlyDirect, err != nil)
			}
		})
	}
	_, err := planETL(api.ETLSpec{Name: "etl-a1", Communication: "smoke", Runtime: []byte(`{"image":"x"}`)})
	require.ErrorContains(t, err, fmt.Sprintf("communication: unknown communication type %q: have hpull://, hpush://, hrev://, io://, shm://, ws://", "smoke"))
}
