package reports

import (
	"math"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// distribution is the times of an arm's operations. Late ones stand behind all
// of them.
type distribution struct {
	*hdrhistogram.Histogram
	late int64
}

func (d distribution) count() float64 { return float64(d.TotalCount() + d.late) }

// at is the time in ms at x = 1/(1-q), and whether it is finite.
func (d distribution) at(x float64) (float64, bool) {
	rank := d.count() * (1 - 1/x) / float64(d.TotalCount())
	return ms(d.ValueAtPercentile(100 * min(rank, 1))), rank <= 1
}

// response and service are the two times of an arm; the second has no late
// operations: it is of those that were sent.
func response(l Line) distribution { return distribution{l.Series.Response, l.Row.Response.Infinite} }
func service(l Line) distribution  { return distribution{l.Series.Service, 0} }

// delayed tells whether response and service times differ anywhere: only then
// is there something to choose.
func (a *artist) delayed() bool {
	for _, s := range a.r.Evidence.Series {
		if s.Row.Mode == "inline" && (s.Row.Response.Infinite > 0 || s.Row.Delay.MeanMs != nil && *s.Row.Delay.MeanMs > 0) {
			return true
		}
	}
	return false
}

func (a *artist) responseTimes(g Group) *chart {
	c := a.latency(g, "Response time: ", "From when an operation was due to its last byte.", response)
	if c != nil && a.delayed() {
		c.variant = "v0"
	}
	return c
}

// serviceTimes is nil where they are the response times.
func (a *artist) serviceTimes(g Group) *chart {
	if !a.delayed() {
		return nil
	}
	c := a.latency(g, "Service time: ", "From when an operation was sent to its last byte: what the response time is without the start delay.", service)
	if c != nil {
		c.variant = "v1"
	}
	return c
}

// latency is the percentile curves of an inline group.
func (a *artist) latency(g Group, title, caption string, of func(Line) distribution) *chart {
	if g.Mode != "inline" {
		return nil
	}
	c := &chart{
		plot:  newPlot("percentile of operations", "ms"),
		title: title + g.Title(), caption: caption + " The share of slower operations shrinks tenfold from mark to mark; a line ends at the slowest.",
		columns: []string{"comm", "0 %", "50 %", "90 %", "99 %", "99.9 %", "100 % (max)", "never served"},
	}
	most, tails := 0.0, []line{}
	for _, l := range g.Lines {
		d := of(l)
		if d.Histogram == nil || d.TotalCount() == 0 {
			continue
		}
		n := a.color(l.Row.Comm)
		curve := d.curve(n)
		if addLine(c.plot, curve) != nil || addMarks(c.plot, d.marks(n)) != nil {
			return nil
		}
		if d.late > 0 {
			last := curve.points[len(curve.points)-1]
			tails = append(tails, line{color: n, dashed: true, points: plotter.XYs{last, {X: last.X}, {X: d.count()}}})
		}
		most = max(most, d.count())
		c.comms = append(c.comms, l.Row.Comm)
		c.rows = append(c.rows, d.cells(l))
	}
	if most < 2 || logarithmic(&c.plot.Y) != nil {
		return nil
	}
	if addTails(c, tails) != nil {
		return nil
	}
	c.plot.X.Scale, c.plot.X.Min, c.plot.X.Max = plot.LogScale{}, 1, most*1.05
	c.plot.X.Tick.Marker = percentileTicks(most)
	return c
}

// addTails draws what was never served as lines to the top and along it.
func addTails(c *chart, tails []line) error {
	if len(tails) == 0 {
		return nil
	}
	c.caption += " Dashed, along the top: shed, unsent or timed out, which counts as infinitely late."
	top := c.plot.Y.Max * 1.3
	for _, t := range tails {
		t.points[1].Y, t.points[2].Y = top, top
		if err := addLine(c.plot, t); err != nil {
			return err
		}
	}
	c.plot.Y.Max = top * 1.1
	return nil
}

func (d distribution) cells(l Line) []string {
	row := []string{clean(l.Row.Comm)}
	for _, q := range []float64{0, 50, 90, 99, 99.9, 100} {
		if v, finite := d.at(1 / (1 - q/100)); finite || q == 0 {
			row = append(row, number(v))
		} else {
			row = append(row, infinite)
		}
	}
	return append(row, strconv.FormatInt(d.late, 10))
}

// curve samples a distribution at x = 1/(1-q), from the fastest operation (1)
// to the slowest that ended.
func (d distribution) curve(color int) line {
	last := d.count()
	if d.late > 0 {
		last /= float64(d.late) // where the late ones begin
	}
	l := line{color: color}
	for i := range maxPoints + 1 {
		x := math.Pow(last, float64(i)/maxPoints)
		y, _ := d.at(x)
		l.points = append(l.points, plotter.XY{X: x, Y: y})
	}
	l.points[maxPoints].Y = ms(d.Max())
	return l
}

// marks is the points of the labelled percentiles.
func (d distribution) marks(color int) line {
	l := line{color: color}
	if d.late == 0 {
		l.points = plotter.XYs{{X: d.count(), Y: ms(d.Max())}}
	}
	for x := 10.0; x < d.count(); x *= 10 {
		if y, finite := d.at(x); finite {
			l.points = append(l.points, plotter.XY{X: x, Y: y})
		}
	}
	if len(l.points) == 0 {
		y, _ := d.at(1)
		l.points = plotter.XYs{{X: 1, Y: y}}
	}
	return l
}

// percentileTicks labels 0, 50, 90, 99 … percent, and 100 at the right end
// where it does not run into the one before.
func percentileTicks(end float64) plot.ConstantTicks {
	ticks := plot.ConstantTicks{{Value: 1, Label: "0%"}, {Value: 2, Label: "50%"}}
	if end > 1000 { // 0 and 50 would touch
		ticks = ticks[1:]
	}
	for x := 10.0; x*2.5 < end; x *= 10 {
		label := strconv.FormatFloat(100*(1-1/x), 'g', 12, 64) + "%"
		ticks = append(ticks, plot.Tick{Value: x, Label: label})
	}
	return append(ticks, plot.Tick{Value: end, Label: "100%"})
}
