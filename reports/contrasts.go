package reports

import (
	"fmt"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/stats"
)

// contrasts shows how arms differ, and says what follows.
func (r *Report) contrasts() {
	c := &r.Judgement.Comparison
	r.Contrasts = contrastTable(c, "Comparison: arms of the same block, in pairs")
	if c.Reason != "" {
		r.Conclusion = append(r.Conclusion, clean("No comparison (TOO-FEW-SAMPLES): "+c.Reason+"."))
		return
	}
	r.Conclusion = conclusion(c)
	r.pairs()
}

// conclusion is the sentences below a table of contrasts.
func conclusion(c *judge.Comparison) []string {
	if len(c.Contrasts) == 0 {
		return nil
	}
	count := map[stats.Verdict]int{}
	for _, x := range c.Contrasts {
		count[x.Verdict]++
	}
	lines := []string{fmt.Sprintf("%d faster, %d slower, %d same (within ±%s %%), %d unsure, %d not compared; intervals of 95 %%, tests by Holm for all of them.",
		count[stats.Faster], count[stats.Slower], count[stats.Same], number(c.MinEffectPct), count[stats.Unsure], count[judge.NotCompared])}
	if c.AA != nil {
		lines = append(lines, fmt.Sprintf("A/A: %d of %s of equal arms found a difference.", c.AA.Different, plural(c.AA.Compared, "comparison")))
	}
	return lines
}

// contrastTable lists contrasts, metric by metric.
func contrastTable(c *judge.Comparison, title string) Table {
	reasons, order := map[string]int{}, []string{}
	t := Table{Title: title, Left: 1, Columns: []string{"arm", "base", "other", "change [95 % CI]", "verdict"}}
	for _, metric := range []string{"p99", "p50", "mib/s", "ops/s", "cpu-s/gib", "cpu-us/op"} {
		for _, x := range c.Contrasts {
			if x.Metric != metric {
				continue
			}
			name := x.Other
			if x.Run == "" {
				name += " vs " + x.Base
			} else if x.Run != "B" {
				name += " (" + x.Run + ")"
			}
			if x.AA {
				name += " (A/A)"
			}
			word := string(x.Verdict)
			switch {
			case x.Verdict == judge.NotCompared:
				reasons[x.Reason]++
				if reasons[x.Reason] == 1 {
					order = append(order, x.Reason)
				}
			case x.MoreBlocks > 0:
				word += ", about " + plural(x.MoreBlocks, "more block")
			case x.Verdict == stats.Unsure:
				t.note(x.Metric + " of " + name + " is unsure: " + x.Reason)
			}
			t.add(metricTitle(metric), clean(name), orNotTold(x.BaseValue), orNotTold(x.OtherValue), changed(&x), word)
		}
	}
	for _, why := range order {
		t.note(fmt.Sprintf("%d not compared: %s.", reasons[why], why))
	}
	return t
}

// changed prints a change with its interval.
func changed(x *judge.Contrast) string {
	if x.ChangePct == nil {
		return notTold
	}
	text := signed(&x.ChangePct.Estimate)
	if x.ChangePct.Low != nil {
		text += fmt.Sprintf(" [%+.3g, %+.3g]", *x.ChangePct.Low, *x.ChangePct.High)
	}
	return text
}

// pairs says how each arm compares with its base, a sentence each.
func (r *Report) pairs() {
	place := map[string]int{}
	for _, x := range r.Judgement.Comparison.Contrasts {
		if x.AA || x.Verdict == judge.NotCompared || x.ChangePct == nil {
			continue
		}
		name := x.Other + " against " + x.Base
		if x.Op != "get-etl" && x.Op != "etl-object" {
			name += ", " + x.Op
		}
		i, ok := place[name]
		if !ok {
			i = len(r.Pairs)
			place[name] = i
			r.Pairs = append(r.Pairs, clean(name)+": ")
		} else {
			r.Pairs[i] += "; "
		}
		r.Pairs[i] += fmt.Sprintf("%s %s %s", x.Metric, signed(&x.ChangePct.Estimate), x.Verdict)
	}
}

// note adds a note, cleaned.
func (t *Table) note(text string) { t.Notes = append(t.Notes, clean(text)) }

// metricTitle names a metric with its unit.
func metricTitle(metric string) string {
	switch metric {
	case "p50", "p99":
		return metric + " of the response time, ms"
	case "mib/s":
		return "throughput, MiB/s"
	case "ops/s":
		return "throughput, operations/s"
	case "cpu-s/gib":
		return "CPU of all components, s/GiB"
	}
	return "CPU of all components, µs/op"
}
