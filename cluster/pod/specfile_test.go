package pod_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

const podDoc = `
apiVersion: v1
kind: Pod
metadata:
  name: transformer-md5
  annotations:
    communication_type: "hpull://"
    wait_timeout: 5m
    support_direct_put: "true"
spec:
  containers:
    - name: server
      image: example/md5:latest
`

const runtimeDoc = `
name: spec-echo
runtime:
  image: example/echo:latest
  command: [serve, --port, "8000"]
  env:
    - name: AR
      value: "16000"
    - name: SECRET
      valueFrom: {secretKeyRef: {name: s, key: k}}
communication: hpush://
argument: fqn
init_timeout: 5m    # of the pods
obj_timeout: 45s
support_direct_put: true
env: [{name: B, value: "2"}]
resources: {limits: {cpu: "1"}}
`

func TestReadSpecs(t *testing.T) {
	list, err := pod.ReadSpecs([]byte("# licence\n---\n" + podDoc + "--- # the next\n" + runtimeDoc + "\n---\n# nothing\n---\n"))
	require.NoError(t, err)
	require.Len(t, list, 2)

	p := list[0]
	require.Equal(t, "transformer-md5", p.Name)
	require.Equal(t, "hpull://", p.Communication)
	require.Equal(t, 5*time.Minute, time.Duration(p.InitTimeout))
	require.True(t, p.DirectPut)
	parsed, err := pod.ParseYAML(p.Spec, func(string) bool { return true })
	require.NoError(t, err)
	require.Equal(t, "example/md5:latest", parsed.Image)

	r := list[1]
	require.Equal(t, "spec-echo", r.Name)
	require.Equal(t, "hpush://", r.Communication)
	require.Equal(t, api.ArgumentFQN, r.Argument)
	require.Equal(t, 5*time.Minute, time.Duration(r.InitTimeout))
	require.Equal(t, 45*time.Second, time.Duration(r.ObjTimeout))
	require.True(t, r.DirectPut)
	require.Equal(t, []api.EnvVar{{Name: "B", Value: "2"}}, r.Env)
	require.JSONEq(t, `{"limits":{"cpu":"1"}}`, string(r.Resources))
	require.JSONEq(t, `{"image":"example/echo:latest","command":["serve","--port","8000"],"env":[{"name":"AR","value":"16000"},
		{"name":"SECRET","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}`, string(r.Runtime))
}

func TestReadSpecsRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "there is no Pod and no runtime spec in it"},
		{"comments", "# a\n---\n# b\n", "there is no Pod and no runtime spec in it"},
		{"no YAML", "a: [", "line 1: did not find expected node content"},
		{"a list", "- a\n", "cannot unmarshal array"},
		{"another kind", "kind: Deployment\n", `kind: is "Deployment", must be Pod`},
		{"neither", "name: x\n", "neither a Pod (kind: Pod) nor a runtime spec"},
		{"runtime of code", "runtime: python3\n", "neither a Pod"},
		{"no image", "runtime: {command: [a]}\n", "runtime.image: is required"},
		{"misspelt key", "runtime: {image: a}\ncomunication: hpush://\n", `unknown field "comunication"`},
		{"misspelt key of the runtime", "runtime: {image: a, comand: [b]}\n", `runtime: unknown field "comand"`},
		{"key twice", "name: a\nname: b\nruntime: {image: a}\n", `"name" already set`},
		{"no unit", "runtime: {image: a}\ninit_timeout: 45\n", `45 is not a duration: write it as "45s"`},
		{"wait_timeout", "kind: Pod\nmetadata: {annotations: {wait_timeout: soon}}\n", `wait_timeout: "soon" is not a duration`},
		{"support_direct_put", "kind: Pod\nmetadata: {annotations: {support_direct_put: maybe}}\n", `"maybe" is not true or false`},
		{"the second document", podDoc + "---\nkind: Job\n", `document 2: invalid ETL: kind: is "Job"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pod.ReadSpecs([]byte(tt.text))
			require.ErrorContains(t, err, tt.want)
			require.ErrorIs(t, err, pod.ErrSpec)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"COMM": "hrev://", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	tests := []struct{ name, text, want string }{
		{"set", "a: ${COMM}", "a: hrev://"},
		{"set to nothing", "a: ${EMPTY}", "a: "},
		{"default", "a: ${NONE:-x}/b", "a: x/b"},
		{"default for nothing", "a: ${EMPTY:-x}", "a: x"},
		{"nothing is something", "a: ${EMPTY-x}", "a: "},
		{"default of nothing", "a: ${NONE:-}", "a: "},
		// As AIStore's own files of 2021 have it, for a shell's sake.
		{"quoted default", `a: ${NONE:-"\"hpull://\""}`, `a: "hpull://"`},
		{"quoted once", `image: ${NONE:-"localhost:5000"}/echo`, "image: localhost:5000/echo"},
		{"two in a line", "${COMM}${NONE:-y}", "hrev://y"},
		{"kept", "a: $${COMM}", "a: ${COMM}"},
		{"for the pod", "a: $COMM $(COMM) ${1} $$", "a: $COMM $(COMM) ${1} $$"},
		{"comment", "  # ${NONE}\na: b # c\n", "  # ${NONE}\na: b # c\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pod.Expand([]byte(tt.text), lookup)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
		})
	}
	_, err := pod.Expand([]byte("a: ${COMM}\nb: ${NONE}\nc: ${NIL}\n"), lookup)
	require.ErrorContains(t, err, "line 2: the variable NONE is not set")
	require.ErrorContains(t, err, "line 3: the variable NIL is not set")
}

// FuzzReadSpecs: whatever a file holds, reading it ends with messages that
// each have a spec or a runtime, or with an error that says so in one line.
func FuzzReadSpecs(f *testing.F) {
	f.Add([]byte(podDoc))
	f.Add([]byte(runtimeDoc))
	f.Add([]byte(podDoc + "---\n" + runtimeDoc))
	f.Add([]byte("a: ${X:-\"b\"}\n--- \n---"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := pod.Expand(data, func(string) (string, bool) { return "v", true })
		require.NoError(t, err, "every variable is set")
		list, err := pod.ReadSpecs(text)
		if err != nil {
			require.ErrorIs(t, err, pod.ErrSpec)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, list)
		for _, s := range list {
			require.True(t, len(s.Spec) > 0 != (len(s.Runtime) > 0))
		}
	})
}
