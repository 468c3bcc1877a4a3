package reports

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// factorOf groups the lines of a report by all but one factor, in the order of
// that one. Groups of a single line are left out.
func (r *Report) factorOf(forget func(*results.Arm), of func(results.Row) float64) (titles []string, groups [][]Line) {
	place := map[rowKey]int{}
	var all [][]Line
	var names []string
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			key := keyOf(l.Row)
			forget(&key.Arm)
			i, ok := place[key]
			if !ok {
				i = len(all)
				place[key] = i
				all = append(all, nil)
				without := l.Row.Arm
				forget(&without)
				names = append(names, clean(joined(g.Name(), without.Comm, without.Mode, level(without))))
			}
			all[i] = append(all[i], l)
		}
	}
	for i, lines := range all {
		if len(lines) > 1 {
			slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(of(a.Row), of(b.Row)) })
			titles, groups = append(titles, names[i]), append(groups, lines)
		}
	}
	return titles, groups
}

// values are a number of an arm by block, of complete blocks; nil where one of
// them has none.
func (r *Report) values(row results.Row, name string) []float64 {
	var out []float64
	for i := range r.Run.Summary.Samples {
		s := &r.Run.Summary.Samples[i]
		if s.Arm != row.Name || s.Op != row.Op || s.Partial {
			continue
		}
		v, ok := s.Value(name)
		if !ok {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (r *Report) options() stats.Options {
	return stats.Options{Seed: r.Run.Summary.Seed, Resamples: 2000}
}

// lawFit is how an arm's throughput grows with its workers.
type lawFit struct {
	title string
	lines []Line // by workers
	usl   stats.USL
}

// sizeFit is what an operation of an arm costs by its size.
type sizeFit struct {
	title, kind, unit string // kind: "service time" or "CPU time"
	classes           []stats.SizeClass
	line              stats.Line
	row               results.Row // of the smallest
}

// sizeCrossing is where one arm overtakes another.
type sizeCrossing struct {
	kind string
	at   stats.Crossover
}

// scaling shows how throughput grows with the workers, where they are a factor.
func (r *Report) scaling() {
	r.Scaling = Table{Title: "Scaling over workers", Left: 1,
		Columns: []string{"workers", "ops/s", "MiB/s", "MiB/s per target", "spread max/min", "efficiency [95 % CI]"}}
	titles, groups := r.factorOf(func(a *results.Arm) { a.Workers = 0 }, func(row results.Row) float64 { return float64(row.Workers) })
	for i, lines := range groups {
		if lines[0].Row.Workers == 0 || lines[0].Row.Workers == lines[len(lines)-1].Row.Workers {
			continue
		}
		var loads []stats.Load
		for _, l := range lines {
			loads = append(loads, stats.Load{N: float64(l.Row.Workers), Rates: r.values(l.Row, "ops/s")})
		}
		efficiency, _ := stats.Efficiency(loads, r.options()) // none without a single worker
		for k, l := range lines {
			cell := notTold
			if efficiency != nil {
				cell = interval(efficiency[k])
			}
			r.Scaling.add(titles[i], fmt.Sprint(l.Row.Workers), number(l.Row.OpsPerS), number(l.Row.MiBPerS), perTarget(l.Row.Targets), spread(l.Row.Targets), cell)
		}
		u, err := stats.FitUSL(loads, r.options())
		if err != nil {
			u.NoFit = err.Error()
		}
		r.laws = append(r.laws, lawFit{titles[i], lines, u})
		r.Scaling.Notes = append(r.Scaling.Notes, titles[i]+": "+lawOf(u, ""))
	}
}

func interval(i stats.Interval) string {
	if i.Level == 0 {
		return number(i.Estimate)
	}
	return fmt.Sprintf("%s [%s, %s]", number(i.Estimate), number(i.Low), number(i.High))
}

func spread(targets []results.Target) string {
	var rates []float64
	for _, t := range targets {
		rates = append(rates, t.MiBPerS)
	}
	s, err := stats.SpreadOf(rates)
	if err != nil {
		return notTold
	}
	ratio, ok := s.MaxToMin()
	if !ok {
		return "a target had nothing"
	}
	return number(ratio)
}

// lawOf says what the Universal Scalability Law makes of loads whose rates are
// things of a unit a second, "" for operations.
func lawOf(u stats.USL, unit string) string {
	if u.NoFit != "" {
		return "Universal Scalability Law: " + u.NoFit
	}
	text := fmt.Sprintf("Universal Scalability Law: %s%s/s with one, contention %s, coherency %s", interval(u.Lambda), unit, interval(u.Sigma), interval(u.Kappa))
	if u.NoPeak != "" {
		return text + "; " + u.NoPeak
	}
	return text + "; peak at " + interval(u.Peak)
}

// sizeOf is the mean size of an arm's objects in MiB.
func sizeOf(row results.Row) float64 {
	if row.Ops == 0 {
		return 0
	}
	return float64(row.BytesIn) / float64(row.Ops) / (1 << 20)
}

// costs shows what an operation costs by its size, where sizes are a factor:
// a fixed part, and one of each MiB; and where one arm overtakes another.
func (r *Report) costs() {
	r.Costs = Table{Title: "Cost by size: fixed + per MiB", Left: 2,
		Columns: []string{"", "of", "fixed [95 % CI]", "per MiB [95 % CI]", "off by at most"}}
	titles, groups := r.factorOf(func(a *results.Arm) { a.Size = "" }, sizeOf)
	for _, kind := range []struct{ name, number, unit string }{{"service time", "service.mean", "ms"}, {"CPU time", "cpu-us/op", "µs"}} {
		for i, lines := range groups {
			if lines[0].Row.Size == "" {
				continue
			}
			classes := r.classes(lines, kind.number)
			line, err := stats.FitLine(classes, r.options())
			switch {
			case err != nil || classes == nil:
				continue
			case line.NoFit != "":
				r.Costs.Notes = append(r.Costs.Notes, fmt.Sprintf("%s, %s: %s", titles[i], kind.name, line.NoFit))
				continue
			}
			r.Costs.add("", titles[i], kind.name, interval(line.Fixed)+" "+kind.unit, interval(line.PerMiB)+" "+kind.unit, fmt.Sprintf("%.0f %%", 100*line.Misfit))
			r.fits = append(r.fits, sizeFit{titles[i], kind.name, kind.unit, classes, line, lines[0].Row})
		}
	}
	r.crossovers()
}

// crossovers tells where the communication types of a transform cost the same:
// of each two of them.
func (r *Report) crossovers() {
	for i, first := range r.fits {
		for _, second := range r.fits[i+1:] {
			if first.kind != second.kind || !onlyComm(first.row, second.row) {
				continue
			}
			c, err := stats.Cross(first.classes, second.classes, r.options())
			if err != nil {
				continue
			}
			r.Crossovers = append(r.Crossovers, crossing(first.title, second.title, first.kind, c))
			r.crossings = append(r.crossings, sizeCrossing{first.kind, c})
		}
	}
}

// onlyComm is true of arms that differ in the communication type alone, and
// maybe in size.
func onlyComm(a, b results.Row) bool {
	x, y := keyOf(a), keyOf(b)
	x.Comm, x.Size, y.Comm, y.Size = "", "", "", ""
	return x == y && a.Comm != b.Comm
}

func (r *Report) classes(lines []Line, name string) []stats.SizeClass {
	var out []stats.SizeClass
	for _, l := range lines {
		costs := r.values(l.Row, name)
		if costs == nil {
			return nil
		}
		out = append(out, stats.SizeClass{MiB: sizeOf(l.Row), Costs: costs})
	}
	return out
}

func crossing(first, second, what string, c stats.Crossover) string {
	if c.None != "" {
		return fmt.Sprintf("%s, %s (first) and %s: %s", what, first, second, c.None)
	}
	low, high := first, second
	if !c.FirstBelow {
		low, high = second, first
	}
	return fmt.Sprintf("%s: below %s %s costs less, above it %s", what, sizes(c.MiB), low, high)
}

// sizes is an interval of sizes in MiB, in the unit that people say.
func sizes(i stats.Interval) string {
	if i.Estimate >= 0.9995 { // which is printed as 1
		return interval(i) + " MiB"
	}
	i.Estimate, i.Low, i.High = i.Estimate*1024, i.Low*1024, i.High*1024
	return interval(i) + " KiB"
}
