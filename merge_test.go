package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etlbench/etlbench/reports/results"
)

// sameCounts checks that two runs did the same: samecounts DIR DIR.
func sameCounts(ts *testscript.TestScript, _ bool, args []string) {
	counts := func(dir string) (all []string) {
		var s results.Summary
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(dir, "summary.json"))), &s))
		for _, r := range append(s.Rows, rowsOf(s.Samples)...) {
			line := fmt.Sprint(r.Name, r.Op, r.Samples, r.Intended, r.Counts, r.Verified, r.Comparable, r.Service.Count, r.Response.Count, r.TTFB.Count, len(r.Phases))
			for _, t := range r.Targets {
				line += fmt.Sprint(" ", t.ID, t.Ops, t.Errors)
			}
			all = append(all, line)
		}
		slices.Sort(all) // which arm comes first in a block is not what is compared
		return all
	}
	a, b := counts(args[0]), counts(args[1])
	if len(a) == 0 || !slices.Equal(a, b) {
		ts.Fatalf("%s and %s differ:\n%s\n\n%s", args[0], args[1], strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func rowsOf(samples []results.Sample) (rows []results.Row) {
	for _, s := range samples {
		rows = append(rows, results.Row{Arm: results.Arm{Name: s.Arm}, Op: s.Op, Samples: s.Block, Measured: s.Measured})
	}
	return rows
}
