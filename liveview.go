package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
)

// liveView repaints what a run does in place, below what stands on the terminal.
// It changes no mode of the terminal and does not hide the cursor, which stays
// below the frame: whatever ends the program, there is nothing to restore.
type liveView struct {
	w     io.Writer
	title string // such as "etlbench run demo   seed 1"
	color bool
	size  func() (width, height int)
	ended func() bool // the run was told to end

	painted []int // widths of the lines on the terminal
}

// Control sequences of terminals (ECMA-48; the first two are those of
// synchronized output, which terminals that do not know them pass over).
const (
	beginUpdate = "\x1b[?2026h"
	endUpdate   = "\x1b[?2026l"
	eraseLine   = "\x1b[K" // from the cursor to its end
	eraseBelow  = "\x1b[J" // from the cursor to the screen's end
)

// show paints a snapshot over the one before.
func (v *liveView) show(s loader.Progress) {
	width, height := v.size()
	lines := v.frame(s, width)
	v.paint(lines[:min(len(lines), max(1, height-1))], width)
}

// end removes the frame.
func (v *liveView) end() {
	width, _ := v.size()
	v.paint(nil, width)
}

// paint writes a frame at once, so that no terminal shows half of one.
func (v *liveView) paint(lines []string, width int) {
	var b strings.Builder
	b.WriteString(beginUpdate)
	up := 0
	for _, w := range v.painted {
		up += max(1, (w+width-1)/width) // the terminal may have become narrower
	}
	if up > 0 {
		fmt.Fprintf(&b, "\r%s", text.CursorUp.Sprintn(up))
	}
	v.painted = v.painted[:0]
	for _, l := range lines {
		b.WriteString(l + eraseLine + "\n")
		v.painted = append(v.painted, text.StringWidthWithoutEscSequences(l))
	}
	b.WriteString(eraseBelow + endUpdate)
	_, _ = io.WriteString(v.w, b.String()) // a terminal that has gone is no reason to end a run
}

// frame is what there is to see, in lines of at most width columns.
func (v *liveView) frame(s loader.Progress, width int) (lines []string) {
	add := func(cells ...string) { lines = append(lines, pack(cells, width)...) }
	head := []string{v.paintIn(text.Bold, v.title)}
	if s.Arm > 0 {
		head = append(head, fmt.Sprintf("block %d/%d", s.Block, s.Blocks), "arm "+s.Name)
	}
	add(append(head, phaseCell(s))...)
	if v.ended() {
		add(v.paintIn(text.FgYellow, "interrupted: what is under way is finished, then reported; Ctrl-C again quits at once"))
	}
	if s.Live == nil {
		add(v.counts(s)...)
	} else {
		add(v.load(s)...)
		lines = append(lines, percentiles(s.Live)...)
	}
	add(usage(s)...)
	v.health(s, width, add)
	v.arms(s, add)
	for i, l := range lines {
		lines[i] = strings.TrimRight(text.Trim(l, width), " ")
	}
	return lines
}

// pack puts cells side by side, and begins a new line when one has no room.
func pack(cells []string, width int) (lines []string) {
	const gap = "   "
	for _, c := range cells {
		last := len(lines) - 1
		if last >= 0 && text.StringWidthWithoutEscSequences(lines[last]+gap+c) <= width {
			lines[last] += gap + c
		} else {
			lines = append(lines, c)
		}
	}
	return lines
}

func (v *liveView) paintIn(c text.Color, s string) string {
	if !v.color {
		return s
	}
	return c.EscapeSeq() + s + text.Reset.EscapeSeq()
}

// bad shows a number of things that should not be, in red when there are any.
func (v *liveView) bad(s string, n int64) string {
	if n == 0 {
		return s
	}
	return v.paintIn(text.FgRed, s)
}

func phaseCell(s loader.Progress) string {
	cell := s.Phase + " " + minutes(s.PhaseFor)
	if s.PhaseOf > 0 {
		cell += "/" + minutes(s.PhaseOf)
	}
	return cell
}

// minutes is a time as minutes and seconds, or hours before them.
func minutes(d time.Duration) string {
	sec := int(d.Round(time.Second).Seconds())
	if sec >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", sec/3600, sec/60%60, sec%60)
	}
	return fmt.Sprintf("%02d:%02d", sec/60, sec%60)
}

// counts are those of a phase that issues no load.
func (v *liveView) counts(s loader.Progress) (cells []string) {
	if s.Ops > 0 {
		cells = append(cells, humanize.Comma(s.Ops)+" objects", fmt.Sprintf("%.0f/s", s.OpsPerS), fmt.Sprintf("%.1f MiB/s", s.MiBPerS))
	}
	if s.Errors > 0 {
		cells = append(cells, v.bad(fmt.Sprintf("errors %d", s.Errors), s.Errors))
	}
	return cells
}

func (v *liveView) load(s loader.Progress) (cells []string) {
	l := s.Live
	achieved := fmt.Sprintf("achieved %s/s", humanize.Comma(int64(math.Round(l.AchievedPerS))))
	if l.OfferedPerS > 0 {
		cells = append(cells, fmt.Sprintf("offered %s/s", humanize.Comma(int64(math.Round(l.OfferedPerS)))))
		achieved += fmt.Sprintf(" (%.1f%%)", 100*l.AchievedPerS/l.OfferedPerS)
	}
	errs := fmt.Sprintf("errors %s", humanize.Comma(s.Errors))
	var classes []string
	for _, e := range l.Errors[:min(3, len(l.Errors))] {
		classes = append(classes, fmt.Sprintf("%s %s", e.Class, humanize.Comma(e.Count)))
	}
	if classes != nil {
		errs += " (" + strings.Join(classes, ", ") + ")"
	}
	return append(cells, achieved, fmt.Sprintf("in-flight %d/%d", l.InFlight, l.Cap),
		v.bad("shed "+humanize.Comma(s.Shed), s.Shed), v.bad(errs, s.Errors))
}

// percentiles are those of the phase so far.
func percentiles(l *loader.Live) []string {
	row := func(name string, cells ...string) string {
		line := fmt.Sprintf("%-9s", name)
		for _, c := range cells {
			line += fmt.Sprintf("%10s", c)
		}
		return line
	}
	q := &l.Response
	told := func(v *float64) string {
		if v == nil && q.Infinite > 0 {
			return "inf" // among those that were never served
		}
		return msCell(v)
	}
	return []string{
		row("", "p50", "p90", "p99", "p99.9", "max"),
		row("response", told(q.P50Ms), told(q.P90Ms), told(q.P99Ms), told(q.P999Ms), told(q.MaxMs)),
		fmt.Sprintf("%-9sservice p99 %s   delay p99 %s", "", msCell(l.Service.P99Ms), msCell(l.Delay.P99Ms)),
	}
}

// msCell is a time in milliseconds, with three digits.
func msCell(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v >= 1000:
		return fmt.Sprintf("%.3gs", *v/1000)
	case *v < 1:
		return fmt.Sprintf("%.3gus", *v*1000)
	}
	return fmt.Sprintf("%.3gms", *v)
}

// usage is bytes and CPUs.
func usage(s loader.Progress) (cells []string) {
	if s.Live != nil {
		cells = append(cells, fmt.Sprintf("MiB/s in %.1f  out %.1f", s.Live.InMiBPerS, s.Live.OutMiBPerS))
	}
	if len(s.Use) > 0 {
		cpus := "CPUs"
		for _, u := range s.Use {
			cpus += fmt.Sprintf("  %s %.2f", u.Component, u.CPUs)
		}
		cells = append(cells, cpus)
	}
	return cells
}

// busyShare is the share of its CPUs above which a generator's times are
// doubtful, as the verdict on the run has it.
const busyShare = 0.8

// health is how the generator fares, with the p99 of each interval in front.
func (v *liveView) health(s loader.Progress, width int, add func(...string)) {
	var cells []string
	if g := s.Generator; g != nil {
		cells = append(cells, v.generator(g))
	}
	if s.Live != nil && len(s.Live.P99s) > 0 {
		const label = "p99 by interval  "
		most := 40
		if room := width - len(label); room < most {
			most = max(1, room)
		}
		cells = append([]string{label + sparkline(s.Live.P99s, most)}, cells...)
	}
	add(cells...)
}

func (v *liveView) generator(g *results.Generator) string {
	word, color := "OK", text.FgGreen
	if g.CPUShare > busyShare || g.ThrottledTimes != nil && *g.ThrottledTimes > 0 {
		word, color = "BUSY", text.FgYellow
	}
	cell := fmt.Sprintf("generator %s  cpu %.0f%%", v.paintIn(color, word), 100*g.CPUShare)
	if g.GCPauseP99Ms != nil {
		cell += "  gc p99 " + msCell(g.GCPauseP99Ms)
	}
	if g.ThrottledTimes != nil {
		cell += fmt.Sprintf("  throttled %d", *g.ThrottledTimes)
	}
	return cell
}

// sparkline draws the last values, at most so many, between 0 and the largest.
func sparkline(values []float64, most int) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	values = values[max(0, len(values)-most):]
	top := slices.Max(values)
	var b strings.Builder
	for _, x := range values {
		i := 0
		if top > 0 {
			i = min(int(x/top*float64(len(levels))), len(levels)-1)
		}
		b.WriteRune(levels[i])
	}
	return b.String()
}

// shownArms is how many arms are told of one by one.
const shownArms = 12

// arms are how far each is, and what comes next.
func (v *liveView) arms(s loader.Progress, add func(...string)) {
	var cells []string
	for _, a := range s.Done[:min(len(s.Done), shownArms)] {
		const wide = 7
		n := a.Done * wide / max(1, s.Blocks)
		cells = append(cells, fmt.Sprintf("%s [%s%s] %d", a.Name, strings.Repeat("#", n), strings.Repeat(" ", wide-n), a.Done))
	}
	if more := len(s.Done) - shownArms; more > 0 {
		cells = append(cells, fmt.Sprintf("and %d more arms", more))
	}
	if s.Blocks > 1 {
		add(cells...)
	}
	var last []string
	if s.Arms > 0 {
		last = append(last, fmt.Sprintf("step %d/%d", s.Arm, s.Arms))
	}
	if s.Next != "" {
		last = append(last, "next "+s.Next)
	}
	if s.Left > 0 {
		last = append(last, "eta "+minutes(s.Left))
	}
	add(last...)
}

// newRunProgress shows a run in the form that suits where it goes. The caller
// ends it.
func newRunProgress(ctx context.Context, e *env, title string, live bool) *progress {
	p := newProgress(e)
	if !live || !p.tty || e.size == nil || e.get("TERM") == "dumb" {
		p.tty = false
		return p
	}
	p.live = &liveView{w: p.w, title: title, color: e.get("NO_COLOR") == "", size: e.size, ended: func() bool { return ctx.Err() != nil }}
	return p
}
