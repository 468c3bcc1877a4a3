package reports_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

var started = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ptr(f float64) *float64 { return &f }

// demo fabricates a plausible run: two transforms through four communication
// types, inline and offline, on three targets. Its numbers are drawn, not
// measured; rows agree with the intervals.
func demo() *results.Run {
	d := &fabric{
		rnd: rand.New(rand.NewPCG(42, 1)),
		run: &results.Run{
			Dir:      "runs/demo",
			Scenario: []byte("apiVersion: etlbench/v1\nname: demo\nseed: 42\n"),
			Env: results.Env{Version: "v0.1.0", Go: "go1.26", OS: "linux", Arch: "amd64", Kernel: "6.1.0", CPU: "Example 3000",
				CPUs: 8, MemoryB: 16 << 30, Python: "3.13.1 /usr/bin/python3", DataPath: "ext4"},
			Latency: map[results.Key]*hdrhistogram.Histogram{},
			Summary: results.Summary{
				Schema: results.Schema, Name: "demo", Seed: 42, Started: started, Finished: started.Add(4*time.Minute + 12*time.Second),
				Cluster: results.Cluster{URL: "http://127.0.0.1:8080", Kind: "spawned", Proxies: 1, Targets: []string{"t1", "t2", "t3"}, Sync: "none"},
				Load:    results.Load{Model: "closed", Workers: 8, WarmupS: 2, ForS: 10},
				Dataset: results.Dataset{Source: "TAR shards of 24 photographs", Objects: 240, Bytes: 412 << 20},
				Notes:   []string{"md5 ran as a Python function, tar-images as a Go program: compare transforms with care."},
			},
		},
	}
	comms := []string{"hpush", "hpull", "hrev", "io"}
	for _, tr := range []struct {
		name, language string
		msec           float64
	}{{"tar-images", "go", 22}, {"md5", "python", 6}} {
		for i, comm := range comms {
			d.inline(tr.name, tr.language, comm, tr.msec*(1+0.2*float64(i)))
		}
		for i, comm := range comms {
			d.offline(tr.name, tr.language, comm, tr.msec*(1.4-0.1*float64(i)))
		}
	}
	return d.run
}

type fabric struct {
	rnd *rand.Rand
	now time.Time
	run *results.Run
}

const objectBytes = 412 << 20 / 240

// inline draws two seconds of warm-up and ten of measurement.
func (d *fabric) inline(transform, language, comm string, msec float64) {
	arm := results.Arm{Name: transform + ":" + comm + ":inline", Transform: transform, Language: language, Comm: comm, Mode: "inline"}
	key := results.Key{Arm: arm.Name, Op: "get-etl", Metric: results.MetricService}
	d.now = started.Add(time.Duration(len(d.run.Summary.Rows)) * 15 * time.Second)
	for i := range 12 {
		key.Phase = "measure"
		if i < 2 {
			key.Phase = "warmup"
		}
		iv := results.Interval{Key: key, Start: d.now, Duration: time.Second, Latency: results.NewHistogram()}
		iv.Ops = int64(8000/msec*(0.9+0.2*d.rnd.Float64())) * int64(min(i+1, 3)) / 3
		for range iv.Ops {
			_ = iv.Latency.RecordValue(int64(1e6 * msec * math.Exp(0.4*d.rnd.NormFloat64())))
		}
		iv.BytesIn, iv.BytesOut = iv.Ops*objectBytes, iv.Ops*objectBytes/3
		d.record(iv)
		d.now = d.now.Add(time.Second)
	}
	key.Phase = "measure"
	d.row(arm, key, 10)
}

// offline draws one job.
func (d *fabric) offline(transform, language, comm string, msec float64) {
	arm := results.Arm{Name: transform + ":" + comm + ":offline", Transform: transform, Language: language, Comm: comm, Mode: "offline"}
	key := results.Key{Arm: arm.Name, Op: "etl-object", Phase: "measure", Metric: results.MetricObject}
	iv := results.Interval{Key: key, Start: d.now, Counts: results.Counts{Ops: 240}, Latency: results.NewHistogram()}
	for range iv.Ops {
		_ = iv.Latency.RecordValue(int64(1e6 * msec * math.Exp(0.3*d.rnd.NormFloat64())))
	}
	iv.Duration = time.Duration(msec * 240 / 8 * 1e6)
	iv.BytesIn, iv.BytesOut = iv.Ops*objectBytes, iv.Ops*objectBytes/3
	d.record(iv)
	d.row(arm, key, iv.Duration.Seconds())
}

func (d *fabric) record(iv results.Interval) {
	d.run.Intervals = append(d.run.Intervals, iv)
	for _, metric := range []string{iv.Key.Metric, results.MetricResponse} { // a closed loop
		k := iv.Key
		k.Metric = metric
		if d.run.Latency[k] == nil {
			d.run.Latency[k] = results.NewHistogram()
		}
		d.run.Latency[k].Merge(iv.Latency)
	}
}

func (d *fabric) row(arm results.Arm, key results.Key, seconds float64) {
	h := d.run.Latency[key]
	at := func(q float64) *float64 { return ptr(float64(h.ValueAtPercentile(q)) / 1e6) }
	q := results.NewQuantiles(h, 0)
	row := results.Row{Arm: arm, Op: key.Op, Samples: 1, Measured: results.Measured{
		Intended:    h.TotalCount(),
		Counts:      results.Counts{Ops: h.TotalCount(), BytesIn: h.TotalCount() * objectBytes, BytesOut: h.TotalCount() * objectBytes / 3},
		VerifiedPct: 100, Seconds: seconds, OpsPerS: float64(h.TotalCount()) / seconds, Response: q, Service: q}}
	row.MiBPerS = float64(row.BytesIn) / (1 << 20) / seconds
	row.OutMiBPerS = row.MiBPerS / 3
	for i, id := range d.run.Summary.Cluster.Targets {
		row.Targets = append(row.Targets, results.Target{ID: id, Ops: row.Ops / 3,
			MiBPerS: row.MiBPerS / 3 * (0.95 + 0.05*float64(i)), P50Ms: at(50), P99Ms: at(99)})
	}
	d.run.Summary.Rows = append(d.run.Summary.Rows, row)
}

// troubled is the demo run gone wrong: errors, outputs that differ, an
// interrupt, and numbers that nobody could tell.
func troubled() *results.Run {
	run := demo()
	s := &run.Summary
	s.Interrupted = true
	s.Rows = s.Rows[:6]
	s.Rows[1].Errors, s.Rows[1].VerifiedPct = 204, 99.997
	bad := &s.Rows[5]
	bad.Response, bad.Service = results.Quantiles{}, results.Quantiles{}
	bad.Targets = nil
	run.Errors = []results.ErrorClass{
		{Arm: "tar-images:hpull:inline", Class: "timeout", Count: 200,
			Examples: []string{"GET shard-000017.tar: no answer within 5s | try *again*", "GET shard-000018.tar: no answer within 5s"}},
		{Arm: "tar-images:hpull:inline", Class: "digest", Count: 4},
	}
	return run
}

// hostile is a run whose every foreign string tries to break out.
func hostile() *results.Run {
	const bad = "<script>alert(1)</script>\x1b[31m\n|`\u202e\"',"
	run := demo()
	s := &run.Summary
	run.Dir, run.Scenario = bad, []byte(bad)
	run.Env = results.Env{Version: bad, Go: bad, OS: bad, Arch: bad, Kernel: bad, CPU: bad, CPUs: 1, Python: bad, DataPath: bad}
	s.Name, s.Notes = bad, []string{bad}
	s.Cluster = results.Cluster{URL: bad, Kind: bad, Targets: []string{bad}, Sync: bad}
	s.Load.Model, s.Dataset.Source = bad, bad
	for i := range s.Rows {
		row := &s.Rows[i]
		row.Name, row.Comm, row.Transform, row.Language, row.Op = bad+row.Name, bad+row.Comm, bad+row.Transform, bad, bad
		row.Size = bad
		for j := range row.Targets {
			row.Targets[j].ID += bad
		}
	}
	for i := range run.Intervals {
		k := &run.Intervals[i].Key
		k.Arm, k.Op = bad+k.Arm, bad
	}
	latency := map[results.Key]*hdrhistogram.Histogram{}
	for k, h := range run.Latency {
		k.Arm, k.Op = bad+k.Arm, bad
		latency[k] = h
	}
	run.Latency = latency
	run.Errors = []results.ErrorClass{{Arm: bad, Class: bad, Count: 1, Examples: []string{bad}}}
	return run
}

// extreme has numbers at the ends of what summary.json can hold.
func extreme() *results.Run {
	run := &results.Run{Summary: results.Summary{Name: "extreme", Rows: []results.Row{{
		Arm: results.Arm{Comm: "hpush", Mode: "inline", Transform: "t"}, Measured: results.Measured{
			Counts: results.Counts{Ops: math.MaxInt64, Errors: math.MaxInt64, Shed: math.MaxInt64, BytesIn: math.MinInt64}, VerifiedPct: 1e300,
			Seconds: math.MaxFloat64, OpsPerS: math.MaxFloat64,
			Response: results.Quantiles{P50Ms: ptr(5e-324), P90Ms: ptr(-1e300), P99Ms: ptr(math.MaxFloat64), MaxMs: ptr(0)},
			MiBPerS:  math.MaxFloat64,
			Targets:  []results.Target{{ID: "t1", MiBPerS: math.MaxFloat64}, {ID: "t2", MiBPerS: -1}},
		}}}}}
	run.Summary.Dataset.Bytes = -1
	return run
}

// many has more targets than a table cell holds.
func many() *results.Run {
	run := demo()
	run.Summary.Rows = run.Summary.Rows[:4]
	run.Summary.Cluster.Targets = nil
	for i := range 16 {
		run.Summary.Cluster.Targets = append(run.Summary.Cluster.Targets, fmt.Sprintf("target-%02d", i))
	}
	for r := range run.Summary.Rows {
		row := &run.Summary.Rows[r]
		row.Targets = nil
		for i, id := range run.Summary.Cluster.Targets {
			row.Targets = append(row.Targets, results.Target{ID: id, MiBPerS: row.MiBPerS / 16 * (1 + 0.02*float64(i))})
		}
	}
	return run
}

// open is an open loop that was shed from.
func open() *results.Run {
	run := demo()
	run.Summary.Rows = run.Summary.Rows[:2]
	run.Summary.Load = results.Load{Model: "open", Arrival: "poisson", Rate: 300, InFlight: 64, Workers: 16, WarmupS: 2, ForS: 10}
	run.Summary.Trials = results.Trials{Planned: 3, Complete: 2}
	for i := range run.Summary.Rows {
		row := &run.Summary.Rows[i]
		row.Put, row.Workers = "direct", 16
		row.Shed, row.Unsent = 40*int64(i), int64(i)
		row.Intended = row.Accounted()
		row.Delay = results.Quantiles{Count: row.Ops, P99Ms: ptr(0.25)}
		key := results.Key{Arm: row.Name, Op: row.Op, Phase: results.PhaseMeasure, Metric: results.MetricResponse}
		row.Response = results.NewQuantiles(run.Latency[key], row.Late())
	}
	return run
}

func one() *results.Run {
	run := demo()
	run.Summary.Rows = run.Summary.Rows[:1]
	return run
}

// runs are what every output must cope with.
func runs() map[string]func() *results.Run {
	return map[string]func() *results.Run{
		"empty": func() *results.Run { return &results.Run{} },
		"open":  open, "one": one, "demo": demo, "troubled": troubled, "hostile": hostile, "extreme": extreme, "many": many,
	}
}

func build(t testing.TB, run *results.Run) *reports.Report {
	t.Helper()
	r, err := reports.Build(judge.Of(run, run.Intervals), judge.Options{})
	require.NoError(t, err)
	return r
}

func render(t testing.TB, write func(io.Writer, *reports.Report) error, run *results.Run) string {
	t.Helper()
	return drawn(t, write, build(t, run))
}

func drawn(t testing.TB, write func(io.Writer, *reports.Report) error, r *reports.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b, r))
	return b.String()
}
