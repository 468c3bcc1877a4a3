package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/stats"
)

// maxForest is how many contrasts a chart shows; the table has all.
const maxForest = 24

// numbered is a legend's item for the line of a chart with place i.
func numbered(i int, label string) legendItem {
	return legendItem{label, variable(i % paletteSize), markOf(i % paletteSize)}
}

// sizes is what an operation costs by its size, of every arm that has sizes.
func (a *artist) sizes(kind string) *chart {
	c := &chart{columns: []string{"", "MiB", "mean over blocks", "fit"}, title: strings.ToUpper(kind[:1]) + kind[1:] + " by size",
		caption: "Marks: measured. Lines: fixed + size × cost per MiB."}
	for _, f := range a.r.fits {
		if f.kind != kind {
			continue
		}
		if c.plot == nil {
			c.plot = newPlot("MiB", f.unit)
		}
		n := len(c.legend) % paletteSize
		marks, fit := line{color: n}, line{color: n}
		for _, class := range f.classes {
			marks.points = append(marks.points, plotter.XY{X: class.MiB, Y: class.Mean()})
			c.rows = append(c.rows, []string{f.title, number(class.MiB), number(class.Mean()), number(f.line.At(class.MiB))})
		}
		low, high := marks.points[0].X, marks.points[len(marks.points)-1].X
		for i := range 41 {
			x := low * math.Pow(high/low, float64(i)/40)
			fit.points = append(fit.points, plotter.XY{X: x, Y: f.line.At(x)})
		}
		if addLine(c.plot, fit) != nil || addMarks(c.plot, marks) != nil {
			return nil
		}
		c.legend = append(c.legend, numbered(n, f.title))
	}
	if c.plot == nil || logarithmic(&c.plot.X) != nil || logarithmic(&c.plot.Y) != nil {
		return nil
	}
	if a.addCrossings(c, kind) != nil {
		return nil
	}
	return c
}

// addCrossings draws a line where one arm overtakes another.
func (a *artist) addCrossings(c *chart, kind string) error {
	told := false
	for _, x := range a.r.crossings {
		if x.kind != kind || x.at.None != "" {
			continue
		}
		at := x.at.MiB.Estimate
		if err := addLine(c.plot, line{color: faultToken, dashed: true, points: plotter.XYs{{X: at, Y: c.plot.Y.Min}, {X: at, Y: c.plot.Y.Max}}}); err != nil {
			return err
		}
		told = true
	}
	if told {
		c.legend = append(c.legend, legendItem{"one overtakes another", variable(faultToken), "┆"})
	}
	return nil
}

// law is the throughput of an arm over its workers, with the fitted law and its
// band.
func (a *artist) law(f lawFit) *chart {
	c := &chart{plot: newPlot("workers", "operations/s"), title: "Scaling: " + f.title, columns: []string{"workers", "ops/s", "law"},
		caption: "Marks: measured. Dashed: linear, from the fewest workers."}
	marks := line{}
	for _, l := range f.lines {
		n := float64(l.Row.Workers)
		marks.points = append(marks.points, plotter.XY{X: n, Y: l.Row.OpsPerS})
		cell := notTold
		if at, err := f.usl.At(n); err == nil && f.usl.NoFit == "" {
			cell = interval(at)
		}
		c.rows = append(c.rows, []string{fmt.Sprint(l.Row.Workers), number(l.Row.OpsPerS), cell})
	}
	if f.usl.NoFit == "" && addLaw(c, f.usl, marks.points) != nil {
		return nil
	}
	first, last := marks.points[0], marks.points[len(marks.points)-1]
	linear := line{color: warmupToken, dashed: true, points: plotter.XYs{first, {X: last.X, Y: first.Y * last.X / first.X}}}
	if addLine(c.plot, linear) != nil || addMarks(c.plot, marks) != nil || fromZero(c.plot) != nil {
		return nil
	}
	c.plot.X.Min = 0
	c.legend = append(c.legend, numbered(0, "measured"), legendItem{"linear", variable(warmupToken), "┄"})
	return c
}

func addLaw(c *chart, u stats.USL, measured plotter.XYs) error {
	curve := line{color: 1}
	var low, high plotter.XYs
	first, last := measured[0].X, measured[len(measured)-1].X
	for i := range 41 {
		n := first + (last-first)*float64(i)/40
		at, err := u.At(n)
		if err != nil {
			return err
		}
		curve.points = append(curve.points, plotter.XY{X: n, Y: at.Estimate})
		if at.Level > 0 {
			low, high = append(low, plotter.XY{X: n, Y: at.Low}), append(high, plotter.XY{X: n, Y: at.High})
		}
	}
	if low != nil {
		if err := addBand(c.plot, low, high, gridToken); err != nil {
			return err
		}
	}
	c.caption += " Line: the Universal Scalability Law; band: its interval of 95 %."
	c.legend = append(c.legend, legendItem{"fitted law", variable(1), "━"})
	return addLine(c.plot, curve)
}

// saturation is the p99 that comes with each throughput.
func (a *artist) saturation(f lawFit) *chart {
	c := &chart{plot: newPlot("operations/s", "p99 ms"), title: "Saturation: " + f.title, columns: []string{"workers", "ops/s", "p99 ms"},
		caption: "From mark to mark there are more workers."}
	curve := line{}
	for _, l := range f.lines {
		q := l.Row.Response
		c.rows = append(c.rows, []string{fmt.Sprint(l.Row.Workers), number(l.Row.OpsPerS), credible(q, q.P99Ms, 0.99)})
		if q.P99Ms != nil && q.Count >= stats.Needed(0.99) {
			curve.points = append(curve.points, plotter.XY{X: l.Row.OpsPerS, Y: *q.P99Ms})
		}
	}
	if len(curve.points) < 2 || addLine(c.plot, curve) != nil || addMarks(c.plot, curve) != nil || fromZero(c.plot) != nil {
		return nil
	}
	c.plot.X.Min = 0
	return c
}

// forest is the changes of one metric with their intervals.
func (a *artist) forest(metric string) *chart {
	var list []judge.Contrast
	var labels []string
	for _, x := range a.r.Judgement.Comparison.Contrasts {
		if x.Metric == metric && x.ChangePct != nil && x.ChangePct.Low != nil {
			list, labels = append(list, x), append(labels, x.Other+" vs "+x.Base)
		}
	}
	if list == nil {
		return nil
	}
	c := &chart{title: "Change of " + metricTitle(metric), columns: []string{"arm", "change [95 % CI]", "verdict"},
		caption: "In pairs of the same block, with the interval of 95 %. Shaded: too small to matter."}
	if len(list) > maxForest {
		c.caption += fmt.Sprintf(" The first %d of %d; the table below has all.", maxForest, len(list))
		list, labels = list[:maxForest], labels[:maxForest]
	}
	c.plot, c.height = rowsPlot("change in %", labels)
	bottom, top, e := c.plot.Y.Min, c.plot.Y.Max, a.r.Judgement.Comparison.MinEffectPct
	if addBand(c.plot, plotter.XYs{{X: -e, Y: bottom}, {X: e, Y: bottom}}, plotter.XYs{{X: -e, Y: top}, {X: e, Y: top}}, gridToken) != nil {
		return nil
	}
	for i, x := range list {
		y := float64(len(list) - 1 - i)
		n := verdictColor(x.Verdict)
		if addInterval(c.plot, *x.ChangePct.Low, *x.ChangePct.High, y, n) != nil ||
			addMarks(c.plot, line{color: n, points: plotter.XYs{{X: x.ChangePct.Estimate, Y: y}}}) != nil {
			return nil
		}
		c.rows = append(c.rows, []string{clean(labels[i]), changed(&x), string(x.Verdict)})
	}
	for _, v := range []stats.Verdict{stats.Faster, stats.Slower, stats.Same, stats.Unsure} {
		c.legend = append(c.legend, numbered(verdictColor(v), string(v)))
	}
	margin := 0.04 * (c.plot.X.Max - c.plot.X.Min)
	c.plot.X.Min, c.plot.X.Max = c.plot.X.Min-margin, c.plot.X.Max+margin
	c.plot.Y.Min, c.plot.Y.Max = bottom, top
	return c
}

// paired is, of arms with the same base, by how much a metric differs from the
// base's in each block: what a forest is made from. nil with fewer than two
// blocks.
func (a *artist) paired(metric, base, op string) *chart {
	c := &chart{plot: newPlot("block", "change in %"), columns: []string{"arm", "block", "change %"},
		title:   fmt.Sprintf("Change of %s by block, against %s", metric, clean(joined(base, op))),
		caption: "One mark for each block, against the base of the same block: intervals are made of these."}
	of := a.perBlock(base, op, metric)
	var zero plotter.XYs
	for _, x := range a.r.Judgement.Comparison.Contrasts {
		if x.Metric != metric || x.Base != base || x.Op != op || x.ChangePct == nil || len(c.legend) == paletteSize {
			continue
		}
		other := a.perBlock(x.Other, op, metric)
		l := line{color: len(c.legend)}
		for _, block := range slices.Sorted(maps.Keys(other)) {
			if from, ok := of[block]; ok && from > 0 {
				change := 100 * (other[block]/from - 1)
				l.points = append(l.points, plotter.XY{X: float64(block), Y: change})
				c.rows = append(c.rows, []string{clean(x.Other), strconv.Itoa(block), number(change)})
			}
		}
		if len(l.points) < 2 || addMarks(c.plot, l) != nil {
			return nil
		}
		c.legend = append(c.legend, numbered(l.color, clean(x.Other)))
		zero = plotter.XYs{{X: c.plot.X.Min}, {X: c.plot.X.Max}}
	}
	if zero == nil || addLine(c.plot, line{color: warmupToken, dashed: true, points: zero}) != nil {
		return nil
	}
	c.plot.X.Min, c.plot.X.Max = c.plot.X.Min-0.5, c.plot.X.Max+0.5
	return c
}

// perBlock is a number of an arm's operation, by block, of complete samples.
func (a *artist) perBlock(arm, op, name string) map[int]float64 {
	out := map[int]float64{}
	for i := range a.r.Run.Summary.Samples {
		s := &a.r.Run.Summary.Samples[i]
		if v, ok := s.Value(name); ok && s.Arm == arm && s.Op == op && !s.Partial {
			out[s.Block] = v
		}
	}
	return out
}

// verdictColor is a place in the palette whose mark tells verdicts apart, too.
func verdictColor(v stats.Verdict) int {
	switch v {
	case stats.Faster:
		return 2
	case stats.Slower:
		return 1
	case stats.Same:
		return 4
	}
	return 7
}
