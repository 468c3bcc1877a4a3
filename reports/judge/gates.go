package judge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
	"github.com/etlbench/etlbench/scenarios"
)

// Gate is a condition on the results, read. On says of what:
//
//	arm(NAME).NUMBER         of each arm that has all the levels of NAME, such
//	                         as "hpush" or "md5:hpush"
//	all.NUMBER               of each arm
//	compare(NAME,BASE).NUMBER   of NAME against BASE, each one arm
//
// where NUMBER is one of results.Numbers, with "response." before a percentile
// if one likes, and before that, if wanted, the phase ("warmup.", "measure.",
// which is the default, or of the measured time around faults "before.",
// "during." or "after.") and the operation of a mix ("put."). Is
// says what it must be: "< 50ms", "<= 0.1%", ">= 1000/s", ">= 100MiB/s", and of a
// comparison "not slower than 5%".
type Gate struct {
	On, Is string

	arms   []string // each has to pass
	base   []string // of a comparison: of each of arms; nil of others
	phase  string
	op     string // "" for the one that an arm is about; of shares, all
	metric string
	less   bool // the number has to be below the bound
	equal  bool // or may be it
	bound  float64
	unit   string // of the number and the bound
}

// GateOutcome is whether a gate holds.
type GateOutcome struct {
	On    string `json:"on"`
	Is    string `json:"is"`
	Holds bool   `json:"holds"`
	// Arm is the one that the number is of: the worst.
	Arm   string    `json:"arm"`
	Value *float64  `json:"value"` // nil without a number: the gate does not hold
	Unit  string    `json:"unit"`
	CI    *Interval `json:"interval"` // nil where there is none
	Count int64     `json:"count"`    // operations that the number rests on; blocks, of a comparison
	Text  string    `json:"text"`     // of a gate that does not hold: why, and what to do
}

var (
	armOn     = regexp.MustCompile(`^arm\(([^()]*)\)\.(.+)$`)
	compareOn = regexp.MustCompile(`^compare\(([^(),]*),([^(),]*)\)\.(.+)$`)
	condition = regexp.MustCompile(`^(<=|>=|<|>)\s*([0-9.]+)\s*(\S*)$`)
	notSlower = regexp.MustCompile(`^not slower than\s+([0-9.]+)\s*%$`)
)

// ParseGates reads gates for a run of these arms. The error tells all that is
// wrong, a line each.
func ParseGates(gates []results.Gate, arms []results.Arm) ([]Gate, error) {
	var out []Gate
	var errs []error
	for i, g := range gates {
		read, err := parseGate(g, arms)
		if err != nil {
			errs = append(errs, fmt.Errorf("gates[%d]: %w", i, err))
		}
		out = append(out, read)
	}
	return out, errors.Join(errs...)
}

func parseGate(g results.Gate, arms []results.Arm) (Gate, error) {
	out := Gate{On: g.On, Is: g.Is, phase: results.PhaseMeasure}
	var number string
	var err error
	on := strings.TrimSpace(g.On)
	if m := compareOn.FindStringSubmatch(on); m != nil {
		number = m[3]
		if out.arms, err = choose(m[1], arms); err == nil {
			out.base, err = choose(m[2], arms)
		}
		if err == nil && len(out.arms) != len(out.base) {
			err = fmt.Errorf("%d arms are %q and %d are %q: name one each", len(out.arms), m[1], len(out.base), m[2])
		}
	} else if m := armOn.FindStringSubmatch(on); m != nil {
		number = m[2]
		out.arms, err = choose(m[1], arms)
	} else if rest, ok := strings.CutPrefix(on, "all."); ok {
		number = rest
		out.arms, err = choose("", arms)
	} else {
		subject, _, _ := strings.Cut(on, ".")
		subject, _, _ = strings.Cut(subject, "(")
		err = fmt.Errorf("unknown %q, want arm(NAME).NUMBER, all.NUMBER or compare(NAME,BASE).NUMBER %s", subject, scenarios.Suggest(subject, []string{"arm", "all", "compare"}))
	}
	if err == nil {
		err = out.number(number)
	}
	if err == nil {
		err = out.condition(strings.TrimSpace(g.Is))
	}
	if err != nil {
		return out, fmt.Errorf("{on: %q, is: %q}: %w", g.On, g.Is, err)
	}
	out.leaveOut(arms)
	return out, nil
}

// leaveOut leaves out arms that the cluster does not offer, unless there are no
// others: a gate on these alone does not hold.
func (g *Gate) leaveOut(arms []results.Arm) {
	refused := map[string]bool{}
	for _, a := range arms {
		refused[a.Name] = a.NotOffered != ""
	}
	var kept, base []string
	for i, name := range g.arms {
		if refused[name] || g.base != nil && refused[g.base[i]] {
			continue
		}
		kept = append(kept, name)
		if g.base != nil {
			base = append(base, g.base[i])
		}
	}
	if kept != nil {
		g.arms, g.base = kept, base
	}
}

// choose lists the arms that have all the levels of name.
func choose(name string, arms []results.Arm) ([]string, error) {
	levels := strings.Split(strings.TrimSpace(name), ":")
	var names, words []string
	for _, a := range arms {
		if a.Name == strings.TrimSpace(name) {
			return []string{a.Name}, nil
		}
		has := append(strings.Split(a.Name, ":"), a.Comm, a.Mode, a.Transform, a.Size, a.Put, a.Argument)
		if name == "" || !slices.ContainsFunc(levels, func(l string) bool { return !slices.Contains(has, l) }) {
			names = append(names, a.Name)
		}
		for _, w := range append([]string{a.Name}, has...) {
			if w != "" && !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no arm is %q %s", name, scenarios.Suggest(name, words))
	}
	return names, nil
}

// number reads phase, operation and number.
func (g *Gate) number(text string) error {
	first, rest, more := strings.Cut(text, ".")
	if more && slices.Contains(append(faultPhases(), results.PhaseWarmup, results.PhaseMeasure), first) {
		g.phase = first
		first, rest, more = strings.Cut(rest, ".")
		text = strings.Join(slices.DeleteFunc([]string{first, rest}, func(s string) bool { return s == "" }), ".")
	}
	if more && slices.Contains([]string{"get-etl", "get", "put", "list", "head", "etl-object"}, first) {
		g.op, text = first, rest
	}
	text = strings.TrimPrefix(text, results.MetricResponse+".")
	if !slices.Contains(results.Numbers(), text) {
		return fmt.Errorf("unknown number %q %s", text, scenarios.Suggest(text, results.Numbers()))
	}
	g.metric, g.unit = text, Unit(text)
	if g.base != nil && !slices.Contains([]string{"p50", "p99", "ops/s", "mib/s", "cpu-s/gib", "cpu-us/op"}, text) {
		return fmt.Errorf("%q is not compared: want p50, p99, ops/s, mib/s, cpu-s/gib or cpu-us/op", text)
	}
	if g.phase != results.PhaseMeasure && (g.base != nil || !strings.HasPrefix(text, "p") && !slices.Contains([]string{"mean", "max", "errors", "shed", "achieved"}, text)) {
		return fmt.Errorf("%q is not told of a part of the time", text)
	}
	return nil
}

// Unit is that of a number of results.Numbers, as it is printed.
func Unit(number string) string {
	switch number {
	case "errors", "shed", "achieved":
		return "%"
	case "ops/s":
		return "/s"
	case "mib/s":
		return "MiB/s"
	case "cpu-us/op":
		return "us"
	case "cpu-s/gib":
		return "s"
	case "moved":
		return ""
	}
	return "ms"
}

// units are how a bound of each unit may be written, and what one is.
var units = map[string]map[string]float64{
	"ms":    {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1000, "m": 60_000},
	"us":    {"us": 1, "µs": 1, "ms": 1000, "s": 1e6},
	"s":     {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60},
	"%":     {"%": 1},
	"/s":    {"/s": 1},
	"MiB/s": {"KiB/s": 1.0 / 1024, "MiB/s": 1, "GiB/s": 1024},
	"":      {"": 1},
}

func (g *Gate) condition(is string) error {
	if g.base != nil {
		m := notSlower.FindStringSubmatch(is)
		if m == nil {
			return fmt.Errorf("%q: want \"not slower than N%%\" of a comparison", is)
		}
		bound, err := strconv.ParseFloat(m[1], 64)
		if err != nil || !(bound > 0 && bound < 100) {
			return fmt.Errorf("%q: want a share above 0%% and below 100%%", is)
		}
		g.bound, g.unit, g.less, g.equal = bound, "%", true, true
		return nil
	}
	m := condition.FindStringSubmatch(is)
	if m == nil {
		return fmt.Errorf("%q: want <, <=, > or >= and a number with its unit, such as %q", is, "< 50"+g.unit)
	}
	factor, ok := units[g.unit][m[3]]
	if !ok {
		var valid []string
		for u := range units[g.unit] {
			valid = append(valid, u)
		}
		slices.Sort(valid)
		if m[3] == "" {
			return fmt.Errorf("%q: the number needs a unit (%s)", is, strings.Join(valid, ", "))
		}
		return fmt.Errorf("%q: unknown unit %q of %s %s", is, m[3], g.metric, scenarios.Suggest(m[3], valid))
	}
	bound, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return fmt.Errorf("%q: %q is no number", is, m[2])
	}
	g.bound, g.less, g.equal = bound*factor, m[1][0] == '<', strings.HasSuffix(m[1], "=")
	return nil
}

// holds tells whether a number passes.
func (g *Gate) holds(v float64) bool {
	switch {
	case v == g.bound:
		return g.equal
	case g.less:
		return v < g.bound
	}
	return v > g.bound
}

// Check looks at the gate on numbers of the measured time, those of a run so far
// or of a whole one. It is not for comparisons and other phases: those hold. An arm
// that has no numbers does not.
func (g *Gate) Check(rows []results.Row) GateOutcome {
	worst := GateOutcome{On: g.On, Is: g.Is, Holds: true, Unit: g.unit}
	if g.base != nil || g.phase != results.PhaseMeasure {
		return worst
	}
	for i, arm := range g.arms {
		m := g.measured(rows, arm)
		one := g.one(arm, m)
		if i == 0 || g.worse(one, worst) {
			worst = one
		}
	}
	return worst
}

// Of is the gate on one of its arms alone, to be checked while that arm is
// measured; false when it is not about the arm.
func (g *Gate) Of(arm string) (Gate, bool) {
	one := *g
	one.arms = []string{arm}
	return one, slices.Contains(g.arms, arm)
}

// CheckEarly tells why Check cannot look at the gate before the run is over;
// nil when it can.
func (g *Gate) CheckEarly() error {
	switch {
	case g.base != nil:
		return errors.New("a comparison is known in the end only")
	case g.phase != results.PhaseMeasure:
		return errors.New("only of the measured time numbers are known early")
	case slices.Contains([]string{"moved", "cpu-us/op", "cpu-s/gib"}, g.metric):
		return fmt.Errorf("%s is known in the end only", g.metric)
	}
	return nil
}

// one looks at one arm.
func (g *Gate) one(arm string, m *results.Measured) GateOutcome {
	out := GateOutcome{On: g.On, Is: g.Is, Arm: arm, Unit: g.unit}
	if m == nil || m.Accounted() == 0 {
		out.Text = "nothing was measured: a gate without samples does not hold"
		return out
	}
	out.Count = m.Accounted()
	v, ok := m.Value(g.metric)
	if !ok {
		out.Text = "the number is not known"
		if m.Response.Infinite > 0 && g.unit == "ms" {
			out.Text = fmt.Sprintf("it is among the %d operations that were never served", m.Response.Infinite)
		}
		return out
	}
	out.Value, out.Holds = &v, g.holds(v)
	return out
}

// worse orders outcomes: none, then those that do not hold, by their number.
func (g *Gate) worse(a, b GateOutcome) bool {
	switch {
	case (a.Value == nil) != (b.Value == nil):
		return a.Value == nil
	case a.Value == nil:
		return false
	}
	return g.less == (*a.Value > *b.Value) && *a.Value != *b.Value
}

// measured are the numbers of an arm that the gate is about, nil without any.
// Shares are those of all operations of its mix together, unless it names one.
func (g *Gate) measured(rows []results.Row, arm string) *results.Measured {
	var all, about *results.Measured
	for i := range rows {
		r := &rows[i]
		if r.Name != arm || g.op != "" && r.Op != g.op {
			continue
		}
		if about == nil || r.Op == "get-etl" || r.Op == "etl-object" {
			about = &r.Measured
		}
		if all == nil {
			all = &results.Measured{}
		}
		all.Add(r.Counts)
		all.Intended += r.Intended
	}
	if g.unit == "%" {
		return all
	}
	return about
}

// outcome looks at the gate on a whole run.
func (g *Gate) outcome(e *Evidence, v Validity, o Options) (GateOutcome, error) {
	if g.base != nil {
		return g.comparison(e, v)
	}
	rows := e.Run.Summary.Rows
	if g.phase != results.PhaseMeasure {
		rows = nil
		for _, s := range e.Series {
			m := &s.Warmup
			if g.phase != results.PhaseWarmup {
				m = s.Parts[g.phase]
			}
			if m != nil {
				rows = append(rows, results.Row{Arm: s.Row.Arm, Op: s.Row.Op, Measured: *m})
			}
		}
	}
	measure := *g
	measure.phase = results.PhaseMeasure
	out := measure.Check(rows)
	if g.phase == results.PhaseMeasure {
		out.CI = g.interval(e, out.Arm)
	}
	if !out.Holds {
		out.Text = g.advice(out, e)
	}
	return out, nil
}

func (g *Gate) interval(e *Evidence, arm string) *Interval {
	for _, s := range e.Series {
		if s.Row.Name != arm || g.op != "" && s.Row.Op != g.op {
			continue
		}
		switch g.metric {
		case "p50":
			return s.P50()
		case "p99":
			return s.P99()
		}
		return nil
	}
	return nil
}

// comparison holds when the whole interval of the change is on the good side
// of the bound: a gate that is not proven does not hold.
func (g *Gate) comparison(e *Evidence, v Validity) (GateOutcome, error) {
	worst := GateOutcome{On: g.On, Is: g.Is, Holds: true, Unit: g.unit}
	f := family{seed: e.Run.Summary.Seed, minEffect: g.bound / 100}
	rows := e.Run.Summary.Rows
	find := func(arm string) *results.Row {
		i := slices.IndexFunc(rows, func(r results.Row) bool { return r.Name == arm && (g.op == "" || r.Op == g.op) })
		if i < 0 {
			return &results.Row{Arm: results.Arm{Name: arm}}
		}
		return &rows[i]
	}
	for i, arm := range g.arms {
		base, other := find(g.base[i]), find(arm)
		f.add(Contrast{Base: base.Name, Other: other.Name, Op: other.Op, Metric: g.metric},
			side{e, base, v.Arm(base.Name)}, side{e, other, v.Arm(other.Name)}, true)
	}
	found, err := f.judge()
	if err != nil {
		return worst, err
	}
	for i, c := range found {
		one := g.contrast(c)
		if i == 0 || worst.Holds && !one.Holds {
			worst = one
		}
	}
	return worst, nil
}

func (g *Gate) contrast(c Contrast) GateOutcome {
	out := GateOutcome{On: g.On, Is: g.Is, Arm: c.Other, Unit: "%", Count: int64(c.Blocks)}
	if c.ChangePct == nil {
		out.Text = "it is not proven: " + c.Reason
		if c.MoreBlocks > 0 {
			out.Text += "; it needs about " + more(c.MoreBlocks)
		}
		return out
	}
	// How much slower it may be at most, in percent of the base.
	slower := *c.ChangePct.High
	if HigherIsBetter(c.Metric) {
		slower = -*c.ChangePct.Low
	}
	out.Value, out.CI = &c.ChangePct.Estimate, c.ChangePct
	if out.Holds = slower <= g.bound; out.Holds {
		return out
	}
	if c.Verdict == stats.Slower {
		out.Text = fmt.Sprintf("%s is slower than %s", c.Other, c.Base)
	} else {
		out.Text = fmt.Sprintf("it may be up to %.3g %% slower", slower)
		if c.MoreBlocks > 0 {
			out.Text += "; it needs about " + more(c.MoreBlocks) + " to tell"
		}
	}
	return out
}

// more is a number of further blocks.
func more(n int) string {
	if n == 1 {
		return "1 more block"
	}
	return fmt.Sprintf("%d more blocks", n)
}

// advice is what to do about a gate that does not hold.
func (g *Gate) advice(out GateOutcome, e *Evidence) string {
	why := out.Text
	if why != "" {
		why += "; "
	}
	switch {
	case out.Count == 0:
		return why + "measure longer, or look at why the arm was not measured"
	case g.metric == "errors":
		return why + fmt.Sprintf("see what failed: etlbench explain %s %s.errors", e.Run.Dir, out.Arm)
	case g.metric == "shed" || g.metric == "achieved":
		return why + "see who could not keep up, in the health of the tool; then lower load.rate"
	}
	return why + fmt.Sprintf("see where it comes from: etlbench explain %s %s.%s", e.Run.Dir, out.Arm, g.metric)
}
