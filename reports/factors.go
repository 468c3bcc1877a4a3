package reports

import (
	"fmt"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// factors shows the arms of a run of several factors as one table: what each
// arm reached, and how it differs in each factor from the first arm that is
// like it in all others.
func (r *Report) factors() {
	c := &r.Judgement.Comparison
	list := c.Factors()
	if len(list) < 2 {
		return
	}
	metric := r.headline()
	value := metricTold(metric)
	if metric == "mib/s" {
		value = "s a job"
	} else {
		value += " ms"
	}
	r.Factors = Table{Title: "All factors: changes of " + metricTitle(metric) + ", all else being equal", Left: 4,
		Columns: append([]string{"transform", "comm", "stream", "put", value + " [95 % CI]"}, list...)}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			row := []string{joined(clean(l.Row.Transform), clean(l.Row.Size)), clean(l.Row.Comm), dash(l.Row.Argument), dash(l.Row.Put), r.overBlocks(l.Row, metric)}
			for _, factor := range list {
				row = append(row, factorCell(c.FindIn(factor, l.Row.Name, l.Row.Op, metric)))
			}
			r.Factors.add("", row...)
		}
	}
	r.Factors.Notes = []string{"base: the others of its kind are compared with it; intervals of the changes are in the comparison."}
}

func dash(level string) string {
	if level == "" {
		return "-"
	}
	return clean(level)
}

func factorCell(x *judge.Contrast) string {
	switch {
	case x == nil:
		return "base"
	case x.ChangePct == nil:
		return "not compared"
	}
	return fmt.Sprintf("%s %s", signed(&x.ChangePct.Estimate), x.Verdict)
}

// overBlocks is the middle of an arm's blocks, with its interval where there are
// enough: of jobs of how long they took, else of the metric.
func (r *Report) overBlocks(row results.Row, metric string) string {
	var values []float64
	for i := range r.Run.Summary.Samples {
		s := &r.Run.Summary.Samples[i]
		if s.Arm != row.Name || s.Op != row.Op || s.Partial {
			continue
		}
		if v, ok := s.Value(metric); metric == "mib/s" {
			values = append(values, s.Seconds)
		} else if ok {
			values = append(values, v)
		}
	}
	i, err := stats.Center(values, stats.Options{Seed: r.Run.Summary.Seed})
	if err != nil {
		return notTold
	}
	return number(i.Estimate) + " [" + number(i.Low) + ", " + number(i.High) + "]"
}
