package reports

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
}

type legendItem struct {
	Comm  string
	Color string // a variable of the style sheet
	Mark  string
}

// chartSection is the charts of one group, or of all.
type chartSection struct {
	Title   string
	Figures []figure
}

// artist makes the charts of one report.
type artist struct {
	r     *Report
	comms []string // all, in order of appearance
	made  int      // figures, for their ids
	size  int      // bytes of the page taken by them
	left  int      // figures that did not fit
}

// maxCharts is how many bytes the charts and their data may take of the page.
const maxCharts = 700 << 10

func newArtist(r *Report) *artist {
	a := &artist{r: r}
	for _, row := range r.Run.Summary.Rows {
		if !slices.Contains(a.comms, row.Comm) {
			a.comms = append(a.comms, row.Comm)
		}
	}
	return a
}

// sections draws everything that there are data for.
func (a *artist) sections() []chartSection {
	all := chartSection{Title: "All transforms"}
	for _, mode := range a.modes() {
		a.add(&all, a.overview(mode))
	}
	sections := []chartSection{all}
	for _, g := range a.r.Groups {
		s := chartSection{Title: g.Title()}
		a.add(&s, a.latency(g))
		a.add(&s, a.targets(g))
		a.add(&s, a.overTime(g))
		sections = append(sections, s)
	}
	return slices.DeleteFunc(sections, func(s chartSection) bool { return len(s.Figures) == 0 })
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

// chart is a figure to be drawn; nil plot: there are no data for it.
type chart struct {
	plot    *plot.Plot
	title   string
	caption string
	comms   []string
	columns []string
	rows    [][]string
}

// add draws a chart, unless it would make the page too large. Charts without
// data, and those whose numbers no axis can hold, are left to the table.
func (a *artist) add(s *chartSection, c *chart) {
	if c == nil {
		return
	}
	id := fmt.Sprintf("chart-%d", a.made+1)
	drawn, err := svg(c.plot, id, c.title)
	if err != nil {
		return
	}
	f := figure{ID: id, Title: c.title, Caption: c.caption, SVG: drawn, Columns: c.columns, Rows: c.rows}
	for _, comm := range c.comms {
		n := a.color(comm)
		f.Legend = append(f.Legend, legendItem{clean(comm), fmt.Sprintf("--c%02x", n), markOf(n)})
	}
	size := len(drawn)
	for _, row := range c.rows {
		size += 30 * len(row)
	}
	if a.size+size > maxCharts {
		a.left++
		return
	}
	a.size += size
	a.made++
	s.Figures = append(s.Figures, f)
}

func (a *artist) color(comm string) int { return colorOf(comm, a.comms) }

// latency is the percentile curves of an inline group.
func (a *artist) latency(g Group) *chart {
	if g.Mode != "inline" {
		return nil
	}
	c := &chart{
		plot:    newPlot("percentile of operations", "ms"),
		title:   "Latency percentiles: " + g.Title(),
		caption: "Time from when a request was due to its last byte. The share of slower operations shrinks tenfold from mark to mark; each line ends at its slowest operation.",
		columns: []string{"comm", "0 %", "50 %", "90 %", "99 %", "99.9 %", "100 % (max)"},
	}
	most := int64(0)
	for _, l := range g.Lines {
		h := l.Series.Response
		if h == nil || h.TotalCount() == 0 {
			continue
		}
		curve := percentiles(h, a.color(l.Row.Comm))
		if addLine(c.plot, curve) != nil || addMarks(c.plot, atMarks(h, curve.color)) != nil {
			return nil
		}
		most = max(most, h.TotalCount())
		c.comms = append(c.comms, l.Row.Comm)
		row := []string{clean(l.Row.Comm)}
		for _, q := range []float64{0, 50, 90, 99, 99.9, 100} {
			row = append(row, number(ms(h.ValueAtPercentile(q))))
		}
		c.rows = append(c.rows, row)
	}
	if most < 2 || logY(c.plot) != nil {
		return nil
	}
	c.plot.X.Scale, c.plot.X.Min, c.plot.X.Max = plot.LogScale{}, 1, float64(most)*1.05
	c.plot.X.Tick.Marker = percentileTicks(most)
	return c
}

// percentiles samples a histogram at x = 1/(1-q), from the fastest operation
// (1) to the slowest (their number).
func percentiles(h *hdrhistogram.Histogram, color int) line {
	last := float64(h.TotalCount())
	l := line{color: color}
	for i := range maxPoints + 1 {
		x := math.Pow(last, float64(i)/maxPoints)
		l.points = append(l.points, plotter.XY{X: x, Y: ms(h.ValueAtPercentile(100 * (1 - 1/x)))})
	}
	l.points[maxPoints].Y = ms(h.Max())
	return l
}

// atMarks is the points of the labelled percentiles.
func atMarks(h *hdrhistogram.Histogram, color int) line {
	last := float64(h.TotalCount())
	l := line{color: color, points: plotter.XYs{{X: last, Y: ms(h.Max())}}}
	for x := 10.0; x < last; x *= 10 {
		l.points = append(l.points, plotter.XY{X: x, Y: ms(h.ValueAtPercentile(100 * (1 - 1/x)))})
	}
	return l
}

// percentileTicks labels 0, 50, 90, 99 … percent, and 100 at the right end
// where it does not run into the one before.
func percentileTicks(most int64) plot.ConstantTicks {
	ticks := plot.ConstantTicks{{Value: 1, Label: "0%"}, {Value: 2, Label: "50%"}}
	if most > 1000 { // 0 and 50 would touch
		ticks = ticks[1:]
	}
	end := float64(most)
	for x := 10.0; x*2.5 < end; x *= 10 {
		label := strconv.FormatFloat(100*(1-1/x), 'g', 12, 64) + "%"
		ticks = append(ticks, plot.Tick{Value: x, Label: label})
	}
	return append(ticks, plot.Tick{Value: end, Label: "100%"})
}

// overTime is the throughput of each interval, all arms beginning together.
func (a *artist) overTime(g Group) *chart {
	c := &chart{
		plot:    newPlot("seconds since the measured part began", "MiB/s"),
		title:   "Throughput over time: " + g.Title(),
		caption: "Source bytes of the operations that ended in each interval. Grey and dashed: warm-up, not part of any number.",
		columns: []string{"comm", "phase", "second", "MiB/s"},
	}
	for _, l := range g.Lines {
		warm, measured := rates(l)
		if len(measured) < 2 {
			continue
		}
		if len(warm) > 0 {
			warm = append(warm, measured[0]) // no gap between the two
		}
		if a.addRates(c, l.Row.Comm, "warm-up", warm) != nil || a.addRates(c, l.Row.Comm, "measure", measured) != nil {
			return nil
		}
		c.comms = append(c.comms, l.Row.Comm)
	}
	if len(c.comms) == 0 || fromZero(c.plot) != nil {
		return nil
	}
	return c
}

func (a *artist) addRates(c *chart, comm, phase string, points plotter.XYs) error {
	if len(points) == 0 {
		return nil
	}
	points = thin(points)
	for _, p := range points {
		c.rows = append(c.rows, []string{clean(comm), phase, strconv.FormatFloat(p.X, 'f', 1, 64), number(p.Y)})
	}
	return addLine(c.plot, line{color: a.color(comm), points: points, dashed: phase != "measure"})
}

// shortest is the shortest interval that makes a point: the rest of a second at
// the end of a phase says little of the rate and much of chance.
const shortest = 500 * time.Millisecond

// rates are the MiB/s of an arm's intervals over the seconds since its first
// measured one.
func rates(l Line) (warm, measured plotter.XYs) {
	var origin time.Time
	for _, p := range l.Series.Points {
		if !p.Warmup && (origin.IsZero() || p.Start.Before(origin)) {
			origin = p.Start
		}
	}
	for _, p := range l.Series.Points {
		if p.Duration <= 0 || p.Duration < shortest && l.Row.Mode != "offline" && l.Row.Seconds > 2*shortest.Seconds() {
			continue
		}
		xy := plotter.XY{
			X: p.Start.Sub(origin).Seconds() + p.Duration.Seconds()/2,
			Y: float64(p.BytesIn) / (1 << 20) / p.Duration.Seconds(),
		}
		if p.Warmup {
			warm = append(warm, xy)
		} else {
			measured = append(measured, xy)
		}
	}
	for _, points := range []plotter.XYs{warm, measured} {
		sort.Slice(points, func(i, j int) bool { return points[i].X < points[j].X })
	}
	return warm, measured
}

// thin averages neighbours until at most maxPoints are left.
func thin(points plotter.XYs) plotter.XYs {
	n := (len(points) + maxPoints - 1) / maxPoints
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
	return a.bars("target", "Bandwidth per target: "+g.Title(), "Source bytes over measured time.", ids, g.Lines,
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
		names = append(names, g.Name())
		for _, l := range g.Lines {
			rates[[2]string{g.Name(), l.Row.Comm}] = l.Row.MiBPerS
			if !slices.ContainsFunc(lines, func(o Line) bool { return o.Row.Comm == l.Row.Comm }) {
				lines = append(lines, l)
			}
		}
	}
	return a.bars("transform", "Throughput, "+mode, "Source bytes over measured time, all targets together.", names, lines,
		func(l Line, name string) (float64, bool) {
			v, ok := rates[[2]string{name, l.Row.Comm}]
			return v, ok
		})
}

// bars is a bar chart of value(line, category).
func (a *artist) bars(axis, title, caption string, categories []string, lines []Line, value func(Line, string) (float64, bool)) *chart {
	if len(categories) == 0 || len(lines) == 0 {
		return nil
	}
	c := &chart{plot: newPlot("", "MiB/s"), title: title, caption: caption, columns: []string{axis}}
	var colors []int
	values := make([]plotter.Values, len(lines))
	for _, l := range lines {
		c.comms = append(c.comms, l.Row.Comm)
		c.columns = append(c.columns, clean(l.Row.Comm)+" MiB/s")
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
