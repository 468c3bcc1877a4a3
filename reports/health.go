package reports

import (
	"fmt"
	"strings"

	"github.com/etlbench/etlbench/reports/judge"
)

// health lists what the verdict on each arm rests on: every check, with the
// arm that came out worst.
func (r *Report) health() {
	r.Health = Table{Title: "Health of the tool and of the run", Left: 1, Columns: []string{"check", "worst", "wants", "found"}}
	type worst struct {
		judge.Check
		arm string
	}
	rank := map[judge.State]int{judge.Fail: 3, judge.Warn: 2, judge.OK: 1, judge.Unknown: 0}
	var order []string
	found := map[string]worst{}
	for _, a := range r.Judgement.Validity.Arms {
		for _, c := range a.Checks {
			w, ok := found[c.Name]
			if !ok {
				order = append(order, c.Name)
			}
			if !ok || rank[c.State] > rank[w.State] || rank[c.State] == rank[w.State] && above(c, w.Check) {
				found[c.Name] = worst{c, a.Arm}
			}
		}
	}
	for _, name := range order {
		w := found[name]
		value := notTold
		if w.Value != nil {
			if value = number(*w.Value); *w.Value > 0 && *w.Value < 0.001 {
				value = "< 0.001" // what rounding leaves
			}
			value += unitAfter(w.Unit)
			if i := w.Interval; i != nil {
				value += fmt.Sprintf(" [%.3g, %.3g]", *i.Low, *i.High)
			}
		}
		word := string(w.State)
		if w.State == judge.Fail {
			word = strings.ToUpper(word)
		}
		r.Health.add("", clean(name), value, clean(w.Wants), word)
		if w.State == judge.Warn {
			r.Health.note(fmt.Sprintf("%s (%s): %s", name, w.arm, w.Text))
		}
	}
}

// above tells which of two values is shown.
func above(a, b judge.Check) bool {
	if a.Value == nil || b.Value == nil {
		return a.Value != nil
	}
	if strings.HasPrefix(a.Wants, "at least") {
		return *a.Value < *b.Value
	}
	return *a.Value > *b.Value
}
