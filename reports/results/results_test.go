package results_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func ptr(f float64) *float64 { return &f }

func summary() results.Summary {
	return results.Summary{
		Schema: results.Schema, Name: "demo", Seed: math.MaxUint64, Started: start, Finished: start.Add(time.Minute),
		Cluster: results.Cluster{URL: "http://127.0.0.1:8080", Kind: "spawned", Proxies: 1, Targets: []string{"t1", "t2"}},
		Load:    results.Load{Model: "closed", Workers: 4, WarmupS: 1, ForS: 10},
		Dataset: results.Dataset{Source: "TAR shards", Objects: 10, Bytes: 1 << 20},
		Rows: []results.Row{
			{Comm: "hpush", Mode: "inline", Transform: "md5", Op: "get-etl", Ops: 7, P50Ms: ptr(1.25),
				Targets: []results.Target{{ID: "t1", Ops: 3}, {ID: "t2", Ops: 4, P99Ms: ptr(0.5)}}},
			{Comm: "a", Mode: "offline", Transform: "a", Op: "etl-object", Targets: []results.Target{}},
		},
		Notes: []string{"md5 ran in Go"},
	}
}

// randomIntervals are what a run of a few arms records, out of order, with odd
// names and some series without a single operation.
func randomIntervals(rnd *rand.Rand) []results.Interval {
	names := []string{"md5", "tar images", "a,b", "", "ü\n", "md5/python"}
	ivs := make([]results.Interval, rnd.IntN(30))
	for i := range ivs {
		pick := func() string { return names[rnd.IntN(len(names))] }
		ivs[i] = results.Interval{
			Key:      results.Key{Transform: pick(), Comm: pick(), Mode: pick(), Op: pick(), Phase: pick(), Metric: pick(), Target: pick()},
			Start:    start.Add(time.Duration(rnd.Int64N(int64(time.Hour))) - 10*time.Minute),
			Duration: time.Duration(rnd.Int64N(int64(time.Minute))),
			Ops:      rnd.Int64N(1e6), Errors: rnd.Int64N(10), BytesIn: rnd.Int64(), BytesOut: rnd.Int64(),
			Latency: results.NewHistogram(),
		}
		for range rnd.IntN(200) {
			_ = ivs[i].Latency.RecordValue(int64(math.Exp(rnd.Float64()*27)) + results.MinLatency)
		}
	}
	return ivs
}

func write(t *testing.T, ivs []results.Interval, errs []results.ErrorClass) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "runs", "one")
	w, err := results.Create(dir, []byte("name: demo\n"), results.Env{Version: "v1", CPUs: 2})
	require.NoError(t, err)
	for _, iv := range ivs {
		require.NoError(t, w.Interval(iv))
	}
	require.NoError(t, w.Finish(summary(), errs))
	require.NoError(t, w.Finish(summary(), errs), "once more")
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Interval(results.Interval{Start: start}), results.ErrClosed)
	return dir
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	sameHist := cmp.Comparer(func(a, b *hdrhistogram.Histogram) bool {
		return a == b || a != nil && b != nil && a.Equals(b)
	})
	for seed := range uint64(20) {
		ivs := randomIntervals(rand.New(rand.NewPCG(seed, 1)))
		errs := []results.ErrorClass{{Transform: "md5", Class: "timeout", Count: 2, Examples: []string{"one", "two"}}}
		dir := write(t, ivs, errs)

		var got []results.Interval
		require.NoError(t, results.Each(dir, func(iv results.Interval) error {
			got = append(got, iv)
			return nil
		}))
		require.Len(t, got, len(ivs))
		total, merged := results.NewHistogram(), results.NewHistogram()
		for i, iv := range ivs {
			require.Empty(t, cmp.Diff(readable(iv), got[i], sameHist))
			if iv.Key.Target == "" {
				total.Merge(iv.Latency)
			}
		}
		run, err := results.Read(dir)
		require.NoError(t, err)
		for _, h := range run.Latency {
			merged.Merge(h)
		}
		require.True(t, total.Equals(merged), "intervals add up to the total")
		require.Len(t, run.Intervals, len(ivs))
		require.Empty(t, cmp.Diff(summary(), run.Summary))
		require.Equal(t, errs, run.Errors)
		require.Equal(t, "name: demo\n", string(run.Scenario))
		require.Equal(t, results.Env{Version: "v1", CPUs: 2}, run.Env)
	}
}

// readable is an interval as JSON can hold it.
func readable(iv results.Interval) results.Interval {
	data, _ := json.Marshal(iv.Key)
	_ = json.Unmarshal(data, &iv.Key)
	return iv
}

func TestLogIsReadByOtherTools(t *testing.T) {
	h := results.NewHistogram()
	require.NoError(t, h.RecordValues(5e6, 42))
	key := results.Key{Transform: "tar images", Comm: "hpush", Mode: "inline", Op: "get-etl", Phase: "measure", Metric: "ttlb"}
	dir := write(t, []results.Interval{{Key: key, Start: start, Duration: time.Second, Latency: h}}, nil)
	data, err := os.ReadFile(filepath.Join(dir, results.LogFile))
	require.NoError(t, err)
	got, err := hdrhistogram.NewHistogramLogReader(bytes.NewReader(data)).NextIntervalHistogram()
	require.NoError(t, err)
	require.Equal(t, "tar_images.hpush.inline.get-etl.measure.ttlb.", got.Tag())
	require.EqualValues(t, 42, got.TotalCount())
	require.InDelta(t, start.UnixMilli(), got.StartTimeMs(), 1)
	require.InDelta(t, 1000, got.EndTimeMs()-got.StartTimeMs(), 1)
	require.Contains(t, string(data), "#[StartTime: 1772366400.123 (seconds since epoch), 2026-03-01T12:00:00Z]\n")
}

func TestWriterMayBeShared(t *testing.T) {
	w, err := results.Create(t.TempDir(), nil, results.Env{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				_ = w.Interval(results.Interval{Start: start})
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.Finish(results.Summary{}, nil))
}

func TestCreateRefusesWhatHoldsAnything(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o644))
	_, err := results.Create(dir, nil, results.Env{})
	require.ErrorIs(t, err, results.ErrNotEmpty)
	require.ErrorContains(t, err, "it holds x: choose another one")
	_, err = results.Create(filepath.Join(dir, "x"), nil, results.Env{})
	require.ErrorContains(t, err, "run folder: ")
}

func TestFinishRefusesNumbersWithoutJSON(t *testing.T) {
	dir := t.TempDir()
	w, err := results.Create(dir, nil, results.Env{})
	require.NoError(t, err)
	require.ErrorContains(t, w.Finish(results.Summary{Rows: []results.Row{{OpsPerS: math.NaN()}}}, nil), "NaN")
	require.NoFileExists(t, filepath.Join(dir, results.SummaryFile))
}

func TestIntervalRefusesWhatReadWould(t *testing.T) {
	cases := map[string]results.Interval{
		"start is not set": {},
		"negative count":   {Start: start, Ops: -1},
		"bounds 1 to 1000": {Start: start, Latency: hdrhistogram.New(1, 1000, 3)},
	}
	for want, iv := range cases {
		t.Run(want, func(t *testing.T) {
			w, err := results.Create(t.TempDir(), nil, results.Env{})
			require.NoError(t, err)
			require.ErrorContains(t, w.Interval(iv), want)
			require.ErrorContains(t, w.Interval(results.Interval{Start: start}), want, "the first error stays")
			require.ErrorContains(t, w.Finish(results.Summary{}, nil), want)
		})
	}
}

func TestAbandonedRun(t *testing.T) {
	dir := t.TempDir()
	w, err := results.Create(dir, nil, results.Env{})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Finish(results.Summary{}, nil), results.ErrClosed)
	_, err = results.Read(dir)
	require.ErrorIs(t, err, results.ErrUnfinished)
	require.ErrorContains(t, err, "run it again: etlbench run "+dir)
	_, err = results.Read(filepath.Join(dir, "nowhere"))
	require.ErrorContains(t, err, "is no run folder")
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	cut := func(n int) func(string) string {
		return func(s string) string { return s[:len(s)-n] }
	}
	lastLine := func(s string) string { return s + s[strings.LastIndex(s[:len(s)-1], "\n")+1:] }
	cases := []struct {
		name, file string
		damage     func(string) string
		want       string
	}{
		{"schema", results.SummaryFile, replace("summary/v1", "summary/v9"), `summary.json: unknown schema "etlbench/summary/v9", want "etlbench/summary/v1"`},
		{"summary kind", results.SummaryFile, replace(`"name": "demo"`, `"name": 3`), "summary.json:3: json"},
		{"summary cut", results.SummaryFile, cut(5), "summary.json:"},
		{"env", results.EnvFile, replace("{", "{{"), "env.json:1: "},
		{"errors", results.ErrorsFile, replace("[", "]"), "errors.json:1: "},
		{"jsonl cut", results.IntervalsFile, cut(10), "intervals.jsonl:2: unexpected end of JSON input"},
		{"jsonl more", results.IntervalsFile, lastLine, "intervals.jsonl:3: no histogram in ops.hlog"},
		{"jsonl negative", results.IntervalsFile, replace(`"ops":0`, `"ops":-1`), "intervals.jsonl:1: negative"},
		{"jsonl range", results.IntervalsFile, replace(`"start_s":`, `"start_s":1e300,"x":`), "intervals.jsonl:1: start"},
		{"hlog cut", results.LogFile, cut(10), "ops.hlog:6: histogram: "},
		{"hlog more", results.LogFile, lastLine, "ops.hlog:7: no line in intervals.jsonl"},
		{"hlog other", results.LogFile, replace("Tag=t.", "Tag=u."), "ops.hlog:5: histogram u."},
		{"hlog start", results.LogFile, replace("StartTime: 1", "StartTime: x"), "ops.hlog:3: time"},
		{"hlog empty line", results.LogFile, replace("\n", "\n\n"), "ops.hlog:2: empty line"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			iv := results.Interval{Key: results.Key{Transform: "t"}, Start: start, Duration: time.Second}
			dir := write(t, []results.Interval{iv, iv}, nil)
			path := filepath.Join(dir, c.file)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(c.damage(string(data))), 0o644))
			_, err = results.Read(dir)
			require.ErrorContains(t, err, filepath.Join(dir, "")+"/"+c.want)
			require.NotContains(t, err.Error(), "\n")
			var syntax *results.SyntaxError
			require.ErrorAs(t, err, &syntax)
		})
	}
	for _, name := range []string{results.EnvFile, results.LogFile, results.IntervalsFile, results.ErrorsFile, results.ScenarioFile} {
		dir := write(t, nil, nil)
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		_, err := results.Read(dir)
		require.ErrorContains(t, err, name)
	}
}
