package reports

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/plotter"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// intervals is the p50 and p99 of each communication type with their
// confidence intervals.
func (a *artist) intervals(g Group) *chart {
	var labels []string
	for _, l := range g.Lines {
		labels = append(labels, l.Row.Comm)
	}
	p, height := rowsPlot("ms", labels)
	c := &chart{plot: p, height: height, title: "p50 and p99 with intervals: " + g.Title(),
		caption: "Response time; lines are intervals of 95 %, where there are enough operations for one.",
		columns: []string{"comm", "p50 ms", "p99 ms"}, legend: []legendItem{{"p50", "--fg", "○"}, {"p99", "--fg", "●"}}}
	drawn := false
	for i, l := range g.Lines {
		row, y := []string{clean(l.Row.Comm)}, float64(len(labels)-1-i)
		q := l.Row.Response
		for _, at := range []struct {
			value    *float64
			interval *judge.Interval
			q        float64
			shape    int
		}{{q.P50Ms, l.Series.P50(), 0.5, 3}, {q.P99Ms, l.P99, 0.99, 0}} {
			cell := credible(q, at.value, at.q)
			if i := at.interval; i != nil {
				cell += fmt.Sprintf(" [%s, %s]", number(*i.Low), number(*i.High))
				if addInterval(p, *i.Low, *i.High, y, a.color(l.Row.Comm)) != nil {
					return nil
				}
			}
			row = append(row, cell)
			if at.value == nil || q.Count < stats.Needed(at.q) {
				continue
			}
			drawn = true
			if addShaped(p, line{color: a.color(l.Row.Comm), points: plotter.XYs{{X: *at.value, Y: y}}}, at.shape) != nil {
				return nil
			}
		}
		c.rows = append(c.rows, row)
	}
	if !drawn || logarithmic(&p.X) != nil {
		return nil
	}
	p.Y.Min, p.Y.Max = -0.6, float64(len(labels))-0.4
	return c
}

// shares is where the service time of each communication type goes.
func (a *artist) shares(g Group) *chart {
	return a.stack(g, "ms", "Where the time goes: ", "The mean service time by who spends it. What the servers do not tell of the pod is in the target's.",
		[]string{"proxy", "target", "pod", "body"}, func(row *results.Row, part string) (float64, bool) {
			all, _ := Shares(&row.Measured)
			i := slices.IndexFunc(all, func(s Share) bool { return s.Name == part })
			if i < 0 {
				return 0, false
			}
			return all[i].Ms, true
		})
}

// cpus is the CPU time of each communication type by component.
func (a *artist) cpus(g Group) *chart {
	return a.stack(g, "CPU seconds per GiB of source", "CPU: ", "Of all processes of a component, on this machine.",
		[]string{results.ComponentClient, results.ComponentProxy, results.ComponentTarget, results.ComponentTransformer},
		func(row *results.Row, part string) (float64, bool) {
			i := slices.IndexFunc(row.Resources, func(r results.Resource) bool { return r.Component == part })
			if i < 0 || row.Resources[i].CPUSPerGiB == nil {
				return 0, false
			}
			return *row.Resources[i].CPUSPerGiB, true
		})
}

// stack is bars of parts, one for each communication type that has any.
func (a *artist) stack(g Group, unit, title, caption string, names []string, value func(*results.Row, string) (float64, bool)) *chart {
	c := &chart{title: title + g.Title(), caption: caption, columns: append([]string{"comm"}, names...)}
	var labels []string
	parts := make([]plotter.Values, len(names))
	for i := range g.Lines {
		row, any := &g.Lines[i].Row, false
		cells := []string{clean(row.Comm)}
		values := make([]float64, len(names))
		for k, name := range names {
			v, ok := value(row, name)
			values[k], any = max(v, 0), any || ok
			cells = append(cells, map[bool]string{true: number(v), false: notTold}[ok])
		}
		if !any {
			continue
		}
		labels, c.rows = append(labels, row.Comm), append(c.rows, cells)
		for k, v := range values {
			parts[k] = append(parts[k], v)
		}
	}
	if labels == nil {
		return nil
	}
	for k, name := range names {
		c.legend = append(c.legend, legendItem{name, variable(partToken + k), "■"})
	}
	c.plot, c.height = rowsPlot(unit, labels)
	if addStack(c.plot, parts) != nil {
		return nil
	}
	return c
}

// moved is the bytes over the network for each byte delivered, of every
// transform in one mode.
func (a *artist) moved(g Group) *chart {
	lines := slices.DeleteFunc(slices.Clone(g.Lines), func(l Line) bool { _, ok := l.Row.Value("moved"); return !ok })
	return a.bars("bytes", "", "Bytes moved: "+g.Title(), "Over the network, for each byte delivered.", []string{g.Name()}, lines,
		func(l Line, _ string) (float64, bool) { return l.Row.Value("moved") })
}
