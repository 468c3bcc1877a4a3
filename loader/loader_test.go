package loader_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bytesSet is a data set of names and contents.
type bytesSet map[string]string

func (s bytesSet) Objects() (list []dataset.Object) {
	for name, data := range s {
		list = append(list, dataset.Object{Name: name, Size: int64(len(data))})
	}
	slices.SortFunc(list, func(a, b dataset.Object) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (s bytesSet) Open(name string) (io.ReadCloser, error) {
	data, ok := s[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

func (s bytesSet) Describe() string { return "bytes" }

// odd has names that need escaping, an empty object, odd and even sizes, and
// one larger than any buffer.
func odd() bytesSet {
	return bytesSet{
		"plain":               "content of plain",
		"dir/a b#c%d?e.txt":   "odd name",
		"dir//x/ünï":          "other odd name",
		"empty":               "",
		"odd-size":            strings.Repeat("x", 301),
		"large/even":          strings.Repeat("0123456789", 20_000),
		"large/odd":           strings.Repeat("0123456789", 20_000) + "!",
		"percent%2Fencoded":   "not a slash",
		"plus+and&ampersand=": "as they are",
	}
}

// some is n small objects.
func some(n int) bytesSet {
	s := bytesSet{}
	for i := range n {
		s[fmt.Sprintf("obj-%02d", i)] = strings.Repeat(fmt.Sprintf("%02d-", i), 100+i)
	}
	return s
}

// harness is a run against a fake, changed by tests before it runs.
type harness struct {
	loader.Config
	*fakeAIS
	t   *testing.T
	dir string
}

func newHarness(t *testing.T, data bytesSet) *harness {
	h := &harness{fakeAIS: newFake(t), t: t, dir: filepath.Join(t.TempDir(), "run")}
	w, err := results.Create(h.dir, []byte("name: test\n"), results.Env{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	h.Config = loader.Config{
		Scenario: &scenarios.Scenario{
			APIVersion: scenarios.APIVersion,
			Name:       "test",
			Seed:       7,
			Target:     scenarios.Target{Bucket: "ais://src", Targets: 2},
			Dataset:    scenarios.Dataset{Kind: scenarios.KindGenerated, Objects: len(data), Size: scenarios.Size{Dist: scenarios.DistConst, Value: 1}},
			Transforms: []string{"invert"},
			Arms:       scenarios.Arms{Comm: []string{"hpush"}, Mode: []string{"inline"}, Replicas: 1},
			Load: scenarios.Load{Model: "closed", Workers: 3, Timeout: scenarios.Duration(5 * time.Second),
				Mix: map[string]int{"get-etl": 1}, Keys: scenarios.Keys{Dist: "uniform"}},
			Phases:  scenarios.Phases{Warmup: scenarios.Warmup(20 * time.Millisecond), Measure: scenarios.Duration(100 * time.Millisecond)},
			Trials:  scenarios.Trials{Blocks: 1, Order: scenarios.OrderSequential},
			Verify:  scenarios.Verify{Content: scenarios.SampleAll},
			Collect: scenarios.Collect{Cgroups: []string{"client"}, Interval: scenarios.Duration(time.Second), Phases: scenarios.SampleAll},
			Outputs: []string{"text"},
		},
		Data:    data,
		Proxies: []string{h.proxy.URL},
		Kind:    "external",
		Results: w,
		ETL: func(a scenarios.Arm) (*api.ETLSpec, string, error) {
			return &api.ETLSpec{ID: "theirs", Communication: a.Comm + "://", Code: api.Blob(a.Transform), DirectPut: a.Put == scenarios.PutDirect}, "go", nil
		},
		Expect: func(_, _ string, src io.Reader) (loader.Digest, error) {
			b, err := io.ReadAll(src)
			return loader.Digest{Sum: xxhash.Sum64(invert(b)), Size: int64(len(b))}, err
		},
	}
	return h
}

func (h *harness) run() (*results.Summary, *results.Run) {
	h.t.Helper()
	s, err := loader.Run(h.t.Context(), h.Config)
	require.NoError(h.t, err)
	return s, h.read()
}

func (h *harness) read() *results.Run {
	h.t.Helper()
	r, err := results.Read(h.dir)
	require.NoError(h.t, err)
	return r
}

func TestInlineMeasuresEveryCommWithOddNames(t *testing.T) {
	h := newHarness(t, odd())
	h.Scenario.Arms.Comm = []string{"hpush", "hpull", "hrev"}
	s, r := h.run()
	require.Len(t, s.Rows, 3)
	require.Empty(t, r.Errors)
	for i, row := range s.Rows {
		require.Equal(t, h.Scenario.Arms.Comm[i], row.Comm)
		require.Equal(t, "get-etl", row.Op)
		require.Equal(t, "go", row.Language)
		require.Positive(t, row.Ops)
		require.Zero(t, row.Errors)
		require.Equal(t, 100.0, row.VerifiedPct)
		require.GreaterOrEqual(t, row.Seconds, 0.1)
		require.Equal(t, row.BytesIn, row.BytesOut)
		require.LessOrEqual(t, *row.Service.P50Ms, *row.Service.P99Ms)
		require.LessOrEqual(t, *row.TTFB.P50Ms, *row.Service.P50Ms)
		require.LessOrEqual(t, *row.Service.P999Ms, *row.Service.MaxMs)
		require.Len(t, row.Targets, 2)
	}
	require.Equal(t, []string{"target00", "target01"}, s.Cluster.Targets)
	require.Equal(t, s.Rows, r.Summary.Rows)
	h.requireClean(t)
	for _, name := range h.inits {
		require.NoError(t, api.CheckNewETLName(name, false))
		require.NoError(t, api.CheckNewETLName(name, true))
	}
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(h.inits))), 3, "names are unique")
	require.Empty(t, h.specs[0].ID, "only the loader names")
}

// Conservation: the sum over targets is the total, and the intervals of a
// series add up to its row.
func TestNothingIsLostBetweenWorkersAndRows(t *testing.T) {
	h := newHarness(t, some(20))
	h.Scenario.Arms.Mode = []string{"inline", "offline"}
	h.Scenario.Load.Mix = map[string]int{"get-etl": 3, "get": 2, "put": 1}
	// As many operations however slow the machine: each target gets some of each.
	h.Scenario.Load.Model, h.Scenario.Load.Epochs, h.Scenario.Phases.Measure = scenarios.ModelEpoch, 15, 0
	h.Scenario.Load.Keys = scenarios.Keys{Dist: scenarios.KeysPermutation}
	h.fault = func(op, bucket, object string) string {
		switch {
		case op == "etl" && object == "obj-03":
			return faultStatus
		case op == "get" && bucket == "src" && object == "obj-04":
			return faultFlip
		case op == "job" && object == "obj-05":
			return faultStatus
		}
		return ""
	}
	s, r := h.run()
	require.Len(t, s.Rows, 4)
	for _, row := range s.Rows {
		t.Run(row.Mode+" "+row.Op, func(t *testing.T) {
			require.Positive(t, row.Ops)
			require.Positive(t, row.Errors+row.Ops)
			var ops, errs int64
			for _, target := range row.Targets {
				ops += target.Ops
				errs += target.Errors
				require.Positive(t, target.Ops, "both targets hold objects")
			}
			require.Equal(t, row.Ops, ops)
			require.Equal(t, row.Errors, errs)
			byTarget := map[bool][4]int64{}
			for _, iv := range r.Intervals {
				k := iv.Key
				if k.Op != row.Op || k.Arm != row.Name || k.Phase != "measure" {
					continue
				}
				sum := byTarget[k.Target != ""]
				byTarget[k.Target != ""] = [4]int64{sum[0] + iv.Ops, sum[1] + iv.Errors, sum[2] + iv.BytesIn, sum[3] + iv.BytesOut}
			}
			want := [4]int64{row.Ops, row.Errors, row.BytesIn, row.BytesOut}
			require.Equal(t, want, byTarget[false])
			require.Equal(t, want, byTarget[true])
		})
	}
	for k, hist := range r.Latency {
		if k.Phase != "measure" {
			continue
		}
		i := slices.IndexFunc(s.Rows, func(r results.Row) bool { return r.Op == k.Op && r.Name == k.Arm })
		if s.Rows[i].Mode == "inline" {
			require.Equal(t, s.Rows[i].Ops, hist.TotalCount(), k)
		}
	}
	var counted int64
	for _, c := range r.Errors {
		counted += c.Count
		require.NotEmpty(t, c.Examples)
		require.LessOrEqual(t, len(c.Examples), 5)
	}
	var inRows int64
	for _, row := range s.Rows {
		inRows += row.Errors
	}
	require.Equal(t, inRows, counted, "error classes add up to the rows' errors")
	h.requireClean(t)
}

func TestFaultsAreClassified(t *testing.T) {
	tests := []struct {
		name, fault string
		comm        string
		class       string
		example     string
	}{
		{"flipped byte", faultFlip, "hpush", "digest", "instead of"},
		{"flipped byte at the pod", faultFlip, "hpull", "digest", "instead of"},
		{"one byte less", faultShort, "hpush", "size", "bytes instead of"},
		{"body cut", faultTruncate, "hpush", "truncated", "bytes of the body"},
		{"body cut, nobody knows its size", faultTruncate, "unknown", "truncated", "bytes of the body"},
		{"body cut at the pod", faultTruncate, "hpull", "truncated", "bytes of the body"},
		{"body stalls", faultStall, "hpush", "timeout", ""},
		{"body stalls at the pod", faultStall, "hpull", "timeout", ""},
		{"error JSON", faultStatus, "hpush", "status 500", "ETL error: it broke"},
		{"no answer", faultHangUp, "hpush", "closed", "closed without an answer"},
		{"nobody listens", faultRefused, "hpush", "connect", "refused"},
		{"redirects in a circle", faultLoop, "hpush", "protocol", "redirects"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, some(4))
			if tt.comm == "unknown" {
				tt.comm, h.Expect = "hpush", nil
			}
			h.Scenario.Arms.Comm = []string{tt.comm}
			h.Scenario.Phases.Warmup = 0
			h.Scenario.Load.Workers = 2
			if tt.fault == faultStall {
				h.Scenario.Load.Timeout = scenarios.Duration(50 * time.Millisecond)
			}
			h.fault = func(op, _, _ string) string {
				if op == "etl" {
					return tt.fault
				}
				return ""
			}
			s, r := h.run()
			require.Len(t, s.Rows, 1)
			require.Zero(t, s.Rows[0].Ops)
			require.Positive(t, s.Rows[0].Errors)
			require.Zero(t, s.Rows[0].VerifiedPct)
			require.Nil(t, s.Rows[0].Service.P50Ms)
			require.Len(t, r.Errors, 1, "%v", r.Errors)
			require.Equal(t, tt.class, r.Errors[0].Class)
			require.Equal(t, s.Rows[0].Errors, r.Errors[0].Count)
			require.Contains(t, r.Errors[0].Examples[0], tt.example)
			require.Regexp(t, `^obj-0\d on t\[target0\d\]: `, r.Errors[0].Examples[0])
			h.requireClean(t)
		})
	}
}

func TestOneFlippedByteIsFound(t *testing.T) {
	tests := []struct{ name, comm, mode, op string }{
		{"inline hpush", "hpush", "inline", "etl"},
		{"inline hpull", "hpull", "inline", "etl"},
		{"inline plain get", "none", "inline", "get"},
		{"offline, stored wrong", "hpush", "offline", "job"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, some(10))
			h.Scenario.Arms.Mode = []string{tt.mode}
			if tt.comm == "none" {
				h.Scenario.Load.Mix = map[string]int{"get": 1}
			} else {
				h.Scenario.Arms.Comm = []string{tt.comm}
			}
			var flipped atomic.Int64
			h.fault = func(op, bucket, object string) string {
				if op == tt.op && bucket == "src" && object == "obj-07" {
					flipped.Add(1)
					return faultFlip
				}
				return ""
			}
			s, r := h.run()
			require.Len(t, s.Rows, 1)
			row := s.Rows[0]
			require.Equal(t, tt.comm, row.Comm)
			require.Positive(t, row.Ops)
			require.Positive(t, row.Errors)
			require.Less(t, row.VerifiedPct, 100.0)
			require.InDelta(t, 100*float64(row.Ops)/float64(row.Ops+row.Errors), row.VerifiedPct, 1e-9)
			require.Len(t, r.Errors, 1)
			require.Equal(t, "digest", r.Errors[0].Class)
			require.Contains(t, r.Errors[0].Examples[0], "obj-07 on t[target0")
			require.Positive(t, flipped.Load())
		})
	}
}

func TestOfflineJob(t *testing.T) {
	tests := []struct {
		name           string
		noExt, noStats bool
		seconds        float64 // 0: not told by targets
	}{
		{"everything told", false, false, 0.25},
		{"no histograms", true, false, 0.25},
		{"nothing told", true, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := odd()
			h := newHarness(t, data)
			h.noExt, h.noStats = tt.noExt, tt.noStats
			h.Scenario.Arms.Mode = []string{"offline"}
			h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
			s, r := h.run()
			require.Empty(t, r.Errors)
			require.Len(t, s.Rows, 2)
			for _, row := range s.Rows {
				require.Equal(t, "etl-object", row.Op)
				require.EqualValues(t, len(data), row.Ops)
				require.Zero(t, row.Errors)
				require.Equal(t, 100.0, row.VerifiedPct)
				require.Equal(t, s.Dataset.Bytes, row.BytesIn)
				require.Equal(t, s.Dataset.Bytes, row.BytesOut)
				require.Positive(t, row.Seconds)
				require.Nil(t, row.TTFB.P50Ms)
				if tt.seconds > 0 {
					require.InDelta(t, tt.seconds, row.Seconds, 1e-6)
				}
				if tt.noExt {
					require.Nil(t, row.Service.P50Ms)
				} else {
					require.InDelta(t, 1, *row.Service.P50Ms, 9)
					require.NotNil(t, row.Targets[0].P99Ms)
				}
			}
			require.Len(t, r.Intervals, 6, "two targets and all of them, twice")
			h.requireClean(t)
		})
	}
}

// TestColdStart: each block makes each ETL anew, and the stages of a cold start
// add up to it, whatever the cluster tells of pods.
func TestColdStart(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("told ", told), func(t *testing.T) {
			h := newHarness(t, some(5))
			if told {
				h.starts = map[string]api.PodStart{"t1": {Launch: 1, Ready: 2}, "t2": {Pull: 20_000, Launch: 3_000, Ready: 5_000}}
			}
			h.Scenario.Arms.Mode = []string{"init"}
			h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
			h.Scenario.Trials.Blocks = 3
			s, r := h.run()
			require.Empty(t, r.Errors)
			require.Len(t, h.inits, 6)
			require.Len(t, s.Rows, 2)
			for _, row := range s.Rows {
				require.Equal(t, "init", row.Op)
				require.EqualValues(t, 3, row.Ops)
				require.EqualValues(t, 3, row.Intended)
				require.Equal(t, 100.0, row.VerifiedPct)
				require.Equal(t, row.Response, row.Service)
				sum, names := 0.0, []string{}
				for _, p := range row.Phases {
					sum, names = sum+*p.MeanMs, append(names, p.Name)
				}
				require.InEpsilon(t, *row.Service.MeanMs, sum, 0.05)
				require.LessOrEqual(t, *row.TTFB.MeanMs, *row.Service.MeanMs*1.001)
				if told {
					require.Equal(t, []string{"init-control", "init-pull", "init-launch", "init-ready", "init-first"}, names)
					require.InEpsilon(t, 0.02, *row.Phases[1].MeanMs, 0.05, "of the slowest pod")
				} else {
					require.Equal(t, []string{"init-control", "init-first"}, names)
				}
			}
			for _, b := range s.Blocks {
				require.True(t, b.Deployed)
			}
			h.requireClean(t)
		})
	}
}

func TestColdStartThatAnswersWrong(t *testing.T) {
	h := newHarness(t, some(5))
	h.Scenario.Arms.Mode = []string{"init"}
	expect := h.Expect
	h.Expect = func(transform, name string, src io.Reader) (loader.Digest, error) {
		d, err := expect(transform, name, src)
		d.Sum++
		return d, err
	}
	s, r := h.run()
	require.EqualValues(t, 1, s.Rows[0].Errors)
	require.Zero(t, s.Rows[0].Ops)
	require.Zero(t, s.Rows[0].VerifiedPct)
	require.Nil(t, s.Rows[0].Service.MeanMs)
	require.Equal(t, "digest", r.Errors[0].Class)
	h.requireClean(t)
}

func TestOfflineCountsObjectsWithoutAResult(t *testing.T) {
	h := newHarness(t, some(10))
	h.Scenario.Arms.Mode = []string{"offline"}
	h.fault = func(op, _, object string) string {
		switch {
		case op == "job" && object == "obj-01":
			return faultStatus
		case op == "job" && object == "obj-02":
			return faultShort
		}
		return ""
	}
	s, r := h.run()
	require.EqualValues(t, 8, s.Rows[0].Ops)
	require.EqualValues(t, 2, s.Rows[0].Errors)
	require.Equal(t, 80.0, s.Rows[0].VerifiedPct)
	classes := map[string]int64{}
	for _, c := range r.Errors {
		classes[c.Class] = c.Count
		if c.Class == "missing" {
			require.Regexp(t, `^obj-01 on t\[target0\d\]: no result .*; the job says: .*: it broke$`, c.Examples[0])
		}
	}
	require.Equal(t, map[string]int64{"missing": 1, "size": 1}, classes)
}

func TestInterruptedRunKeepsWhatItMeasured(t *testing.T) {
	h := newHarness(t, some(10))
	h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
	h.Scenario.Phases.Measure = scenarios.Duration(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.Progress = func(p loader.Progress) {
		if p.Phase == "measure" && p.Ops > 0 {
			require.Equal(t, "hpush", p.Comm)
			require.Equal(t, 1, p.Arm)
			require.Equal(t, 2, p.Arms)
			require.Positive(t, p.Left)
			require.Equal(t, p.Total, p.Elapsed+p.Left)
			cancel()
		}
	}
	s, err := loader.Run(ctx, h.Config)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, s.Interrupted)
	require.Len(t, s.Rows, 1)
	require.Positive(t, s.Rows[0].Ops)
	require.Positive(t, s.Rows[0].Seconds)
	require.Less(t, s.Rows[0].Seconds, 60.0)
	require.True(t, h.read().Summary.Interrupted)
	h.requireClean(t)
}

func TestInterruptedBeforeAnythingWasMeasured(t *testing.T) {
	for _, phase := range []string{"fill", "expect", "job"} {
		t.Run(phase, func(t *testing.T) {
			h := newHarness(t, some(10))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch phase {
			case "fill":
				h.fault = func(string, string, string) string { cancel(); return "" }
			case "expect":
				expect := h.Expect
				h.Expect = func(tr, name string, src io.Reader) (loader.Digest, error) {
					cancel()
					return expect(tr, name, src)
				}
			case "job":
				h.Scenario.Arms.Mode = []string{"offline"}
				h.holdJob = make(chan struct{})
				h.fault = func(op, _, _ string) string {
					if op == "job" {
						cancel()
					}
					return ""
				}
			}
			s, err := loader.Run(ctx, h.Config)
			require.ErrorIs(t, err, context.Canceled)
			require.True(t, s.Interrupted)
			require.Empty(t, s.Rows)
			require.Empty(t, h.read().Summary.Rows)
			h.requireClean(t)
		})
	}
}

func TestInterruptedJobIsStopped(t *testing.T) {
	h := newHarness(t, some(10))
	h.Scenario.Arms.Mode = []string{"offline"}
	h.holdJob = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.Progress = func(p loader.Progress) {
		if h.count("GET "+api.PathCluster) > 0 {
			cancel()
		}
	}
	_, err := loader.Run(ctx, h.Config)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, h.jobs["job-000000"].stopped)
	h.requireClean(t)
}

func TestFailedInitIsARowAndTheRunGoesOn(t *testing.T) {
	for _, mode := range []string{"inline", "offline"} {
		t.Run(mode, func(t *testing.T) {
			h := newHarness(t, some(4))
			h.badInit = "io://"
			h.Scenario.Arms.Mode = []string{mode}
			h.Scenario.Arms.Comm = []string{"io", "hpush"}
			s, r := h.run()
			require.False(t, s.Interrupted)
			require.Len(t, s.Rows, 2)
			require.Zero(t, s.Rows[0].Ops)
			require.EqualValues(t, 1, s.Rows[0].Errors)
			require.Positive(t, s.Rows[1].Ops)
			require.Equal(t, []results.ErrorClass{{Arm: "io", Class: "init", Count: 1,
				Examples: []string{"unknown communication type io://"}}}, r.Errors)
			h.requireClean(t)
		})
	}
}

// TestTypeThatIsNotOffered: what AIStore has dropped is no error, in any mode.
func TestTypeThatIsNotOffered(t *testing.T) {
	for _, mode := range []string{"inline", "offline", "init"} {
		t.Run(mode, func(t *testing.T) {
			h := newHarness(t, some(4))
			h.short()
			h.noComm = "io://"
			h.Scenario.Arms.Mode = []string{mode}
			h.Scenario.Arms.Comm = []string{"io", "hpush"}
			h.Scenario.Trials = scenarios.Trials{Blocks: 2, Order: scenarios.OrderInterleaved}
			s, r := h.run()
			require.Empty(t, r.Errors)
			require.Len(t, s.Arms, 2)
			require.Contains(t, s.Arms[0].NotOffered, `unknown comm-type "io://"`)
			require.Empty(t, s.Arms[1].NotOffered)
			require.Len(t, s.Rows, 1)
			require.Equal(t, "hpush", s.Rows[0].Name)
			require.Positive(t, s.Rows[0].Ops)
			require.Equal(t, 2, s.Trials.Complete)
			refused := 0
			for _, spec := range h.specs {
				if spec.Communication == "io://" {
					refused++
				}
			}
			require.Equal(t, 1, refused, "it is asked for once")
			h.requireClean(t)
		})
	}
}

func TestPlainMixHasOneArm(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Transforms = nil
	h.ETL, h.Expect = nil, nil
	h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
	h.Scenario.Load.Mix = map[string]int{"get": 1, "put": 1}
	s, r := h.run()
	require.Empty(t, r.Errors)
	require.Len(t, s.Rows, 2)
	for _, row := range s.Rows {
		require.Equal(t, []string{"none", "none", "inline"}, []string{row.Transform, row.Comm, row.Mode})
		require.Equal(t, 100.0, row.VerifiedPct)
	}
	require.Equal(t, "get", s.Rows[0].Op)
	require.Equal(t, "put", s.Rows[1].Op)
	require.Empty(t, h.inits)
	h.requireClean(t)
}

func TestPutsThatComeBackWrong(t *testing.T) {
	h := newHarness(t, some(8))
	h.Scenario.Load.Mix = map[string]int{"put": 1}
	h.fault = func(op, bucket, object string) string {
		switch {
		case op != "put" || bucket == "src":
		case strings.HasSuffix(object, "1"):
			return faultSum
		case strings.HasSuffix(object, "2"):
			return faultStatus
		}
		return ""
	}
	s, r := h.run()
	require.Positive(t, s.Rows[0].Ops)
	require.Less(t, s.Rows[0].VerifiedPct, 100.0)
	classes := []string{}
	for _, c := range r.Errors {
		classes = append(classes, c.Class)
	}
	require.ElementsMatch(t, []string{"digest", "status 500"}, classes)
}

func TestUnverifiableOutputs(t *testing.T) {
	tests := []struct {
		name   string
		change func(*harness)
		note   string
	}{
		{"no Expect", func(h *harness) { h.Expect = nil }, "not known"},
		{"no expectation", func(h *harness) {
			h.Expect = func(string, string, io.Reader) (loader.Digest, error) {
				return loader.Digest{}, loader.ErrNoExpectation
			}
		}, "no expected output"},
		{"switched off", func(h *harness) { h.Scenario.Verify.Content = scenarios.SampleOff }, "verify.content is off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, some(4))
			h.Scenario.Arms.Mode = []string{"inline", "offline"}
			tt.change(h)
			s, _ := h.run()
			for _, row := range s.Rows {
				require.Positive(t, row.Ops)
				require.Zero(t, row.Errors)
				require.Zero(t, row.VerifiedPct)
			}
			require.Len(t, s.Notes, 1)
			require.Contains(t, s.Notes[0], tt.note)
		})
	}
}

func TestSourceBucket(t *testing.T) {
	data := some(6)
	full := map[string][]byte{}
	for name, content := range data {
		full[name] = []byte(content)
	}
	with := func(name, content string) map[string][]byte {
		m := map[string][]byte{}
		for k, v := range full {
			m[k] = v
		}
		m[name] = []byte(content)
		return m
	}
	tests := []struct {
		name  string
		there map[string][]byte
		err   string
		puts  int
	}{
		{"empty: filled", map[string][]byte{}, "", 6},
		{"the same: reused", full, "", 0},
		{"other sizes", with("obj-00", "x"), "has no obj-00 of 300 bytes", 0},
		{"one more", with("zzz", "x"), "holds 7 objects, the data set 6", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, data)
			h.buckets["src"] = tt.there
			s, err := loader.Run(t.Context(), h.Config)
			puts := 0
			for i := range len(data) {
				puts += h.count(fmt.Sprintf("PUT %s/src/obj-%02d", api.PathObjects, i))
			}
			require.Equal(t, tt.puts, puts)
			h.requireClean(t, "src") // it was not ours
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.ErrorContains(t, err, "try: etlbench bucket rm ais://src")
				require.Nil(t, s)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 100.0, s.Rows[0].VerifiedPct)
		})
	}
}

func TestBucketThatMayBeSomebodysIsLeftAlone(t *testing.T) {
	h := newHarness(t, some(6))
	h.buckets["src"] = map[string][]byte{"precious": []byte("data")}
	h.fault = func(op, _, _ string) string {
		if op == "create" {
			return faultHangUp // nobody knows whether the bucket was there
		}
		return ""
	}
	_, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "create bucket ais://src")
	h.requireClean(t, "src")
	require.Len(t, h.buckets["src"], 1)
}

func TestFillFailsOnAWrongChecksum(t *testing.T) {
	h := newHarness(t, some(6))
	h.fault = func(op, _, object string) string {
		if op == "put" && object == "obj-03" {
			return faultSum
		}
		return ""
	}
	_, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "put ais://src/obj-03")
	require.ErrorContains(t, err, "checksum")
	h.requireClean(t)
}

func TestClusterWithoutChecksums(t *testing.T) {
	h := newHarness(t, some(6))
	h.noSums = true
	s, _ := h.run()
	require.Equal(t, 100.0, s.Rows[0].VerifiedPct, "outputs are compared all the same")
	require.Contains(t, s.Notes[0], "no XXH64")
}

func TestNoCluster(t *testing.T) {
	h := newHarness(t, some(1))
	h.Proxies = []string{h.dead}
	s, err := loader.Run(t.Context(), h.Config)
	require.ErrorContains(t, err, "cluster map from "+h.dead)
	require.Nil(t, s)
	_, err = results.Read(h.dir)
	require.ErrorIs(t, err, results.ErrUnfinished)
}

func TestRequestsGoRoundAllProxies(t *testing.T) {
	h := newHarness(t, some(4))
	var gets atomic.Int64
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		h.serveProxy(w, r)
	}))
	defer second.Close()
	h.Scenario.Phases.Warmup = 0
	h.Proxies = []string{h.proxy.URL, second.URL}
	s, r := h.run()
	require.Empty(t, r.Errors)
	require.InDelta(t, float64(s.Rows[0].Ops)/2, float64(gets.Load()), float64(h.Scenario.Load.Workers))
}

func TestBrokenRunFolderEndsTheRunAndLeavesNothing(t *testing.T) {
	h := newHarness(t, some(4))
	h.Scenario.Phases.Warmup = 0
	require.NoError(t, h.Results.Close())
	s, err := loader.Run(t.Context(), h.Config)
	require.ErrorIs(t, err, results.ErrClosed)
	require.True(t, s.Interrupted)
	h.requireClean(t)
}

func TestConfigProblemsAreToldAtOnce(t *testing.T) {
	h := newHarness(t, bytesSet{})
	h.Proxies = []string{"https://somewhere", "nothing"}
	h.ETL = nil
	h.Scenario.Load.Workers = 0
	_, err := loader.Run(t.Context(), h.Config)
	for _, part := range []string{"https://somewhere", `"nothing"`, "Config.ETL", "load.workers", "data set is empty"} {
		require.ErrorContains(t, err, part)
	}
	_, err = loader.Run(t.Context(), loader.Config{})
	require.ErrorContains(t, err, "Scenario, Data and Results")
}

func TestOpsAfterThePhaseStillCount(t *testing.T) {
	h := newHarness(t, some(1))
	h.Scenario.Load.Workers = 1
	h.Scenario.Phases.Warmup = 0
	h.Scenario.Phases.Measure = scenarios.Duration(20 * time.Millisecond)
	entered := make(chan struct{})
	release := make(chan struct{})
	var once atomic.Bool
	h.fault = func(op, _, _ string) string {
		if op == "etl" && once.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
		return ""
	}
	go func() {
		<-entered
		time.AfterFunc(50*time.Millisecond, func() { close(release) }) // the phase is over then
	}()
	s, _ := h.run()
	require.Positive(t, s.Rows[0].Ops)
	require.Greater(t, s.Rows[0].Seconds, 0.04)
	require.InDelta(t, float64(s.Rows[0].Ops)/s.Rows[0].Seconds, s.Rows[0].OpsPerS, 1e-9)
}

// A gate ends the run in the midst of an arm; what was measured is kept.
func TestGateEndsTheRun(t *testing.T) {
	for _, model := range []string{"closed", "open"} {
		t.Run(model, func(t *testing.T) {
			h := newHarness(t, some(10))
			h.Scenario.Arms.Comm = []string{"hpush", "hpull"}
			h.Scenario.Phases.Measure = scenarios.Duration(time.Minute)
			if model == "open" {
				h.Scenario.Load.Model, h.Scenario.Load.Arrival, h.Scenario.Load.Rate, h.Scenario.Load.InFlight = "open", "constant", 200, 8
			}
			h.Scenario.Gates = []scenarios.Gate{
				{On: "all.errors", Is: "< 50%", AbortAfter: scenarios.Duration(time.Hour)},
				{On: "all.errors", Is: "< 1%", AbortAfter: scenarios.Duration(300 * time.Millisecond)},
			}
			looks := 0
			h.Check = func(i int, rows []results.Row) (bool, string) {
				require.Len(t, rows, 1)
				require.Equal(t, "hpush", rows[0].Name)
				require.Equal(t, rows[0].Accounted(), rows[0].Intended)
				if i == 0 {
					return false, "not yet" // not for an hour
				}
				looks++
				return rows[0].Ops == 0, fmt.Sprintf("%d operations", rows[0].Ops)
			}
			s, err := loader.Run(t.Context(), h.Config)
			var aborted *loader.AbortedError
			require.ErrorAs(t, err, &aborted)
			require.Equal(t, h.Scenario.Gates[1], aborted.Gate)
			require.NotErrorIs(t, err, context.Canceled)
			require.GreaterOrEqual(t, looks, 2)
			require.Contains(t, aborted.Text, "all.errors < 1% has not held for 300ms in hpush: ")
			require.True(t, s.Interrupted)
			require.Equal(t, aborted.Text, s.Aborted)
			require.Len(t, s.Rows, 1)
			require.Positive(t, s.Rows[0].Ops)
			require.Equal(t, s.Rows[0].Intended, s.Rows[0].Accounted())
			require.Less(t, s.Rows[0].Seconds, 60.0)
			read := h.read()
			require.Equal(t, s.Aborted, read.Summary.Aborted)
			require.True(t, slices.ContainsFunc(read.Events, func(e results.Event) bool {
				return e.Kind == results.EventStop && e.Text == aborted.Text && e.Arm == "hpush"
			}))
			h.requireClean(t)
		})
	}
}

// TestDatasetDigest: it is that of names and contents, whoever filled the bucket.
func TestDatasetDigest(t *testing.T) {
	digest := func(change func(*harness)) string {
		h := newHarness(t, some(6))
		h.Scenario.Phases.Warmup = 0
		h.Scenario.Load.Mix = map[string]int{"get": 1}
		change(h)
		s, _ := h.run()
		return s.Dataset.Digest
	}
	first := digest(func(*harness) {})
	require.Regexp(t, "^xxh64:[0-9a-f]{16}$", first)
	require.Equal(t, first, digest(func(h *harness) {
		h.buckets["src"] = map[string][]byte{}
		for name, content := range h.Data.(bytesSet) {
			h.buckets["src"][name] = []byte(content)
		}
	}), "filled before")
	require.NotEqual(t, first, digest(func(h *harness) {
		data := maps.Clone(h.Data.(bytesSet))
		data["obj-03"] = strings.ToUpper(data["obj-03"][:1]) + "!" + data["obj-03"][2:]
		h.Data = data
	}))
}
