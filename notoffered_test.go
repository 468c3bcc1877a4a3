package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// asAIStore5 stands before a cluster, and refuses the communication types that
// AIStore 5.0 does not have, in its words as recorded. It knows none without its
// "://".
func asAIStore5(t *testing.T, cluster string) string {
	behind, err := url.Parse(cluster)
	require.NoError(t, err)
	pass := httputil.NewSingleHostReverseProxy(behind)
	has := map[string]bool{"hpush://": true, "hpull://": true, "ws://": true}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Path != api.PathETL {
			pass.ServeHTTP(w, r)
			return
		}
		data, err := io.ReadAll(r.Body)
		var m api.ETLSpec
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil || has[m.Communication] {
			r.Body = io.NopCloser(bytes.NewReader(data))
			pass.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(api.Error{Method: r.Method, Path: r.URL.Path, Node: "p[xfi8um1c6btqv]", Status: http.StatusBadRequest,
			Message: fmt.Sprintf(`invalid etl.InitMsg: ETLSpecMsg error: [etl=%q] runtime.image must be specified; `+
				`InitSpecMsg error: [etl=%[1]q] unknown comm-type %q [init-spec[%[1]s-%[2]s], timeout=(0s, 0s)]`, m.Name, m.Communication)})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const offeredScenario = `apiVersion: etlbench/v1
name: offered
dataset: {objects: 4, size: 1KiB}
transforms: [echo]
arms: {comm: [hpush, hpull, hrev, io, shm], mode: [offline]}
gates: [{on: all.errors, is: "<= 0%"}, {on: arm(offline).ops/s, is: "> 0/s"}]
`

// TestTypesThatRealAIStoreDropped: the arms of those are not offered, the others
// are measured and judged, and nothing is wrong.
func TestTypesThatRealAIStoreDropped(t *testing.T) {
	s, client := spawn(t, 1)
	dir := t.TempDir()
	run := func(comm, out string) *process {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(offeredScenario), 0o600))
		return start(t, dir, "run", "s.yaml", "--cluster", asAIStore5(t, s.URL), "--set", "arms.comm="+comm, "--out", out)
	}
	p := run("[hpush, hpull, hrev, io, shm]", "some")
	require.Zero(t, p.code(), "%s", p.stderr())
	sum := summaryOf(t, filepath.Join(dir, "some"))
	require.Len(t, sum.Rows, 2)
	refused := map[string]bool{}
	for _, a := range sum.Arms {
		refused[a.Comm] = a.NotOffered != ""
	}
	require.Equal(t, map[string]bool{"hpush": false, "hpull": false, "hrev": true, "io": true, "shm": true}, refused)
	require.Contains(t, p.out.String(), "VALID  1 block x 2 arms, 3 not offered")
	for _, f := range []string{"report.txt", "report.md", "report.html"} {
		data, err := os.ReadFile(filepath.Join(dir, "some", f))
		require.NoError(t, err)
		require.Contains(t, string(data), "hrev: not offered by this cluster", f)
		require.Contains(t, string(data), "io: not offered by this cluster", f)
		require.Contains(t, string(data), "shm: not offered by this cluster", f)
	}
	data, err := os.ReadFile(filepath.Join(dir, "some", "report.json"))
	require.NoError(t, err)
	var told struct{ Summary results.Summary }
	require.NoError(t, json.Unmarshal(data, &told))
	require.Equal(t, sum.Arms, told.Summary.Arms)

	p = run("[hrev, io]", "none")
	require.Equal(t, exitUnfit, p.code(), "%s", p.stderr())
	require.Contains(t, p.stderr(), "nothing was measured: the cluster offers no communication type of the scenario")
	left, err := client.ETLs(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}
