package reports

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a chart, in the units of its viewBox; the page scales it.
const (
	chartWidth  = 480
	chartHeight = 260
)

// The style sheet decides on colours, by the reader's preference for light or
// dark. While gonum draws, a colour is a token that svg replaces; black stands
// for the colour of text.
const tokenRed, tokenGreen = 0x12, 0x34

func token(n uint8) color.Color { return color.RGBA{tokenRed, tokenGreen, n, 0xff} }

const (
	gridToken    = 0xf0
	warmupToken  = 0xf1
	faultToken   = 0xf2
	partToken    = 0x20 // the first of the parts of a whole
	paletteSize  = 8
	tokenPattern = `#1234([0-9A-F]{2})`
)

// variable is a token's in the style sheet.
func variable(token int) string { return fmt.Sprintf("--c%02x", token) }

// colorOf is the place in the palette of a communication type. The known ones
// keep theirs in every chart of every run, so that reports can be read side by
// side; others get, in the order of comms, the spare places and then those of
// known types that comms does not have.
func colorOf(comm string, comms []string) int {
	known := []string{"hpush", "hpull", "hrev", "io", "none"}
	if i := slices.Index(known, comm); i >= 0 {
		return i
	}
	var free []int
	for i := len(known); i < paletteSize; i++ {
		free = append(free, i)
	}
	for i, k := range known {
		if !slices.Contains(comms, k) {
			free = append(free, i)
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(comms), func(c string) bool { return slices.Contains(known, c) })
	return free[max(slices.Index(unknown, comm), 0)%len(free)]
}

// newPlot is a plot without background or title (its caption is HTML), with
// sans-serif text. Without a label for x, x has no grid: it is categories.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		for _, s := range []*text.Style{&a.Label.TextStyle, &a.Tick.Label} {
			s.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
		}
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.5, 0.5
		a.Padding = 2
		a.Tick.Marker = plot.TickerFunc(linearTicks)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, token(gridToken)
	grid.Vertical.Width, grid.Horizontal.Width = 0.5, 0.5
	if x != "" {
		grid.Vertical.Color = token(gridToken)
	}
	p.Add(grid)
	return p
}

// line is one line of a chart.
type line struct {
	color  int
	points plotter.XYs
	dashed bool
}

func addLine(p *plot.Plot, l line) error {
	pl, err := plotter.NewLine(l.points)
	if err != nil {
		return err
	}
	pl.Color, pl.Width = token(uint8(l.color)), 1.5
	if l.dashed {
		pl.Width, pl.Dashes = 1, []vg.Length{3, 2}
	}
	p.Add(pl)
	return nil
}

// addMarks puts the mark of a communication type on some points, for those who
// do not see the colours.
func addMarks(p *plot.Plot, l line) error { return addShaped(p, l, l.color) }

// addShaped puts the mark of a shape, of which there are four, on some points.
func addShaped(p *plot.Plot, l line, shape int) error {
	s, err := plotter.NewScatter(l.points)
	if err != nil {
		return err
	}
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}}
	s.GlyphStyle = draw.GlyphStyle{Color: token(uint8(l.color)), Radius: 3, Shape: shapes[shape%len(shapes)]}
	p.Add(s)
	return nil
}

// addInterval draws a line from low to high on the row y, behind a mark.
func addInterval(p *plot.Plot, low, high, y float64, color int) error {
	return addLine(p, line{color: color, points: plotter.XYs{{X: low, Y: y}, {X: high, Y: y}}})
}

// addBand fills what lies between low and high.
func addBand(p *plot.Plot, low, high plotter.XYs, color uint8) error {
	around := slices.Clone(high)
	slices.Reverse(around)
	area, err := plotter.NewPolygon(append(slices.Clone(low), around...))
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = token(color), 0
	p.Add(area)
	return nil
}

// rowHeight is that of a row of marks or bars.
const rowHeight = 22

// rowsPlot is a plot with a row for each label, the first at the top: row i is
// at y = len(labels)-1-i.
func rowsPlot(x string, labels []string) (p *plot.Plot, height int) {
	p = newPlot(x, "")
	var ticks plot.ConstantTicks
	for i, l := range labels {
		ticks = append(ticks, plot.Tick{Value: float64(len(labels) - 1 - i), Label: short(l, 28)})
	}
	p.Y.Tick.Marker, p.Y.Tick.LineStyle.Color = ticks, color.Transparent
	p.Y.Min, p.Y.Max = -0.6, float64(len(labels))-0.4
	return p, 60 + rowHeight*len(labels)
}

// addStack draws parts of wholes as bars that continue each other, one for each
// row of rowsPlot; parts[k][i] is part k of row i.
func addStack(p *plot.Plot, parts []plotter.Values) error {
	var below *plotter.BarChart
	for k, values := range parts {
		values = slices.Clone(values)
		slices.Reverse(values)
		bars, err := plotter.NewBarChart(values, rowHeight*0.6)
		if err != nil {
			return err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, token(uint8(partToken+k)), 0
		if below != nil {
			bars.StackOn(below)
		}
		p.Add(bars)
		below = bars
	}
	if math.IsInf(p.X.Max, 0) || p.X.Max > 1e15 {
		return errors.New("values too large to be drawn")
	}
	p.X.Min, p.X.Max = 0, max(p.X.Max*1.05, 1e-3)
	p.Y.Min, p.Y.Max = -0.6, float64(len(parts[0]))-0.4
	return nil
}

// markOf is addMarks' shape as a character.
func markOf(color int) string { return []string{"●", "■", "▲", "○"}[color%4] }

// addBars draws a group of bars per category; values[i] are those of the
// series with colors[i], in the order of the categories.
func addBars(p *plot.Plot, categories []string, colors []int, values []plotter.Values) error {
	slot := vg.Length(chartWidth-70) / vg.Length(len(categories))
	width := min(slot*0.8/vg.Length(len(values)), 40)
	for i, v := range values {
		bars, err := plotter.NewBarChart(v, width)
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = token(uint8(colors[i])), 0
		bars.Offset = width * (vg.Length(i) - vg.Length(len(values)-1)/2)
		p.Add(bars)
	}
	labels := make([]plot.Tick, len(categories))
	for i, c := range categories {
		labels[i] = plot.Tick{Value: float64(i), Label: short(c, 16)}
	}
	p.X.Tick.Marker = plot.ConstantTicks(labels)
	// Invisible ticks keep the labels off the axis.
	p.X.Tick.LineStyle.Color, p.X.Tick.Length = color.Transparent, 4
	p.X.Min, p.X.Max = -0.5, float64(len(categories))-0.5
	if longest := slices.MaxFunc(labels, func(a, b plot.Tick) int { return len(a.Label) - len(b.Label) }); slot < vg.Length(7*len(longest.Label)) {
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/4, text.XRight, text.YTop
	}
	return fromZero(p)
}

// fromZero begins the y axis at 0, where bars and rates must, and leaves room
// above the highest value.
func fromZero(p *plot.Plot) error {
	if math.IsInf(p.Y.Max, 0) || p.Y.Max > 1e15 {
		return errors.New("values too large to be drawn")
	}
	p.Y.Min, p.Y.Max = 0, max(p.Y.Max*1.05, 1e-3)
	return nil
}

// linearTicks labels about five round numbers; gonum's own choice is often
// two.
func linearTicks(lo, hi float64) []plot.Tick {
	rough := (hi - lo) / 5
	step := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, factor := range []float64{5, 2} {
		if step*factor <= rough*1.2 {
			step *= factor
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i * step)})
	}
	return ticks
}

func tickLabel(v float64) string {
	if v < 1000 {
		v += 0 // no "-0"
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return number(v)
}

// logarithmic makes an axis so. All its values must be above 0.
func logarithmic(a *plot.Axis) error {
	if a.Min <= 0 || math.IsInf(a.Max, 0) || a.Max > 1e15 {
		return errors.New("values cannot be drawn on a logarithmic axis")
	}
	a.Min, a.Max = a.Min/1.2, a.Max*1.2
	a.Scale, a.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	return nil
}

// logTicks labels 1, 2 and 5 of each decade, or whole decades when there are
// many, and round numbers when there are too few.
func logTicks(lo, hi float64) []plot.Tick {
	steps := []float64{1, 2, 5}
	if hi/lo > 1000 {
		steps = steps[:1]
	}
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= lo && v <= hi {
				ticks = append(ticks, plot.Tick{Value: v, Label: tickLabel(v)})
			}
		}
	}
	if len(ticks) < 2 {
		return linearTicks(lo, hi)
	}
	return ticks
}

// svg draws p and makes the result fit to stand in a page: no prologue, no
// fixed size, no fonts, colours of the style sheet, and a title that screen
// readers find by id.
func svg(p *plot.Plot, height int, id, title string) (template.HTML, error) {
	if height == 0 {
		height = chartHeight
	}
	canvas := vgsvg.New(chartWidth, vg.Length(height))
	// A page's font may be wider than gonum's: labels at the ends need room.
	p.Draw(draw.Crop(draw.New(canvas), 0, -14, 4, 0))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	_, body, found := strings.Cut(b.String(), "xlink\">")
	if !found {
		return "", errors.New("svg: no root element")
	}
	body = regexp.MustCompile(`font-family:[^;]*;font-variant:[^;]*;font-weight:[^;]*;font-style:[^;]*;`).ReplaceAllString(body, "")
	body = regexp.MustCompile(tokenPattern).ReplaceAllStringFunc(body, func(s string) string {
		return "var(--c" + strings.ToLower(s[5:]) + ")"
	})
	body = strings.ReplaceAll(body, "#000000", "currentColor")
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="%s-title" viewBox="0 0 %d %d" fill="currentColor"><title id="%s-title">%s</title>`,
		id, chartWidth, height, id, html.EscapeString(title))
	return template.HTML(head + strings.TrimSpace(body)), nil
}
