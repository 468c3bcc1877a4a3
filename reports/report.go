// Package reports turns run folders into what people and programs read: text
// for the terminal, Markdown, JSON, CSV and one HTML page, and a side-by-side
// comparison of runs. All of them are made from one Report, so they cannot
// disagree. It computes no statistics and names no winner: it shows what was
// measured and says what the numbers cannot carry.
//
// Start at Build; WriteFolder does everything for one run folder. The numbers
// themselves are described in package results.
package reports

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/results"
)

// enoughForP99 is how many operations a 99th percentile needs, so that ten of
// them lie above it.
const enoughForP99 = 1000

// maxTargetsListed is how many targets' bandwidths are listed one by one in a
// table; of more, the lowest and the highest are shown.
const maxTargetsListed = 4

// Report is what every output of one run is made from. All its strings are
// printable, on one line, and still to be escaped for where they go.
type Report struct {
	Run      *results.Run
	Title    string
	Warnings []string // what a reader must know before any number
	Facts    []Fact
	Columns  []string // titles of Line.Cells; all but the first are numbers
	Groups   []Group
	// Footnotes explain marks in the table, HowTo what its numbers mean.
	Footnotes []string
	HowTo     []string
}

// Fact is a line of a report's head, such as "load" and "closed, 8 workers".
type Fact struct{ Name, Value string }

// Group is the lines that differ in nothing but the communication type.
type Group struct {
	Transform string
	Language  string
	Mode      string
	Level     string // of further factors, such as "64KiB direct"
	Op        string
	Lines     []Line
}

// Line is one row of a run and its cells as every output prints them.
type Line struct {
	Row   results.Row
	Cells []string
}

// Title names the group, such as "md5 (python), offline". The operation is named
// where it is not the transforming one, which a mix has beside others.
func (g Group) Title() string {
	title := g.Name() + ", " + joined(g.Mode, g.Level)
	if g.Transform != "none" && g.Op != "get-etl" && g.Op != "etl-object" {
		title += ", " + g.Op
	}
	return title
}

// Name is the group's transform, with its language when that is known.
func (g Group) Name() string {
	switch {
	case g.Transform == "none":
		return "plain " + g.Op
	case g.Language == "" || strings.HasSuffix(g.Transform, "/"+g.Language):
		return g.Transform
	}
	return g.Transform + " (" + g.Language + ")"
}

// Build makes the report of a run. It keeps the run and changes nothing in it.
func Build(run *results.Run) *Report {
	open := run.Summary.Load.Model == "open"
	r := &Report{
		Run:   run,
		Title: clean(run.Summary.Name),
		Columns: []string{"comm", "ops", "errors", "verified %", "ops/s",
			"p50 ms", "p90 ms", "p99 ms", "max ms", "MiB/s", "MiB/s per target"},
		Groups: groups(run.Summary.Rows, open),
	}
	if open {
		r.Columns = append(r.Columns, openColumns()...)
	}
	t := count(run.Summary.Rows)
	r.Warnings = warnings(run.Summary, t)
	r.Facts = facts(run.Summary, t)
	r.Footnotes = r.footnotes()
	r.HowTo = howTo(run.Summary)
	return r
}

// groups puts the communication types of each transform and mode together,
// keeping the order in which they first appear.
func groups(rows []results.Row, open bool) []Group {
	var gs []Group
	place := map[rowKey]int{}
	for _, row := range rows {
		key := keyOf(row)
		key.Comm, key.Language = "", row.Language
		i, ok := place[key]
		if !ok {
			i = len(gs)
			place[key] = i
			gs = append(gs, Group{Transform: clean(row.Transform), Language: clean(row.Language), Mode: clean(row.Mode),
				Level: clean(level(row.Arm)), Op: clean(row.Op)})
		}
		gs[i].Lines = append(gs[i].Lines, Line{Row: row, Cells: cells(row, open)})
	}
	return gs
}

func cells(row results.Row, open bool) []string {
	p99 := quantile(row.Response, row.Response.P99Ms)
	if fewForP99(row) {
		p99 += "*"
	}
	list := []string{clean(row.Comm), humanize.Comma(row.Ops), humanize.Comma(row.Errors),
		percent(row.VerifiedPct), number(row.OpsPerS),
		quantile(row.Response, row.Response.P50Ms), quantile(row.Response, row.Response.P90Ms), p99, quantile(row.Response, row.Response.MaxMs),
		number(row.MiBPerS), perTarget(row.Targets)}
	if open {
		list = append(list, orNotTold(row.Service.P99Ms), orNotTold(row.Delay.P99Ms), humanize.Comma(row.Shed), humanize.Comma(row.Unsent))
	}
	return list
}

// openColumns are what an open loop tells besides.
func openColumns() []string { return []string{"service p99", "delay p99", "shed", "unsent"} }

// infinite stands for a percentile among operations that were never served.
const infinite = "inf"

// quantile prints one of q's numbers.
func quantile(q results.Quantiles, v *float64) string {
	if v == nil && q.Infinite > 0 {
		return infinite
	}
	return orNotTold(v)
}

func fewForP99(row results.Row) bool { return row.Response.P99Ms != nil && row.Ops < enoughForP99 }

// level names the levels of an arm's factors beside transform, communication
// type and mode.
func level(a results.Arm) string {
	workers, replica := "", ""
	if a.Workers > 0 {
		workers = plural(a.Workers, "worker")
	}
	if a.Replica > 0 {
		replica = fmt.Sprintf("#%d", a.Replica)
	}
	return joined(a.Size, a.Put, a.Argument, workers, replica)
}

// joined puts spaces between what is not empty.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// perTarget is "11.2 / 10.9 / 12.0", or "9.80–12.0" for more than a few.
func perTarget(targets []results.Target) string {
	if len(targets) == 0 {
		return notTold
	}
	low, high := targets[0].MiBPerS, targets[0].MiBPerS
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = number(t.MiBPerS)
		low, high = min(low, t.MiBPerS), max(high, t.MiBPerS)
	}
	if len(targets) <= maxTargetsListed {
		return strings.Join(all, " / ")
	}
	return number(low) + "–" + number(high)
}

// totals are sums over all rows.
type totals struct {
	ops, errors int64
	intended    int64
	unserved    int64   // shed, or not sent
	verified    float64 // operations
	seconds     float64
	unverified  int // rows below 100 %
}

func count(rows []results.Row) totals {
	var t totals
	for _, row := range rows {
		t.ops += row.Ops
		t.errors += row.Errors
		t.intended += row.Intended
		t.unserved += row.Shed + row.Unsent
		t.verified += float64(row.Ops) * row.VerifiedPct / 100
		t.seconds += row.Seconds
		if row.VerifiedPct < 100 {
			t.unverified++
		}
	}
	return t
}

func (t totals) verifiedPct() float64 {
	if t.ops == 0 {
		return 0
	}
	if t.unverified == 0 {
		return 100 // whatever floating point made of the sum
	}
	return 100 * t.verified / float64(t.ops)
}

func warnings(s results.Summary, t totals) []string {
	var w []string
	if s.Interrupted {
		w = append(w, "The run was interrupted: arms that it did not reach are missing, and the last one may be short.")
	}
	if len(s.Rows) == 0 {
		w = append(w, "Nothing was measured: the run has no rows.")
	}
	if t.errors > 0 {
		share := 100 * float64(t.errors) / (float64(t.ops) + float64(t.errors))
		w = append(w, fmt.Sprintf("%s of %s operations failed (%s %%): latencies and rates are of the others.",
			humanize.Comma(t.errors), humanize.Comma(t.ops+t.errors), number(share)))
	}
	if t.unserved > 0 {
		w = append(w, fmt.Sprintf("%s of %s intended operations were never sent: they count as infinitely late in the percentiles.",
			humanize.Comma(t.unserved), humanize.Comma(t.intended)))
	}
	if t.unverified > 0 {
		w = append(w, fmt.Sprintf("%d of %s verified less than 100 %%: their other outputs were not compared, or differed.",
			t.unverified, plural(len(s.Rows), "row")))
	}
	return w
}

func facts(s results.Summary, t totals) []Fact {
	begun, took := "", ""
	if !s.Started.IsZero() {
		begun = s.Started.UTC().Format("2006-01-02 15:04:05 MST")
		took = "took " + s.Finished.Sub(s.Started).Round(time.Second).String()
	}
	blocks := ""
	if s.Trials.Planned > 1 {
		blocks = fmt.Sprintf(" in each of %s", plural(s.Trials.Complete, "block"))
	}
	sync := ""
	if s.Cluster.Sync != "" {
		sync = "sync " + s.Cluster.Sync
	}
	return []Fact{
		{"run", known(s.Name, fmt.Sprintf("seed %d", s.Seed), begun, took)},
		{"cluster", known(s.Cluster.Kind, plural(s.Cluster.Proxies, "proxy node"), plural(len(s.Cluster.Targets), "target"), sync)},
		{"dataset", known(s.Dataset.Source, plural(s.Dataset.Objects, "object"), humanize.IBytes(uint64(max(s.Dataset.Bytes, 0))))},
		{"load", known(append(loadFacts(s.Load), exact(s.Load.WarmupS)+" s warm-up",
			exact(s.Load.ForS)+" s per inline arm"+blocks, number(t.seconds)+" s measured in all")...)},
		{"verified", fmt.Sprintf("%s %% of %s operations, %s errors", percent(t.verifiedPct()), humanize.Comma(t.ops), humanize.Comma(t.errors))},
	}
}

// loadFacts say how requests were issued.
func loadFacts(l results.Load) []string {
	if l.Model != "open" {
		return []string{l.Model, plural(l.Workers, "worker")}
	}
	return []string{l.Model, l.Arrival, number(l.Rate) + "/s", fmt.Sprintf("at most %d in flight", l.InFlight), plural(l.Workers, "worker")}
}

// known lists what is not empty.
func known(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return clean(strings.Join(parts, ", "))
}

func (r *Report) footnotes() []string {
	var few, untold bool
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			few = few || fewForP99(l.Row)
			for _, c := range l.Cells {
				untold = untold || c == notTold
			}
		}
	}
	var notes []string
	if few {
		notes = append(notes, "* fewer than 1,000 operations: p99 rests on fewer than 10 samples.")
	}
	if untold {
		notes = append(notes, notTold+": not measured, or the cluster does not tell.")
	}
	return notes
}

// howTo is at most four sentences: more are not read.
func howTo(s results.Summary) []string {
	if len(s.Rows) == 0 {
		return nil
	}
	times := "ms: inline, from sending a request to its last byte;"
	if s.Load.Model == "open" {
		times = "ms: from when a request was due to its last byte (service: from when it was sent);"
	}
	lines := []string{
		"MiB/s is source bytes over measured time, whatever size the output has" + targetOrder(s.Rows),
		times + " offline, per object from read to stored, as targets record it.",
		"verified: the share of operations whose whole output was compared with the expected one and equal.",
	}
	return append(lines, "One run: small differences may be noise. Repeat it, then: etlbench compare BASE OTHER")
}

// targetOrder says which number of "MiB/s per target" is whose.
func targetOrder(rows []results.Row) string {
	ids := make([]string, len(rows[0].Targets))
	for i, t := range rows[0].Targets {
		ids[i] = t.ID
	}
	for _, row := range rows {
		if len(row.Targets) > maxTargetsListed {
			return "; of more than four targets, lowest–highest."
		}
	}
	if len(ids) < 2 {
		return "."
	}
	return "; per target: " + clean(strings.Join(ids, " / ")) + "."
}

// htmlPath is where WriteFolder puts the page.
func (r *Report) htmlPath() string { return filepath.Join(r.Run.Dir, htmlFile) }

// reproduce is the command that runs the same scenario again.
func (r *Report) reproduce() string {
	path := filepath.Join(r.Run.Dir, results.ScenarioFile)
	if strings.ContainsFunc(path, func(c rune) bool {
		return !strings.ContainsRune("/._-+@:=", c) && (c > 'z' || c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a')
	}) {
		path = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return "etlbench run " + path
}

// environment lists env.json, leaving out what is not known.
func (r *Report) environment() []Fact {
	e := r.Run.Env
	memory := ""
	if e.MemoryB > 0 {
		memory = humanize.IBytes(uint64(e.MemoryB))
	}
	var facts []Fact
	for _, f := range []Fact{
		{"etlbench", e.Version},
		{"Go", e.Go},
		{"system", strings.Trim(e.OS+"/"+e.Arch, "/")},
		{"kernel", e.Kernel},
		{"CPU", cpu(e)},
		{"memory", memory},
		{"Python", e.Python},
		{"file system of the data", e.DataPath},
		{"cluster URL", r.Run.Summary.Cluster.URL},
		{"targets", strings.Join(r.Run.Summary.Cluster.Targets, ", ")},
	} {
		if f.Value != "" {
			facts = append(facts, Fact{f.Name, clean(f.Value)})
		}
	}
	return facts
}

func cpu(e results.Env) string {
	if e.CPUs == 0 {
		return e.CPU
	}
	return known(e.CPU, plural(e.CPUs, "CPU"))
}
