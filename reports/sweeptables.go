package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// facts are the head of the report.
func (s *Sweep) facts() {
	p := &s.Plan
	what := p.Over
	if p.Over == OverRate {
		what = "rates of an open loop"
	}
	s.Facts = []Fact{{"sweep", known(p.Name, fmt.Sprintf("seed %d", p.Seed), fmt.Sprintf("%s over %s", plural(len(p.Steps), "step"), what),
		plural(p.Repeats, "repeat")+" of each, in random order")}}
	if p.Over == OverTargets {
		load := "the same number of workers at every step: more targets have fewer each"
		if p.PerTarget {
			load = "workers for each target: more targets have more in all"
		}
		s.Facts = append(s.Facts, Fact{"load", load})
	}
	for _, r := range s.runs {
		if r != nil {
			s.Facts = append(s.Facts, r.environment()...)
			break
		}
	}
	s.Facts = slices.DeleteFunc(s.Facts, func(f Fact) bool { return f.Name == "cluster URL" || f.Name == "targets" })
}

// tables puts points and runs into words.
func (s *Sweep) tables() {
	switch {
	case s.Plan.Over == OverRate:
		s.rateTable()
	case s.Plan.grows():
		s.growthTable()
	default:
		s.targetTable()
	}
	s.Runs = Table{Title: "Runs, in the order in which they were made", Left: 4, Columns: []string{"run", "step", "repeat", "verdict"}}
	for i, run := range s.Plan.Runs {
		verdict := clean(run.Failed)
		if r := s.runs[i]; r != nil {
			verdict = strings.TrimSpace(string(r.Judgement.Validity.Verdict) + " " + strings.Join(r.Reasons, "; "))
		}
		s.Runs.add("", clean(run.Folder), s.level(run.Step), fmt.Sprint(run.Repeat), verdict)
	}
	if s.Plan.Interrupted {
		s.Runs.Notes = append(s.Runs.Notes, "The sweep was interrupted: what is missing was not measured.")
	}
}

func (s *Sweep) targetTable() {
	s.Table = Table{Title: "Scaling over targets", Left: 1, Columns: []string{"targets", "workers", "MiB/s [95 % CI]", "per target", "max/min",
		"efficiency [95 % CI]", ""}}
	s.CPUs = Table{Title: "CPUs and limits", Left: 1, Columns: []string{"targets", "limit each", "sum of limits", "machine's CPUs", "CPUs used", "of client and proxy", ""}}
	for g, group := range s.groups {
		for _, i := range group {
			p := &s.Points[i]
			step := s.Plan.Steps[p.Step]
			sum := results.Limits{CPUs: p.SumCPUs, LinkBytesPerS: p.Limits.LinkBytesPerS * int64(p.Targets)}
			s.Table.add(s.titles[g], fmt.Sprint(p.Targets), fmt.Sprint(step.Workers), between(p.MiBPerS), orNotTold(p.PerTarget), orNotTold(p.Spread),
				between(p.Efficiency), s.mark(p))
			s.CPUs.add(s.titles[g], fmt.Sprint(p.Targets), orNone(p.Limits.String()), orNone(sum.String()), fmt.Sprint(s.machine), orNotTold(p.CPUs), orNotTold(p.Outside), s.mark(p))
			if why := p.NotComparable; why != "" && !step.Control {
				s.CPUs.Notes = append(s.CPUs.Notes, fmt.Sprintf("%s, %s: NOT COMPARABLE: %s.", s.titles[g], s.level(p.Step), why))
			}
		}
	}
	for g, l := range s.Laws {
		s.Table.Notes = append(s.Table.Notes, s.titles[g]+": "+lawOf(l.usl, " MiB"))
	}
	s.HowTo = []string{
		"Each step is a cluster of its own with the same objects. Limits are of a target with its pods.",
		"NOT COMPARABLE: the targets could not have had their limits at once, beside client and proxies; kept out of efficiency and fit.",
		"Efficiency: MiB/s over that of one target times the targets. max/min: MiB/s of the target with most over that of the one with least; objects are placed by hash.",
		"A step is valid when two thirds of its repeats are, and its numbers are of those.",
	}
}

func (s *Sweep) rateTable() {
	s.Table = Table{Title: "Saturation", Left: 1, Columns: []string{"rate", "done/s [95 % CI]", "p50 ms", "p99 ms", "MiB/s", "CPUs", "client+proxy", ""}}
	for g, group := range s.groups {
		best := -1
		for _, i := range group {
			p := &s.Points[i]
			p99 := orNotTold(p.P99Ms)
			if p.Late {
				p99 = infinite
			}
			s.Table.add(s.titles[g], humanize.Commaf(s.Plan.Steps[p.Step].N)+"/s", between(p.OpsPerS), orNotTold(p.P50Ms), p99,
				estimate(p.MiBPerS), orNotTold(p.CPUs), orNotTold(p.Outside), s.mark(p))
			if p.Valid && (best < 0 || s.Plan.Steps[p.Step].N > s.Plan.Steps[s.Points[best].Step].N) {
				best = i
			}
		}
		note := "no rate was kept up"
		if best >= 0 {
			note = "kept up to " + s.level(s.Points[best].Step)
		}
		s.Table.Notes = append(s.Table.Notes, s.titles[g]+": "+note)
	}
	s.HowTo = []string{
		"ms: the response time, from when a request was due to its last byte, median over repeats; inf: in a repeat, 1 % were never served.",
		"CPUs: used by all components; client+proxy: of them. n/a: not told, or it rests on too few operations.",
		"A rate is kept up when two thirds of its repeats are valid: a system that falls behind is NOT-STEADY. GENERATOR-BOUND says nothing of the system: the loader could not keep up.",
	}
}

// flat is how much more or less an operation may cost than at the first step
// and still cost the same.
const flat = 0.15

func (s *Sweep) growthTable() {
	s.Table = Table{Title: "Growth over " + s.Plan.Over, Left: 1, Columns: []string{s.Plan.Over, "done/s", "CPU µs/op [95 % CI]", "to the first", "p50 ms", "p99 ms",
		"CPUs", "client+proxy", ""}}
	for g, group := range s.groups {
		for _, i := range group {
			p := &s.Points[i]
			s.Table.add(s.titles[g], humanize.Comma(int64(s.Plan.Steps[p.Step].N)), estimate(p.OpsPerS), between(p.CostUs), orNotTold(p.Growth), orNotTold(p.P50Ms),
				orNotTold(p.P99Ms), orNotTold(p.CPUs), orNotTold(p.Outside), s.mark(p))
		}
		s.Table.Notes = append(s.Table.Notes, s.titles[g]+": "+s.grown(group))
	}
	s.HowTo = []string{
		"CPU µs/op: CPU time of targets and pods for an operation; to the first: over that of the first step.",
		"A step is valid when two thirds of its repeats are, and its numbers are of those. Some CPU time is used with nothing to do: rates should be the same at every step.",
	}
}

// grown says of a group whether what an operation costs stays the same.
func (s *Sweep) grown(group []int) string {
	var told int
	var most *SweepPoint
	for _, i := range group {
		p := &s.Points[i]
		if p.Growth == nil {
			continue
		}
		told++
		if most == nil || math.Abs(*p.Growth-1) > math.Abs(*most.Growth-1) {
			most = p
		}
	}
	switch {
	case told < 2:
		return "too few valid steps to tell"
	case math.Abs(*most.Growth-1) <= flat:
		return fmt.Sprintf("what an operation costs stays within %g %%", flat*100)
	}
	return fmt.Sprintf("an operation costs %s times as much at %s", number(*most.Growth), s.level(most.Step))
}

// mark is the remark on a point: how many repeats are not valid, with the most
// frequent reason (Runs has all), and whether it may be compared.
func (s *Sweep) mark(p *SweepPoint) string {
	var marks []string
	if n := len(p.Invalid); n > 0 {
		times := map[judge.Verdict]int{}
		worst := p.Invalid[0]
		for _, v := range p.Invalid {
			if times[v]++; times[v] > times[worst] {
				worst = v
			}
		}
		marks = append(marks, fmt.Sprintf("%s %d/%d", worst, n, n+p.Repeats))
	}
	switch {
	case s.Plan.Steps[p.Step].Control:
		marks = append(marks, "control")
	case p.NotComparable != "":
		marks = append(marks, "NOT COMPARABLE")
	}
	return strings.Join(marks, ", ")
}

func between(i *judge.Interval) string {
	switch {
	case i == nil:
		return notTold
	case i.Low == nil:
		return number(i.Estimate)
	}
	return fmt.Sprintf("%s [%s, %s]", number(i.Estimate), number(*i.Low), number(*i.High))
}

func estimate(i *judge.Interval) string {
	if i == nil {
		return notTold
	}
	return number(i.Estimate)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
