package reports

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// Comparison sets runs beside a base run, arm by arm.
type Comparison struct {
	Base     RunName          `json:"base"`
	Others   []RunName        `json:"others"`
	Warnings []string         `json:"warnings"` // why runs are not alike, or not worth comparing
	Judged   judge.Comparison `json:"comparison"`
	// Verdict is that of all: SLOWER if anything is, else UNSURE if anything is
	// or could not be compared.
	Verdict stats.Verdict `json:"verdict"`
}

// RunName tells runs apart. Label is "A" for the base, "B", "C" … for others.
type RunName struct {
	Label string        `json:"label"`
	Name  string        `json:"name"`
	Dir   string        `json:"dir"`
	Valid judge.Verdict `json:"validity"`
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

// Compare sets others beside base. Arms are matched by the levels of their
// factors and the operation.
func Compare(base *judge.Evidence, others []*judge.Evidence, o judge.Options) (*Comparison, error) {
	c := &Comparison{Others: []RunName{}, Warnings: []string{}}
	judged, err := judge.Across(base, others, o)
	if err != nil {
		return nil, err
	}
	c.Judged, c.Verdict = judged, judged.Worst()
	for i, e := range append([]*judge.Evidence{base}, others...) {
		j, err := judge.Judge(e, judge.Options{})
		if err != nil {
			return nil, err
		}
		name := runName(i, e.Run)
		name.Valid = j.Validity.Verdict
		for _, reason := range j.Validity.Reasons {
			c.Warnings = append(c.Warnings, clean(fmt.Sprintf("%s is %s: %s", name.Label, name.Valid, reason)))
		}
		for _, w := range warnings(e.Run.Summary, count(e.Run.Summary.Rows)) {
			c.Warnings = append(c.Warnings, name.Label+": "+w)
		}
		if i == 0 {
			c.Base = name
			continue
		}
		if !bytes.Equal(base.Run.Scenario, e.Run.Scenario) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("A and %s ran different scenarios: see their scenario.yaml.", name.Label))
		}
		c.Others = append(c.Others, name)
		c.Warnings = append(c.Warnings, unlike(base.Run.Summary, e.Run.Summary, name.Label)...)
	}
	return c, nil
}

func runName(i int, run *results.Run) RunName {
	return RunName{Label: judge.Label(i), Name: clean(run.Summary.Name), Dir: clean(run.Dir)}
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
	w = append(w, onlyIn("A", a.Rows, b.Rows)...)
	w = append(w, onlyIn(label, b.Rows, a.Rows)...)
	return w
}

func loadLine(l results.Load) string {
	return fmt.Sprintf("%s, %v s warm-up, %v s", strings.Join(loadFacts(l), ", "), l.WarmupS, l.ForS)
}

// onlyIn names the arms that one run has and the other has not.
func onlyIn(label string, rows, others []results.Row) []string {
	var names []string
	for _, row := range rows {
		if !slices.ContainsFunc(others, func(o results.Row) bool { return keyOf(o) == keyOf(row) }) {
			names = append(names, row.Name+" "+row.Op)
		}
	}
	if names == nil {
		return nil
	}
	return []string{clean(fmt.Sprintf("Only %s has %s.", label, strings.Join(names, ", ")))}
}

// table is the comparison as outputs show it.
func (c *Comparison) table() Table {
	t := contrastTable(&c.Judged, "Differences: blocks of two runs are not paired")
	t.Columns[1], t.Columns[2] = "A", "other"
	if len(c.Others) == 1 {
		t.Columns[2] = "B"
	}
	return t
}

// WriteText writes the comparison for a terminal of 100 columns.
func (c *Comparison) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "VERDICT  %s\n", c.Verdict)
	for _, run := range c.runs() {
		fmt.Fprintf(b, "%s        %s  %s  %s\n", run.Label, run.Valid, run.Name, run.Dir)
	}
	for _, s := range c.Warnings {
		wrapped(b, "NOTE     ", s)
	}
	textTable(b, c.table(), 0)
	textList(b, "", conclusion(&c.Judged))
	return b.Flush()
}

// WriteMarkdown writes the comparison as Markdown.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Comparison: %s\n\n", c.Verdict)
	for _, run := range c.runs() {
		fmt.Fprintf(b, "- %s: %s, %s %s\n", run.Label, run.Valid, markdown(run.Name), markdown(run.Dir))
	}
	for i, s := range c.Warnings {
		fmt.Fprintf(b, "%s> %s\n>\n", map[bool]string{true: "\n"}[i == 0], markdown(s))
	}
	markdownSection(b, c.table())
	markdownList(b, "", conclusion(&c.Judged))
	return b.Flush()
}

// WriteJSON writes the comparison as one JSON object.
func (c *Comparison) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

// WriteCSV writes a header and one line per contrast, numbers unrounded.
func (c *Comparison) WriteCSV(w io.Writer) error {
	lines := [][]string{{"arm", "op", "run", "metric", "base", "other", "change_pct", "low_pct", "high_pct", "adjusted_p", "blocks", "verdict", "more_blocks", "reason"}}
	for _, x := range c.Judged.Contrasts {
		line := []string{x.Base, x.Op, x.Run, x.Metric, orEmpty(x.BaseValue), orEmpty(x.OtherValue)}
		if x.ChangePct == nil {
			line = append(line, "", "", "")
		} else {
			line = append(line, exact(x.ChangePct.Estimate), orEmpty(x.ChangePct.Low), orEmpty(x.ChangePct.High))
		}
		lines = append(lines, append(line, orEmpty(x.P), whole(int64(x.Blocks)), string(x.Verdict), whole(int64(x.MoreBlocks)), x.Reason))
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func (c *Comparison) runs() []RunName { return append([]RunName{c.Base}, c.Others...) }

// signed prints a difference in percent, such as "+3.2 %".
func signed(pct *float64) string {
	if pct == nil {
		return notTold
	}
	s := fmt.Sprintf("%+.1f %%", *pct)
	return strings.NewReplacer("+0.0", "0.0", "-0.0", "0.0").Replace(s)
}
