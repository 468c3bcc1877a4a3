package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/etlbench/etlbench/transformers/check"
)

// print writes the report to standard output.
func (f *checkFlags) print(e *env, r *check.Report) error {
	if f.output == "json" {
		data, err := json.MarshalIndent(struct {
			Transformer string `json:"transformer"`
			*check.Report
			Passed        int `json:"passed"`
			Failed        int `json:"failed"`
			NotApplicable int `json:"not_applicable"`
		}{f.name, r, r.Count(check.Passed), r.Count(check.Failed), r.Count(check.NotApplicable)}, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", data)
		return err
	}
	fmt.Fprintf(e.out, "%s\n", f.name)
	if r.Judged != "" {
		fmt.Fprintf(e.out, "judged %s\n", r.Judged)
	}
	printVerdicts(e, r)
	for _, c := range r.Claims {
		if !c.Claimed {
			fmt.Fprintf(e.out, "not claimed: %s (%s)\n", c.Type, c.Why)
		}
	}
	printNotApplicable(e, r)
	for _, res := range r.Results {
		if res.Verdict == check.Failed {
			printFailure(e, res)
		}
	}
	_, err := fmt.Fprintf(e.out, "\n%d passed, %d failed, %d not applicable\n",
		r.Count(check.Passed), r.Count(check.Failed), r.Count(check.NotApplicable))
	return err
}

// typeName is a type's name without its "://".
func typeName(name string) string { return strings.TrimSuffix(name, "://") }

// columns are the types of a report's results.
func columns(r *check.Report) (types []string) {
	for _, res := range r.Results {
		if res.Type != "" && !slices.Contains(types, res.Type) {
			types = append(types, res.Type)
		}
	}
	return types
}

// verdictCells are verdicts as the table shows them.
var verdictCells = map[string]string{check.Passed: "passed", check.Failed: "FAILED", check.NotApplicable: "n/a"}

// printVerdicts is a table with a row a check and a column a type. Checks of
// the whole stand in every column.
func printVerdicts(e *env, r *check.Report) {
	types := columns(r)
	if len(types) == 0 {
		types = []string{"every type"}
	}
	t := table.NewWriter()
	t.SetOutputMirror(e.out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	head := table.Row{"check"}
	for _, typ := range types {
		head = append(head, typeName(typ))
	}
	t.AppendHeader(head)
	var names []string
	rows := map[string]table.Row{}
	for _, res := range r.Results {
		if rows[res.Check] == nil {
			names = append(names, res.Check)
			rows[res.Check] = append(table.Row{res.Check}, make(table.Row, len(types))...)
		}
		for i, typ := range types {
			if res.Type == "" || res.Type == typ {
				rows[res.Check][i+1] = verdictCells[res.Verdict]
			}
		}
	}
	for _, name := range names {
		t.AppendRow(rows[name])
	}
	t.Render()
}

// printNotApplicable says why checks do not apply, each reason once.
func printNotApplicable(e *env, r *check.Report) {
	var reasons []string
	where := map[string][]string{}    // checks by reason
	types := map[[2]string][]string{} // by reason and check
	for _, res := range r.Results {
		if res.Verdict != check.NotApplicable {
			continue
		}
		if where[res.Detail] == nil {
			reasons = append(reasons, res.Detail)
		}
		key := [2]string{res.Detail, res.Check}
		if types[key] == nil {
			where[res.Detail] = append(where[res.Detail], res.Check)
		}
		types[key] = append(types[key], typeName(res.Type))
	}
	all := len(columns(r))
	for _, reason := range reasons {
		var checks []string
		for _, name := range where[reason] {
			if of := types[[2]string{reason, name}]; len(of) < all {
				name += " (" + strings.Join(of, ", ") + ")"
			}
			checks = append(checks, name)
		}
		fmt.Fprintf(e.out, "n/a: %s: %s\n", strings.Join(checks, ", "), reason)
	}
}

func printFailure(e *env, res check.Result) {
	fmt.Fprintf(e.out, "\nFAILED: %s\n", strings.TrimSpace(typeName(res.Type)+" "+res.Check))
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(e.out, "  %-8s %s\n", label, strings.ReplaceAll(text, "\n", "\n           "))
		}
	}
	line("rule", res.Rule)
	line("seen", res.Detail)
	if x := res.Exchange; x != nil {
		line("request", x.Request)
		line("sent", fmt.Sprintf("%d bytes in all", x.SentBytes))
		line("reply", x.Reply)
		line("got", fmt.Sprintf("%d bytes in all", x.GotBytes))
		line("body", x.First)
	}
}
