package reports

import (
	"fmt"

	"gonum.org/v1/plot/plotter"
)

// figures are the charts of a sweep.
func (s *Sweep) figures() []figure {
	a := &artist{budget: maxCharts}
	var figures []figure
	for g, group := range s.groups {
		if s.Plan.Over == OverTargets {
			figures = a.add(figures, s.scaled(g, group))
			continue
		}
		if s.Plan.grows() {
			figures = a.add(figures, s.curve(g, group, "CPU µs/op", []string{"targets and pods"}, func(p *SweepPoint) []*float64 {
				if p.CostUs == nil {
					return []*float64{nil}
				}
				return []*float64{&p.CostUs.Estimate}
			}))
			figures = a.add(figures, s.curve(g, group, "response ms", []string{"p50", "p99"}, func(p *SweepPoint) []*float64 { return []*float64{p.P50Ms, p.P99Ms} }))
			continue
		}
		figures = a.add(figures, s.curve(g, group, "done/s", []string{"done/s"}, func(p *SweepPoint) []*float64 {
			if p.OpsPerS == nil {
				return []*float64{nil}
			}
			return []*float64{&p.OpsPerS.Estimate}
		}))
		figures = a.add(figures, s.curve(g, group, "response ms", []string{"p50", "p99"}, func(p *SweepPoint) []*float64 { return []*float64{p.P50Ms, p.P99Ms} }))
		figures = a.add(figures, s.curve(g, group, "CPUs", []string{"all", "client and proxy"}, func(p *SweepPoint) []*float64 { return []*float64{p.CPUs, p.Outside} }))
	}
	return figures
}

// scaled is the bandwidth of an arm over targets, with the fitted law and its
// band.
func (s *Sweep) scaled(g int, group []int) *chart {
	c := &chart{plot: newPlot("targets", "MiB/s"), title: "Scaling: " + s.titles[g], columns: []string{"targets", "MiB/s [95 % CI]", ""},
		caption: "Marks: measured. Dashed: linear, from the fewest targets."}
	var marks, other line
	other.color = 7
	for _, i := range group {
		p := &s.Points[i]
		c.rows = append(c.rows, []string{fmt.Sprint(p.Targets), between(p.MiBPerS), s.mark(p)})
		if p.MiBPerS == nil {
			continue
		}
		to := &marks
		if p.NotComparable != "" {
			to = &other
		}
		to.points = append(to.points, plotter.XY{X: float64(p.Targets), Y: p.MiBPerS.Estimate})
	}
	if len(marks.points) > 0 {
		first, last := marks.points[0], marks.points[len(marks.points)-1]
		linear := line{color: warmupToken, dashed: true, points: plotter.XYs{first, {X: last.X, Y: first.Y * last.X / first.X}}}
		if s.Laws[g].NoFit == "" && addLaw(c, s.Laws[g].usl, marks.points) != nil || addLine(c.plot, linear) != nil || addMarks(c.plot, marks) != nil {
			return nil
		}
		c.legend = append(c.legend, numbered(0, "comparable"), legendItem{"linear", variable(warmupToken), "┄"})
	}
	if len(other.points) > 0 {
		if addMarks(c.plot, other) != nil {
			return nil
		}
		c.legend = append(c.legend, numbered(other.color, "not comparable, or control"))
	}
	if len(marks.points)+len(other.points) == 0 || fromZero(c.plot) != nil {
		return nil
	}
	c.plot.X.Min = 0
	return c
}

// curve is numbers of an arm over the offered rate, or over what grows, from
// step to step tenfold, say.
func (s *Sweep) curve(g int, group []int, unit string, names []string, of func(*SweepPoint) []*float64) *chart {
	x, column := "offered/s", "rate/s"
	if s.Plan.grows() {
		x, column = s.Plan.Over, s.Plan.Over
	}
	c := &chart{plot: newPlot(x, unit), title: unit + " over " + s.Plan.Over + ": " + s.titles[g], columns: append([]string{column}, names...),
		caption: "A point that nobody can tell, or that is infinite, is left out."}
	lines := make([]line, len(names))
	for _, i := range group {
		n := s.Plan.Steps[s.Points[i].Step].N
		row := []string{number(n)}
		for k, v := range of(&s.Points[i]) {
			row = append(row, orNotTold(v))
			if v != nil {
				lines[k].points = append(lines[k].points, plotter.XY{X: n, Y: *v})
			}
		}
		c.rows = append(c.rows, row)
	}
	drawn := 0
	for k, l := range lines {
		l.color = k
		if len(l.points) == 0 {
			continue
		}
		if addLine(c.plot, l) != nil || addMarks(c.plot, l) != nil {
			return nil
		}
		drawn++
		c.legend = append(c.legend, numbered(k, names[k]))
	}
	if drawn == 0 || fromZero(c.plot) != nil {
		return nil
	}
	if !s.Plan.grows() {
		c.plot.X.Min = 0
	} else if logarithmic(&c.plot.X) != nil {
		return nil
	}
	return c
}
