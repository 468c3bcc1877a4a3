package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// transformerCase is a recording of what a pod was asked, or of a pod's own
// making, and what brings that about.
type transformerCase struct {
	file string
	pod  string
	do   func(*rig)
	// asked begins the URI of the request that counts, of all that the pod got.
	asked string
}

// inline gets the object of the recordings through an ETL, as curl did.
func inline(query string) func(*rig) {
	return func(r *rig) {
		resp := r.get(r.urls["proxy"]+"/v1/objects/src/hello.txt?"+query, http.Header{})
		r.get(resp.header.Get("Location"), http.Header{})
	}
}

// follow is inline for a client that is sent on to the pod.
func follow(query string, client http.Header) func(*rig) {
	return func(r *rig) {
		resp := r.get(r.urls["proxy"]+"/v1/objects/src/hello.txt?"+query, http.Header{})
		resp = r.get(resp.header.Get("Location"), http.Header{})
		require.Equal(r, http.StatusTemporaryRedirect, resp.status)
		r.get(resp.header.Get("Location"), client)
	}
}

// get sends one request as it is.
func (r *rig) get(url string, h http.Header) *reply {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	require.NoError(r, err)
	req.Header = h
	resp, err := transport.RoundTrip(req)
	require.NoError(r, err)
	require.NoError(r, resp.Body.Close())
	return &reply{status: resp.StatusCode, header: resp.Header}
}

// offline runs a job under the id that a recorded one had.
func offline(job, to string, msg api.TransformMsg) func(*rig) {
	return func(r *rig) {
		if r.names.ours[job] != "" {
			return // two recordings are of one job
		}
		id, err := r.client.TransformBucket(r.Context(), api.AIS("src"), api.AIS(to), msg)
		require.NoError(r, err)
		require.True(r, r.names.bind(job, id))
		r.awaitJob(job)
	}
}

func nothing(*rig) {}

var (
	toDst  = offline("K-ulPsj6kk", "dst", api.TransformMsg{ID: "upper-etl-1"})
	toDst4 = offline("UY7P9j6gg", "dst4", api.TransformMsg{ID: "pull-etl-1"})
	toDst5 = offline("pYyPsj6kk", "dst5", api.TransformMsg{ID: "upper-etl-1", Pipeline: []string{"etl-md5-aaa"}})
)

// What the two recorded clients sent of their own.
var (
	cli = http.Header{"User-Agent": {"ais/cli"},
		"Referer": {"http://127.0.0.1:18081/v1/objects/src/hello.txt?etl_name=pull-etl-1&provider=ais&pid=xfi8um1c6btqv&utm=dn1kdnpgpbjs"}}
	curl = http.Header{"User-Agent": {"curl/7.88.1"}, "Accept": {"*/*"}}
)

var transformerCases = []transformerCase{
	{"transformer/pod-create-from-podspec.json", "etl-md5-aaa-dgvt8081", nothing, ""},
	{"transformer/pod-create-from-runtime-spec.json", "life-etl-1-epit8082", nothing, ""},
	{"transformer/hpush-inline-fqn.json", "upper-etl-1-dgvt8081", inline("etl_name=upper-etl-1"), "/src/hello.txt"},
	{"transformer/hpush-inline-body.json", "upper-etl-1-dgvt8081", inline("etl_name=upper-etl-1&latest-ver=true"), "/src/hello.txt"},
	{"transformer/hpush-inline-args.json", "etl-md5-aaa-dgvt8081", inline("etl_name=etl-md5-aaa&etl_args=xyz%20%7B%22a%22%3A1%7D"), "/src/hello.txt"},
	{"transformer/hpush-inline-pipeline-stage1.json", "upper-etl-1-dgvt8081", inline("etl_name=upper-etl-1&etl_pipeline=etl-md5-aaa"), "/src/hello.txt"},
	{"transformer/hpush-inline-pipeline-stage2.json", "etl-md5-aaa-dgvt8081", inline("etl_name=upper-etl-1&etl_pipeline=etl-md5-aaa"), "/src/hello.txt"},
	{"transformer/hpull-inline.json", "pull-etl-1-dgvt8081", follow("etl_name=pull-etl-1&provider=ais", cli), "/ais%2F@%23%2Fsrc%2Fhello.txt"},
	{"transformer/hpull-inline-latest.json", "pull-etl-1-dgvt8081", follow("etl_name=pull-etl-1&latest-ver=true", curl), "/ais%2F@%23%2Fsrc%2Fhello.txt"},
	{"transformer/transform-error.json", "fail-etl-1-dgvt8081", inline("etl_name=fail-etl-1"), "/src/hello.txt"},
	{"transformer/hpush-offline-local.json", "upper-etl-1-dgvt8081", toDst, "/src/dir/a.jpg"},
	{"transformer/hpush-offline-direct-put.json", "upper-etl-1-dgvt8081", toDst, "/src/dir/b.jpg"},
	{"transformer/hpull-offline.json", "pull-etl-1-dgvt8081", toDst4, "/ais%2F@%23%2Fsrc%2Fdir%2Fa.jpg"},
	{"transformer/hpull-offline-direct-put.json", "pull-etl-1-dgvt8081", toDst4, "/ais%2F@%23%2Fsrc%2Fdir%2Fb.jpg"},
	{"transformer/hpush-offline-pipeline-direct-put.json", "upper-etl-1-dgvt8081", toDst5, "/src/dir/b.jpg"},
}

// transformer compares what our targets ask pods, and what pods they make, with
// what real ones did. Those gave objects as files, which ours do when init says
// so.
func transformer(r *rig) {
	t := r.T
	bucket("src", "hello.txt", "dir/a.jpg", "dir/b.jpg")(r)
	for file, seq := range map[string]int{"etl-cli/etl-init-md5": 2, "etl-cli/etl-init-upper": 2, "etl-cli/etl-init-pull": 2,
		"etl/etl-init-curl": 1, "etl/etl3-init-echo2": 1} {
		e := r.all[file+".json"].Exchanges[seq-1]
		e.Request.Body = slices.Concat([]byte(`{"argument":"fqn",`), e.Request.Body[1:])
		require.Equal(t, http.StatusOK, r.send(&e).status, file)
	}
	for name, port := range map[string]string{"etl-md5-aaa": "31001", "upper-etl-1": "31003", "pull-etl-1": "31005", "fail-etl-1": "31010"} {
		podAt(name+"-dgvt8081", port)(r)
	}
	for _, c := range transformerCases {
		t.Run(c.file, func(t *testing.T) {
			r.T = t
			p := r.pods.get(c.pod)
			require.NotNil(t, p, c.pod)
			before := len(p.requests())
			c.do(r)
			want, got := tree(string(r.all[c.file].Data)), p.made()
			leaveOut := kubernetesOnly
			if c.asked != "" {
				got, leaveOut = asked(t, p, before, c.asked), recordersOnly
			}
			ours := tree(r.names.recorded(show(got)))
			for field := range leaveOut {
				drop(want, strings.Split(field, "."))
				drop(ours, strings.Split(field, "."))
			}
			dropEmpty(want, "response", "body")
			byName(want)
			byName(ours)
			d := &comparison{names: r.names, diffs: diffs{}}
			d.walk("asked", want, ours)
			check(t, c.file, &recording{Exchanges: []exchange{{Seq: 1}}}, map[int]diffs{1: d.diffs})
		})
		r.T = t
	}
}

// asked is the request whose URI begins in a way: the last one of the case, or
// of one before that did the same.
func asked(t *testing.T, p *standIn, before int, uri string) map[string]any {
	seen := p.requests()
	if len(seen) > before {
		seen = seen[before:]
	}
	for _, s := range slices.Backward(seen) {
		if path, _, _ := strings.Cut(s.RequestURI, "?"); path == uri {
			return s.fields(t, p)
		}
	}
	require.Fail(t, "the pod was not asked", "%s: %v", uri, seen)
	return nil
}

// kubernetesOnly are fields of a Pod that a local process has nothing of.
var kubernetesOnly = map[string]string{
	"apiVersion":                        "there is no API that the pod is created through",
	"kind":                              "likewise",
	"status":                            "likewise",
	"metadata.labels":                   "Kubernetes finds pods by them; a runtime's pods have their names",
	"metadata.annotations":              "the target has read them",
	"spec.affinity":                     "a local process is on its target's machine",
	"spec.volumes":                      "a process sees the machine's folders",
	"spec.containers.0.volumeMounts":    "likewise",
	"spec.containers.0.name":            "a pod is one process",
	"spec.containers.0.imagePullPolicy": "images stand for programs of the machine",
	"spec.containers.0.ports":           "the port is chosen when the process starts",
	"spec.containers.0.readinessProbe.httpGet.port": "likewise",
	"spec.containers.0.resources":                   "processes are not limited",
	"spec.containers.0.terminationMessagePolicy":    "the reason of a process's end has the last lines of its log anyway",
}

// recordersOnly are fields that the recording stand-ins added, or that differ
// with every recording.
var recordersOnly = map[string]string{
	"note":                             "says where the stand-in got the bytes",
	"direct_put.response_headers.Date": "a time",
}

// ownEnv is what our pods are told besides; the deviations have the values.
var ownEnv = map[string]string{
	"DIRECT_PUT":        "README.md 11: both spellings",
	"ARG_TYPE":          "transformer-protocol.md 1: from init argument, which real targets do not know any more",
	"ETLBENCH_FQN_ROOT": "README.md 12: the pod can read the data folder, of which it is told here",
}

// drop removes a field of a tree.
func drop(v any, path []string) {
	switch v := v.(type) {
	case []any:
		drop(v[0], path[1:])
	case map[string]any:
		if len(path) == 1 {
			delete(v, path[0])
			return
		}
		drop(v[path[0]], path[1:])
	}
}

// dropEmpty removes a text that is empty: some recorders wrote it, some not.
func dropEmpty(v any, section, field string) {
	if m, ok := v.(map[string]any)[section].(map[string]any); ok && m[field] == "" {
		delete(m, field)
	}
}

// byName makes a map of a container's environment, and keeps its order.
func byName(pod any) {
	spec, _ := pod.(map[string]any)["spec"].(map[string]any)
	if spec == nil {
		return
	}
	c := spec["containers"].([]any)[0].(map[string]any)
	env := map[string]any{}
	var order []string
	for _, e := range c["env"].([]any) {
		e := e.(map[string]any)
		env[e["name"].(string)] = e["value"]
		order = append(order, e["name"].(string))
	}
	order = slices.DeleteFunc(order, func(n string) bool { return ownEnv[n] != "" })
	c["env"], c["env order"] = env, strings.Join(order, " ")
}
