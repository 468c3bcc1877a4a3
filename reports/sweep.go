package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// What a sweep goes over.
const (
	OverTargets = "targets"
	OverRate    = "rate" // operations a second of an open loop
	// Of what may grow without a request costing more.
	OverObjects     = "objects"     // of the data set
	OverConnections = "connections" // requests under way at once, at most
)

// grows tells whether the cost of an operation is what is looked at.
func (p *SweepPlan) grows() bool { return p.Over == OverObjects || p.Over == OverConnections }

// SweepSchema names the format of sweep.json. It changes whenever a reader of
// the previous one would misread it.
const SweepSchema = "etlbench/sweep/v1"

// sweepFile lists the runs of a sweep, in its folder.
const sweepFile = "sweep.json"

// SweepPlan is sweep.json: what runs a sweep has, each in a folder of its own
// below that of the sweep.
type SweepPlan struct {
	Schema      string      `json:"schema"` // always SweepSchema
	Name        string      `json:"name"`   // of the scenario
	Seed        uint64      `json:"seed"`
	Over        string      `json:"over"` // OverTargets, OverRate, OverObjects or OverConnections
	Steps       []SweepStep `json:"steps"`
	Repeats     int         `json:"repeats"` // planned
	PerTarget   bool        `json:"workers_per_target"`
	Command     string      `json:"command"` // that makes the sweep again
	Interrupted bool        `json:"interrupted"`
	Runs        []SweepRun  `json:"runs"` // in the order in which they were made
}

// SweepStep is one level of what a sweep goes over.
type SweepStep struct {
	N       float64 `json:"n"`       // targets, operations a second, objects or connections
	Control bool    `json:"control"` // without limits, for comparison
	Workers int     `json:"workers"` // requests under way at once, of all
}

// SweepRun is one run of a step.
type SweepRun struct {
	Folder string `json:"folder"` // below that of the sweep
	Step   int    `json:"step"`   // in Steps
	Repeat int    `json:"repeat"` // from 1
	Failed string `json:"failed"` // why there is no report of it; "" else
}

// Save writes sweep.json into the sweep's folder.
func (p *SweepPlan) Save(dir string) error {
	p.Schema = SweepSchema
	if p.Runs == nil {
		p.Runs = []SweepRun{}
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return results.WriteFile(filepath.Join(dir, sweepFile), append(data, '\n'))
}

// IsSweep tells whether a folder is that of a sweep.
func IsSweep(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, sweepFile))
	return err == nil
}

// Sweep is the report of a sweep, from which all its outputs are made.
type Sweep struct {
	Dir     string
	Plan    SweepPlan
	Verdict judge.Verdict
	Reasons []string // of a verdict that is not VALID
	Failed  []string // gates that do not hold in a valid run of a step with limits
	Points  []SweepPoint
	Laws    []SweepLaw
	Facts   []Fact
	Table   Table // of Points
	CPUs    Table // and their limits; empty over rates
	Runs    Table
	HowTo   []string

	runs     []*Report // of Plan.Runs; nil where it failed
	machine  int       // CPUs
	titles   []string  // of Points' groups, by group
	groups   [][]int   // Points of an arm and operation, by step
	measured []repeats // of Points
}

// SweepPoint is one arm and operation at one step, over its valid repeats; over
// rates, over all but those with errors. A number is nil when nobody can tell it.
type SweepPoint struct {
	Arm     string `json:"arm"`
	Op      string `json:"op"`
	Step    int    `json:"step"` // in the plan's steps
	Repeats int    `json:"repeats"`
	// Invalid are the verdicts of the other repeats. The point is Valid when at
	// least two thirds of its repeats are.
	Invalid []judge.Verdict `json:"invalid"`
	Valid   bool            `json:"valid"`

	OpsPerS   *judge.Interval `json:"ops_per_s"`
	MiBPerS   *judge.Interval `json:"mib_per_s"` // source bytes, all targets together
	PerTarget *float64        `json:"mib_per_s_per_target"`
	Spread    *float64        `json:"spread_max_to_min"` // between targets
	// Efficiency is the share of linear growth from one target; only of
	// comparable points.
	Efficiency *judge.Interval `json:"efficiency"`
	P50Ms      *float64        `json:"p50_ms"` // median over repeats
	P99Ms      *float64        `json:"p99_ms"`
	Late       bool            `json:"p99_infinite"`          // in a repeat: 1 % were never served
	CPUs       *float64        `json:"cpus"`                  // used, by all components
	Outside    *float64        `json:"cpus_client_and_proxy"` // of them
	// CostUs is CPU time of targets and pods for an operation, µs, and Growth its
	// ratio to that of the first step; both only over objects and connections.
	CostUs  *judge.Interval `json:"target_and_pod_cpu_us_per_op"`
	Growth  *float64        `json:"cost_to_first_step"`
	Limits  results.Limits  `json:"target_limits"`     // of each target
	SumCPUs float64         `json:"sum_of_cpu_limits"` // 0: no limit
	Targets int             `json:"targets"`
	// NotComparable says why the point is kept out of efficiency and fit.
	NotComparable string `json:"not_comparable"`
}

// SweepLaw is what the Universal Scalability Law makes of an arm's points.
type SweepLaw struct {
	Arm string `json:"arm"`
	Op  string `json:"op"`
	// NoFit says why there is none; the intervals are then null. Lambda is in
	// MiB/s.
	NoFit  string          `json:"no_fit"`
	Lambda *judge.Interval `json:"lambda"`
	Sigma  *judge.Interval `json:"sigma"`
	Kappa  *judge.Interval `json:"kappa"`
	Peak   *judge.Interval `json:"peak"`
	NoPeak string          `json:"no_peak"`

	usl stats.USL
}

// repeats are the values of a point by valid repeat.
type repeats struct {
	ops, mib, p50, p99, cpus, outside, cost []float64
	targets                                 map[string]float64 // MiB/s, sums over repeats
}

// ReadSweep makes the report of a sweep from its folder alone.
func ReadSweep(dir string) (*Sweep, error) {
	path := filepath.Join(dir, sweepFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Sweep{Dir: dir}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.Plan); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.Plan.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, run := range s.Plan.Runs {
		var r *Report
		if run.Failed == "" {
			if r, err = Read(filepath.Join(dir, run.Folder), judge.Options{}); err != nil {
				return nil, err
			}
			s.machine = max(s.machine, r.Run.Env.CPUs)
		}
		s.runs = append(s.runs, r)
	}
	return s, s.build()
}

func (p *SweepPlan) check() error {
	switch {
	case p.Schema != SweepSchema:
		return fmt.Errorf("schema %q: want %q", p.Schema, SweepSchema)
	case !slices.Contains([]string{OverTargets, OverRate, OverObjects, OverConnections}, p.Over):
		return fmt.Errorf("over %q: want targets, rate, objects or connections", p.Over)
	case len(p.Steps) == 0 || p.Repeats < 1:
		return errors.New("no steps or repeats")
	}
	for _, r := range p.Runs {
		if r.Step < 0 || r.Step >= len(p.Steps) || !filepath.IsLocal(r.Folder) {
			return fmt.Errorf("run %q: its step or folder is not one of the sweep's", r.Folder)
		}
	}
	return nil
}

// build fills in everything from the runs.
func (s *Sweep) build() error {
	s.collect()
	for _, group := range s.groups {
		for _, i := range group {
			if err := s.number(i); err != nil {
				return err
			}
			s.compare(&s.Points[i])
		}
		if s.Plan.Over == OverTargets {
			if err := s.law(group); err != nil {
				return err
			}
		}
		if s.Plan.grows() {
			s.growth(group)
		}
	}
	s.verdict()
	s.gates()
	s.facts()
	s.tables()
	return nil
}

// collect makes the points, of what runs have, and their values.
func (s *Sweep) collect() {
	for step := range s.Plan.Steps {
		for i, run := range s.Plan.Runs {
			if r := s.runs[i]; r != nil && run.Step == step {
				for k := range r.Run.Summary.Rows {
					row := &r.Run.Summary.Rows[k]
					s.take(s.point(row, step), r, row)
				}
			}
		}
	}
}

// point is the place of a row's point, which it makes, in the group of its arm
// and operation.
func (s *Sweep) point(row *results.Row, step int) int {
	g := slices.IndexFunc(s.groups, func(group []int) bool {
		first := s.Points[group[0]]
		return first.Arm == row.Name && first.Op == row.Op
	})
	if g < 0 {
		g = len(s.groups)
		op := row.Op
		if op == "get-etl" || op == "etl-object" {
			op = ""
		}
		s.groups, s.titles = append(s.groups, nil), append(s.titles, clean(joined(row.Name, op)))
	}
	for _, i := range s.groups[g] {
		if s.Points[i].Step == step {
			return i
		}
	}
	at := len(s.Points)
	s.Points = append(s.Points, SweepPoint{Arm: row.Name, Op: row.Op, Step: step, Invalid: []judge.Verdict{}})
	s.measured = append(s.measured, repeats{targets: map[string]float64{}})
	s.groups[g] = append(s.groups[g], at)
	return at
}

// take adds a repeat to a point.
func (s *Sweep) take(at int, r *Report, row *results.Row) {
	p, m := &s.Points[at], &s.measured[at]
	sum := &r.Run.Summary
	p.Targets = len(sum.Cluster.Targets)
	if sum.Cluster.Limits != nil {
		p.Limits = *sum.Cluster.Limits
	}
	switch v := r.Judgement.Validity.Verdict; {
	case v == judge.Valid && !sum.Interrupted:
		p.Repeats++
	case s.Plan.Over == OverRate && v != judge.Errors && !sum.Interrupted:
		// What happens beyond the highest rate is what the sweep is about.
		p.Invalid = append(p.Invalid, v)
		p.Late = p.Late || row.Response.P99Ms == nil && row.Response.Infinite > 0
	default:
		p.Invalid = append(p.Invalid, v)
		return
	}
	m.ops, m.mib = append(m.ops, row.OpsPerS), append(m.mib, row.MiBPerS)
	for _, q := range []struct {
		to *[]float64
		v  *float64
		at float64
	}{{&m.p50, row.Response.P50Ms, 0.5}, {&m.p99, row.Response.P99Ms, 0.99}} {
		if q.v != nil && row.Response.Count >= stats.Needed(q.at) {
			*q.to = append(*q.to, *q.v)
		}
	}
	for _, t := range row.Targets {
		m.targets[t.ID] += t.MiBPerS
	}
	if all, outside, ok := cpusOf(&row.Measured); ok {
		m.cpus, m.outside = append(m.cpus, all), append(m.outside, outside)
		if s.Plan.grows() && row.OpsPerS > 0 {
			m.cost = append(m.cost, (all-outside)/row.OpsPerS*1e6)
		}
	}
}

// cpusOf are the CPUs that all components used on the average, and of them the
// client and the proxies; false when nobody could tell those of the targets.
func cpusOf(m *results.Measured) (all, outside float64, ok bool) {
	for _, r := range m.Resources {
		cpus := r.CPUSeconds / m.Seconds
		all += cpus
		switch r.Component {
		case results.ComponentClient, results.ComponentProxy:
			outside += cpus
		case results.ComponentTarget:
			ok = true
		}
	}
	return all, outside, ok && m.Seconds > 0
}

// number makes a point's numbers.
func (s *Sweep) number(at int) error {
	p, m := &s.Points[at], &s.measured[at]
	p.Valid = p.Repeats > 0 && 3*p.Repeats >= 2*(p.Repeats+len(p.Invalid))
	p.SumCPUs = p.Limits.CPUs * float64(p.Targets)
	if len(m.ops) == 0 {
		return nil
	}
	for _, x := range []struct {
		to     **judge.Interval
		values []float64
	}{{&p.OpsPerS, m.ops}, {&p.MiBPerS, m.mib}, {&p.CostUs, m.cost}} {
		if len(x.values) == 0 {
			continue
		}
		mean, err := stats.Mean(x.values, s.options())
		if err != nil {
			return err
		}
		mean.Low = max(0, mean.Low) // Student's may go below, a rate does not
		*x.to = toldInterval(mean)
	}
	p.P50Ms, p.P99Ms, p.CPUs, p.Outside = median(m.p50), median(m.p99), median(m.cpus), median(m.outside)
	if p.Late {
		p.P99Ms = nil // the other repeats' would be too good
	}
	var shares []float64
	for _, v := range m.targets {
		shares = append(shares, v)
	}
	if p.Targets > 0 {
		each := p.MiBPerS.Estimate / float64(p.Targets)
		p.PerTarget = &each
	}
	if spread, err := stats.SpreadOf(shares); err == nil && len(shares) == p.Targets {
		if ratio, ok := spread.MaxToMin(); ok {
			p.Spread = &ratio
		}
	}
	return nil
}

func (s *Sweep) options() stats.Options { return stats.Options{Seed: s.Plan.Seed, Resamples: 2000} }

// busy is the share of the machine's CPUs from which on they, and not what each
// target was given, may be what bounds a step.
const busy = 0.9

// compare says whether a point may be compared with others: whether each of its
// targets could have what it has where there are fewer.
func (s *Sweep) compare(p *SweepPoint) {
	machine := float64(s.machine)
	switch {
	case s.Plan.Over != OverTargets:
	case s.Plan.Steps[p.Step].Control:
		p.NotComparable = "control without limits"
	case !p.Valid:
		p.NotComparable = "too few of its repeats are valid"
	case p.SumCPUs > 0 && p.Outside == nil && p.Limits.Reserved: // they are on other machines, which had them free
	case p.SumCPUs > 0 && p.Outside == nil:
		p.NotComparable = "nobody can tell what client and proxies used of the machine's CPUs"
	case p.SumCPUs > 0 && p.SumCPUs > machine-*p.Outside:
		p.NotComparable = fmt.Sprintf("limits of %s CPUs in all, and the machine has %d, of which client and proxies used %s",
			number(p.SumCPUs), s.machine, number(*p.Outside))
	case p.SumCPUs == 0 && p.CPUs == nil:
		p.NotComparable = "its CPUs have no limit, and nobody can tell what was used of the machine's"
	case p.SumCPUs == 0 && *p.CPUs > busy*machine:
		p.NotComparable = fmt.Sprintf("its CPUs have no limit, and %s of the machine's %d were used: more targets had no more of them",
			number(*p.CPUs), s.machine)
	}
}

// growth compares the cost of a group's valid points with that of the first.
func (s *Sweep) growth(group []int) {
	var first *judge.Interval
	for _, i := range group {
		p := &s.Points[i]
		if !p.Valid || p.CostUs == nil || p.CostUs.Estimate == 0 {
			continue
		}
		if first == nil {
			first = p.CostUs
		}
		ratio := p.CostUs.Estimate / first.Estimate
		p.Growth = &ratio
	}
}

// law makes efficiency and fit of an arm's comparable points.
func (s *Sweep) law(group []int) error {
	var loads []stats.Load
	var points []*SweepPoint
	for _, i := range group {
		if p := &s.Points[i]; p.NotComparable == "" {
			loads, points = append(loads, stats.Load{N: float64(p.Targets), Rates: s.measured[i].mib}), append(points, p)
		}
	}
	if efficiency, err := stats.Efficiency(loads, s.options()); err == nil { // else there is no step of one target
		for i, e := range efficiency {
			points[i].Efficiency = toldInterval(e)
		}
	}
	u, err := stats.FitUSL(loads, s.options())
	if err != nil {
		return err
	}
	l := SweepLaw{Arm: s.Points[group[0]].Arm, Op: s.Points[group[0]].Op, NoFit: u.NoFit, NoPeak: u.NoPeak, usl: u}
	if u.NoFit == "" {
		l.Lambda, l.Sigma, l.Kappa = toldInterval(u.Lambda), toldInterval(u.Sigma), toldInterval(u.Kappa)
		if u.NoPeak == "" {
			l.Peak = toldInterval(u.Peak)
		}
	}
	s.Laws = append(s.Laws, l)
	return nil
}

// toldInterval leaves out bounds that there are not.
func toldInterval(i stats.Interval) *judge.Interval {
	out := &judge.Interval{Estimate: i.Estimate}
	if i.Level > 0 {
		out.Low, out.High = &i.Low, &i.High
	}
	return out
}

// median of values; nil of none.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	m := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	return &m
}

// verdict of the sweep: ERRORS where a run has any; over rates, of which the
// highest are to be too much, VALID when any step is; else the worst step's.
func (s *Sweep) verdict() {
	s.Verdict = judge.Valid
	valid := 0
	for _, p := range s.Points {
		title := s.level(p.Step)
		if slices.Contains(p.Invalid, judge.Errors) {
			s.Verdict = judge.Errors
			s.Reasons = append(s.Reasons, fmt.Sprintf("%s, %s: operations failed", title, clean(p.Arm)))
		}
		if p.Valid {
			valid++
		} else if s.Plan.Over != OverRate && s.Verdict != judge.Errors {
			if s.Verdict == judge.Valid {
				s.Verdict = p.Invalid[0]
			}
			s.Reasons = append(s.Reasons, fmt.Sprintf("%s, %s: %d of %s valid", title, clean(p.Arm), p.Repeats, plural(p.Repeats+len(p.Invalid), "repeat")))
		}
	}
	planned := len(s.Plan.Steps) * s.Plan.Repeats
	made := len(slices.DeleteFunc(slices.Clone(s.Plan.Runs), func(r SweepRun) bool { return r.Failed != "" }))
	if made < planned && s.Verdict == judge.Valid {
		s.Verdict = judge.TooFewSamples
		s.Reasons = append(s.Reasons, fmt.Sprintf("%d of %d runs were made", made, planned))
	}
	if s.Verdict == judge.Valid && valid == 0 {
		s.Verdict = judge.NotSteady
		s.Reasons = append(s.Reasons, "no step is valid: see the reports of its runs")
	}
}

// gates finds those that do not hold.
func (s *Sweep) gates() {
	for i, r := range s.runs {
		if r == nil || r.Judgement.Validity.Verdict != judge.Valid || s.Plan.Steps[s.Plan.Runs[i].Step].Control {
			continue
		}
		for _, g := range r.Gates {
			if !g.Holds {
				s.Failed = append(s.Failed, fmt.Sprintf("%s: %s: %s", clean(s.Plan.Runs[i].Folder), g.Condition, g.Found))
			}
		}
	}
}

// level names a step.
func (s *Sweep) level(step int) string {
	at := s.Plan.Steps[step]
	switch {
	case s.Plan.Over == OverRate:
		return number(at.N) + "/s"
	case s.Plan.grows():
		return plural(int(at.N), strings.TrimSuffix(s.Plan.Over, "s"))
	case at.Control:
		return plural(int(at.N), "target") + " without limits"
	}
	return plural(int(at.N), "target")
}
