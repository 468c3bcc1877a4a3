// Package reports turns run folders into what people and programs read: text
// for the terminal, Markdown, JSON, CSV, HdrHistogram percentiles, Go benchmark
// lines and one HTML page, a comparison of runs, and the way from a number to
// its evidence. Everything is drawn from one Report, so that outputs cannot
// disagree. What it concludes is package judge's: here it gets words and places.
//
// Start at Read, which takes a run folder, and Report.Write. The numbers
// themselves are described in package results.
package reports

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// maxTargetsListed is how many targets' bandwidths are listed one by one in a
// table; of more, the lowest and the highest are shown.
const maxTargetsListed = 4

// Report is what every output of one run is made from, in the order in which
// they show it. All its strings are printable, on one line, and still to be
// escaped for where they go. Points of time and histograms are in Evidence.
type Report struct {
	Run       *results.Run
	Evidence  *judge.Evidence
	Judgement *judge.Judgement
	Title     string
	noPage    bool // there is no report.html
	// 1. Verdict: whether the run is valid, in one line, why not, its gates.
	Verdict  string
	Reasons  []string
	Gates    []GateLine
	Warnings []string // what a reader must know before any number
	Facts    []Fact
	// 2. Results: by communication type. Columns are titles of Line.Cells; all
	// but the first are numbers.
	Columns []string
	Groups  []Group
	// Footnotes explain marks in the table, HowTo what its numbers mean.
	Footnotes []string
	HowTo     []string
	// NotOffered says which arms are missing because the cluster does not have
	// their communication types, a sentence for each type.
	NotOffered []string
	Accounts   Table // operations, one by one, and bandwidth by target
	Phases     Table // shares of the service time
	Jobs       Table
	Starts     Table // cold starts
	Events     Table // faults, and what ended the run
	// Faults is what they did, by arm, and FaultErrors which errors came of them.
	Faults, FaultErrors Table
	// 3. and 4., latency and time, are Evidence.Series.
	Costs      Table // 5. cost by size, and where it is the same
	Crossovers []string
	Scaling    Table // 6.
	Contrasts  Table // 7. comparison
	Factors    Table // and of several factors
	Conclusion []string
	Pairs      []string // how each arm compares with its base, a sentence each
	Health     Table    // 8. of the tool
	Memory     Table    // of the components, over time
	// ReadNext is a command that goes from the number that matters most to
	// its evidence, "" without one.
	ReadNext string

	// What charts are drawn from; the tables above tell the same.
	fits      []sizeFit
	crossings []sizeCrossing
	laws      []lawFit
}

// GateLine is a gate in words.
type GateLine struct {
	Holds                  bool
	Condition, Found, Text string // "all.p99 < 50ms", "31.2 ms [29.8, 33.0]", what to do
}

// Fact is a line of a report's head, such as "load" and "closed, 8 workers".
type Fact struct{ Name, Value string }

// Table is rows under titles. The first Left columns are words, the others
// numbers. A table without rows is not shown.
type Table struct {
	Title   string
	Columns []string
	Left    int
	Groups  []TableGroup
	Notes   []string
}

// TableGroup is rows of a table that share a title, "" for none.
type TableGroup struct {
	Title string
	Rows  [][]string
}

// Empty is true of a table without rows.
func (t *Table) Empty() bool {
	return !slices.ContainsFunc(t.Groups, func(g TableGroup) bool { return len(g.Rows) > 0 })
}

// add adds a row to the group of a title, which it makes.
func (t *Table) add(group string, row ...string) {
	i := slices.IndexFunc(t.Groups, func(g TableGroup) bool { return g.Title == group })
	if i < 0 {
		i = len(t.Groups)
		t.Groups = append(t.Groups, TableGroup{Title: group})
	}
	t.Groups[i].Rows = append(t.Groups[i].Rows, row)
}

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
	Row    results.Row
	Series *judge.Series
	P99    *judge.Interval // nil when it is not told
	Cells  []string
}

// Title names the group, such as "md5 (python), offline". The operation is named
// where it is not the transforming one, which a mix has beside others.
func (g Group) Title() string {
	title := g.Name() + ", " + joined(g.Mode, g.Level)
	if g.Transform != "none" && g.Op != "get-etl" && g.Op != "etl-object" && g.Op != g.Mode {
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

// Build judges a run and makes its report. It keeps the evidence and changes
// nothing in it. The error is about options, or gates that say nothing.
func Build(e *judge.Evidence, o judge.Options) (*Report, error) {
	j, err := judge.Judge(e, o)
	if err != nil {
		return nil, err
	}
	r := &Report{Run: e.Run, Evidence: e, Judgement: j, Title: clean(e.Run.Summary.Name)}
	t := count(e.Run.Summary.Rows)
	r.verdict()
	r.Warnings = warnings(e.Run.Summary, t)
	r.Facts = facts(e.Run.Summary, t)
	r.results()
	r.NotOffered = notOffered(e.Run.Summary.Arms)
	r.Footnotes, r.HowTo = r.footnotes(), howTo(e.Run.Summary)
	r.accounts()
	r.phases()
	r.jobs()
	r.starts()
	r.events()
	r.faults()
	r.costs()
	r.scaling()
	r.contrasts()
	r.factors()
	r.health()
	r.memory()
	r.ReadNext = r.next()
	return r, nil
}

// groups puts the communication types of each transform and mode together,
// keeping the order in which they first appear.
func (r *Report) results() {
	compared := len(r.Judgement.Comparison.Contrasts) > 0
	r.Columns = []string{"comm", "ops/s", "MiB/s", "p50 ms", "p99 ms [95 % CI]", "max ms", "CPU s/GiB", "moved"}
	if compared {
		r.Columns = append(r.Columns, metricTold(r.headline())+" vs base")
	}
	place := map[rowKey]int{}
	for k := range r.Run.Summary.Rows {
		row := r.Run.Summary.Rows[k]
		key := keyOf(row)
		key.Comm, key.Language = "", row.Language
		i, ok := place[key]
		if !ok {
			i = len(r.Groups)
			place[key] = i
			r.Groups = append(r.Groups, Group{Transform: clean(row.Transform), Language: clean(row.Language), Mode: clean(row.Mode),
				Level: clean(level(row.Arm)), Op: clean(row.Op)})
		}
		l := Line{Row: row, Series: r.Evidence.Series[k]}
		l.P99 = l.Series.P99()
		l.Cells = cells(l)
		if compared {
			l.Cells = append(l.Cells, r.against(row))
		}
		r.Groups[i].Lines = append(r.Groups[i].Lines, l)
	}
}

// notOffered says which communication types the cluster refused, and how it
// refused the first arm of each.
func notOffered(arms []results.Arm) (texts []string) {
	var types []string
	names, words := map[string][]string{}, map[string]string{}
	for _, a := range arms {
		if a.NotOffered == "" {
			continue
		}
		if names[a.Comm] == nil {
			types = append(types, a.Comm)
			words[a.Comm] = a.NotOffered
		}
		names[a.Comm] = append(names[a.Comm], a.Name)
	}
	for _, t := range types {
		texts = append(texts, clean(fmt.Sprintf("%s: not offered by this cluster, and not measured (%s: %s): %s",
			t, plural(len(names[t]), "arm"), strings.Join(names[t], ", "), words[t])))
	}
	return texts
}

func cells(l Line) []string {
	row, q := l.Row, l.Row.Response
	p99 := credible(q, q.P99Ms, 0.99)
	if l.P99 != nil && q.P99Ms != nil {
		p99 += fmt.Sprintf(" [%s, %s]", number(*l.P99.Low), number(*l.P99.High))
	}
	return []string{clean(row.Comm), number(row.OpsPerS), number(row.MiBPerS), credible(q, q.P50Ms, 0.5), p99, quantile(q, q.MaxMs),
		measured(&row.Measured, "cpu-s/gib"), measured(&row.Measured, "moved")}
}

// measured prints a number of results.Numbers.
func measured(m *results.Measured, name string) string {
	if v, ok := m.Value(name); ok {
		return number(v)
	}
	return notTold
}

// headline is the metric that the first table compares arms by: of jobs alone it
// is the throughput, of cold starts alone, one a block, their time.
func (r *Report) headline() string {
	all := func(mode string) bool {
		return !slices.ContainsFunc(r.Run.Summary.Rows, func(row results.Row) bool { return row.Mode != mode })
	}
	switch {
	case all("init"):
		return "p50"
	case all("offline"):
		return "mib/s"
	}
	return "p99"
}

// metricTold is a metric as columns call it.
func metricTold(metric string) string {
	switch metric {
	case "p50":
		return "time"
	case "mib/s":
		return "MiB/s"
	}
	return metric
}

// against is what an arm is against its base, by the headline.
func (r *Report) against(row results.Row) string {
	c := r.Judgement.Comparison.Find(row.Name, row.Op, r.headline())
	switch {
	case c == nil:
		return "base"
	case c.ChangePct == nil:
		return strings.ToLower(string(c.Verdict))
	}
	return signed(&c.ChangePct.Estimate) + " " + string(c.Verdict)
}

// credible prints a percentile, unless it rests on fewer than ten values beyond it.
func credible(q results.Quantiles, v *float64, at float64) string {
	if v != nil && q.Count < stats.Needed(at) {
		return fmt.Sprintf("n/a (n=%s)", humanize.Comma(q.Count))
	}
	return quantile(q, v)
}

// infinite stands for a percentile among operations that were never served.
const infinite = "inf"

// quantile prints one of q's numbers.
func quantile(q results.Quantiles, v *float64) string {
	if v == nil && q.Infinite > 0 {
		return infinite
	}
	return orNotTold(v)
}

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
	switch {
	case s.Aborted != "":
		w = append(w, "A gate ended the run before its plan was done: "+s.Aborted+".")
	case s.Interrupted:
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
		{"cluster", known(s.Cluster.Kind, plural(s.Cluster.Proxies, "proxy node"), plural(len(s.Cluster.Targets), "target"), limitsOf(s.Cluster), sync)},
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
	parts := []string{l.Model, l.Arrival, number(l.Rate) + "/s", fmt.Sprintf("at most %d in flight", l.InFlight), plural(l.Workers, "worker")}
	if l.Pacer == "spin" {
		parts = append(parts, "paced by a busy CPU")
	}
	return parts
}

// known lists what is not empty.
func known(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return clean(strings.Join(parts, ", "))
}

func (r *Report) footnotes() []string {
	var few, untold, late, alone, moved bool
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			q := l.Row.Response
			alone = alone || l.P99 == nil && q.P99Ms != nil && q.Count >= stats.Needed(0.99)
			moved = moved || l.Row.MovedBytes != nil
			for _, c := range l.Cells {
				few = few || strings.HasPrefix(c, notTold+" (")
				untold = untold || c == notTold
				late = late || c == infinite
			}
		}
	}
	var notes []string
	for _, n := range []struct {
		there bool
		text  string
	}{
		{few, "n/a (n=…): rests on too few operations; a p50 wants 20, a p99 1,000."},
		{alone, "A p99 without an interval: requests depend on those before them, and were recorded for too short a time to tell how much."},
		{untold, notTold + ": not measured, or the cluster does not tell."},
		{late, infinite + ": among operations that were never served, or only after the timeout."},
		{moved, "moved: bytes over this machine's loopback network, whoever sent them, for each byte delivered; unix sockets, as to pods, are none."},
	} {
		if n.there {
			notes = append(notes, n.text)
		}
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
		"MiB/s is source bytes over measured time, whatever size the output has.",
		times + " offline, per object from read to stored, as targets record it.",
		"verified: the share of operations whose whole output was compared with the expected one and equal.",
	}
	return lines
}

// htmlPath is where Write puts the page.
func (r *Report) htmlPath() string { return filepath.Join(r.Run.Dir, htmlFile) }

// reproduce is the command that runs the same scenario again.
func (r *Report) reproduce() string {
	return "etlbench run " + quoted(filepath.Join(r.Run.Dir, results.ScenarioFile))
}

// Quoted is a command line as a shell wants it.
func Quoted(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoted(w)
	}
	return strings.Join(out, " ")
}

// quoted is a word as a shell wants it.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(c rune) bool {
		return !strings.ContainsRune("/._-+@:=", c) && (c > 'z' || c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a')
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// environment tells one reproduction from another: digests of what was run, and
// env.json, leaving out what is not known.
func (r *Report) environment() []Fact {
	e := r.Run.Env
	memory := ""
	if e.MemoryB > 0 {
		memory = humanize.IBytes(uint64(e.MemoryB))
	}
	var facts []Fact
	for _, f := range []Fact{
		{"scenario", fmt.Sprintf("sha256:%x", sha256.Sum256(r.Run.Scenario))},
		{"data set", r.Run.Summary.Dataset.Digest},
		{"etlbench", e.Version},
		{"binary", e.Binary},
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

// limitsOf says what each target of a cluster was held to.
func limitsOf(c results.Cluster) string {
	if c.Limits == nil || *c.Limits == (results.Limits{}) {
		return ""
	}
	return "each target held to " + c.Limits.String()
}
