package reports

import (
	"fmt"
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// verdict puts into words whether the run is valid and its gates hold.
func (r *Report) verdict() {
	v, s := &r.Judgement.Validity, r.Run.Summary
	parts := []string{string(v.Verdict) + "  " + trials(s)}
	if text := steadyFrom(v); text != "" {
		parts = append(parts, text)
	}
	if s.Calibration != nil {
		parts = append(parts, "tool floor p99 "+number(s.Calibration.P99Ms)+" ms")
	}
	r.Verdict = clean(strings.Join(parts, ", "))
	r.Reasons = cleanAll(v.Reasons)
	for _, g := range r.Judgement.Gates {
		r.Gates = append(r.Gates, gateLine(g))
	}
}

func trials(s results.Summary) string {
	arms, refused := len(s.Arms), 0
	if arms == 0 {
		arms = len(s.Rows)
	}
	for _, a := range s.Arms {
		if a.NotOffered != "" {
			refused++
		}
	}
	text := fmt.Sprintf("%s x %s", plural(max(s.Trials.Complete, 1), "block"), plural(arms-refused, "arm"))
	if refused > 0 {
		text += fmt.Sprintf(", %d not offered", refused)
	}
	if s.Trials.Complete < s.Trials.Planned {
		text += fmt.Sprintf(" (%d planned)", s.Trials.Planned)
	}
	if s.Trials.Stopped != "" {
		text += ", stopped: " + s.Trials.Stopped
	}
	return text
}

// steadyFrom tells the latest cut of the arms.
func steadyFrom(v *judge.Validity) string {
	var last *float64
	for _, a := range v.Arms {
		if a.SteadyFromS != nil && (last == nil || *a.SteadyFromS > *last) {
			last = a.SteadyFromS
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("steady from %s s (MSER-5)", number(*last))
}

func gateLine(g judge.GateOutcome) GateLine {
	l := GateLine{Holds: g.Holds, Condition: clean(g.On + " " + g.Is), Found: notTold, Text: clean(g.Text)}
	if g.Value == nil {
		return l
	}
	l.Found = number(*g.Value) + unitAfter(g.Unit)
	if g.CI != nil && g.CI.Low != nil {
		l.Found += fmt.Sprintf(" [%s, %s]", number(*g.CI.Low), number(*g.CI.High))
	}
	l.Found += clean(fmt.Sprintf("  %s, n=%s", g.Arm, humanize.Comma(g.Count)))
	return l
}

// unitAfter is a unit as it stands after a number.
func unitAfter(unit string) string {
	if unit == "" || strings.HasPrefix(unit, "/") {
		return unit
	}
	return " " + unit
}

// GateWord is "ok" or "FAIL".
func (l GateLine) GateWord() string {
	if l.Holds {
		return "ok"
	}
	return "FAIL"
}

// next is where to read on: at the first gate that does not hold, the first arm that is
// not valid, the arm that differs most from its base, or the slowest.
func (r *Report) next() string {
	if r.Run.Dir == "" {
		return ""
	}
	for _, g := range r.Judgement.Gates {
		if !g.Holds && g.Arm != "" {
			_, number, _ := strings.Cut(g.On, ").")
			if number == "" {
				number = strings.TrimPrefix(g.On, "all.")
			}
			return r.explain(g.Arm, number)
		}
	}
	for _, a := range r.Judgement.Validity.Arms {
		switch {
		case a.Verdict == judge.Valid || a.Verdict != r.Judgement.Validity.Verdict:
		case a.Verdict == judge.Errors:
			return r.explain(a.Arm, "errors")
		default:
			return r.explain(a.Arm, "p99")
		}
	}
	arm, most := "", 0.0
	for _, c := range r.Judgement.Comparison.Contrasts {
		if c.Metric == "p99" && c.ChangePct != nil && c.ChangePct.Estimate*c.ChangePct.Estimate > most {
			arm, most = c.Other, c.ChangePct.Estimate*c.ChangePct.Estimate
		}
	}
	if arm != "" {
		return r.explain(arm, "p99")
	}
	for _, row := range r.Run.Summary.Rows {
		if p := row.Response.P99Ms; p != nil && *p > most && row.Response.Count >= stats.Needed(0.99) {
			arm, most = row.Name, *p
		}
	}
	if arm == "" {
		return ""
	}
	return r.explain(arm, "p99")
}

func (r *Report) explain(arm, number string) string {
	return clean("etlbench explain " + quoted(r.Run.Dir) + " " + quoted(arm+"."+number))
}
