package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/invopop/jsonschema"
	validate "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// fourWay is a run of four communication types in ten blocks: one is faster, one
// slower, and a gate does not hold.
func fourWay() runtest.Plan {
	p := runtest.Plan{Seed: 42, Blocks: 10, WarmupS: 2, ForS: 10, PerSecond: 150, Noise: 0.05, Own: 0.005,
		Gates: []results.Gate{{On: "arm(hpush).response.p99", Is: "< 50ms"}, {On: "arm(io).p99", Is: "< 12ms"},
			{On: "all.achieved", Is: ">= 99%"}, {On: "compare(hpull,hpush).p99", Is: "not slower than 5%"}},
		Change: func(s *results.Summary) {
			s.Calibration = &results.Calibration{OpsPerS: 50_000, P50Ms: 0.06, P99Ms: 0.11}
		},
	}
	for i, comm := range []string{"hpush", "hpull", "hrev", "io"} {
		p.Arms = append(p.Arms, runtest.Arm{Arm: results.Arm{Name: comm, Comm: comm, Mode: "inline", Transform: "echo", Language: "go"},
			Ms: []float64{10, 8.8, 10, 14}[i], Shape: 0.15, Inside: []float64{0.7, 0, 0, 0}[i]})
	}
	return p
}

// made is the report of a run that no disk holds.
func made(t *testing.T, p runtest.Plan) *reports.Report {
	t.Helper()
	r, err := reports.Build(judge.Of(runtest.Make(p)), judge.Options{})
	require.NoError(t, err)
	return r
}

var fourWayReport = sync.OnceValues(func() (*reports.Report, error) {
	return reports.Build(judge.Of(runtest.Make(fourWay())), judge.Options{})
})

// madeFourWay is made of fourWay, once for all tests: it takes a while with the
// race detector.
func madeFourWay(t *testing.T) *reports.Report {
	t.Helper()
	r, err := fourWayReport()
	require.NoError(t, err)
	return r
}

// written writes a run folder and reads it back. Its path is in messages, which
// must not depend on where tests put files.
func written(t *testing.T, p runtest.Plan) *reports.Report {
	t.Helper()
	t.Chdir(t.TempDir())
	const dir = "runs/made-up"
	runtest.Write(t, dir, p)
	r, err := reports.Read(dir, judge.Options{})
	require.NoError(t, err)
	return r
}

func explained(what string) func(io.Writer, *reports.Report) error {
	return func(w io.Writer, r *reports.Report) error { return reports.Explain(w, r, what) }
}

func TestJudgedGolden(t *testing.T) {
	r := written(t, fourWay())
	for name, write := range map[string]func(io.Writer, *reports.Report) error{
		"fourway.txt": reports.WriteText, "fourway.md": reports.WriteMarkdown, "fourway.bench": reports.WriteBench,
		"fourway.explain": explained("io.p99"), "fourway.verdict": explained(""),
	} {
		golden(t, name, drawn(t, write, r))
	}
	bad := fourWay()
	bad.Blocks, bad.Planned = 6, 10
	bad.Gates = nil
	bad.Arms[1].Drift, bad.Arms[0].Errors = 0.5, 2
	bad.Generator = func(a runtest.Arm, b int) results.Generator {
		g := runtest.Healthy(a, b)
		if a.Comm == "io" {
			g.CPUSeconds = 75
		}
		return g
	}
	r = written(t, bad)
	golden(t, "invalid.txt", drawn(t, reports.WriteText, r))
	golden(t, "invalid.explain", drawn(t, explained("hpush.errors"), r))
}

func TestJudgedTextFitsTheTerminal(t *testing.T) {
	r := madeFourWay(t)
	for line := range strings.Lines(drawn(t, reports.WriteText, r)) {
		require.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 100, line)
	}
}

// The same number is the same in every output.
func TestJudgedOutputsAgree(t *testing.T) {
	r := madeFourWay(t)
	var told reports.JSONReport
	require.NoError(t, json.Unmarshal([]byte(drawn(t, reports.WriteJSON, r)), &told))
	text := strings.Join(strings.Fields(drawn(t, reports.WriteText, r)), " ")
	md := drawn(t, reports.WriteMarkdown, r)
	rows := rowsOf(t, drawn(t, reports.WriteCSV, r))
	bench := drawn(t, reports.WriteBench, r)
	for i, row := range told.Summary.Rows {
		p99, ci := *row.Response.P99Ms, told.Rows[i].P99Ms
		require.Equal(t, p99, ci.Estimate)
		cell := fmt.Sprintf("%.1f [%.1f, %.1f]", p99, *ci.Low, *ci.High)
		if p99 < 10 {
			cell = fmt.Sprintf("%.2f [%.2f, %.2f]", p99, *ci.Low, *ci.High)
		}
		require.Contains(t, text, cell)
		require.Contains(t, md, strings.NewReplacer("[", `\[`, "]", `\]`).Replace(cell))
		require.Equal(t, strconv.FormatFloat(p99, 'g', -1, 64), rows[i]["response_p99_ms"])
		require.Equal(t, row.Intended, row.Ops+row.Errors+row.Shed+row.Unsent)
		change := told.Judgement.Comparison.Find(row.Name, "get-etl", "p99")
		if i == 0 {
			require.Nil(t, change)
			continue
		}
		cell = fmt.Sprintf("%+.1f %% [%+.3g, %+.3g]", change.ChangePct.Estimate, *change.ChangePct.Low, *change.ChangePct.High)
		cell = strings.ReplaceAll(cell, "-0.0 %", "0.0 %")
		require.Contains(t, text, cell)
	}
	require.Equal(t, told.Summary.Samples[0].Ops, int64(1500))
	for _, s := range told.Summary.Samples {
		require.Contains(t, bench, fmt.Sprintf("%s p99-ns/op", strconv.FormatFloat(*s.Response.P99Ms*1e6, 'g', -1, 64)))
	}
}

// A fault is told in every output that people read.
func TestFaultsAreTold(t *testing.T) {
	run, intervals := runtest.Make(fourWay())
	run.Events = append(run.Events, results.Event{At: runtest.Started.Add(17 * time.Second), Kind: results.EventFault, Arm: "io", Block: 1, Text: "t2 was killed"})
	r, err := reports.Build(judge.Of(run, intervals), judge.Options{})
	require.NoError(t, err)
	for name, write := range map[string]func(io.Writer, *reports.Report) error{"text": reports.WriteText, "md": reports.WriteMarkdown, "html": reports.WriteHTML} {
		out := drawn(t, write, r)
		require.Contains(t, out, "fault: t2 was killed", name)
		require.Contains(t, out, "17.0", name)
	}
	page := drawn(t, reports.WriteHTML, r)
	require.Contains(t, page, "stroke:var(--cf2)", "a line in the charts over time")
	require.NotContains(t, drawn(t, reports.WriteHTML, madeFourWay(t)), "stroke:var(--cf2)")
}

// TestFaultsTable: what faults did is the same in all outputs.
func TestFaultsTable(t *testing.T) {
	p := fourWay()
	p.Arms, p.Gates, p.Blocks, p.ForS = p.Arms[:2], nil, 6, 24
	p.Harm = func(a runtest.Arm, _, s int) (int64, float64) { return map[int]int64{8: 20, 9: 10}[s], 1 }
	p.Change = func(s *results.Summary) {
		for _, b := range s.Blocks {
			at := b.Started.Add(8 * time.Second)
			good := 1.25
			s.Faults = append(s.Faults, results.Fault{Kind: results.FaultKill, What: "kill transformer", How: "SIGKILL", Arm: b.Arm, Block: b.Block, At: at,
				Until: at.Add(1900 * time.Millisecond), Against: []string{fmt.Sprintf("pod on t%d", b.Block%3)}, Intended: 300, Done: 270,
				Errors: []results.FaultErrors{{Class: "connect", Count: 10}, {Class: "status 404", Count: 20}}, FirstGoodS: &good})
		}
	}
	r := made(t, p)
	require.Equal(t, judge.Valid, r.Judgement.Validity.Verdict, "%v", r.Reasons)
	arm := r.Judgement.Faults[0].Arm
	row := []string{arm, "1 of 3 pods", "8.00", "1.90", "1,800", "180", "180", "1.25 [1.25, 1.25]", "2.00 [2.00, 2.00]"}
	for name, write := range map[string]func(io.Writer, *reports.Report) error{"text": reports.WriteText, "md": reports.WriteMarkdown, "html": reports.WriteHTML} {
		out := strings.Join(strings.FieldsFunc(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(drawn(t, write, r), " ")), func(c rune) bool {
			return unicode.IsSpace(c) || c == '|' || c == '\\'
		}), " ")
		require.Contains(t, strings.ReplaceAll(out, " ]", "]"), strings.Join(row, " "), name)
		require.Contains(t, out, "kill transformer (SIGKILL)", name)
		require.Contains(t, out, arm+" 60 120", "%s: errors by class", name)
	}
	var told reports.JSONReport
	require.NoError(t, json.Unmarshal([]byte(drawn(t, reports.WriteJSON, r)), &told))
	require.Equal(t, r.Judgement.Faults, told.Judgement.Faults)
	require.InDelta(t, 2, told.Judgement.Faults[0].RecoverS.Estimate, 1e-9)
	lost := map[string]int{}
	for _, line := range allRowsOf(t, drawn(t, reports.WriteFaultsCSV, r)) {
		n, err := strconv.Atoi(line["lost"])
		require.NoError(t, err)
		lost[line["arm"]] += n
		require.Equal(t, []string{"30", "1.25", "2"}, []string{line["errors"], line["first_good_s"], line["recovered_s"]})
	}
	require.Equal(t, 180, lost[arm])
}

func TestCSVHasBlocksAndTotals(t *testing.T) {
	r := madeFourWay(t)
	out := drawn(t, reports.WriteCSV, r)
	require.Equal(t, 1+4*(1+10), strings.Count(out, "\n"))
	sum, total := 0, 0
	for _, row := range allRowsOf(t, out) {
		n, err := strconv.Atoi(row["ops"])
		require.NoError(t, err)
		if row["block"] == "all" {
			total += n
		} else {
			sum += n
		}
	}
	require.Equal(t, total, sum)
}

func TestBenchIsReadByBenchstat(t *testing.T) {
	p := fourWay()
	p.Partial = true
	r := made(t, p)
	reader := benchfmt.NewReader(strings.NewReader(drawn(t, reports.WriteBench, r)), "bench.txt")
	lines := 0
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			lines++
			require.Equal(t, "GetEtl", string(rec.Name.Base()))
			_, parts := rec.Name.Parts()
			require.Contains(t, fmt.Sprintf("%s", parts), "/comm=")
			p99, ok := rec.Value("p99-sec/op")
			require.True(t, ok)
			require.True(t, p99 > 0.005 && p99 < 0.05)
			_, ok = rec.Value("B/s")
			require.True(t, ok)
			require.Equal(t, "linux", rec.GetConfig("goos"))
		case *benchfmt.SyntaxError:
			t.Fatal(rec)
		}
	}
	require.NoError(t, reader.Err())
	require.Equal(t, 36, lines, "nine whole blocks of four arms")
}

func TestHgrm(t *testing.T) {
	r := madeFourWay(t)
	var b bytes.Buffer
	require.NoError(t, reports.WriteHgrm(&b, r, "io"))
	require.Contains(t, b.String(), "# io get-etl, response ms, 0 never served")
	require.Contains(t, b.String(), "Value\tPercentile\tTotalCount\t1/(1-Percentile)")
	require.Contains(t, b.String(), "Total count    =        15000]")
	require.ErrorContains(t, reports.WriteHgrm(&b, r, "iox"), `no arm "iox"`)
	b.Reset()
	require.NoError(t, reports.WriteHgrm(&b, r, ""))
	require.Equal(t, 4, strings.Count(b.String(), "Total count"))
}

func TestSchema(t *testing.T) {
	made1 := (&jsonschema.Reflector{}).Reflect(&reports.JSONReport{})
	made1.ID, made1.Title = "https://github.com/etlbench/etlbench/report/v1", reports.JSONSchema
	nullable(made1)
	data, err := json.MarshalIndent(made1, "", "  ")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("report.schema.json", append(data, '\n'), 0o644))
	}
	want, err := os.ReadFile("report.schema.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(data)+"\n", "run with -update, and mind the version")

	doc, err := validate.UnmarshalJSON(bytes.NewReader(want))
	require.NoError(t, err)
	c := validate.NewCompiler()
	require.NoError(t, c.AddResource("report.json", doc))
	schema, err := c.Compile("report.json")
	require.NoError(t, err)
	check := func(out string) error {
		v, err := validate.UnmarshalJSON(strings.NewReader(out))
		require.NoError(t, err)
		return schema.Validate(v)
	}
	for name, fabricate := range runs() {
		require.NoError(t, check(render(t, reports.WriteJSON, fabricate())), name)
	}
	good := drawn(t, reports.WriteJSON, madeFourWay(t))
	require.NoError(t, check(good))
	require.Error(t, check(strings.Replace(good, `"verdict"`, `"verdikt"`, 1)), "an unknown key")
	require.Error(t, check(strings.Replace(good, `"blocks": 10`, `"blocks": "ten"`, 1)), "a wrong type")
}

// nullable lets everything be null that is a pointer in Go: the reflector does
// not, and JSON has null for what nobody could tell.
func nullable(s *jsonschema.Schema) {
	for _, def := range s.Definitions {
		for pair := def.Properties.Oldest(); pair != nil; pair = pair.Next() {
			p := pair.Value
			if pointers()[pair.Key] {
				inner := *p
				def.Properties.Set(pair.Key, &jsonschema.Schema{OneOf: []*jsonschema.Schema{&inner, {Type: "null"}}})
			}
		}
	}
}

// pointers are the names of fields that are null when they are not known.
func pointers() map[string]bool {
	names := map[string]bool{}
	for _, n := range strings.Fields("value base_value other_value change_pct p low high interval steady_from_s p50_ms p99_ms mean_ms p90_ms p999_ms max_ms " +
		"cpu_us_per_op cpu_s_per_gib moved_bytes first_done_s last_done_s cpu_quota gc_pause_p99_ms sched_p99_ms throttled_times throttled_s run_queue_s " +
		"hiccup_p99_ms hiccup_max_ms in_flight_mean delay_p99_ms pacer_p99_ms mix calibration aa job") {
		names[n] = true
	}
	return names
}

func TestExplainWhatIsNotThere(t *testing.T) {
	r := madeFourWay(t)
	r.Run.Dir = ""
	require.EqualError(t, reports.Explain(io.Discard, r, "hpul.p99"), `no arm "hpul" in this run; want ARM.NUMBER (did you mean "hpull"?)`)
	require.EqualError(t, reports.Explain(io.Discard, r, "hpull.p98"), `unknown number "p98" (did you mean "p90"?)`)
	for _, n := range results.Numbers() {
		require.NoError(t, reports.Explain(io.Discard, r, "hpull."+n), n)
	}
}

// A stall in one interval of one block is what explain finds.
func TestExplainFindsTheWorstInterval(t *testing.T) {
	r := madeFourWay(t)
	r.Run.Dir = "" // explain looks into no folder
	s := r.Evidence.Find("hpull", "get-etl")
	for i := range s.Points {
		if p := &s.Points[i]; p.Block == 7 && !p.Warmup {
			p.P99Ms = 900
			break
		}
	}
	samples := r.Run.Summary.Samples
	i := slices.IndexFunc(samples, func(s results.Sample) bool { return s.Arm == "hpull" && s.Block == 7 })
	*samples[i].Response.P99Ms = 800
	var b bytes.Buffer
	require.NoError(t, reports.Explain(&b, r, "hpull.p99"))
	require.Contains(t, b.String(), "Worst interval: block 7, 0 to 1.00 s")
	require.Contains(t, b.String(), "p99 900 ms")
}

// byWorkers is a run over workers that follows the law of scaling.
func byWorkers() runtest.Plan {
	p := runtest.Plan{Seed: 3, Blocks: 6, ForS: 3, PerSecond: 40, Load: results.Load{Model: "closed", Workers: 1}}
	for _, n := range []int{1, 2, 3, 4, 6, 8} {
		p.Arms = append(p.Arms, runtest.Arm{Arm: results.Arm{Name: fmt.Sprintf("w%d", n), Comm: "hpush", Mode: "inline", Transform: "echo", Workers: n}, Ms: 5})
	}
	p.Change = func(s *results.Summary) {
		scale := func(name string, m *results.Measured) {
			n, _ := strconv.ParseFloat(name[1:], 64)
			m.OpsPerS *= n / (1 + 0.05*(n-1))
			m.MiBPerS *= n / (1 + 0.05*(n-1))
		}
		for i := range s.Rows {
			scale(s.Rows[i].Name, &s.Rows[i].Measured)
		}
		for i := range s.Samples {
			scale(s.Samples[i].Arm, &s.Samples[i].Measured)
		}
	}
	return p
}

// bySize is a run over sizes, whose arms cost a fixed part and one of each MiB.
func bySize() runtest.Plan {
	p := runtest.Plan{Seed: 3, Blocks: 6, ForS: 3, PerSecond: 40, Load: results.Load{Model: "closed", Workers: 1}}
	fixed, per := map[string]float64{"hpush": 1, "io": 5}, map[string]float64{"hpush": 8, "io": 4}
	for _, comm := range []string{"hpush", "io"} {
		for _, size := range []string{"64KiB", "1MiB", "2MiB", "4MiB"} {
			p.Arms = append(p.Arms, runtest.Arm{Arm: results.Arm{Name: comm + ":" + size, Comm: comm, Mode: "inline", Transform: "echo", Size: size}, Ms: 5})
		}
	}
	p.Change = func(s *results.Summary) {
		mib := map[string]float64{"64KiB": 1.0 / 16, "1MiB": 1, "2MiB": 2, "4MiB": 4}
		change := func(name string, m *results.Measured) {
			comm, size, _ := strings.Cut(name, ":")
			m.BytesIn = int64(float64(m.Ops) * mib[size] * (1 << 20))
			v := fixed[comm] + per[comm]*mib[size]
			m.Service.MeanMs = &v
		}
		for i := range s.Rows {
			change(s.Rows[i].Name, &s.Rows[i].Measured)
		}
		for i := range s.Samples {
			change(s.Samples[i].Arm, &s.Samples[i].Measured)
		}
	}
	return p
}

func TestScalingAndCosts(t *testing.T) {
	r := made(t, byWorkers())
	require.Len(t, r.Scaling.Groups, 1)
	require.Len(t, r.Scaling.Groups[0].Rows, 6)
	require.Equal(t, "8", r.Scaling.Groups[0].Rows[5][0])
	require.True(t, strings.HasPrefix(r.Scaling.Groups[0].Rows[5][5], "0.741"), "1/(1+0.05×7): %v", r.Scaling.Groups[0].Rows[5])
	require.Contains(t, r.Scaling.Notes[0], "contention 0.050")

	r = made(t, bySize())
	require.Equal(t, []string{"echo hpush inline", "service time", "1.00 [1.00, 1.00] ms", "8.00 [8.00, 8.00] ms", "0 %"}, r.Costs.Groups[0].Rows[0])
	require.Contains(t, r.Crossovers[0], "service time: below 1.00 [1.00, 1.00] MiB echo hpush inline costs less, above it echo io inline")

	p := bySize()
	for i := range p.Arms {
		if p.Arms[i].Comm == "io" {
			p.Arms[i].Transform = "md5"
		}
	}
	require.Empty(t, made(t, p).Crossovers, "of another transform")
}

func TestReproduceTellsRunsApart(t *testing.T) {
	r := madeFourWay(t)
	r.Run.Env.Binary, r.Run.Summary.Dataset.Digest = "sha256:aa", "xxh64:bb"
	r.Run.Scenario = []byte("x")
	md := drawn(t, reports.WriteMarkdown, r)
	_, md, _ = strings.Cut(md, "## Reproduce")
	for _, want := range []string{"scenario: sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "binary: sha256:aa", "data set: xxh64:bb"} {
		require.Contains(t, md, want)
	}
}

func TestPairedDifferencesAreDrawn(t *testing.T) {
	page := drawn(t, reports.WriteHTML, madeFourWay(t))
	_, page, found := strings.Cut(page, "Change of p99 by block, against hpush")
	require.True(t, found)
	data, _, _ := strings.Cut(page, "</table>")
	require.Equal(t, 3*10, strings.Count(data, "<td>hp")+strings.Count(data, "<td>hrev")+strings.Count(data, "<td>io"), "three arms, ten blocks")
}

func TestPhasesAddUp(t *testing.T) {
	r := madeFourWay(t)
	for _, s := range r.Evidence.Series {
		shares, told := reports.Shares(&s.Row.Measured)
		if s.Row.Comm != "hpush" {
			require.Nil(t, shares)
			continue
		}
		require.True(t, told)
		sum := 0.0
		for _, p := range shares {
			sum += p.Ms
		}
		require.InEpsilon(t, *s.Row.Service.MeanMs, sum, 0.01)
	}
	m := results.Measured{Phases: []results.Phase{{Name: results.MetricTarget, Quantiles: results.Quantiles{MeanMs: ptr(3)}}}}
	shares, told := reports.Shares(&m)
	require.False(t, told)
	require.Len(t, shares, 3, "no pod")
}

// Of a pull request's comment, sections that do not fit are left out.
func TestMarkdownIsAComment(t *testing.T) {
	run := demo()
	rows := run.Summary.Rows
	for i := range 60 {
		for _, row := range rows {
			row.Transform += strconv.Itoa(i)
			row.Name += strconv.Itoa(i)
			run.Summary.Rows = append(run.Summary.Rows, row)
		}
	}
	md := render(t, reports.WriteMarkdown, run)
	require.LessOrEqual(t, len(md), 60<<10)
	require.Contains(t, md, "## Verdict")
	require.Contains(t, md, "rows more.")
}

// A report of a long run of many arms is made in little memory.
func TestMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir, []byte("name: long\n"), results.Env{})
	require.NoError(t, err)
	s := results.Summary{Name: "long", Load: results.Load{Model: "open", Rate: 1000, Workers: 8, InFlight: 512}, Trials: results.Trials{Planned: 1, Complete: 1}}
	h := results.NewHistogram()
	for i := range 3000 { // a histogram with as many distinct values as a wide load has
		_ = h.RecordValue(int64(1e6 * math.Exp(float64(i)/600)))
	}
	const arms, intervals = 8, 100
	iv := results.Interval{Duration: time.Second, Counts: results.Counts{Ops: 3000, BytesIn: 3000 << 16}, Latency: h}
	for a := range arms {
		arm := results.Arm{Name: fmt.Sprintf("arm%d", a), Comm: fmt.Sprintf("c%d", a), Mode: "inline", Transform: "echo"}
		s.Arms = append(s.Arms, arm)
		for i := range intervals {
			iv.Start = started.Add(time.Duration(a*intervals+i) * time.Second)
			iv.Key = results.Key{Arm: arm.Name, Op: "get-etl", Phase: results.PhaseMeasure, Metric: results.MetricService, Block: 1}
			require.NoError(t, w.Interval(iv))
		}
		q := results.NewQuantiles(h, 0)
		s.Rows = append(s.Rows, results.Row{Arm: arm, Op: "get-etl", Samples: 1, Measured: results.Measured{Intended: intervals * 3000,
			Counts: results.Counts{Ops: intervals * 3000}, Seconds: intervals, Response: q, Service: q}})
	}
	require.NoError(t, w.Finish(s, nil))
	stop, peak := watch()
	require.NoError(t, writeFolder(dir))
	stop()
	require.Less(t, *peak, uint64(256<<20), "heap in use")
	t.Logf("peak of the heap: %d MiB", *peak>>20)
}

// watch looks at how large the heap gets.
func watch() (stop func(), peak *uint64) {
	done, ended := make(chan struct{}), make(chan struct{})
	peak = new(uint64)
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapInuse+m.StackInuse)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(done); <-ended }, peak
}
