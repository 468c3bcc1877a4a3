package results_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
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
		Load:    results.Load{Model: "open", Arrival: "poisson", Rate: 2000, InFlight: 512, Workers: 4, WarmupS: 1, ForS: 10, Mix: map[string]int{"get-etl": 1}},
		Dataset: results.Dataset{Source: "TAR shards", Objects: 10, Bytes: 1 << 20},
		Trials:  results.Trials{Planned: 3, Complete: 2, Order: "interleaved-random", RedeployEvery: 2, Stopped: "p99 is known to 3 %"},
		Arms:    []results.Arm{{Name: "hpush", Comm: "hpush", Mode: "inline", Transform: "md5"}},
		Rows: []results.Row{
			{Arm: results.Arm{Name: "hpush", Comm: "hpush", Mode: "inline", Transform: "md5"}, Op: "get-etl", Samples: 2, Measured: measured()},
			{Arm: results.Arm{Name: "a", Comm: "a", Mode: "offline", Transform: "a"}, Op: "etl-object", Measured: results.Measured{Targets: []results.Target{}}},
		},
		Samples: []results.Sample{{Arm: "hpush", Op: "get-etl", Block: 2, Started: start, Measured: measured(),
			Job: &results.Job{ID: "j", FirstDoneS: ptr(1.5), Stragglers: []results.Straggler{{Name: "o", Target: "t1", Ms: 3}}}}},
		Blocks: []results.Block{{Arm: "hpush", Block: 2, Started: start, Deployed: true, Generator: results.Generator{CPUs: 2, HiccupMaxMs: ptr(3)}}},
		Notes:  []string{"md5 ran in Go"},
	}
}

func measured() results.Measured {
	moved := int64(3000)
	return results.Measured{
		Intended: 10, Counts: results.Counts{Ops: 7, Errors: 1, Shed: 1, Unsent: 1, BytesIn: 1 << 20, BytesOut: 1000},
		VerifiedPct: 100, Seconds: 2, OpsPerS: 3.5, MiBPerS: 0.5,
		Response: results.Quantiles{Count: 9, Infinite: 2, P50Ms: ptr(1.25)},
		Service:  results.Quantiles{Count: 7, MeanMs: ptr(1), P99Ms: ptr(2), P999Ms: ptr(3)},
		Phases:   []results.Phase{{Name: results.MetricProxy, Quantiles: results.Quantiles{Count: 7, MeanMs: ptr(0.1)}}},
		Targets:  []results.Target{{ID: "t1", Ops: 3}, {ID: "t2", Ops: 4, P99Ms: ptr(0.5)}},
		Resources: []results.Resource{{Component: results.ComponentClient, Processes: 1, CPUSeconds: 1, CPUUsPerOp: ptr(10), CPUSPerGiB: ptr(2)},
			{Component: results.ComponentTarget, CPUUsPerOp: ptr(5)}},
		MovedBytes: &moved,
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
			Key:      results.Key{Arm: pick(), Op: pick(), Phase: pick(), Metric: pick(), Target: pick(), Block: rnd.IntN(3)},
			Start:    start.Add(time.Duration(rnd.Int64N(int64(time.Hour))) - 10*time.Minute),
			Duration: time.Duration(rnd.Int64N(int64(time.Minute))),
			Counts: results.Counts{Ops: rnd.Int64N(1e6), Errors: rnd.Int64N(10), Timeouts: rnd.Int64N(3), Shed: rnd.Int64N(5),
				Unsent: rnd.Int64N(5), BytesIn: rnd.Int64(), BytesOut: rnd.Int64()},
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
	require.NoError(t, w.Event(results.Event{At: start, Kind: results.EventPhase, Arm: "hpush", Block: 1, Text: "warmup"}))
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
		errs := []results.ErrorClass{{Arm: "hpush", Class: "timeout", Count: 2, Examples: []string{"one", "two"}}}
		dir := write(t, ivs, errs)

		var got []results.Interval
		require.NoError(t, results.Each(dir, func(iv results.Interval) error {
			got = append(got, iv)
			return nil
		}))
		require.Len(t, got, len(ivs))
		total := results.NewHistogram()
		for i, iv := range ivs {
			require.Empty(t, cmp.Diff(readable(iv), got[i], sameHist))
			total.Merge(iv.Latency)
		}
		run, err := results.Read(dir)
		require.NoError(t, err)
		merged, err := results.Merge(dir, func(results.Key) (results.Key, bool) { return results.Key{}, true })
		require.NoError(t, err)
		if len(ivs) > 0 {
			require.True(t, total.Equals(merged[results.Key{}]), "intervals add up to the total")
		}
		require.Equal(t, []results.Event{{At: start, Kind: "phase", Arm: "hpush", Block: 1, Text: "warmup"}}, run.Events)
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
	key := results.Key{Arm: "tar images:hpush", Op: "get-etl", Phase: "measure", Metric: "service", Block: 3}
	dir := write(t, []results.Interval{{Key: key, Start: start, Duration: time.Second, Latency: h}}, nil)
	data, err := os.ReadFile(filepath.Join(dir, results.LogFile))
	require.NoError(t, err)
	got, err := hdrhistogram.NewHistogramLogReader(bytes.NewReader(data)).NextIntervalHistogram()
	require.NoError(t, err)
	require.Equal(t, "tar_images:hpush.get-etl.measure.service.b3.", got.Tag())
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
	require.ErrorContains(t, w.Finish(results.Summary{Rows: []results.Row{{Measured: results.Measured{OpsPerS: math.NaN()}}}}, nil), "NaN")
	require.NoFileExists(t, filepath.Join(dir, results.SummaryFile))
}

func TestIntervalRefusesWhatReadWould(t *testing.T) {
	cases := map[string]results.Interval{
		"start is not set": {},
		"negative count":   {Start: start, Counts: results.Counts{Shed: -1}},
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
		{"schema", results.SummaryFile, replace("summary/v2", "summary/v9"), `summary.json: unknown schema "etlbench/summary/v9", want "etlbench/summary/v2"`},
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
		{"events", results.EventsFile, replace("{", "["), "events.jsonl:1: "},
		{"hlog empty line", results.LogFile, replace("\n", "\n\n"), "ops.hlog:2: empty line"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			iv := results.Interval{Key: results.Key{Arm: "t"}, Start: start, Duration: time.Second}
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
	for _, name := range []string{results.EnvFile, results.LogFile, results.IntervalsFile, results.EventsFile, results.ErrorsFile, results.ScenarioFile} {
		dir := write(t, nil, nil)
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		_, err := results.Read(dir)
		require.ErrorContains(t, err, name)
	}
}

// TestIntervalsOfTheSameStartAddUp: operations that end after their interval
// was written come in a record of their own.
func TestIntervalsOfTheSameStartAddUp(t *testing.T) {
	interval := func(block int, metric string, ns int64, c results.Counts) results.Interval {
		h := results.NewHistogram()
		require.NoError(t, h.RecordValue(ns))
		return results.Interval{Key: results.Key{Arm: "a", Op: "get", Phase: results.PhaseMeasure, Metric: metric, Block: block},
			Start: start, Duration: time.Second, Counts: c, Latency: h}
	}
	dir := write(t, []results.Interval{
		interval(1, results.MetricService, 1e6, results.Counts{Ops: 1, Errors: 2}),
		interval(1, results.MetricResponse, 2e6, results.Counts{Ops: 1, Errors: 2}),
		interval(2, results.MetricService, 3e6, results.Counts{Ops: 1}),
		interval(1, results.MetricService, 4e6, results.Counts{Ops: 1, Shed: 3}),
	}, nil)
	run, err := results.Read(dir)
	require.NoError(t, err)
	require.Len(t, run.Intervals, 2, "one metric, a block each")
	require.Equal(t, results.Counts{Ops: 2, Errors: 2, Shed: 3}, run.Intervals[0].Counts)
	key := results.Key{Arm: "a", Op: "get", Phase: results.PhaseMeasure, Metric: results.MetricService}
	require.EqualValues(t, 3, run.Latency[key].TotalCount(), "over all blocks")
	require.Len(t, run.Latency, 2)
}

// TestLogVector is a line whose payload was put together by hand: the encoded
// counts say that 42 values lie in one bucket.
func TestLogVector(t *testing.T) {
	h := results.NewHistogram()
	require.NoError(t, h.RecordValues(5e6, 42))
	key := results.Key{Arm: "hpush", Op: "get-etl", Phase: results.PhaseMeasure, Metric: results.MetricResponse, Block: 1, Target: "t1"}
	dir := write(t, []results.Interval{{Key: key, Start: start, Duration: 1500 * time.Millisecond, Latency: h}}, nil)
	data, err := os.ReadFile(filepath.Join(dir, results.LogFile))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	fields := strings.Split(lines[len(lines)-1], ",")
	require.Equal(t, []string{"Tag=hpush.get-etl.measure.response.b1.t1", "1772366400.123456789", "1.500000000", "5.001"}, fields[:4])

	packed, err := base64.StdEncoding.DecodeString(fields[4])
	require.NoError(t, err)
	require.Equal(t, uint32(0x1c849314), binary.BigEndian.Uint32(packed), "compressed V2")
	require.EqualValues(t, len(packed)-8, binary.BigEndian.Uint32(packed[4:]))
	z, err := zlib.NewReader(bytes.NewReader(packed[8:]))
	require.NoError(t, err)
	got, err := io.ReadAll(z)
	require.NoError(t, err)
	want := []byte{0x1c, 0x84, 0x93, 0x13, // V2
		0, 0, 0, 3, // bytes of counts
		0, 0, 0, 0, // normalizing offset
		0, 0, 0, 3} // digits
	want = binary.BigEndian.AppendUint64(want, uint64(results.MinLatency))
	want = binary.BigEndian.AppendUint64(want, uint64(results.MaxLatency))
	want = binary.BigEndian.AppendUint64(want, math.Float64bits(1))
	// Units are 512 ns (2^9 is the power of two below 1 µs), buckets have
	// 2,048 of which the upper 1,024 count: 5 ms are 9,765 units, which are
	// 1,220 of bucket 3, so count number 3·1024 + 1220 = 4,292. The zeros in
	// front of it are one number, -4292, in ZigZag 8583, in LEB128 7 and 67;
	// then comes 42, in ZigZag 84.
	want = append(want, 0x80|7, 67, 84)
	require.Equal(t, want, got)
}

func TestQuantilesWithInfiniteValues(t *testing.T) {
	h := results.NewHistogram()
	for i := range int64(98) {
		require.NoError(t, h.RecordValue((i+1)*1e6))
	}
	q := results.NewQuantiles(h, 2) // the 99th and the 100th
	require.EqualValues(t, 100, q.Count)
	require.InEpsilon(t, 50, *q.P50Ms, 1e-3)
	require.InEpsilon(t, 90, *q.P90Ms, 1e-3)
	require.Nil(t, q.P99Ms)
	require.Nil(t, q.P999Ms)
	require.Nil(t, q.MaxMs)
	require.Nil(t, q.MeanMs)
	q = results.NewQuantiles(h, 1)
	require.InEpsilon(t, 98, *q.P99Ms, 1e-3)
	require.Equal(t, results.Quantiles{Count: 3, Infinite: 3}, results.NewQuantiles(nil, 3))
	require.Equal(t, results.Quantiles{}, results.NewQuantiles(results.NewHistogram(), 0))
}

func TestValue(t *testing.T) {
	m := measured()
	for name, want := range map[string]float64{"p50": 1.25, "service.p99": 2, "service.p99.9": 3, "service.mean": 1, "ops/s": 3.5, "mib/s": 0.5,
		"errors": 10, "shed": 10, "achieved": 70, "cpu-us/op": 15, "moved": 3} {
		got, ok := m.Value(name)
		require.True(t, ok, name)
		require.InDelta(t, want, got, 1e-9, name)
		require.Contains(t, results.Numbers(), name)
	}
	for _, name := range []string{"p99", "delay.p50", "cpu-s/gib", "nosuch", "", "service.", "service"} {
		_, ok := m.Value(name)
		require.False(t, ok, name)
	}
	require.Equal(t, m.Intended, m.Accounted())
	require.EqualValues(t, 2, m.Late())
}
