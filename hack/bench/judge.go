package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// demand is a ratio that the data path is held to, at 16 connections.
type demand struct {
	what, arm, other string
	sizes            []string // none: all that were measured
	least, most      float64  // most 0: no bound
}

const demandAt = 16 // connections

func demands() []demand {
	small := []string{"4KiB"}
	return []demand{
		{"plain GET / bare epoll", "get", "epoll", small, 0.75, 0},
		{"plain GET / net/http", "get", "nethttp", small, 1.6, 0},
		{"hpush / plain GET", "hpush", "get", nil, 0.35, 0},
		{"hpush / net/http relay", "hpush", "nethttp-hpush", small, 2, 0},
		{"hrev / hpush", "hrev", "hpush", nil, 0.8, 0},
		{"ws / hpush", "ws", "hpush", small, 0.8, 1.2},
		{"shm / hpush", "shm", "hpush", []string{"4KiB"}, 1.15, 0},
		{"shm / hpush", "shm", "hpush", []string{"64KiB"}, 1.4, 0},
		{"shm / hpush", "shm", "hpush", []string{"1MiB"}, 1.1, 0},
		{"shm / hpush", "shm", "hpush", []string{"16MiB"}, 1.3, 0},
		{"shm / plain GET", "shm", "get", []string{"4KiB", "64KiB", "1MiB"}, 0.45, 0},
	}
}

// noise is how far an A/A pair may be apart.
const noise = 0.10

// cell is what is measured under one size and number of connections.
type cell struct {
	size    string
	workers int
}

// numbers are samples, by arm's communication type or endpoint, cell and block.
type numbers struct {
	cells  []cell
	arms   []string
	blocks int
	by     map[string]map[cell]map[int]*results.Measured
}

func numbersOf(s *results.Summary) *numbers {
	n := &numbers{by: map[string]map[cell]map[int]*results.Measured{}}
	arms := map[string]results.Arm{}
	for _, a := range s.Arms {
		arms[a.Name] = a
	}
	for i := range s.Samples {
		x := &s.Samples[i]
		a := arms[x.Arm]
		c := cell{a.Size, a.Workers}
		if x.Partial {
			continue
		}
		if n.by[a.Comm] == nil {
			n.by[a.Comm] = map[cell]map[int]*results.Measured{}
		}
		if n.by[a.Comm][c] == nil {
			n.by[a.Comm][c] = map[int]*results.Measured{}
		}
		n.by[a.Comm][c][x.Block] = &x.Measured
		n.blocks = max(n.blocks, x.Block)
	}
	for _, a := range s.Arms { // in the scenario's order
		if c := (cell{a.Size, a.Workers}); !slices.Contains(n.cells, c) {
			n.cells = append(n.cells, c)
		}
		if !slices.Contains(n.arms, a.Comm) {
			n.arms = append(n.arms, a.Comm)
		}
	}
	return n
}

// rate is operations in a second.
func rate(m *results.Measured) float64 { return m.OpsPerS }

// cpu is CPU microseconds an operation of some components; NaN when not known.
func cpu(components ...string) func(m *results.Measured) float64 {
	return func(m *results.Measured) float64 {
		sum, known := 0.0, false
		for _, r := range m.Resources {
			if slices.Contains(components, r.Component) && r.CPUUsPerOp != nil {
				sum, known = sum+*r.CPUUsPerOp, true
			}
		}
		if !known {
			return math.NaN()
		}
		return sum
	}
}

var served = cpu(results.ComponentTarget, results.ComponentTransformer)

// values are those of a number, one a block.
func (n *numbers) values(arm string, c cell, f func(*results.Measured) float64) (list []float64) {
	for b := 1; b <= n.blocks; b++ {
		if m := n.by[arm][c][b]; m != nil {
			list = append(list, f(m))
		}
	}
	return list
}

// ratios are those of two arms, one a block.
func (n *numbers) ratios(arm, other string, c cell, f func(*results.Measured) float64) (list []float64) {
	for b := 1; b <= n.blocks; b++ {
		x, y := n.by[arm][c][b], n.by[other][c][b]
		if x != nil && y != nil && f(y) > 0 {
			list = append(list, f(x)/f(y))
		}
	}
	return list
}

// interval is the middle of a value for each block. Of too few blocks for a
// confidence interval it is from the least to the largest.
func interval(values []float64) (stats.Interval, bool) {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return stats.Interval{}, false
	}
	if i, err := stats.Center(values, stats.Options{}); err == nil {
		return i, true
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
	return stats.Interval{Estimate: mid, Low: sorted[0], High: sorted[len(sorted)-1]}, true
}

// judge writes the tables. The error says that the run is void, or that
// demands are not met. memory is nil when it was not looked at. more add rows of
// other runs, and count those that fail.
func judge(w io.Writer, s, memory *results.Summary, more ...func(table.Writer) int) error {
	n := numbersOf(s)
	n.writeCells(w)
	void := n.writeNoise(w)
	failed := n.writeDemands(w, memory, more)
	for i := range s.Samples {
		if x := &s.Samples[i]; x.Errors > 0 {
			return fmt.Errorf("void: %d errors in %s", x.Errors, x.Arm)
		}
	}
	switch {
	case void:
		return errors.New("void: get and get-again are the same, and more than 10 % apart")
	case failed > 0:
		return fmt.Errorf("%d ratios are below what they must reach", failed)
	}
	return nil
}

func newTable(w io.Writer, title string, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.SetTitle(title)
	t.AppendHeader(header)
	return t
}

func (n *numbers) writeCells(w io.Writer) {
	t := newTable(w, "Middle over blocks; CPU is µs/op, and s/GiB of target and pod together",
		"size", "conns", "arm", "ops/s", "interval", "client", "proxy", "target", "pod", "s/GiB")
	for _, c := range n.cells {
		for _, arm := range n.arms {
			ops, ok := interval(n.values(arm, c, rate))
			if !ok {
				continue
			}
			row := table.Row{c.size, c.workers, arm, short(ops.Estimate), short(ops.Low) + " – " + short(ops.High)}
			for _, f := range []func(*results.Measured) float64{cpu(results.ComponentClient), cpu(results.ComponentProxy),
				cpu(results.ComponentTarget), cpu(results.ComponentTransformer), perGiB} {
				row = append(row, middle(n.values(arm, c, f)))
			}
			t.AppendRow(row)
		}
		t.AppendSeparator()
	}
	t.Render()
}

// perGiB is CPU seconds a GiB of target and pod; NaN when not known.
func perGiB(m *results.Measured) float64 {
	sum, known := 0.0, false
	for _, r := range m.Resources {
		if (r.Component == results.ComponentTarget || r.Component == results.ComponentTransformer) && r.CPUSPerGiB != nil {
			sum, known = sum+*r.CPUSPerGiB, true
		}
	}
	if !known {
		return math.NaN()
	}
	return sum
}

func middle(values []float64) string {
	i, ok := interval(values)
	if !ok {
		return "-"
	}
	return short(i.Estimate)
}

func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// writeNoise tells how far the A/A pair is apart, cell by cell, and of all
// cells together, block by block; that counts.
func (n *numbers) writeNoise(w io.Writer) (void bool) {
	t := newTable(w, "A/A: get-again / get, both plain GETs of our target", "size", "conns", "ops/s", "CPU")
	for _, c := range n.cells {
		t.AppendRow(table.Row{c.size, c.workers, span(n.ratios("get-again", "get", c, rate)), span(n.ratios("get-again", "get", c, served))})
	}
	ops, cpu := n.together(rate), n.together(served)
	t.AppendFooter(table.Row{"all", "", span(ops), span(cpu)})
	t.Render()
	return apart(ops, true) || apart(cpu, false)
}

// together are the ratios of the A/A pair, one a block: the geometric means over
// cells.
func (n *numbers) together(f func(*results.Measured) float64) (all []float64) {
	for b := 1; b <= n.blocks; b++ {
		sum, count := 0.0, 0
		for _, c := range n.cells {
			x, y := n.by["get-again"][c][b], n.by["get"][c][b]
			if x != nil && y != nil && f(x) > 0 && f(y) > 0 {
				sum, count = sum+math.Log(f(x)/f(y)), count+1
			}
		}
		if count > 0 {
			all = append(all, math.Exp(sum/float64(count)))
		}
	}
	return all
}

// apart tells whether a pair that should be alike is not. CPU time of a cluster
// elsewhere is not known, and not needed.
func apart(ratios []float64, needed bool) bool {
	i, ok := interval(ratios)
	return !ok && needed || ok && math.Abs(i.Estimate-1) > noise
}

func span(values []float64) string {
	i, ok := interval(values)
	if !ok {
		return "n/a"
	}
	return fmt.Sprintf("%.2f [%.2f – %.2f]", i.Estimate, i.Low, i.High)
}

// writeDemands tells which are met. Where the client takes more CPU than what
// it measures, it is the bottleneck of one arm at least, and CPU counts.
func (n *numbers) writeDemands(w io.Writer, memory *results.Summary, more []func(table.Writer) int) (failed int) {
	t := newTable(w, "What must be reached, at 16 connections; fails when the whole interval is outside",
		"ratio", "size", "wanted", "ops/s", "less CPU of target + pod", "counts", "")
	for _, d := range demands() {
		for _, c := range n.cells {
			if c.workers != demandAt || d.sizes != nil && !slices.Contains(d.sizes, c.size) {
				continue
			}
			verdict, counts := n.verdict(d, c)
			if verdict == "FAIL" {
				failed++
			}
			t.AppendRow(table.Row{d.what, c.size, wanted(d), span(n.ratios(d.arm, d.other, c, rate)),
				span(n.ratios(d.other, d.arm, c, served)), counts, verdict})
		}
	}
	failed += addMemory(t, memory)
	for _, add := range more {
		failed += add(t)
	}
	t.Render()
	return failed
}

const mostMemory = 128 << 20 // bytes, resident, of a target

func addMemory(t table.Writer, memory *results.Summary) (failed int) {
	const what, wanted = "target's memory, 64 GETs of 1 GiB", "<= 128 MiB"
	if memory == nil {
		t.AppendRow(table.Row{what, "1GiB", wanted, "n/a", "", "", "n/a"})
		return 0
	}
	for i := range memory.Samples {
		x := &memory.Samples[i]
		for _, r := range x.Resources {
			if r.Component != results.ComponentTarget {
				continue
			}
			verdict := "PASS"
			if r.PeakBytes > mostMemory || x.Errors > 0 {
				verdict, failed = "FAIL", failed+1
			}
			t.AppendRow(table.Row{what + ", " + x.Arm, "1GiB", wanted, fmt.Sprintf("%d MiB, %d errors", r.PeakBytes>>20, x.Errors), "", "memory", verdict})
		}
	}
	return failed
}

func wanted(d demand) string {
	if d.most > 0 {
		return fmt.Sprintf("%g – %g", d.least, d.most)
	}
	return fmt.Sprintf(">= %g", d.least)
}

func (n *numbers) verdict(d demand, c cell) (verdict, counts string) {
	values, counts := n.ratios(d.arm, d.other, c, rate), "ops/s"
	if n.clientBound(d.arm, c) || n.clientBound(d.other, c) {
		values, counts = n.ratios(d.other, d.arm, c, served), "CPU"
	}
	i, ok := interval(values)
	switch {
	case !ok:
		return "n/a", ""
	case i.High < d.least, d.most > 0 && i.Low > d.most:
		return "FAIL", counts
	}
	return "PASS", counts
}

// clientBound tells whether the client took more CPU than all that it asked.
func (n *numbers) clientBound(arm string, c cell) bool {
	client, ok := interval(n.values(arm, c, cpu(results.ComponentClient)))
	theirs, known := interval(n.values(arm, c, served))
	return ok && known && client.Estimate > theirs.Estimate
}
