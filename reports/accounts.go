package reports

import (
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/results"
)

// accounts tells what became of every intended operation, and what each target
// did of it.
func (r *Report) accounts() {
	r.Accounts = Table{Title: "Accounts: intended = done + errors + shed + unsent", Left: 1,
		Columns: []string{"comm", "intended", "done", "errors", "shed", "unsent", "achieved %", "verified %", "MiB/s per target"}}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			m := &l.Row.Measured
			achieved := notTold
			if v, ok := m.Value("achieved"); ok {
				achieved = percent(v)
			}
			r.Accounts.add(g.Title(), clean(l.Row.Comm), humanize.Comma(m.Intended), humanize.Comma(m.Ops), humanize.Comma(m.Errors),
				humanize.Comma(m.Shed), humanize.Comma(m.Unsent), achieved, percent(m.VerifiedPct), perTarget(m.Targets))
		}
	}
	if ids := targetIDs(r.Run.Summary.Rows); ids != "" {
		r.Accounts.Notes = append(r.Accounts.Notes, "per target: "+ids)
	}
}

// targetIDs says which number of "MiB/s per target" is whose.
func targetIDs(rows []results.Row) string {
	var ids []string
	for _, row := range rows {
		if len(row.Targets) > maxTargetsListed {
			return "of more than four targets, lowest–highest."
		}
		if len(row.Targets) > len(ids) {
			ids = nil
			for _, t := range row.Targets {
				ids = append(ids, t.ID)
			}
		}
	}
	if len(ids) < 2 {
		return ""
	}
	return clean(strings.Join(ids, " / ")) + "."
}
