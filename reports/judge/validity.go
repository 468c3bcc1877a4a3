package judge

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// Verdict is what numbers are worth.
type Verdict string

// Verdicts, the first that applies in this order.
const (
	Errors         Verdict = "ERRORS"          // operations failed, or gave wrong bytes
	GeneratorBound Verdict = "GENERATOR-BOUND" // the load generator could not keep up: the numbers are its own
	NotSteady      Verdict = "NOT-STEADY"      // the numbers depend on when one looked
	TooFewSamples  Verdict = "TOO-FEW-SAMPLES" // there is nothing to tell, or not what was planned
	Valid          Verdict = "VALID"
)

func (v Verdict) rank() int {
	return slices.Index([]Verdict{Errors, GeneratorBound, NotSteady, TooFewSamples, Valid}, v)
}

// State is what a check found.
type State string

// States of a Check.
const (
	OK      State = "ok"
	Warn    State = "warn"
	Fail    State = "fail"
	Unknown State = "unknown" // this machine, or this run, does not tell
)

// Check is one piece of evidence.
type Check struct {
	Name  string   `json:"name"`
	State State    `json:"state"`
	Value *float64 `json:"value"` // nil when unknown
	// Interval is that of Value, where it is an estimate.
	Interval *Interval `json:"interval,omitempty"`
	Unit     string    `json:"unit"`  // "%", "ms", "blocks" …
	Wants    string    `json:"wants"` // the threshold, such as "at least 98 %"
	Text     string    `json:"text"`  // of Warn and Fail: what it means, and what to do
	// Verdict is what the check makes of the arm when it fails.
	Verdict Verdict `json:"verdict"`
}

// ArmValidity is the verdict on one arm.
type ArmValidity struct {
	Arm     string  `json:"arm"`
	Verdict Verdict `json:"verdict"`
	Checks  []Check `json:"checks"`
	// SteadyFromS is where MSER-5 cuts the warm-up off, seconds from the begin
	// of a block; nil when it cannot tell.
	SteadyFromS *float64 `json:"steady_from_s"`
}

// Validity is the verdict on a run: the worst of its arms.
type Validity struct {
	Verdict Verdict       `json:"verdict"`
	Reasons []string      `json:"reasons"` // of a verdict that is not VALID: what happened, and what to do
	Arms    []ArmValidity `json:"arms"`
	// Comparable says why arms cannot be compared although the run is VALID,
	// "" when they can.
	NotComparable string `json:"not_comparable,omitempty"`
}

// Arm is the verdict on an arm.
func (v *Validity) Arm(name string) *ArmValidity {
	for i := range v.Arms {
		if v.Arms[i].Arm == name {
			return &v.Arms[i]
		}
	}
	return nil
}

// Thresholds of the checks.
const (
	minAchieved    = 98.0 // % of the offered operations
	warnAchieved   = 99.5
	maxDelay       = 10.0 // % of the response time's p99
	maxCPU         = 80.0 // % of what the generator may use
	maxThrottled   = 1.0  // % of the measured time; less is a warning
	maxGC          = 5.0  // % of the response time's p99
	maxHiccup      = 10.0 // % of the response time's p99
	maxRunQueue    = 20.0 // % of the measured time, of each CPU
	maxLittle      = 5.0  // %
	maxCalibrated  = 10.0 // times the calibration's rate
	minFloor       = 3.0  // times the p99 that the generator has by itself
	perTargetFewer = 4    // requests in flight a target, below which a cap is tiny
	saturatedShare = 0.85 // of the machine's CPUs, which is as good as all
	littleSeconds  = 10.0 // measured time from which Little's law is looked at
)

// validity judges every arm, and the run.
func (e *Evidence) validity(gates []Gate) Validity {
	v := Validity{Verdict: Valid, Reasons: []string{}, Arms: []ArmValidity{}}
	series := 0
	for _, s := range e.Series {
		if s.Row.Mode == "inline" {
			series++
		}
	}
	for _, a := range e.Arms() {
		if a.NotOffered != "" {
			continue
		}
		one := e.arm(a, gates, max(1, series*len(seriesNames())))
		v.Arms = append(v.Arms, one)
		if one.Verdict.rank() < v.Verdict.rank() {
			v.Verdict = one.Verdict
		}
	}
	v.judgeTrials(e)
	v.judgeLoaders(e)
	v.Reasons = reasons(v, e)
	return v
}

// judgeTrials looks at the number of blocks. A run of a few blocks that was
// planned so is valid, but nothing in it can be compared.
func (v *Validity) judgeTrials(e *Evidence) {
	t := e.Run.Summary.Trials
	complete := max(t.Complete, 1)
	switch {
	case len(e.Run.Summary.Rows) == 0:
		v.Verdict = TooFewSamples
	case complete < stats.MinBlocks && t.Planned >= stats.MinBlocks:
		if v.Verdict == Valid {
			v.Verdict = TooFewSamples
		}
		v.NotComparable = fmt.Sprintf("%d of %d blocks are complete, a comparison needs %d", t.Complete, t.Planned, stats.MinBlocks)
	case complete < stats.MinBlocks:
		v.NotComparable = fmt.Sprintf("%s of each arm, a comparison needs %d: --set trials.blocks=10", blocks(complete), stats.MinBlocks)
	}
}

// judgeLoaders looks for loaders that were lost: the rest is less than the load
// that was asked for.
func (v *Validity) judgeLoaders(e *Evidence) {
	if len(lost(e)) > 0 && GeneratorBound.rank() < v.Verdict.rank() {
		v.Verdict = GeneratorBound
	}
}

// lost says which loaders were.
func lost(e *Evidence) (texts []string) {
	for _, l := range e.Run.Summary.Loaders {
		if l.Lost != "" {
			texts = append(texts, fmt.Sprintf("loader %s was lost, and its share %s of the operations is missing from then on: %s", l.Name, l.Share, l.Lost))
		}
	}
	return texts
}

func blocks(n int) string {
	if n == 1 {
		return "1 block"
	}
	return fmt.Sprintf("%d blocks", n)
}

// reasons says once what several arms have in common.
func reasons(v Validity, e *Evidence) []string {
	var texts []string
	arms := map[string][]string{}
	for _, a := range v.Arms {
		for _, c := range a.Checks {
			if c.State == Fail && c.Verdict == v.Verdict {
				if arms[c.Text] == nil {
					texts = append(texts, c.Text)
				}
				arms[c.Text] = append(arms[c.Text], a.Arm)
			}
		}
	}
	out := []string{}
	for _, t := range texts {
		out = append(out, strings.Join(arms[t], ", ")+": "+t)
	}
	out = append(out, lost(e)...)
	if len(e.Run.Summary.Rows) == 0 {
		why := "nothing was measured"
		if len(v.Arms) == 0 && len(e.Arms()) > 0 {
			why += ": the cluster offers no communication type of the scenario"
		}
		out = append(out, why)
	} else if v.Verdict == TooFewSamples && v.NotComparable != "" {
		out = append(out, v.NotComparable)
	}
	return out
}

// arm makes all checks of one arm. tests is how many series of the run are
// tested for steadiness.
func (e *Evidence) arm(a results.Arm, gates []Gate, tests int) ArmValidity {
	v := ArmValidity{Arm: a.Name, Verdict: Valid}
	x := examined{e: e, arm: a, load: e.Run.Summary.Load}
	for _, s := range e.Series {
		if s.Row.Name == a.Name {
			x.series = append(x.series, s)
			x.all.Add(s.Row.Counts)
			x.intended += s.Row.Intended
		}
	}
	for _, b := range e.Run.Summary.Blocks {
		if b.Arm == a.Name {
			x.blocks = append(x.blocks, b)
		}
	}
	x.faults = e.counted(a.Name)
	v.Checks = append(v.Checks, x.samples(), x.errors(gates))
	if a.Mode == "inline" {
		v.Checks = append(v.Checks, x.generator(gates)...)
		v.Checks = append(v.Checks, x.steady(tests)...)
		if len(x.series) > 0 {
			if end, err := x.series[0].warmupEnd(); err == nil {
				seconds := end.Seconds()
				v.SteadyFromS = &seconds
			}
		}
	}
	for _, c := range v.Checks {
		if c.State == Fail && c.Verdict.rank() < v.Verdict.rank() {
			v.Verdict = c.Verdict
		}
	}
	return v
}

// examined is an arm with what is known of it.
type examined struct {
	e        *Evidence
	arm      results.Arm
	load     results.Load
	series   []*Series
	blocks   []results.Block
	faults   []results.Fault
	all      results.Counts // of all operations of the mix
	intended int64
}

func (x *examined) samples() Check {
	n := float64(x.all.Ops)
	c := Check{Name: "operations", Value: &n, Unit: "ops", Wants: "at least 1", State: OK, Verdict: TooFewSamples}
	if x.all.Ops == 0 {
		c.State = Fail
		c.Text = "no operation was answered: measure longer, or look at the errors"
	}
	return c
}

// errors fails on any error that no fault made on purpose, unless a gate says
// how many may be. Wrong bytes are never allowed.
func (x *examined) errors(gates []Gate) Check {
	c := Check{Name: "errors", Unit: "%", Wants: "none", State: OK, Verdict: Errors}
	failed := x.all.Errors - x.planned()
	if len(x.faults) > 0 {
		c.Name = "errors outside faults"
	}
	if x.intended > 0 {
		share := 100 * float64(failed) / float64(x.intended)
		c.Value = &share
	}
	var classes []string
	wrong := false
	for _, e := range x.e.Run.Errors {
		if e.Arm == x.arm.Name {
			classes = append(classes, fmt.Sprintf("%s %d", e.Class, e.Count))
			wrong = wrong || e.Class == "digest" || e.Class == "size"
		}
	}
	if failed == 0 && !wrong {
		return c
	}
	what := ""
	if len(classes) > 0 {
		what = " (" + strings.Join(classes, ", ") + ")"
	}
	if planned := x.planned(); planned > 0 {
		what += fmt.Sprintf(", %d of them while a fault lasted", planned)
	}
	c.Text = fmt.Sprintf("%d of %d operations failed%s; see: etlbench explain %s %s.errors", x.all.Errors, x.intended, what, x.e.Run.Dir, x.arm.Name)
	c.State = Fail
	if !wrong && gated(gates, x.arm.Name, "errors") {
		c.State, c.Wants = Warn, "as its gate says"
	}
	return c
}

// planned is how many errors belong to faults.
func (x *examined) planned() (n int64) {
	for i := range x.faults {
		n += x.faults[i].Errored()
	}
	return n
}

// gated tells whether a gate judges a number of an arm.
func gated(gates []Gate, arm, metric string) bool {
	return slices.ContainsFunc(gates, func(g Gate) bool {
		return g.metric == metric && g.phase == results.PhaseMeasure && slices.Contains(g.arms, arm) && g.base == nil
	})
}

// waiting is the check that tells a generator that has no CPU to run on from one
// that merely shares the machine.
const waiting = "goroutines waiting to run"

// generator looks at whether the numbers are those of the cluster.
func (x *examined) generator(gates []Gate) []Check {
	checks := append(x.worstLoader(), x.little(), x.calibrated(), x.floor())
	// Whose fault a delay is depends on the rest.
	guilty := slices.ContainsFunc(checks, func(c Check) bool {
		return c.State == Fail || c.State == Warn && (c.Name == waiting || c.Name == "throttling")
	})
	return append([]Check{x.achieved(gates, guilty), x.delay(guilty)}, checks...)
}

// worstLoader makes the checks of a generator's process. Of several loaders it
// is the worst one's that counts, and it is named: on the average of all, one
// that could not keep up would not show.
func (x *examined) worstLoader() (worst []Check) {
	for name, blocks := range x.byLoader() {
		one := *x
		one.blocks = blocks
		checks := []Check{one.cpu(), one.throttled(), one.runQueue(),
			one.part(waiting, maxDelay, func(g results.Generator) *float64 { return g.SchedP99Ms }),
			one.part("garbage collection pauses", maxGC, func(g results.Generator) *float64 { return g.GCPauseP99Ms }),
			one.part("hiccups of this machine", maxHiccup, func(g results.Generator) *float64 { return g.HiccupP99Ms })}
		for i := range checks {
			if name != "" && checks[i].Text != "" {
				checks[i].Text = "loader " + name + ": " + checks[i].Text
			}
		}
		if worst == nil {
			worst = checks
			continue
		}
		for i, c := range checks {
			if c.worse(worst[i]) {
				worst[i] = c
			}
		}
	}
	return worst
}

// byLoader are the arm's blocks by loader, in the order of their names; all
// of them under "" where one loader measured them, or none.
func (x *examined) byLoader() iter.Seq2[string, []results.Block] {
	blocks := map[string][]results.Block{}
	for _, b := range x.blocks {
		blocks[b.Loader] = append(blocks[b.Loader], b)
	}
	if len(blocks) == 0 {
		blocks[""] = nil
	}
	return func(yield func(string, []results.Block) bool) {
		for _, name := range slices.Sorted(maps.Keys(blocks)) {
			if !yield(name, blocks[name]) {
				return
			}
		}
	}
}

// samplesTaken is in how many blocks the arm was measured.
func (x *examined) samplesTaken() (n int) {
	for _, blocks := range x.byLoader() {
		n = max(n, len(blocks))
	}
	return n
}

// worse tells whether c is worse evidence than d, a check of the same name.
func (c Check) worse(d Check) bool {
	rank := func(c Check) int { return slices.Index([]State{Unknown, OK, Warn, Fail}, c.State) }
	if rank(c) != rank(d) {
		return rank(c) > rank(d)
	}
	return c.Value != nil && d.Value != nil && *c.Value > *d.Value
}

// per sums a number over the blocks and divides by the sum of another.
func (x *examined) per(num, den func(results.Block) *float64) *float64 {
	n, d := 0.0, 0.0
	for _, b := range x.blocks {
		a, c := num(b), den(b)
		if a == nil || c == nil {
			return nil
		}
		n, d = n+*a, d+*c
	}
	if d <= 0 {
		return nil
	}
	n /= d
	return &n
}

// limit is a check of a number that has a largest good value.
func limit(name string, v *float64, unit string, most float64, over State, text string) Check {
	c := Check{Name: name, Unit: unit, Wants: fmt.Sprintf("at most %g %s", most, unit), State: Unknown, Value: v, Verdict: GeneratorBound}
	switch {
	case v == nil:
	case *v > most:
		c.State, c.Text = over, text
	default:
		c.State = OK
	}
	return c
}

func percent(v *float64) *float64 {
	if v == nil {
		return nil
	}
	p := 100 * *v
	return &p
}

func (x *examined) cpu() Check {
	v := percent(x.per(func(b results.Block) *float64 { return &b.Generator.CPUSeconds }, func(b results.Block) *float64 {
		may := float64(b.Generator.GOMAXPROCS)
		if q := b.Generator.CPUQuota; q != nil {
			may = min(may, *q)
		}
		may *= b.Seconds
		return &may
	}))
	return limit("CPU of the generator", v, "%", maxCPU, Fail,
		"the generator used up its CPU: lower the load, give it more CPUs, or run it on another machine")
}

func seconds(b results.Block) *float64 { return &b.Seconds }

func (x *examined) throttled() Check {
	v := percent(x.per(func(b results.Block) *float64 { return b.Generator.ThrottledS }, seconds))
	c := limit("throttling", v, "%", maxThrottled, Fail,
		"the cgroup's CPU quota stopped the generator: raise the quota, or lower the load")
	if c.State == OK && *v > 0 {
		c.State, c.Text = Warn, "the cgroup's CPU quota stopped the generator now and then: tails may be its own"
	}
	return c
}

func (x *examined) runQueue() Check {
	v := percent(x.per(func(b results.Block) *float64 { return b.Generator.RunQueueS }, func(b results.Block) *float64 {
		all := b.Seconds * float64(b.Generator.GOMAXPROCS)
		return &all
	}))
	return limit("run queue", v, "%", maxRunQueue, Warn,
		"the generator's threads waited for a CPU: it shares the machine with what it measures")
}

// part holds a time of the generator against the response times. The machine's
// noise is a warning: small differences between tails may be its own.
func (x *examined) part(name string, most float64, of func(results.Generator) *float64) Check {
	var worst *float64
	for _, b := range x.blocks {
		if v := of(b.Generator); v != nil && (worst == nil || *v > *worst) {
			worst = v
		}
	}
	p99 := x.responseP99()
	if worst == nil || p99 == nil {
		return limit(name, nil, "% of p99", most, Warn, "")
	}
	share := 100 * *worst / *p99
	return limit(name, &share, "% of p99", most, Warn,
		fmt.Sprintf("one in a hundred is longer than %.3g ms: smaller differences in p99 are noise", *worst))
}

// responseP99 is the largest of the arm's operations; where it is infinite,
// that of those that were served.
func (x *examined) responseP99() *float64 {
	var most *float64
	for _, s := range x.series {
		p := s.Row.Response.P99Ms
		if p == nil {
			p = s.Row.Service.P99Ms
		}
		if p != nil && *p > 0 && (most == nil || *p > *most) {
			most = p
		}
	}
	return most
}

// little holds the operations under way that were counted against those that
// rate and time make.
func (x *examined) little() Check {
	var inFlight *float64 // of all loaders together
	for _, blocks := range x.byLoader() {
		one := examined{blocks: blocks}
		mean := one.per(func(b results.Block) *float64 {
			if b.Generator.InFlightMean == nil {
				return nil
			}
			v := *b.Generator.InFlightMean * b.Seconds
			return &v
		}, seconds)
		if mean == nil {
			inFlight = nil
			break
		}
		if inFlight != nil {
			*mean += *inFlight
		}
		inFlight = mean
	}
	var measured, weighted, longest, waited float64
	for _, s := range x.series {
		if s.Row.Service.MeanMs == nil {
			continue
		}
		if d := s.Row.Delay.P99Ms; d != nil {
			waited = max(waited, *d/1000)
		}
		weighted += float64(s.Row.Ops) * *s.Row.Service.MeanMs / 1000
		measured = max(measured, s.Row.Seconds)
		longest = max(longest, *s.Row.Service.MeanMs/1000)
	}
	var v *float64
	// Operations that failed are under way, too, but their times are not known;
	// the edges of a short time weigh much; and what waits when the measured time
	// begins is sent in it, but counts as warm-up.
	block := measured / float64(max(1, x.samplesTaken()))
	short := measured < littleSeconds || longest*20 > block || waited*50 > block || x.all.Ops < 1000
	if inFlight != nil && !short && x.all.Errors*100 <= x.all.Ops {
		mean := time.Duration(weighted / float64(x.all.Ops) * 1e9)
		if e, err := stats.Little(*inFlight, float64(x.all.Ops)/measured, mean); err == nil {
			e = 100 * math.Abs(e)
			v = &e
		}
	}
	return limit("Little's law", v, "%", maxLittle, Fail,
		"rate times service time is not what was under way: the generator's books are wrong, which is a bug in etlbench, or its clock is")
}

func (x *examined) calibrated() Check {
	var v *float64
	if c := x.e.Run.Summary.Calibration; c != nil && c.OpsPerS > 0 && len(x.series) > 0 {
		sum := 0.0
		for _, s := range x.series {
			sum += s.Row.OpsPerS
		}
		sum /= c.OpsPerS
		v = &sum
	}
	return limit("rate over calibration", v, "times", maxCalibrated, Fail,
		"the rate is more than this generator can make: something answers in its place")
}

// floor holds the response times against those that the generator has against
// a server that does nothing: near them, arms differ by less than it adds.
func (x *examined) floor() Check {
	c := Check{Name: "p99 over the tool's floor", Unit: "times", Wants: fmt.Sprintf("at least %g times", minFloor), State: Unknown, Verdict: GeneratorBound}
	cal, p99 := x.e.Run.Summary.Calibration, x.responseP99()
	if cal == nil || cal.P99Ms <= 0 || p99 == nil {
		return c
	}
	v := *p99 / cal.P99Ms
	c.Value, c.State = &v, OK
	if v < minFloor {
		c.State = Warn
		c.Text = fmt.Sprintf("the p99 is %.3g times the %.3g ms that the generator needs against a server that does nothing: the generator is a large part of it", v, cal.P99Ms)
	}
	return c
}

// achieved holds what was done against what was intended.
func (x *examined) achieved(gates []Gate, guilty bool) Check {
	c := Check{Name: "achieved", Unit: "%", Wants: fmt.Sprintf("at least %g %%", minAchieved), State: Unknown, Verdict: NotSteady}
	if x.load.Model != "open" || x.intended == 0 {
		return c
	}
	// Errors are told by their own check, and what faults cost by themselves.
	all, intended := x.all, x.intended
	if len(x.faults) > 0 {
		all = results.Counts{}
		for _, s := range x.series {
			all.Add(s.steady)
		}
		if intended = all.Accounted(); intended == 0 {
			return c
		}
	}
	share := 100 * float64(all.Ops+all.Errors) / float64(intended)
	c.Value, c.State = &share, OK
	switch {
	case share >= warnAchieved:
	case share >= minAchieved:
		c.State, c.Text = Warn, fmt.Sprintf("%.3g %% of the offered operations were sent and answered", share)
	case guilty || x.capped():
		c.State, c.Verdict = Fail, GeneratorBound
		c.Text = fmt.Sprintf("the generator could not keep up: %.3g %% of the offered operations were sent and answered; %s", share, x.remedy())
	default:
		c.State = Fail
		c.Text = fmt.Sprintf("the cluster could not keep up: %.3g %% of the offered operations were sent and answered, and beyond its limit no load is steady; "+
			"lower load.rate, or say by a gate on %s.achieved how much is enough", share, x.arm.Name)
		if gated(gates, x.arm.Name, "achieved") {
			c.State, c.Wants = Warn, "as its gate says"
		}
	}
	return c
}

// delay is how much of the response time the generator added.
func (x *examined) delay(guilty bool) Check {
	var worst *float64
	for _, s := range x.series {
		d, r := s.Row.Delay.P99Ms, s.Row.Response.P99Ms
		if d == nil || r == nil || *r <= 0 {
			continue
		}
		share := 100 * *d / *r
		if worst == nil || share > *worst {
			worst = &share
		}
	}
	if x.load.Model != "open" {
		worst = nil
	}
	c := limit("start delay", worst, "% of p99", maxDelay, Warn,
		"requests were sent late because the cluster was slow to answer those before: response times tell it, service times do not")
	switch {
	case c.State != Warn:
	case guilty || x.capped():
		c.State, c.Text = Fail, "requests were sent late because the generator could not keep up: "+x.remedy()
	case x.ownDelay():
		c.Text = "the generator woke up late, as the machine was busy: this share of the tail is its own; give it CPUs of its own to tell times this short"
	}
	return c
}

// ownDelay tells whether delays are mostly those of the pacer, which releases
// requests, and not of workers that were busy.
func (x *examined) ownDelay() bool {
	pacer, delay := 0.0, 0.0
	for _, b := range x.blocks {
		if g := b.Generator; g.PacerP99Ms != nil && g.DelayP99Ms != nil {
			pacer, delay = pacer+*g.PacerP99Ms, delay+*g.DelayP99Ms
		}
	}
	return delay > 0 && pacer >= delay/2
}

// workers is how many requests may be under way.
func (x *examined) workers() int { return cmp.Or(x.arm.Workers, x.load.Workers) }

// capped tells whether the generator's own limits held requests back, however
// fast the cluster may be: too few workers for the rate at the shortest service
// time seen, or so few that some target must idle. Beyond that, that all
// workers are busy is the cluster's doing.
func (x *examined) capped() bool {
	most := x.workers()
	if x.load.InFlight > 0 {
		most = min(most, x.load.InFlight)
	}
	if most <= 0 {
		return false
	}
	busy, fastest := 0.0, 0.0
	for _, s := range x.series {
		if s.Row.Service.MeanMs == nil || s.Row.Seconds <= 0 || s.Service == nil {
			continue
		}
		busy += s.Row.OpsPerS * *s.Row.Service.MeanMs / 1000
		fastest += float64(s.Row.Intended) / s.Row.Seconds * float64(s.Service.Min()) / 1e9
	}
	if busy < 0.8*float64(most) && x.all.Shed == 0 {
		return false
	}
	if fastest >= float64(most) {
		return true
	}
	return most < perTargetFewer*max(1, len(x.e.Run.Summary.Cluster.Targets)) && !x.saturated()
}

// saturated tells whether the cluster had no CPU left: then it is slow however
// few requests are under way. Where nobody knows what it used, it is not said to
// be.
func (x *examined) saturated() bool {
	if len(x.series) == 0 || x.series[0].Row.Seconds <= 0 {
		return false
	}
	row := x.series[0].Row // resources are those of the arm, whatever the operation
	used, own := 0.0, 0.0
	for _, r := range row.Resources {
		used += r.CPUSeconds / row.Seconds
		if r.Component == "client" {
			own = r.CPUSeconds / row.Seconds
		}
	}
	return own < used/2 && used >= saturatedShare*float64(x.e.Run.Env.CPUs)
}

func (x *examined) remedy() string {
	if x.capped() {
		return fmt.Sprintf("all of its %d workers were busy: raise load.workers and load.in-flight", min(x.workers(), max(x.load.InFlight, 1)))
	}
	return "give it more CPU time, or lower load.rate"
}

// steady looks at whether the measured time is of one piece.
func (x *examined) steady(tests int) []Check {
	var checks []Check
	level := 1 - 0.05/float64(tests)
	for _, s := range x.series {
		prefix := ""
		if len(x.series) > 1 {
			prefix = s.Row.Op + " "
		}
		if s.planned(x.load) {
			checks = append(checks, Check{Name: prefix + "drift", Unit: "%", Wants: "not asked: the offered rate changes by plan", State: Unknown, Verdict: NotSteady})
			continue
		}
		for _, name := range seriesNames() {
			checks = append(checks, drifting(s, prefix+name+" drift", name, level))
		}
		checks = append(checks, warming(s, prefix, x.load))
	}
	return checks
}

// drifting fails when the whole interval of the drift is beyond what is steady:
// a noisy series is no drifting one.
func drifting(s *Series, title, name string, level float64) Check {
	c := Check{Name: title, Unit: "%", Wants: fmt.Sprintf("an interval not beyond ±%g %%", 100*stats.MaxDrift), State: Unknown, Verdict: NotSteady}
	d, ok := s.drift(name, level)
	if !ok {
		return c
	}
	v, i := 100*d.Estimate, told(d, 100)
	c.Value, c.Interval, c.State = &v, &i, OK
	if d.Low > stats.MaxDrift || d.High < -stats.MaxDrift {
		c.State = Fail
		c.Text = fmt.Sprintf("%s changed by %+.3g %% [%+.3g, %+.3g] over the measured time: warm up longer, or look for what fills up; measure longer to see if it settles",
			name, v, 100*d.Low, 100*d.High)
	}
	return c
}

// warming looks at whether the automatic warm-up was long enough. MSER-5 finds
// an end too late in some steady series, so it only fails together with a drift.
func warming(s *Series, prefix string, l results.Load) Check {
	c := Check{Name: prefix + "end of the warm-up", Unit: "s", Wants: fmt.Sprintf("at most %.3g s (the warm-up)", s.warmed.Seconds()), State: Unknown, Verdict: NotSteady}
	end, err := s.warmupEnd()
	if err != nil && err != stats.ErrNoWarmupEnd {
		return c
	}
	if err == nil {
		v := end.Seconds()
		c.Value = &v
	}
	if err == nil && end <= s.warmed {
		c.State = OK
		return c
	}
	c.State = Warn
	c.Text = "MSER-5 would cut more than the warm-up: it may have been too short; raise phases.max, or phases.warmup"
	d, ok := s.drift("mean response", 0.95)
	if l.AutoWarmup && ok && math.Abs(d.Estimate) > stats.MaxDrift && (d.Low > 0 || d.High < 0) {
		c.State = Fail
	}
	return c
}
