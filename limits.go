package main

import (
	"strings"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// heldTo says what each target is held to, behind a comma; "" when nothing.
func heldTo(l results.Limits) string {
	text := l.String()
	if text != "" {
		text = ", each target held to " + text
	}
	return text
}

// checkLimits refuses a cluster whose targets are not limited as a scenario
// says: it would measure something else.
func checkLimits(want scenarios.Target, have *results.Limits) error {
	if want.CPU == 0 && want.Link == 0 || have != nil && have.CPUs == limitsOf(want).CPUs && have.LinkBytesPerS == limitsOf(want).LinkBytesPerS {
		return nil
	}
	flags := []string{"etlbench up"}
	if want.CPU > 0 {
		flags = append(flags, "--target-cpu "+want.CPU.String())
	}
	if want.Link > 0 {
		flags = append(flags, "--target-link "+want.Link.String())
	}
	return hint(misuse("the scenario's target.cpu and target.link hold for a cluster that is started for the run, "+
		"and this one has other limits: use none, or one with these limits"), strings.Join(flags, " "))
}

func limitsOf(t scenarios.Target) results.Limits {
	return results.Limits{CPUs: float64(t.CPU) / 100, LinkBytesPerS: int64(t.Link)}
}
