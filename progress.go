package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/etlbench/etlbench/loader"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// terminalSize is that of standard error; of one that does not tell 80x24.
func terminalSize() (width, height int) {
	width, height, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// progress shows how far something is: one line that is repainted on a
// terminal, and elsewhere a line every five seconds and at every new step. A
// run has a view of its own on a terminal.
type progress struct {
	live  *liveView // nil: lines
	w     io.Writer
	tty   bool
	last  time.Time
	step  string
	width int // of what stands on the terminal's line
}

func newProgress(e *env) *progress { return &progress{w: e.err, tty: e.outTTY} }

// plainEvery is the pace off a terminal.
const plainEvery = 5 * time.Second

// show is called a few times a second.
func (p *progress) show(s loader.Progress) {
	if p.live != nil {
		p.live.show(s)
		return
	}
	p.line(fmt.Sprintf("%d/%d %s %s", s.Arm, s.Arms, s.Name, s.Phase), progressLine(s))
}

// line shows a line: off a terminal when the step is a new one, or when it is
// time again.
func (p *progress) line(step, line string) {
	if p.tty {
		pad := max(0, p.width-len(line))
		p.width = len(line)
		fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", pad))
		return
	}
	if step == p.step && time.Since(p.last) < plainEvery {
		return
	}
	p.step, p.last = step, time.Now()
	fmt.Fprintln(p.w, line)
}

// progressLine is what is happening, its rate, its errors, and the time left.
func progressLine(s loader.Progress) string {
	var b strings.Builder
	if s.Arm > 0 {
		fmt.Fprintf(&b, "[%2d/%d] ", s.Arm, s.Arms)
		if s.Blocks > 1 {
			fmt.Fprintf(&b, "block %d/%d ", s.Block, s.Blocks)
		}
		fmt.Fprintf(&b, "%s: ", s.Name)
	}
	b.WriteString(s.Phase)
	if s.Ops > 0 {
		fmt.Fprintf(&b, " %d ops", s.Ops)
	}
	if s.OpsPerS > 0 {
		fmt.Fprintf(&b, ", %.0f/s, %.1f MiB/s", s.OpsPerS, s.MiBPerS)
	}
	if l := s.Live; l != nil && l.Response.P99Ms != nil {
		fmt.Fprintf(&b, ", p50 %s, p99 %s, %d in flight", msCell(l.Response.P50Ms), msCell(l.Response.P99Ms), l.InFlight)
	}
	if s.Shed > 0 {
		fmt.Fprintf(&b, ", %d SHED", s.Shed)
	}
	if s.Errors > 0 {
		fmt.Fprintf(&b, ", %d ERRORS", s.Errors)
	}
	if s.Left > 0 {
		fmt.Fprintf(&b, ", %s left", s.Left.Round(time.Second))
	}
	return b.String()
}

// end leaves the terminal's line.
func (p *progress) end() {
	if p.live != nil {
		p.live.end()
	}
	if p.tty && p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
	}
}
