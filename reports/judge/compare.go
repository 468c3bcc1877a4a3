package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
	"github.com/etlbench/etlbench/scenarios"
)

// NotCompared stands for a verdict where there cannot be one: a side is not
// valid, or tells nothing.
const NotCompared stats.Verdict = "NOT-COMPARED"

// defaultMinEffect is the change that matters when nothing else is said.
const defaultMinEffect = 0.05

// fewestForP99 is how many operations a block must have for its p99 to be a
// sample.
const fewestForP99 = 100

// Contrast is one metric of two arms.
type Contrast struct {
	Base   string `json:"base"`  // arm
	Other  string `json:"other"` // arm; across runs of the same name
	Run    string `json:"run,omitempty"`
	Op     string `json:"op"`
	Metric string `json:"metric"` // as results.Numbers has it
	// Factor is what the arms of a run differ in, FactorComm …; "" when they
	// are of two runs, equal, or chosen by their base.
	Factor string `json:"factor,omitempty"`
	// AA is set when the arms are alike but for the replica: what differs is
	// chance.
	AA         bool          `json:"aa,omitempty"`
	Verdict    stats.Verdict `json:"verdict"`
	BaseValue  *float64      `json:"base_value"` // of all blocks together, nil when not told
	OtherValue *float64      `json:"other_value"`
	ChangePct  *Interval     `json:"change_pct"` // of other against base; nil without one
	P          *float64      `json:"p"`          // adjusted by Holm for the family
	Blocks     int           `json:"blocks"`     // of each arm
	MoreBlocks int           `json:"more_blocks,omitempty"`
	Reason     string        `json:"reason,omitempty"` // why it is UNSURE, or not compared
}

// AA is how the comparisons of equal arms came out.
type AA struct {
	Compared  int `json:"compared"`
	Different int `json:"different"` // found FASTER or SLOWER, which they are not
}

// Comparison is a family of contrasts, judged together.
type Comparison struct {
	MinEffectPct float64    `json:"min_effect_pct"`
	Contrasts    []Contrast `json:"contrasts"`
	// Reason says why there are none although there are arms to compare.
	Reason string `json:"reason,omitempty"`
	AA     *AA    `json:"aa,omitempty"`
}

// Find is the contrast of a metric of an arm's operation, nil without one. Of
// several factors it is about the first that is compared at all.
func (c *Comparison) Find(arm, op, metric string) *Contrast {
	main := ""
	if f := c.Factors(); len(f) > 0 {
		main = f[0]
	}
	return c.FindIn(main, arm, op, metric)
}

// FindIn is Find of one factor.
func (c *Comparison) FindIn(factor, arm, op, metric string) *Contrast {
	for i := range c.Contrasts {
		x := &c.Contrasts[i]
		if x.Other == arm && x.Op == op && x.Metric == metric && (x.Factor == factor || x.AA) {
			return x
		}
	}
	return nil
}

// Factors are those that are compared.
func (c *Comparison) Factors() (list []string) {
	for _, f := range []string{FactorComm, FactorPut, FactorStream, FactorServer, FactorTransform} {
		if slices.ContainsFunc(c.Contrasts, func(x Contrast) bool { return x.Factor == f }) {
			list = append(list, f)
		}
	}
	return list
}

// compare compares the arms of a run in pairs of the same block.
func (e *Evidence) compare(v Validity, o Options) (Comparison, error) {
	c := Comparison{MinEffectPct: 100 * defaultTo(o.MinEffect), Contrasts: []Contrast{}}
	pairs, err := e.pairs(o.Base)
	if err != nil || len(pairs) == 0 {
		return c, err
	}
	if c.Reason = v.NotComparable; c.Reason != "" {
		return c, nil
	}
	f := family{seed: e.Run.Summary.Seed, minEffect: defaultTo(o.MinEffect)}
	for _, p := range pairs {
		for _, m := range metrics(p.base, p.other, e.Run.Summary.Load) {
			f.add(Contrast{Base: p.base.Name, Other: p.other.Name, Op: p.base.Op, Metric: m, Factor: p.factor, AA: p.aa},
				side{e, p.base, v.Arm(p.base.Name)}, side{e, p.other, v.Arm(p.other.Name)}, true)
		}
	}
	if c.Contrasts, err = f.judge(); err != nil {
		return c, err
	}
	c.AA = countAA(c.Contrasts)
	return c, nil
}

func defaultTo(minEffect float64) float64 {
	if minEffect == 0 {
		return defaultMinEffect
	}
	return minEffect
}

func countAA(cs []Contrast) *AA {
	var a AA
	for _, c := range cs {
		if c.AA && c.Verdict != NotCompared {
			a.Compared++
			if c.Verdict == stats.Faster || c.Verdict == stats.Slower {
				a.Different++
			}
		}
	}
	if a.Compared == 0 {
		return nil
	}
	return &a
}

// pair is two rows of the same operation.
type pair struct {
	base, other *results.Row
	factor      string
	aa          bool
}

// pairs says which arms are compared: with a named base, all with it; else
// those that differ in one factor, for each factor that is compared, with the
// first of its group; and replicas with the first of theirs.
func (e *Evidence) pairs(base string) ([]pair, error) {
	rows := e.Run.Summary.Rows
	if base != "" {
		return e.pairsWith(base)
	}
	compared := comparedBy(e.Arms())
	first := map[string]*results.Row{} // by what they have in common
	var pairs []pair
	for i := range rows {
		row := &rows[i]
		twin := like(row, func(*results.Arm) {})
		if first[twin] != nil {
			pairs = append(pairs, pair{first[twin], row, "", true})
			continue
		}
		first[twin] = row
		for _, f := range compared {
			cell := f.name + " " + like(row, f.forget)
			if first[cell] != nil {
				pairs = append(pairs, pair{first[cell], row, f.name, false})
			} else {
				first[cell] = row
			}
		}
	}
	return pairs, nil
}

func (e *Evidence) pairsWith(base string) ([]pair, error) {
	rows := e.Run.Summary.Rows
	var pairs []pair
	found := false
	for i := range rows {
		if rows[i].Name != base {
			continue
		}
		found = true
		for j := range rows {
			if i != j && rows[j].Op == rows[i].Op {
				pairs = append(pairs, pair{&rows[i], &rows[j], "", alike(rows[i].Arm, rows[j].Arm)})
			}
		}
	}
	if !found {
		var names []string
		for _, a := range e.Arms() {
			names = append(names, a.Name)
		}
		return nil, fmt.Errorf("no arm %q in this run %s", base, scenarios.Suggest(base, names))
	}
	return pairs, nil
}

func alike(a, b results.Arm) bool {
	a.Name, a.Replica, a.Language = "", 0, ""
	b.Name, b.Replica, b.Language = "", 0, ""
	return a == b
}

// like is what an arm's row has in common with those that it is compared with:
// all but its name, its replica, and what forget takes away.
func like(row *results.Row, forget func(*results.Arm)) string {
	a := row.Arm
	a.Name, a.Replica, a.Language = "", 0, ""
	forget(&a)
	return fmt.Sprintf("%+v %s", a, row.Op)
}

// Factors that are compared: Contrast.Factor.
const (
	FactorComm      = "comm"
	FactorPut       = "put"
	FactorStream    = "stream"
	FactorServer    = "server" // what runs a transform: "md5" and "md5/python" do the same
	FactorTransform = "transform"
)

// factor is one of the factors that are compared.
type factor struct {
	name   string
	forget func(*results.Arm) // takes its level from an arm
}

// comparedBy are the factors in which arms differ, or transforms when they
// differ in nothing else: what they do is seldom the same.
func comparedBy(arms []results.Arm) (list []factor) {
	transform := factor{FactorTransform, func(a *results.Arm) { a.Transform = "" }}
	for _, f := range []factor{
		{FactorComm, func(a *results.Arm) { a.Comm = "" }},
		{FactorPut, func(a *results.Arm) { a.Put = "" }},
		{FactorStream, func(a *results.Arm) { a.Argument = "" }},
		{FactorServer, func(a *results.Arm) { a.Transform, _, _ = strings.Cut(a.Transform, "/") }},
	} {
		if f.varies(arms) {
			list = append(list, f)
		}
	}
	if len(list) == 0 && transform.varies(arms) {
		list = []factor{transform}
	}
	return list
}

// varies tells whether some arms differ in the factor alone.
func (f factor) varies(arms []results.Arm) bool {
	first := map[string]string{}
	for _, a := range arms {
		level := like(&results.Row{Arm: a}, func(*results.Arm) {})
		cell := like(&results.Row{Arm: a}, f.forget)
		if other, ok := first[cell]; ok && other != level {
			return true
		}
		first[cell] = level
	}
	return false
}

// metrics are what two rows are compared by. In an open loop the rate is the
// schedule's.
func metrics(a, b *results.Row, l results.Load) []string {
	list := []string{"p50", "p99"}
	if a.Mode == "init" { // of one operation a block
		return list[:1]
	}
	if l.Model != "open" || a.Mode == "offline" {
		list = append(list, throughput(a, b))
	}
	for _, cpu := range []string{"cpu-s/gib", "cpu-us/op"} {
		_, x := a.Value(cpu)
		_, y := b.Value(cpu)
		if x && y {
			return append(list, cpu)
		}
	}
	return list
}

func throughput(a, b *results.Row) string {
	if a.BytesIn > 0 && b.BytesIn > 0 {
		return "mib/s"
	}
	return "ops/s"
}

// HigherIsBetter tells it of a metric.
func HigherIsBetter(metric string) bool {
	return slices.Contains([]string{"ops/s", "mib/s", "achieved"}, metric)
}

// side is one side of a contrast.
type side struct {
	e     *Evidence
	row   *results.Row
	valid *ArmValidity
}

// samples are the values of a metric by block, of complete blocks.
func (s side) samples(metric string) map[int]float64 {
	out := map[int]float64{}
	for i := range s.e.Run.Summary.Samples {
		x := &s.e.Run.Summary.Samples[i]
		if x.Arm != s.row.Name || x.Op != s.row.Op || x.Partial {
			continue
		}
		if v, ok := x.Value(metric); ok && v > 0 {
			out[x.Block] = v
		}
	}
	return out
}

// why says why a side cannot be compared, "" when it can.
func (s side) why(metric string) string {
	if s.valid != nil && s.valid.Verdict != Valid {
		return fmt.Sprintf("%s is %s", s.row.Name, s.valid.Verdict)
	}
	if metric == "p99" && s.row.Samples > 0 && s.row.Response.Count/int64(s.row.Samples) < fewestForP99 {
		return fmt.Sprintf("%s has %d operations a block, a p99 wants %d", s.row.Name, s.row.Response.Count/int64(s.row.Samples), fewestForP99)
	}
	if _, ok := s.row.Value(metric); !ok && s.row.Response.Infinite > 0 && strings.HasPrefix(metric, "p") {
		return fmt.Sprintf("%s of %s is among operations that were never served", metric, s.row.Name)
	}
	return ""
}

// family collects contrasts to be judged together.
type family struct {
	seed      uint64
	minEffect float64
	out       []Contrast
	tested    []int
	numbers   []stats.Contrast
}

// add adds a contrast. In pairs only blocks count that both sides have.
func (f *family) add(c Contrast, base, other side, paired bool) {
	c.Verdict = NotCompared
	c.BaseValue, c.OtherValue = value(base.row, c.Metric), value(other.row, c.Metric)
	x, y := base.samples(c.Metric), other.samples(c.Metric)
	if c.Reason = base.why(c.Metric); c.Reason == "" {
		c.Reason = other.why(c.Metric)
	}
	if c.Reason == "" && (len(x) == 0 || len(y) == 0) {
		c.Reason = "one side has no such number"
	}
	if c.Reason == "" {
		n := stats.Contrast{Unpaired: !paired, HigherIsBetter: HigherIsBetter(c.Metric)}
		for _, block := range sortedKeys(x) {
			if _, both := y[block]; both || !paired {
				n.Base = append(n.Base, x[block])
			}
		}
		for _, block := range sortedKeys(y) {
			if _, both := x[block]; both || !paired {
				n.Other = append(n.Other, y[block])
			}
		}
		f.tested = append(f.tested, len(f.out))
		f.numbers = append(f.numbers, n)
	}
	f.out = append(f.out, c)
}

func value(row *results.Row, metric string) *float64 {
	if v, ok := row.Value(metric); ok {
		return &v
	}
	return nil
}

func sortedKeys(m map[int]float64) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (f *family) judge() ([]Contrast, error) {
	found, err := stats.Compare(f.numbers, stats.CompareOptions{Options: stats.Options{Seed: f.seed}, Threshold: f.minEffect})
	if err != nil {
		return nil, err
	}
	for k, r := range found {
		c := &f.out[f.tested[k]]
		c.Verdict, c.Blocks, c.MoreBlocks, c.Reason = r.Verdict, r.Blocks, r.MoreBlocks, r.Reason
		if r.Change.Level > 0 {
			change := told(r.Change, 100)
			c.ChangePct, c.P = &change, &r.Adjusted
		}
	}
	if f.out == nil {
		f.out = []Contrast{}
	}
	return f.out, nil
}

// Across compares each arm of a run with the arm of the same levels in a base
// run. Blocks of two runs have nothing in common, so they are not paired. Run
// of a Contrast is the other run's label, in the order of others: "B", "C" …
func Across(base *Evidence, others []*Evidence, o Options) (Comparison, error) {
	c := Comparison{MinEffectPct: 100 * defaultTo(o.MinEffect), Contrasts: []Contrast{}}
	f := family{seed: base.Run.Summary.Seed, minEffect: defaultTo(o.MinEffect)}
	baseValid, err := validityOf(base)
	if err != nil {
		return c, err
	}
	for i, other := range others {
		otherValid, err := validityOf(other)
		if err != nil {
			return c, err
		}
		for j := range base.Run.Summary.Rows {
			a := &base.Run.Summary.Rows[j]
			b := twin(other, a)
			if b == nil {
				continue
			}
			for _, m := range metrics(a, b, base.Run.Summary.Load) {
				f.add(Contrast{Base: a.Name, Other: b.Name, Run: Label(i + 1), Op: a.Op, Metric: m},
					side{base, a, baseValid.Arm(a.Name)}, side{other, b, otherValid.Arm(b.Name)}, false)
			}
		}
	}
	c.Contrasts, err = f.judge()
	return c, err
}

// Label names the runs of a comparison: "A", the base, "B" …
func Label(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprintf("run %d", i+1)
}

func validityOf(e *Evidence) (Validity, error) {
	gates, err := ParseGates(e.Run.Summary.Gates, e.Arms())
	if err != nil {
		return Validity{}, fmt.Errorf("%s: %w", e.Run.Dir, err)
	}
	return e.validity(gates), nil
}

// twin is the row of the same levels and operation in another run.
func twin(e *Evidence, row *results.Row) *results.Row {
	for i := range e.Run.Summary.Rows {
		r := &e.Run.Summary.Rows[i]
		if r.Op == row.Op && alike(r.Arm, row.Arm) && r.Replica == row.Replica {
			return r
		}
	}
	return nil
}

// Worst is the verdict of a whole comparison: SLOWER if anything is, else
// UNSURE if anything is or could not be compared, else SAME or FASTER.
func (c *Comparison) Worst() stats.Verdict {
	worst := stats.Same
	for _, x := range c.Contrasts {
		switch {
		case x.Verdict == stats.Slower:
			return stats.Slower
		case x.Verdict == stats.Unsure || x.Verdict == NotCompared:
			worst = stats.Unsure
		case x.Verdict == stats.Faster && worst == stats.Same:
			worst = stats.Faster
		}
	}
	if len(c.Contrasts) == 0 {
		return stats.Unsure
	}
	return worst
}
