package reports

import (
	"fmt"
	"html/template"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/etlbench/etlbench/reports/results"
)

// maxPoints bounds what one line of a chart adds to the page.
const maxPoints = 120

// figure is one chart with its data.
type figure struct {
	ID      string
	Title   string
	Caption string
	SVG     template.HTML
	Legend  []legendItem
	Columns []string
	Rows    [][]string
	Variant string // class of the choice that shows it, "" always
}

type legendItem struct {
	Label string
	Color string // a variable of the style sheet
	Mark  string
}

// artist makes the charts of one report.
type artist struct {
	r      *Report
	comms  []string // all, in order of appearance
	origin time.Time
	made   int // figures, for their ids
	size   int // bytes of the page taken by them
	budget int // bytes that they may take
	left   int // figures that did not fit
}

func newArtist(r *Report, budget int) *artist {
	a := &artist{r: r, budget: budget, origin: r.Run.Summary.Started}
	for _, row := range r.Run.Summary.Rows {
		if !slices.Contains(a.comms, row.Comm) {
			a.comms = append(a.comms, row.Comm)
		}
	}
	for _, s := range r.Evidence.Series {
		for _, p := range s.Points {
			if a.origin.IsZero() || p.Start.Before(a.origin) {
				a.origin = p.Start
			}
		}
	}
	return a
}

// eachGroup draws some charts of every group, group by group.
func (a *artist) eachGroup(draw ...func(Group) *chart) []figure {
	var figures []figure
	for _, g := range a.r.Groups {
		for _, d := range draw {
			figures = a.add(figures, d(g))
		}
	}
	return figures
}

func (a *artist) modes() []string {
	var modes []string
	for _, g := range a.r.Groups {
		if !slices.Contains(modes, g.Mode) {
			modes = append(modes, g.Mode)
		}
	}
	return modes
}

// chart is a figure to be drawn; nil: there are no data for it.
type chart struct {
	plot    *plot.Plot
	height  int // 0: chartHeight
	title   string
	caption string
	comms   []string     // in the legend
	legend  []legendItem // after comms
	columns []string
	rows    [][]string
	variant string
}

// add draws a chart, unless it would make the page too large. Charts without
// data, and those whose numbers no axis can hold, are left to the table.
func (a *artist) add(figures []figure, c *chart) []figure {
	if c == nil {
		return figures
	}
	id := fmt.Sprintf("chart-%d", a.made+1)
	drawn, err := svg(c.plot, c.height, id, c.title)
	if err != nil {
		return figures
	}
	f := figure{ID: id, Title: c.title, Caption: c.caption, SVG: drawn, Columns: c.columns, Rows: c.rows, Variant: c.variant}
	for _, comm := range c.comms {
		f.Legend = append(f.Legend, a.item(comm))
	}
	f.Legend = append(f.Legend, c.legend...)
	size := len(drawn)
	for _, row := range c.rows {
		size += 30 * len(row)
	}
	if a.size+size > a.budget {
		a.left++
		return figures
	}
	a.size += size
	a.made++
	return append(figures, f)
}

func (a *artist) item(comm string) legendItem {
	n := a.color(comm)
	return legendItem{clean(comm), variable(n), markOf(n)}
}

func (a *artist) color(comm string) int { return colorOf(comm, a.comms) }

// targets is the bandwidth of each target under each communication type.
func (a *artist) targets(g Group) *chart {
	var ids []string
	for _, l := range g.Lines {
		for _, t := range l.Row.Targets {
			if !slices.Contains(ids, t.ID) {
				ids = append(ids, t.ID)
			}
		}
	}
	slices.Sort(ids)
	return a.bars("MiB/s", "target", "Bandwidth per target: "+g.Title(), "Source bytes over measured time.", ids, g.Lines,
		func(l Line, id string) (float64, bool) {
			i := slices.IndexFunc(l.Row.Targets, func(t results.Target) bool { return t.ID == id })
			if i < 0 {
				return 0, false
			}
			return l.Row.Targets[i].MiBPerS, true
		})
}

// overview is the throughput of every transform in one mode.
func (a *artist) overview(mode string) *chart {
	var names []string
	var lines []Line // one per communication type
	rates := map[[2]string]float64{}
	for _, g := range a.r.Groups {
		if g.Mode != mode {
			continue
		}
		name := joined(g.Name(), g.Level)
		names = append(names, name)
		for _, l := range g.Lines {
			rates[[2]string{name, l.Row.Comm}] = l.Row.MiBPerS
			if !slices.ContainsFunc(lines, func(o Line) bool { return o.Row.Comm == l.Row.Comm }) {
				lines = append(lines, l)
			}
		}
	}
	return a.bars("MiB/s", "transform", "Throughput, "+mode, "Source bytes over measured time, all targets together.", names, lines,
		func(l Line, name string) (float64, bool) {
			v, ok := rates[[2]string{name, l.Row.Comm}]
			return v, ok
		})
}

// bars is a bar chart of value(line, category).
func (a *artist) bars(unit, axis, title, caption string, categories []string, lines []Line, value func(Line, string) (float64, bool)) *chart {
	if len(categories) == 0 || len(lines) == 0 {
		return nil
	}
	c := &chart{plot: newPlot("", unit), title: title, caption: caption, columns: []string{axis}}
	var colors []int
	values := make([]plotter.Values, len(lines))
	for _, l := range lines {
		c.comms = append(c.comms, l.Row.Comm)
		c.columns = append(c.columns, clean(l.Row.Comm)+" "+unit)
		colors = append(colors, a.color(l.Row.Comm))
	}
	for _, category := range categories {
		row := []string{clean(category)}
		for i, l := range lines {
			v, ok := value(l, category)
			values[i] = append(values[i], v)
			if ok {
				row = append(row, number(v))
			} else {
				row = append(row, notTold)
			}
		}
		c.rows = append(c.rows, row)
	}
	if addBars(c.plot, categories, colors, values) != nil {
		return nil
	}
	return c
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
