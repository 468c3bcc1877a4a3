package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/transformers/python"
)

// TestMain builds etlbench and puts it in front of the PATH: for scripts, and
// for clusters of child processes. It is the program as users have it, without
// the race detector, under which its many short processes would take minutes.
func TestMain(m *testing.M) {
	code, err := withProgram(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withProgram(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "etlbench-test-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "etlbench"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does: it becomes an image
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w: %s", err, out)
	}
	if err := os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return 0, err
	}
	return run(), nil
}

// program is the path of etlbench.
func program(t testing.TB) string {
	exe, err := exec.LookPath("etlbench")
	require.NoError(t, err)
	return exe
}

// TestScripts runs the command line as users do: testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			exe, err := exec.LookPath("etlbench")
			if err != nil {
				return err
			}
			e.Setenv("ETLBENCH", exe) // for scripts that change the PATH
			e.Defer(func() { downAll(e) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "summary": checkSummary, "nothing-runs": nothingRuns, "samecounts": sameCounts,
		},
		Condition:           hasWebServer,
		RequireExplicitExec: true,
	})
}

// downAll stops what a script that failed has left running.
func downAll(e *testscript.Env) {
	state := e.Getenv("XDG_STATE_HOME")
	clusters, _ := filepath.Glob(filepath.Join(state, "etlbench", "*.json"))
	for _, c := range clusters {
		down := exec.Command("etlbench", "down", "--name", strings.TrimSuffix(filepath.Base(c), ".json"))
		down.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
		_ = down.Run() // the script's own failure is what counts
	}
}

// hasWebServer is the condition of scripts that need a web server of Python's:
// [web:flask].
func hasWebServer(cond string) (bool, error) {
	server, ok := strings.CutPrefix(cond, "web:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	_, err := python.FindWeb(context.Background(), server)
	return err == nil, nil
}

// exits runs a command and checks its exit code: exits CODE[|CODE] COMMAND...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], "|"), fmt.Sprint(code)) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// checkSummary checks a run folder: summary DIR ROWS clean|broken|harmed. Clean
// rows have operations, no errors and are verified in full; each broken one has
// errors and is not; of harmed ones all errors are those of faults, and each
// fault of the scenario has happened and was got over. The clusters of scripts run on this machine, so all rows
// tell what their processes used.
func checkSummary(ts *testscript.TestScript, _ bool, args []string) {
	var s results.Summary
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(args[0], "summary.json"))), &s))
	if fmt.Sprint(len(s.Rows)) != args[1] {
		ts.Fatalf("%d rows, want %s", len(s.Rows), args[1])
	}
	for _, r := range s.Rows {
		clean := r.Ops > 0 && r.Errors == 0 && r.VerifiedPct == 100
		broken := r.Errors > 0 && r.VerifiedPct < 100
		if args[2] == "harmed" && !gotOver(&s, &r) || args[2] == "clean" && !clean || args[2] == "broken" && !broken {
			ts.Fatalf("%s %s %s is not %s: %d ops, %d errors, %g %% verified", r.Transform, r.Comm, r.Mode, args[2], r.Ops, r.Errors, r.VerifiedPct)
		}
		if len(r.Resources) != 4 || r.MovedBytes == nil || r.Resources[3].Processes < len(r.Targets) {
			ts.Fatalf("%s: no resources of all components: %+v", r.Name, r.Resources)
		}
		if len(r.Targets) == 0 || r.MiBPerS <= 0 && clean {
			ts.Fatalf("%s %s %s: no bandwidth per target", r.Transform, r.Comm, r.Mode)
		}
	}
	for _, name := range []string{"report.md", "report.html", "report.csv", "report.json", "bench.txt", "ops.hlog", "env.json", "scenario.yaml"} {
		if len(ts.ReadFile(filepath.Join(args[0], name))) == 0 {
			ts.Fatalf("%s is empty", name)
		}
	}
}

// gotOver does not ask when: a killed node that comes back late, on a busy
// machine, is waited for behind the arm's time.
func gotOver(s *results.Summary, r *results.Row) bool {
	errs, kinds := r.Errors, map[string]int{}
	for _, f := range s.Faults {
		if f.Arm != r.Name {
			continue
		}
		kinds[f.Kind]++
		errs -= f.Errored()
		if f.Failed != "" || f.Kind == results.FaultKill && f.Lost() == 0 {
			return false
		}
	}
	return errs == 0 && kinds[results.FaultKill] == 2 && kinds[results.FaultThrottle] == 1 && kinds[results.FaultDelay] == 1
}

// nothingRuns checks that no process is left of this script's clusters, nodes
// or pods, by the script's folder in each process's environment.
func nothingRuns(ts *testscript.TestScript, _ bool, _ []string) {
	procs, err := filepath.Glob("/proc/[0-9]*/environ")
	ts.Check(err)
	for _, p := range procs {
		data, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(data), ts.Getenv("WORK")) {
			cmd, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			ts.Fatalf("%s still runs: %s", filepath.Base(filepath.Dir(p)), strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	left, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_STATE_HOME"), "etlbench", "data-*"))
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("data is left: %v", left)
	}
}

// floors are the direct imports that each package may have, beside the
// standard library: the picture in the README as a table. Packages of this
// module are named without its path. A new edge is a decision: change it here.
var floors = map[string]string{
	"":                    "* cobra pflag go-pretty/v6/table go-pretty/v6/text go-humanize xxhash/v2 x/term x/sync/errgroup x/sys/unix procfs",
	"cluster/api":         "xxhash/v2 msgp/msgp",
	"cluster/child":       "",
	"cluster/fault":       "",
	"cluster/cgroup":      "x/sys/unix",
	"cluster/link":        "x/sys/unix",
	"cluster/comm":        "cluster/api fasthttp fasthttp/websocket cenkalti/backoff/v5 x/sys/unix",
	"cluster/pod":         "cluster/api cluster/child api/core/v1 apimachinery/pkg/util/yaml sigs.k8s.io/yaml procfs",
	"cluster/pod/podtest": "cluster/api cluster/pod testify/require",
	"cluster/pod/kube":    "cluster/api cluster/pod cenkalti/backoff/v5 k8s.io/api/... k8s.io/apimachinery/... k8s.io/client-go/...",
	"cluster/kube":        "cluster/api cluster/pod/kube cenkalti/backoff/v5 k8s.io/api/... k8s.io/apimachinery/... k8s.io/client-go/... k8s.io/klog/v2 k8s.io/streaming/pkg/httpstream sigs.k8s.io/yaml",
	"cluster/kind":        "go-containerregistry/... k8s.io/client-go/rest k8s.io/client-go/tools/clientcmd sigs.k8s.io/kind/...",
	"cluster/store":       "xxhash/v2 x/sys/unix",
	"cluster/meta":        "cluster/api hashicorp/raft raft-boltdb/v2 bbolt bbolt/errors",
	"cluster/node":        "cluster/api cluster/comm cluster/meta cluster/pod cluster/store fasthttp hdrhistogram-go x/sys/unix",
	"cluster/conformance": "",
	"cluster":             "cluster/api cluster/cgroup cluster/child cluster/node cluster/pod cluster/store",
	"scenarios":           "cluster/api goccy/go-yaml/...",
	"scenarios/dataset":   "scenarios scenarios/draw cluster/api xxhash/v2 x/sync/errgroup",
	"scenarios/draw":      "xxhash/v2",
	"loader":              "scenarios scenarios/dataset scenarios/draw cluster/api reports/results fasthttp hdrhistogram-go xxhash/v2 procfs x/sync/errgroup x/sys/unix",
	"hack/bench":          "cluster/child reports/results reports/stats transformers/python go-pretty/v6/table x/sys/unix",
	"loader/fleet":        "loader reports/results scenarios scenarios/dataset x/sync/errgroup",
	"reports":             "reports/judge reports/results reports/stats scenarios hdrhistogram-go go-pretty/v6/... gonum.org/v1/plot/... go-humanize prometheus/client_model/go prometheus/common/expfmt x/image/...",
	"reports/judge":       "reports/results reports/stats scenarios hdrhistogram-go gonum/stat gonum/stat/distuv",
	"reports/runtest":     "reports/results hdrhistogram-go testify/require",
	"reports/results":     "hdrhistogram-go",
	"reports/stats":       "go-moremath/stats gonum.org/v1/gonum/floats gonum.org/v1/gonum/mat gonum.org/v1/gonum/stat/...",
	"transformers":        "cluster/comm compress/gzip x/image/draw x/sys/unix",
	"transformers/check":  "cluster/api cluster/comm",
	"transformers/python": "cluster/comm x/sys/unix procfs",

	"transformers/python/pythontest": "testify/require",
}

const module = "github.com/etlbench/etlbench"

// TestFloors holds the house to its floors. What may not be imported at all,
// such as the loader from a node, is whatever the table does not list.
func TestFloors(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	require.NoError(t, err)
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		require.NoError(t, dec.Decode(&p))
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := floors[name]
		require.True(t, ok, "package %q is on no floor: add it to the table", name)
		seen[name] = true
		for _, imp := range p.Imports {
			if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
				continue // standard library
			}
			require.True(t, mayImport(allowed, imp), "%q imports %s, which its floor does not allow", name, imp)
		}
	}
	for name := range floors {
		require.True(t, seen[name], "the table has package %q, which does not exist", name)
	}
}

// mayImport tells whether a list of a table line has an import: by the end of
// its path, with "/..." for a tree, and "*" for all packages of this module.
func mayImport(allowed, imp string) bool {
	own, isOwn := strings.CutPrefix(imp, module+"/")
	return slices.ContainsFunc(strings.Fields(allowed), func(a string) bool {
		tree, isTree := strings.CutSuffix(a, "/...")
		switch {
		case isOwn:
			return a == "*" || a == own
		case isTree:
			return strings.HasSuffix(imp, "/"+tree) || imp == tree || strings.Contains(imp+"/", tree+"/")
		}
		return imp == a || strings.HasSuffix(imp, "/"+a)
	})
}

func TestFloorsNoticesAWrongArrow(t *testing.T) {
	require.False(t, mayImport(floors["loader"], module+"/cluster/node"))
	require.False(t, mayImport(floors["cluster/node"], module+"/loader"))
	require.False(t, mayImport(floors["cluster/node"], "k8s.io/client-go/kubernetes"))
	require.False(t, mayImport(floors["reports"], module+"/cluster/api"))
	require.True(t, mayImport(floors["loader"], module+"/cluster/api"))
}
