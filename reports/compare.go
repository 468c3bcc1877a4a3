package reports

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/reports/results"
)

// noStatistics goes with every comparison.
const noStatistics = "Single runs side by side: no statistics are made here, so a difference may be noise. Repeat runs before you conclude."

// Comparison sets runs beside a base run, row by row. It draws no conclusion.
type Comparison struct {
	Base     RunName   `json:"base"`
	Others   []RunName `json:"others"`
	Warnings []string  `json:"warnings"` // why runs are not alike, and that no statistics are made
	Pairs    []Pair    `json:"pairs"`
}

// RunName tells runs apart. Label is "A" for the base, "B", "C" … for others.
type RunName struct {
	Label string `json:"label"`
	Name  string `json:"name"`
	Dir   string `json:"dir"`
}

// Pair is an arm in the base run and in one other.
type Pair struct {
	Transform string `json:"transform"`
	Comm      string `json:"comm"`
	Mode      string `json:"mode"`
	Level     string `json:"level,omitempty"` // of further factors, such as "64KiB direct"
	Op        string `json:"op"`
	Other     string `json:"other"`             // the other run's label
	OnlyIn    string `json:"only_in,omitempty"` // the label of the run that has it, "" when both do
	P50Ms     Change `json:"p50_ms"`
	P99Ms     Change `json:"p99_ms"`
	MiBPerS   Change `json:"mib_per_s"`
}

// Change is a number in the base run and in another. Pct is the difference in
// percent of the base, nil when either is missing or the base is 0.
type Change struct {
	Base  *float64 `json:"base"`
	Other *float64 `json:"other"`
	Pct   *float64 `json:"diff_pct"`
}

// rowKey is what rows of two runs are matched by.
type rowKey struct {
	results.Arm
	op string
}

func keyOf(row results.Row) rowKey {
	arm := row.Arm
	arm.Name, arm.Language = "", "" // the name depends on what else was compared
	return rowKey{arm, row.Op}
}

// Compare sets others beside base. Rows are matched by the levels of their
// arm's factors and the operation.
func Compare(base *results.Run, others ...*results.Run) *Comparison {
	c := &Comparison{Base: runName(0, base), Others: []RunName{}, Pairs: []Pair{}}
	for i, o := range others {
		name := runName(i+1, o)
		c.Others = append(c.Others, name)
		c.Warnings = append(c.Warnings, unlike(base.Summary, o.Summary, name.Label)...)
		c.Pairs = append(c.Pairs, pairs(base.Summary.Rows, o.Summary.Rows, name.Label)...)
	}
	c.Warnings = append(c.Warnings, noStatistics)
	return c
}

func runName(i int, run *results.Run) RunName {
	label := fmt.Sprintf("run %d", i+1)
	if i < 26 {
		label = string(rune('A' + i))
	}
	return RunName{Label: label, Name: clean(run.Summary.Name), Dir: clean(run.Dir)}
}

// unlike lists what must be alike in two runs for their numbers to be
// comparable, and is not.
func unlike(a, b results.Summary, label string) []string {
	var w []string
	differ := func(what string, x, y any) {
		if x != y {
			w = append(w, clean(fmt.Sprintf("A and %s differ in %s: %v and %v.", label, what, x, y)))
		}
	}
	differ("seed", a.Seed, b.Seed)
	differ("dataset", fmt.Sprintf("%s, %d objects, %d bytes", a.Dataset.Source, a.Dataset.Objects, a.Dataset.Bytes),
		fmt.Sprintf("%s, %d objects, %d bytes", b.Dataset.Source, b.Dataset.Objects, b.Dataset.Bytes))
	differ("load", loadLine(a.Load), loadLine(b.Load))
	differ("number of targets", len(a.Cluster.Targets), len(b.Cluster.Targets))
	differ("sync level", a.Cluster.Sync, b.Cluster.Sync)
	for _, run := range []struct {
		label string
		s     results.Summary
	}{{"A", a}, {label, b}} {
		for _, s := range warnings(run.s, count(run.s.Rows)) {
			w = append(w, run.label+": "+s)
		}
	}
	return w
}

func loadLine(l results.Load) string {
	return fmt.Sprintf("%s, %v s warm-up, %v s", strings.Join(loadFacts(l), ", "), l.WarmupS, l.ForS)
}

// pairs are the rows of the base in their order, then those that only the
// other run has.
func pairs(base, other []results.Row, label string) []Pair {
	find := func(rows []results.Row, k rowKey) *results.Row {
		for i := range rows {
			if keyOf(rows[i]) == k {
				return &rows[i]
			}
		}
		return nil
	}
	var ps []Pair
	for i := range base {
		ps = append(ps, newPair(label, &base[i], find(other, keyOf(base[i]))))
	}
	for i := range other {
		if find(base, keyOf(other[i])) == nil {
			ps = append(ps, newPair(label, nil, &other[i]))
		}
	}
	return ps
}

// newPair needs at least one of the rows.
func newPair(label string, base, other *results.Row) Pair {
	p := Pair{Other: label}
	switch {
	case base == nil:
		p.OnlyIn, base = label, &results.Row{}
	case other == nil:
		p.OnlyIn, other = "A", &results.Row{}
	}
	from := base
	if p.OnlyIn == label {
		from = other
	}
	p.Transform, p.Comm, p.Mode, p.Level, p.Op = from.Transform, from.Comm, from.Mode, level(from.Arm), from.Op
	p.P50Ms = change(base.Response.P50Ms, other.Response.P50Ms)
	p.P99Ms = change(base.Response.P99Ms, other.Response.P99Ms)
	p.MiBPerS = change(&base.MiBPerS, &other.MiBPerS)
	if p.OnlyIn == "A" {
		p.MiBPerS = change(&base.MiBPerS, nil)
	} else if p.OnlyIn != "" {
		p.MiBPerS = change(nil, &other.MiBPerS)
	}
	return p
}

func change(base, other *float64) Change {
	c := Change{Base: base, Other: other}
	if base != nil && other != nil && *base != 0 {
		pct := 100 * (*other - *base) / *base
		if !math.IsInf(pct, 0) {
			c.Pct = &pct
		}
	}
	return c
}

// WriteText writes the comparison for a terminal.
func (c *Comparison) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, s := range c.Warnings {
		fmt.Fprintf(b, "NOTE  %s\n", s)
	}
	for _, run := range c.runs() {
		fmt.Fprintf(b, "%s     %s  %s\n", run.Label, run.Name, run.Dir)
	}
	for _, o := range c.Others {
		fmt.Fprintf(b, "\n%s\n", layOut(c.titles(o), c.blocks(o)))
	}
	return b.Flush()
}

// WriteMarkdown writes the comparison as Markdown, a table per other run.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Comparison\n\n")
	for _, s := range c.Warnings {
		fmt.Fprintf(b, "> %s\n>\n", markdown(s))
	}
	fmt.Fprintln(b)
	for _, run := range c.runs() {
		fmt.Fprintf(b, "- %s: %s %s\n", run.Label, markdown(run.Name), markdown(run.Dir))
	}
	for _, o := range c.Others {
		fmt.Fprintln(b)
		var rows [][]string
		for _, p := range c.with(o) {
			rows = append(rows, append([]string{clean(p.Transform), clean(joined(p.Mode, p.Level)), clean(p.Op)}, p.cells()...))
		}
		markdownTable(b, append([]string{"transform", "mode", "op"}, c.titles(o)...), 4, rows)
	}
	return b.Flush()
}

// WriteJSON writes the comparison as one JSON object.
func (c *Comparison) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// WriteCSV writes a header and one line per pair, numbers unrounded.
func (c *Comparison) WriteCSV(w io.Writer) error {
	lines := [][]string{{"transform", "comm", "mode", "level", "op", "other", "only_in",
		"p50_ms_base", "p50_ms_other", "p50_diff_pct", "p99_ms_base", "p99_ms_other", "p99_diff_pct",
		"mib_per_s_base", "mib_per_s_other", "mib_per_s_diff_pct"}}
	for _, p := range c.Pairs {
		line := []string{p.Transform, p.Comm, p.Mode, p.Level, p.Op, p.Other, p.OnlyIn}
		for _, ch := range p.changes() {
			line = append(line, orEmpty(ch.Base), orEmpty(ch.Other), orEmpty(ch.Pct))
		}
		lines = append(lines, line)
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func (p Pair) changes() []Change { return []Change{p.P50Ms, p.P99Ms, p.MiBPerS} }

func (c *Comparison) runs() []RunName { return append([]RunName{c.Base}, c.Others...) }

func (c *Comparison) titles(o RunName) []string {
	titles := []string{"comm"}
	for _, m := range []string{"p50 ms", "p99 ms", "MiB/s"} {
		titles = append(titles, m+" A", o.Label, "diff")
	}
	return append(titles, "")
}

// with are the pairs of one other run.
func (c *Comparison) with(o RunName) []Pair {
	return slices.DeleteFunc(slices.Clone(c.Pairs), func(p Pair) bool { return p.Other != o.Label })
}

// blocks puts the communication types of each transform, mode and operation
// together.
func (c *Comparison) blocks(o RunName) []block {
	var blocks []block
	for _, p := range c.with(o) {
		title := clean(p.Transform + ", " + joined(p.Mode, p.Level) + ", " + p.Op)
		i := slices.IndexFunc(blocks, func(b block) bool { return b.title == title })
		if i < 0 {
			i = len(blocks)
			blocks = append(blocks, block{title: title})
		}
		blocks[i].rows = append(blocks[i].rows, p.cells())
	}
	return blocks
}

func (p Pair) cells() []string {
	row := []string{clean(p.Comm)}
	for _, ch := range p.changes() {
		row = append(row, orNotTold(ch.Base), orNotTold(ch.Other), signed(ch.Pct))
	}
	if p.OnlyIn == "" {
		return append(row, "")
	}
	return append(row, "only in "+p.OnlyIn)
}

// signed prints a difference in percent, such as "+3.2 %".
func signed(pct *float64) string {
	if pct == nil {
		return notTold
	}
	s := fmt.Sprintf("%+.1f %%", *pct)
	return strings.NewReplacer("+0.0", "0.0", "-0.0", "0.0").Replace(s)
}
