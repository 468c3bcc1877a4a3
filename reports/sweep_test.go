package reports_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// made is a sweep over targets of 0.5 CPUs each, on a machine of 8 CPUs of
// which client and proxy use 1.5: beyond 13 targets nothing is comparable.
// Throughput follows the law of 40 MiB/s and a contention of 0.05. change is
// called with every run.
func madeSweep(t *testing.T, targets []int, change func(n int, control bool, repeat int, p *runtest.Plan)) string {
	t.Helper()
	dir := t.TempDir()
	plan := reports.SweepPlan{Name: "made-up", Seed: 1, Over: reports.OverTargets, Repeats: 3, PerTarget: true, Command: "etlbench scale made-up.yaml"}
	for i, n := range append(targets, targets[len(targets)-1]) {
		plan.Steps = append(plan.Steps, reports.SweepStep{N: float64(n), Control: i == len(targets), Workers: 4 * n})
	}
	for repeat := 1; repeat <= 3; repeat++ {
		for at, step := range plan.Steps {
			folder := fmt.Sprintf("step-%d-%d", at, repeat)
			runtest.Write(t, filepath.Join(dir, folder), sweepRun(int(step.N), step.Control, repeat, change))
			plan.Runs = append(plan.Runs, reports.SweepRun{Folder: folder, Step: at, Repeat: repeat})
		}
	}
	require.NoError(t, plan.Save(dir))
	return dir
}

func sweepRun(n int, control bool, repeat int, change func(n int, control bool, repeat int, p *runtest.Plan)) runtest.Plan {
	p := runtest.Plan{Seed: uint64(repeat), Blocks: 1, WarmupS: 1, ForS: 10, PerSecond: 60,
		Arms: []runtest.Arm{{Arm: results.Arm{Name: "hpush", Comm: "hpush", Mode: "inline", Transform: "md5"}, Ms: 10, Shape: 0.15}}}
	p.Change = func(s *results.Summary) {
		s.Cluster.Targets, s.Cluster.Limits = nil, &results.Limits{CPUs: 0.5}
		if control {
			s.Cluster.Limits = &results.Limits{}
		}
		m := &s.Rows[0].Measured
		m.MiBPerS = 40 * float64(n) / (1 + 0.05*float64(n-1)) * (1 + 0.01*float64(repeat-2))
		m.Targets, m.Resources = nil, nil
		for i := range n {
			id := fmt.Sprintf("tgt%d", i)
			s.Cluster.Targets = append(s.Cluster.Targets, id)
			m.Targets = append(m.Targets, results.Target{ID: id, MiBPerS: m.MiBPerS / float64(n) * map[bool]float64{true: 1.5, false: 1}[i == 0]})
		}
		for c, cpus := range map[string]float64{results.ComponentClient: 1, results.ComponentProxy: 0.5, results.ComponentTarget: 0.4 * float64(n)} {
			m.Resources = append(m.Resources, results.Resource{Component: c, Processes: 1, CPUSeconds: cpus * m.Seconds})
		}
	}
	if change != nil {
		change(n, control, repeat, &p)
	}
	return p
}

func TestSweepOverTargets(t *testing.T) {
	s, err := reports.ReadSweep(madeSweep(t, []int{1, 2, 3, 4, 6, 8, 14}, nil))
	require.NoError(t, err)
	require.Equal(t, judge.Valid, s.Verdict, s.Reasons)
	require.Len(t, s.Points, 8)
	one, eight, most, control := s.Points[0], s.Points[5], s.Points[6], s.Points[7]
	require.Equal(t, 1.0, one.Efficiency.Estimate)
	require.Nil(t, one.Spread, "of one target")
	require.InDelta(t, 1/1.35, eight.Efficiency.Estimate, 1e-9)
	require.Less(t, *eight.Efficiency.Low, 1/1.35)
	require.Greater(t, *eight.Efficiency.High, 1/1.35)
	require.InDelta(t, 40*8/1.35, eight.MiBPerS.Estimate, 1e-9)
	require.InDelta(t, 40/1.35, *eight.PerTarget, 1e-9)
	require.InDelta(t, 1.5, *eight.Spread, 1e-9)
	require.Equal(t, 4.0, eight.SumCPUs)
	require.InDelta(t, 1.5, *eight.Outside, 1e-9)
	require.Empty(t, eight.NotComparable)

	require.Equal(t, "limits of 7.00 CPUs in all, and the machine has 8, of which client and proxies used 1.50", most.NotComparable)
	require.Nil(t, most.Efficiency)
	require.Equal(t, "control without limits", control.NotComparable)
	require.Zero(t, control.SumCPUs)

	law := s.Laws[0]
	require.Empty(t, law.NoFit)
	require.InEpsilon(t, 40, law.Lambda.Estimate, 0.01)
	require.InDelta(t, 0.05, law.Sigma.Estimate, 0.01)
	require.InDelta(t, 0, law.Kappa.Estimate, 0.001)
}

// TestSweepKeepsOut: what must not be in the fit is not, and says why.
func TestSweepKeepsOut(t *testing.T) {
	targets := []int{1, 2, 3, 4, 5, 6}
	failing := func(of, upTo int) func(int, bool, int, *runtest.Plan) {
		return func(n int, control bool, repeat int, p *runtest.Plan) {
			if n == of && !control && repeat <= upTo {
				p.Arms[0].Drift = 1
			}
		}
	}
	s, err := reports.ReadSweep(madeSweep(t, targets, failing(3, 1)))
	require.NoError(t, err)
	require.Equal(t, judge.Valid, s.Verdict, "one of three repeats may be bad")
	require.Equal(t, []judge.Verdict{judge.NotSteady}, s.Points[2].Invalid)
	require.Equal(t, 2, s.Points[2].Repeats)
	require.Empty(t, s.Laws[0].NoFit)

	s, err = reports.ReadSweep(madeSweep(t, targets, failing(3, 2)))
	require.NoError(t, err)
	require.Equal(t, judge.NotSteady, s.Verdict)
	require.Equal(t, []string{"3 targets, hpush: 1 of 3 repeats valid"}, s.Reasons)
	require.NotEmpty(t, s.Points[2].NotComparable)
	require.Equal(t, "no fit: 5 distinct N, needs 6", s.Laws[0].NoFit)

	s, err = reports.ReadSweep(madeSweep(t, targets, func(n int, control bool, repeat int, p *runtest.Plan) {
		if n == 2 && repeat == 3 {
			p.Arms[0].Errors = 5
		}
	}))
	require.NoError(t, err)
	require.Equal(t, judge.Errors, s.Verdict)

	s, err = reports.ReadSweep(madeSweep(t, targets, func(n int, control bool, repeat int, p *runtest.Plan) {
		p.Gates = []results.Gate{{On: "all.p50", Is: "< 10ms"}, {On: "all.p50", Is: "< 1s"}}
		p.Arms[0].Ms = map[bool]float64{true: 20, false: 5}[n == 2 && repeat == 1]
	}))
	require.NoError(t, err)
	require.Len(t, s.Failed, 1)
	require.Regexp(t, `^step-1-1: all.p50 < 10ms: `, s.Failed[0])

	// Without a limit of CPU time, the machine's decide.
	s, err = reports.ReadSweep(madeSweep(t, targets, func(n int, control bool, repeat int, p *runtest.Plan) {
		change := p.Change
		p.Change = func(sum *results.Summary) {
			change(sum)
			sum.Cluster.Limits = &results.Limits{LinkBytesPerS: 1 << 20}
			if n == 5 {
				sum.Rows[0].Resources[0].CPUSeconds += 8 * sum.Rows[0].Seconds
			}
			if n == 4 {
				sum.Rows[0].Resources = nil
			}
		}
	}))
	require.NoError(t, err)
	require.Empty(t, s.Points[2].NotComparable)
	require.Contains(t, s.Points[3].NotComparable, "nobody can tell")
	require.Contains(t, s.Points[4].NotComparable, "of the machine's 8 were used")

	// Of other machines, those that were kept free do.
	s, err = reports.ReadSweep(madeSweep(t, []int{1, 2, 8}, func(n int, control bool, repeat int, p *runtest.Plan) {
		change := p.Change
		p.Change = func(sum *results.Summary) {
			change(sum)
			if n < 8 {
				sum.Rows[0].Resources = slices.DeleteFunc(sum.Rows[0].Resources, func(r results.Resource) bool { return r.Component == results.ComponentTarget })
			}
			if !control {
				sum.Cluster.Limits = &results.Limits{CPUs: 6, PodCPUs: 3, Reserved: n > 1}
			}
		}
	}))
	require.NoError(t, err)
	require.Equal(t, "nobody can tell what client and proxies used of the machine's CPUs", s.Points[0].NotComparable)
	require.Empty(t, s.Points[1].NotComparable)
	require.Contains(t, s.Points[2].NotComparable, "limits of 48.0 CPUs in all, and the machine has 8", "they are on this one")

	s, err = reports.ReadSweep(madeSweep(t, []int{2, 3}, nil))
	require.NoError(t, err)
	require.Nil(t, s.Points[0].Efficiency, "there is no step of one target")
}

// TestSweepOutputs: all outputs tell the same numbers.
func TestSweepOutputs(t *testing.T) {
	dir := madeSweep(t, []int{1, 2, 3, 4, 6, 8, 14}, nil)
	s, err := reports.ReadSweep(dir)
	require.NoError(t, err)
	require.NoError(t, s.Write())
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(data)
	}
	var text bytes.Buffer
	require.NoError(t, s.Print(&text, "text"))
	for _, line := range strings.Split(text.String(), "\n") {
		require.LessOrEqual(t, len([]rune(line)), 100+len(dir), line)
	}
	require.Error(t, s.Print(&text, "bench"))

	var doc struct {
		Schema string
		Points []reports.SweepPoint
	}
	require.NoError(t, json.Unmarshal([]byte(read("report.json")), &doc))
	require.Equal(t, reports.SweepJSONSchema, doc.Schema)
	require.Equal(t, s.Points, doc.Points)
	lines, err := csv.NewReader(strings.NewReader(read("report.csv"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+len(s.Points))
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	page, md := read("report.html"), read("report.md")
	for i, p := range s.Points {
		got, err := strconv.ParseFloat(lines[i+1][column["mib_per_s"]], 64)
		require.NoError(t, err)
		require.Equal(t, p.MiBPerS.Estimate, got)
		require.Equal(t, p.NotComparable, lines[i+1][column["not_comparable"]])
		cell := s.Table.Groups[0].Rows[i][2]
		require.Contains(t, text.String(), cell)
		require.Contains(t, page, cell)
		require.Contains(t, md, strings.NewReplacer("[", `\[`, "]", `\]`).Replace(cell))
	}
	for _, out := range []string{text.String(), page, md} {
		require.Contains(t, out, "NOT COMPARABLE")
		require.Contains(t, out, "control")
		require.Contains(t, out, "Universal Scalability Law")
	}
	require.Contains(t, page, "<svg")
	require.Contains(t, page, "fitted law")

	again, err := reports.ReadSweep(dir)
	require.NoError(t, err)
	require.Equal(t, s.Points, again.Points)
}

func TestSweepOverRate(t *testing.T) {
	dir := t.TempDir()
	plan := reports.SweepPlan{Name: "made-up", Over: reports.OverRate, Repeats: 1,
		Steps: []reports.SweepStep{{N: 150, Workers: 512}, {N: 300, Workers: 512}}}
	for at, step := range plan.Steps {
		p := sweepRun(3, true, 2, nil)
		p.PerSecond = int(step.N)
		p.Load = results.Load{Model: "open", Rate: step.N, InFlight: 512, Workers: 512}
		p.Arms[0].Shed = []int64{0, 100}[at]
		folder := fmt.Sprint("rate", at)
		runtest.Write(t, filepath.Join(dir, folder), p)
		plan.Runs = append(plan.Runs, reports.SweepRun{Folder: folder, Step: at, Repeat: 1})
	}
	require.NoError(t, plan.Save(dir))
	s, err := reports.ReadSweep(dir)
	require.NoError(t, err)
	require.Equal(t, judge.Valid, s.Verdict, "rates beyond the highest are to be too much: %v", s.Reasons)
	require.True(t, s.Points[0].Valid)
	require.False(t, s.Points[1].Valid)
	require.NotNil(t, s.Points[1].OpsPerS, "what happened there is told")
	require.True(t, s.Points[1].Late)
	require.Nil(t, s.Points[1].P99Ms)
	require.Equal(t, []string{"hpush: kept up to 150/s"}, s.Table.Notes)
	var page bytes.Buffer
	require.NoError(t, s.Print(&page, "html"))
	require.Equal(t, 3, strings.Count(page.String(), "<figure"), "rate to throughput, times and CPUs")
}

// TestSweepOverWhatGrows: the cost of an operation, beside that of the first step.
func TestSweepOverWhatGrows(t *testing.T) {
	for _, tt := range []struct {
		last float64 // what an operation costs at the last step, to the first
		note string
	}{
		{1.1, "hpush: what an operation costs stays within 15 %"},
		{1.5, "hpush: an operation costs 1.50 times as much at 100,000 objects"},
		{0.5, "hpush: an operation costs 0.500 times as much at 100,000 objects"},
	} {
		dir := t.TempDir()
		plan := reports.SweepPlan{Name: "made-up", Over: reports.OverObjects, Repeats: 2, Steps: []reports.SweepStep{{N: 1000}, {N: 10_000}, {N: 100_000}}}
		for at := range plan.Steps {
			for repeat := 1; repeat <= 2; repeat++ {
				folder := fmt.Sprint("objects", at, "-", repeat)
				runtest.Write(t, filepath.Join(dir, folder), sweepRun(1, true, 2, func(_ int, _ bool, _ int, p *runtest.Plan) {
					made := p.Change
					p.Change = func(s *results.Summary) {
						made(s)
						m := &s.Rows[0].Measured
						for i := range m.Resources {
							if r := &m.Resources[i]; r.Component == results.ComponentTarget {
								r.CPUSeconds = []float64{100e-6, 105e-6, 100e-6 * tt.last}[at] * m.OpsPerS * m.Seconds
							}
						}
					}
				}))
				plan.Runs = append(plan.Runs, reports.SweepRun{Folder: folder, Step: at, Repeat: repeat})
			}
		}
		require.NoError(t, plan.Save(dir))
		s, err := reports.ReadSweep(dir)
		require.NoError(t, err)
		require.Equal(t, judge.Valid, s.Verdict, s.Reasons)
		require.InDelta(t, 100, s.Points[0].CostUs.Estimate, 1e-6)
		require.InDelta(t, 1, *s.Points[0].Growth, 1e-9)
		require.InDelta(t, 1.05, *s.Points[1].Growth, 1e-6)
		require.InDelta(t, tt.last, *s.Points[2].Growth, 1e-6)
		require.Equal(t, []string{tt.note}, s.Table.Notes)
		var page bytes.Buffer
		require.NoError(t, s.Print(&page, "html"))
		require.Equal(t, 2, strings.Count(page.String(), "<figure"), "cost and times")
	}
}

func TestSweepFolders(t *testing.T) {
	dir := t.TempDir()
	require.False(t, reports.IsSweep(dir))
	_, err := reports.ReadSweep(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	for text, want := range map[string]string{
		`{`:                  "unexpected EOF",
		`{"schema":"other"}`: `schema "other": want "etlbench/sweep/v1"`,
		`{"schema":"etlbench/sweep/v1","over":"x"}`:                                                             `over "x": want targets, rate, objects or connections`,
		`{"schema":"etlbench/sweep/v1","over":"rate"}`:                                                          "no steps or repeats",
		`{"schema":"etlbench/sweep/v1","over":"rate","repeats":1,"steps":[{"n":1}],"runs":[{"folder":"../x"}]}`: "is not one of the sweep's",
		`{"schema":"etlbench/sweep/v1","over":"rate","repeats":1,"steps":[{"n":1}],"runs":[{"folder":"gone"}]}`: "no such file",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "sweep.json"), []byte(text), 0o600))
		_, err := reports.ReadSweep(dir)
		require.ErrorContains(t, err, want, text)
	}
}
