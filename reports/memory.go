package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/reports/judge"
)

// memory tells how the memory of each component went in each arm.
func (r *Report) memory() {
	r.Memory = Table{Title: "Memory over time", Left: 1, Columns: []string{"component", "hours", "first MiB", "last MiB", "MiB/hour [95 % CI]", "verdict"}}
	const mib = 1 << 20
	var grow []string
	for _, m := range r.Judgement.Memory {
		slope := number(m.BytesPerHour.Estimate / mib)
		if i := m.BytesPerHour; i.Low != nil {
			slope += fmt.Sprintf(" [%s, %s]", number(*i.Low/mib), number(*i.High/mib))
		}
		r.Memory.add(clean(m.Arm), clean(m.Component), number(m.Hours), number(m.FirstBytes/mib), number(m.LastBytes/mib), slope, m.Verdict)
		if m.Verdict == judge.MemoryGrows {
			grow = append(grow, m.Component)
		}
	}
	if slices.Sort(grow); grow != nil {
		r.Memory.note(strings.Join(slices.Compact(grow), ", ") + ": what grows fills its caches, or leaks. The one ends some time: measure longer to tell them apart.")
	}
}
