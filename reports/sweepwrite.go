package reports

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// WriteText writes the sweep for a terminal.
func (s *Sweep) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "VERDICT   %s\n", s.head())
	for _, r := range s.Reasons {
		wrapped(b, "          ", r)
	}
	for _, g := range s.Failed {
		wrapped(b, "GATE FAIL ", g)
	}
	textTable(b, s.Table, 0)
	textTable(b, s.CPUs, 0)
	textList(b, "How to read it", s.HowTo)
	fmt.Fprintln(b)
	for _, f := range s.Facts {
		wrapped(b, fmt.Sprintf("%-9s ", f.Name), f.Value)
	}
	fmt.Fprintf(b, "\nRead next: %s\n", Quoted("etlbench", "explain", filepath.Join(s.Dir, s.first())))
	fmt.Fprintf(b, "HTML:      %s\n", clean(filepath.Join(s.Dir, htmlFile)))
	return b.Flush()
}

// head is the verdict in one line.
func (s *Sweep) head() string {
	made := 0
	for _, r := range s.runs {
		if r != nil && r.Judgement.Validity.Verdict == judge.Valid {
			made++
		}
	}
	text := fmt.Sprintf("%s  %d of %s valid", s.Verdict, made, plural(len(s.Plan.Steps)*s.Plan.Repeats, "run"))
	if s.Plan.Interrupted {
		text += ", interrupted"
	}
	return text
}

// WriteMarkdown writes the sweep with tables.
func (s *Sweep) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s\n\n**%s**\n", markdown(clean(s.Plan.Name)), markdown(s.head()))
	markdownList(b, "", s.Reasons)
	markdownList(b, "", s.Failed)
	fmt.Fprintf(b, "\n## Scaling\n")
	markdownSection(b, s.Table)
	markdownSection(b, s.CPUs)
	fmt.Fprintf(b, "\n## Runs\n")
	markdownSection(b, s.Runs)
	fmt.Fprintf(b, "\n## Reproduce\n\n    %s\n\n", clean(s.Plan.Command))
	markdownFacts(b, s.Facts)
	markdownList(b, "", s.HowTo)
	return b.Flush()
}

// SweepJSONSchema names the format of Sweep.WriteJSON.
const SweepJSONSchema = "etlbench/sweep-report/v1"

// WriteJSON writes the plan, the points and the fits as one JSON object.
func (s *Sweep) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Schema  string        `json:"schema"`
		Verdict judge.Verdict `json:"verdict"`
		Failed  []string      `json:"failed_gates"`
		Machine int           `json:"cpus"` // of the machine
		Plan    *SweepPlan    `json:"plan"`
		Points  []SweepPoint  `json:"points"`
		Laws    []SweepLaw    `json:"laws"`
	}{SweepJSONSchema, s.Verdict, notNil(s.Failed), s.machine, &s.Plan, notNil(s.Points), notNil(s.Laws)})
}

// notNil is a list that JSON does not call null.
func notNil[T any](list []T) []T { return append([]T{}, list...) }

// WriteCSV writes a header and a line for each point. Numbers are unrounded,
// those not told empty.
func (s *Sweep) WriteCSV(w io.Writer) error {
	lines := [][]string{{"arm", "op", s.Plan.Over, "control", "workers", "targets", "repeats", "invalid", "valid", "ops_per_s", "ops_per_s_low", "ops_per_s_high",
		"mib_per_s", "mib_per_s_low", "mib_per_s_high", "mib_per_s_per_target", "spread_max_to_min", "efficiency", "efficiency_low", "efficiency_high",
		"p50_ms", "p99_ms", "cpus", "cpus_client_and_proxy", "limit_cpus", "limit_link_bytes_per_s", "sum_of_cpu_limits", "machine_cpus", "not_comparable",
		"target_and_pod_cpu_us_per_op", "target_and_pod_cpu_us_per_op_low", "target_and_pod_cpu_us_per_op_high", "cost_to_first_step"}}
	for _, p := range s.Points {
		step := s.Plan.Steps[p.Step]
		line := []string{p.Arm, p.Op, exact(step.N), fmt.Sprint(step.Control), whole(int64(step.Workers)), whole(int64(p.Targets)), whole(int64(p.Repeats)),
			whole(int64(len(p.Invalid))), fmt.Sprint(p.Valid)}
		line = append(append(line, csvInterval(p.OpsPerS)...), csvInterval(p.MiBPerS)...)
		line = append(append(line, orEmpty(p.PerTarget), orEmpty(p.Spread)), csvInterval(p.Efficiency)...)
		line = append(line, orEmpty(p.P50Ms), orEmpty(p.P99Ms), orEmpty(p.CPUs), orEmpty(p.Outside), exact(p.Limits.CPUs),
			whole(p.Limits.LinkBytesPerS), exact(p.SumCPUs), whole(int64(s.machine)), p.NotComparable)
		lines = append(lines, append(append(line, csvInterval(p.CostUs)...), orEmpty(p.Growth)))
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func csvInterval(i *judge.Interval) []string {
	if i == nil {
		return []string{"", "", ""}
	}
	return []string{exact(i.Estimate), orEmpty(i.Low), orEmpty(i.High)}
}

// WriteHTML writes the sweep as one page, as WriteHTML does a run.
func (s *Sweep) WriteHTML(w io.Writer) error {
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	about := Table{Title: "About this sweep", Left: 2, Columns: []string{"", ""}}
	for _, f := range append([]Fact{{"verdict", s.head()}}, s.Facts...) {
		about.add("", f.Name, f.Value)
	}
	return t.Execute(w, struct {
		Title    string
		Sections []pageSection
	}{clean(s.Plan.Name), []pageSection{
		{ID: "about", Title: "Verdict", Tables: []Table{about}, Lists: [][]string{s.Reasons, s.Failed}},
		{ID: "scaling", Title: "Scaling", Missing: "Nothing to show: no run has numbers.", Figures: s.figures(), Tables: []Table{s.Table, s.CPUs}, Lists: [][]string{s.HowTo}},
		{ID: "runs", Title: "Runs", Tables: []Table{s.Runs}},
		{ID: "again", Title: "Reproduce", Lists: [][]string{{clean(s.Plan.Command)}}},
	}})
}

// Write writes report.md, report.html, report.csv and report.json
// into the sweep's folder, over those that are there.
func (s *Sweep) Write() error {
	for name, write := range map[string]func(io.Writer) error{
		markdownFile: s.WriteMarkdown, htmlFile: s.WriteHTML, csvFile: s.WriteCSV, jsonFile: s.WriteJSON,
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := results.WriteFile(filepath.Join(s.Dir, name), b.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Print writes the sweep in a format of "text", "md", "json", "csv" or "html".
func (s *Sweep) Print(w io.Writer, format string) error {
	write := map[string]func(io.Writer) error{"text": s.WriteText, "md": s.WriteMarkdown, "json": s.WriteJSON, "csv": s.WriteCSV, "html": s.WriteHTML}[format]
	if write == nil {
		return fmt.Errorf("a sweep has no %s: report one of its runs, such as %s", format, strings.TrimSpace(filepath.Join(s.Dir, s.first())))
	}
	return write(w)
}

// first is the folder of the run to look at first: one that is not valid, or any
// that has a report; "" when none has.
func (s *Sweep) first() string {
	folder := ""
	for i, r := range s.runs {
		if r == nil {
			continue
		}
		folder = s.Plan.Runs[i].Folder
		if r.Judgement.Validity.Verdict != judge.Valid {
			break
		}
	}
	return folder
}
