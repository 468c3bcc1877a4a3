package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// shortest is the shortest interval that makes a point: the rest of a second at
// the end of a phase says little of the rate and much of chance.
const shortest = 500 * time.Millisecond

const overTimeCaption = "Each stretch is a block of an arm; between its blocks other arms were measured. Grey and dashed: warm-up, not part of any number."

// stretches are the points of an arm without a gap between them: of one block,
// its warm-up or its measured time.
func stretches(l Line) [][]judge.Point {
	var all [][]judge.Point
	var last judge.Point
	for _, p := range l.Series.Points {
		if p.Duration <= 0 || p.Duration < shortest && l.Row.Mode != "offline" && l.Row.Seconds > 2*shortest.Seconds() {
			continue
		}
		gap := p.Start.Sub(last.Start.Add(last.Duration))
		if len(all) == 0 || p.Block != last.Block || p.Warmup != last.Warmup || gap > max(p.Duration, last.Duration) {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], p)
		last = p
	}
	return all
}

// series is a number of the intervals that a chart over time shows.
type series struct {
	name   string
	of     func(judge.Point) float64
	dashed bool
}

func rate(n func(judge.Point) int64) func(judge.Point) float64 {
	return func(p judge.Point) float64 { return float64(n(p)) / p.Duration.Seconds() }
}

// rates is what was achieved and, in an open loop, what was offered.
func (a *artist) rates(g Group) *chart {
	list := []series{{name: "achieved/s", of: rate(func(p judge.Point) int64 { return p.Ops })}}
	caption := "Operations a second, by when they were due. "
	if a.r.Run.Summary.Load.Model == "open" && g.Mode == "inline" {
		list = append(list, series{"offered/s", rate(func(p judge.Point) int64 { return p.Accounted() }), true})
		caption += "Dashed, coloured: offered. "
	}
	return a.overTime(g, "Rate over time: ", caption+overTimeCaption, "operations/s", list...)
}

// failures is nil where nothing failed.
func (a *artist) failures(g Group) *chart {
	lost := func(p judge.Point) int64 { return p.Errors + p.Shed + p.Unsent }
	if !slices.ContainsFunc(g.Lines, func(l Line) bool {
		return slices.ContainsFunc(l.Series.Points, func(p judge.Point) bool { return lost(p) > 0 })
	}) {
		return nil
	}
	return a.overTime(g, "Errors, shed and unsent over time: ", overTimeCaption, "operations/s", series{name: "lost/s", of: rate(lost)})
}

// percentileOverTime is one of p50, p99 and p99.9, whose place is its variant.
func (a *artist) percentileOverTime(place int) func(Group) *chart {
	s := []series{
		{name: "p50 ms", of: func(p judge.Point) float64 { return p.P50Ms }},
		{name: "p99 ms", of: func(p judge.Point) float64 { return p.P99Ms }},
		{name: "p99.9 ms", of: func(p judge.Point) float64 { return p.P999Ms }},
	}[place]
	return func(g Group) *chart {
		if g.Mode != "inline" {
			return nil
		}
		name := strings.TrimSuffix(s.name, " ms")
		c := a.overTime(g, name+" over time: ", "Response time; of intervals that were joined, the worst. "+overTimeCaption, "ms", s)
		if c != nil {
			c.variant = fmt.Sprintf("v%d", place)
		}
		return c
	}
}

// overTime draws series of a group's arms over the time since the run began.
func (a *artist) overTime(g Group, title, caption, unit string, list ...series) *chart {
	c := &chart{plot: newPlot("seconds since the run began", unit), title: title + g.Title(), caption: caption, columns: []string{"comm", "block", "phase", "second"}}
	for _, s := range list {
		c.columns = append(c.columns, s.name)
	}
	late := map[int]plotter.XYs{}
	points := 0
	for _, l := range g.Lines {
		parts := stretches(l)
		perPart := max(2, maxPoints/max(len(parts), 1))
		points += len(l.Series.Points)
		for i, part := range parts {
			a.tabulate(c, l, part, list)
			for _, s := range list {
				drawn := part
				if i+1 < len(parts) && part[0].Warmup && parts[i+1][0].Block == part[0].Block {
					drawn = append(slices.Clone(part), parts[i+1][0]) // no gap to what it warmed up
				}
				xys, lost := a.points(drawn, s.of)
				late[a.color(l.Row.Comm)] = append(late[a.color(l.Row.Comm)], lost...)
				if addStretch(c.plot, line{color: a.color(l.Row.Comm), points: thin(xys, perPart), dashed: s.dashed}, part[0].Warmup) != nil {
					return nil
				}
			}
		}
		if parts != nil {
			c.comms = append(c.comms, l.Row.Comm)
		}
	}
	if points < 2 || math.IsInf(c.plot.X.Max-c.plot.X.Min, 0) || c.plot.X.Max <= c.plot.X.Min || fromZero(c.plot) != nil {
		return nil
	}
	if len(c.rows) > maxRows {
		c.rows = c.rows[:maxRows]
		c.caption += fmt.Sprintf(" The table has the first %d rows, intervals.jsonl all.", maxRows)
	}
	if a.addLate(c, late) != nil || a.addFaults(c) != nil {
		return nil
	}
	return c
}

// maxRows bounds the data table of a chart over time.
const maxRows = 120

func (a *artist) second(t time.Time) float64 { return t.Sub(a.origin).Seconds() }

func (a *artist) tabulate(c *chart, l Line, part []judge.Point, list []series) {
	for _, p := range part {
		phase := results.PhaseMeasure
		if p.Warmup {
			phase = results.PhaseWarmup
		}
		row := []string{clean(l.Row.Comm), strconv.Itoa(p.Block), phase, strconv.FormatFloat(a.second(p.Start), 'f', 1, 64)}
		for _, s := range list {
			row = append(row, numberOrWord(s.of(p)))
		}
		c.rows = append(c.rows, row)
	}
}

func numberOrWord(v float64) string {
	switch {
	case math.IsNaN(v):
		return notTold
	case math.IsInf(v, 0):
		return infinite
	}
	return number(v)
}

// points are the middles of intervals; those that are infinite are told apart,
// with y 0.
func (a *artist) points(part []judge.Point, of func(judge.Point) float64) (xys, late plotter.XYs) {
	for _, p := range part {
		x, y := a.second(p.Start.Add(p.Duration/2)), of(p)
		switch {
		case math.IsInf(y, 1):
			late = append(late, plotter.XY{X: x})
		case !math.IsNaN(y):
			xys = append(xys, plotter.XY{X: x, Y: y})
		}
	}
	return xys, late
}

// addStretch draws a line, or a mark where it would be a single point.
func addStretch(p *plot.Plot, l line, warmup bool) error {
	if warmup {
		l.color, l.dashed = warmupToken, true
	}
	switch len(l.points) {
	case 0:
		return nil
	case 1:
		return addMarks(p, l)
	}
	return addLine(p, l)
}

// addLate marks, along the top, intervals whose percentile is infinite.
func (a *artist) addLate(c *chart, late map[int]plotter.XYs) error {
	told := false
	for n := range paletteSize { // in order, so that the page is the same each time
		if len(late[n]) == 0 {
			continue
		}
		for i := range late[n] {
			late[n][i].Y = c.plot.Y.Max
		}
		if err := addMarks(c.plot, line{color: n, points: late[n]}); err != nil {
			return err
		}
		told = true
	}
	if told {
		c.caption += " Marks along the top: among operations that were never served."
	}
	return nil
}

// addFaults draws a line where a fault was injected or undone.
func (a *artist) addFaults(c *chart) error {
	told := false
	for _, e := range a.r.Run.Events {
		x := a.second(e.At)
		if e.Kind != results.EventFault || x < c.plot.X.Min || x > c.plot.X.Max {
			continue
		}
		top := c.plot.Y.Max
		if err := addLine(c.plot, line{color: faultToken, dashed: true, points: plotter.XYs{{X: x}, {X: x, Y: top}}}); err != nil {
			return err
		}
		told = true
	}
	if told {
		c.legend = append(c.legend, legendItem{"fault", variable(faultToken), "┆"})
	}
	return nil
}

// byBlock is a number of results.Numbers of each block, arm by arm; nil with
// fewer than two blocks.
func (a *artist) byBlock(name, unit, title string) func(Group) *chart {
	return func(g Group) *chart {
		c := &chart{plot: newPlot("block", unit), title: title + g.Title(), columns: []string{"comm", "block", name},
			caption: "One mark for each block: arms of the same block are compared with each other."}
		most := 0
		for _, l := range g.Lines {
			xys := a.blocks(c, l, name)
			if len(xys) == 0 {
				continue
			}
			if addMarks(c.plot, line{color: a.color(l.Row.Comm), points: xys}) != nil {
				return nil
			}
			c.comms = append(c.comms, l.Row.Comm)
			most = max(most, len(xys))
		}
		if most < 2 || fromZero(c.plot) != nil {
			return nil
		}
		c.plot.X.Min, c.plot.X.Max = c.plot.X.Min-0.5, c.plot.X.Max+0.5
		return c
	}
}

func (a *artist) blocks(c *chart, l Line, name string) (xys plotter.XYs) {
	for i := range a.r.Run.Summary.Samples {
		s := &a.r.Run.Summary.Samples[i]
		v, ok := s.Value(name)
		if s.Arm != l.Row.Name || s.Op != l.Row.Op || s.Partial || !ok {
			continue
		}
		xys = append(xys, plotter.XY{X: float64(s.Block), Y: v})
		c.rows = append(c.rows, []string{clean(l.Row.Comm), strconv.Itoa(s.Block), number(v)})
	}
	return xys
}

// thin averages neighbours until at most n are left.
func thin(points plotter.XYs, most int) plotter.XYs {
	n := (len(points) + most - 1) / most
	if n < 2 {
		return points
	}
	var out plotter.XYs
	for part := range slices.Chunk(points, n) {
		var sum plotter.XY
		for _, p := range part {
			sum.X += p.X / float64(len(part))
			sum.Y += p.Y / float64(len(part))
		}
		out = append(out, sum)
	}
	return out
}
