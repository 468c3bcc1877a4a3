package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// Phases of an arm's measured time around its faults, which gates may name: all
// before the first of the block, while one lasts, and the rest. An interval
// belongs to "during" when it overlaps a fault.
const (
	PhaseBefore = "before"
	PhaseDuring = "during"
	PhaseAfter  = "after"
)

func faultPhases() []string { return []string{PhaseBefore, PhaseDuring, PhaseAfter} }

const (
	recoverWithin    = 0.10 // of the rate and p99 before
	recoverIntervals = 5    // in a row
)

// FaultOutcome is what a fault of the scenario did to an arm, over all blocks.
type FaultOutcome struct {
	Number  int      `json:"number"` // in the scenario, from 0
	What    string   `json:"what"`
	Arm     string   `json:"arm"`
	AtS     float64  `json:"at_s"`    // from the begin of the measured time, the mean over blocks
	LastsS  float64  `json:"lasts_s"` // the mean over blocks
	Against []string `json:"against"` // of all blocks
	AtOnce  int      `json:"at_once"` // of them in a block, at most
	How     string   `json:"how"`
	Blocks  int      `json:"blocks"`
	Failed  []string `json:"failed,omitempty"` // why it could not be injected, or undone
	// Errors, Intended and Lost are sums over blocks: see results.Fault.
	Errors   []results.FaultErrors `json:"errors"`
	Intended int64                 `json:"intended"`
	Lost     int64                 `json:"lost"`
	// FirstGoodS is the middle over the blocks that have one. NoGood counts the
	// others.
	FirstGoodS *Interval `json:"first_good_s"`
	NoGood     int       `json:"no_good"`
	// RecoverS is the middle over the blocks in which it was got over, of the
	// time to recover: see Recovery. NotRecovered counts the blocks in which it
	// was not, Unknown those that do not tell.
	RecoverS     *Interval `json:"recover_s"`
	NotRecovered int       `json:"not_recovered"`
	Unknown      int       `json:"unknown"`
}

// Recovery is how a fault was got over in one block. An arm has recovered at the
// begin of the first 5 intervals in a row without a lost operation, of which
// each has a rate and a p99 within 10 % of their medians before the fault, or,
// where noise is larger than that, within what intervals before it had. Not Known
// without 5 intervals before and after it. The time counts from a kill, or from the end of a fault that lasts, and is as exact as the interval
// is long. That throughput has to be back for a while is RFC 6412's "Sustained
// Convergence Validation Time"; to count from the trigger, RFC 6201's reset
// time.
type Recovery struct {
	Known, Recovered bool
	S                float64
}

// moment is an interval of a block with faults.
type moment struct {
	point
	begin, end time.Time
	offset     time.Duration // from the block's begin
	warmup     bool
	counts     results.Counts
}

// lost is whether operations of the interval were not done.
func (m *moment) lost() bool { return m.counts.Ops < m.counts.Accounted() }

// recoveries judges the faults of a block, in the order of time, and tells
// which intervals are steady: before any fault, or after one was got over.
func recoveries(moments []moment, faults []results.Fault) (found []Recovery, steady []bool) {
	steady = make([]bool, len(moments))
	for i := range moments {
		steady[i] = !moments[i].warmup
	}
	for i, f := range faults {
		next := time.Time{}
		if i+1 < len(faults) {
			next = faults[i+1].At
		}
		var before []moment
		for j, m := range moments {
			if steady[j] && !m.end.After(f.At) {
				before = append(before, m)
			}
		}
		r, until := recovery(before, moments, f, next)
		for j, m := range moments {
			if m.end.After(f.At) && (until.IsZero() || m.begin.Before(until)) {
				steady[j] = false
			} else if m.end.After(f.At) {
				steady[j] = !m.warmup // of a fault before that was not got over until now
			}
		}
		found = append(found, r)
	}
	return found, steady
}

// recovery judges one fault. until is when all is well again, zero for never.
func recovery(before, all []moment, f results.Fault, next time.Time) (r Recovery, until time.Time) {
	from := f.Until
	if f.Kind == results.FaultKill {
		from = f.At
	}
	var after []moment
	for _, m := range all {
		if !m.warmup && !m.begin.Before(from) && (next.IsZero() || !m.end.After(next)) {
			after = append(after, m)
		}
	}
	if len(before) < recoverIntervals || len(after) < recoverIntervals || f.Failed != "" {
		return r, until
	}
	r.Known = true
	leastRate, mostP99 := normal(before)
	ok := 0
	for i, m := range after {
		if ok++; m.lost() || m.rate < leastRate || m.p99 > mostP99 {
			ok = 0
		}
		if ok < recoverIntervals {
			continue
		}
		begin := after[i-recoverIntervals+1].begin
		r.Recovered, r.S, until = true, max(0, begin.Sub(from).Seconds()), begin
		if until.Before(f.Until) {
			until = f.Until
		}
		return r, until
	}
	return r, until
}

// normal is the lowest rate and the highest p99, NaN without any, that count as
// those of undisturbed intervals.
func normal(before []moment) (leastRate, mostP99 float64) {
	var rates, tails []float64
	for _, m := range before {
		rates = append(rates, m.rate)
		if !math.IsNaN(m.p99) {
			tails = append(tails, m.p99)
		}
	}
	leastRate = min((1-recoverWithin)*median(rates), slices.Min(rates))
	if tails == nil {
		return leastRate, math.NaN()
	}
	return leastRate, max((1+recoverWithin)*median(tails), slices.Max(tails))
}

// median sorts its values, of which there is at least one.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// phaseOf is where an interval lies.
func phaseOf(begin, end time.Time, faults []results.Fault) string {
	phase := PhaseBefore
	for _, f := range faults {
		switch {
		case begin.Before(f.Until) && end.After(f.At):
			return PhaseDuring
		case !begin.Before(f.Until):
			phase = PhaseAfter
		}
	}
	return phase
}

// faultsOf are those of an arm in a block, in the order of time.
func faultsOf(s *results.Summary, arm string, block int) (list []results.Fault) {
	for _, f := range s.Faults {
		if f.Arm == arm && f.Block == block {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b results.Fault) int { return a.At.Compare(b.At) })
	return list
}

// faults sums the run's faults up, by arm and then in the scenario's order.
func (e *Evidence) faults() []FaultOutcome {
	out := []FaultOutcome{}
	for _, a := range e.Arms() {
		mine := e.counted(a.Name)
		slices.SortStableFunc(mine, func(a, b results.Fault) int { return cmp.Compare(a.Number, b.Number) })
		for len(mine) > 0 {
			n := 1
			for n < len(mine) && mine[n].Number == mine[0].Number {
				n++
			}
			out = append(out, e.fault(mine[:n]))
			mine = mine[n:]
		}
	}
	return out
}

// counted are the faults of an arm in the blocks that its rows have.
func (e *Evidence) counted(arm string) (list []results.Fault) {
	whole := slices.ContainsFunc(e.Run.Summary.Samples, func(s results.Sample) bool { return s.Arm == arm && !s.Partial })
	for _, f := range e.Run.Summary.Faults {
		if f.Arm == arm && f.Partial == !whole {
			list = append(list, f)
		}
	}
	return list
}

// fault sums up the same fault of several blocks.
func (e *Evidence) fault(list []results.Fault) FaultOutcome {
	out := FaultOutcome{Number: list[0].Number, What: list[0].What, Arm: list[0].Arm, How: list[0].How, Against: []string{},
		Blocks: len(list), Errors: []results.FaultErrors{}}
	var good, recovered []float64
	for i := range list {
		f := &list[i]
		out.AtS += f.At.Sub(e.begin(f.Arm, f.Block)).Seconds() / float64(len(list))
		out.LastsS += f.Until.Sub(f.At).Seconds() / float64(len(list))
		out.Against, out.AtOnce = append(out.Against, f.Against...), max(out.AtOnce, len(f.Against))
		out.Intended, out.Lost = out.Intended+f.Intended, out.Lost+f.Lost()
		for _, c := range f.Errors {
			out.addErrors(c)
		}
		if f.Failed != "" {
			out.Failed = append(out.Failed, f.Failed)
		}
		if f.FirstGoodS != nil {
			good = append(good, *f.FirstGoodS)
		}
		switch r := e.Recovery(f); {
		case !r.Known:
			out.Unknown++
		case !r.Recovered:
			out.NotRecovered++
		default:
			recovered = append(recovered, r.S)
		}
	}
	slices.Sort(out.Against)
	out.Against = slices.Compact(out.Against)
	out.NoGood = len(list) - len(good)
	out.FirstGoodS, out.RecoverS = middle(good), middle(recovered)
	return out
}

func (o *FaultOutcome) addErrors(c results.FaultErrors) {
	i := slices.IndexFunc(o.Errors, func(have results.FaultErrors) bool { return have.Class == c.Class })
	if i < 0 {
		i = len(o.Errors)
		o.Errors = append(o.Errors, results.FaultErrors{Class: c.Class})
	}
	o.Errors[i].Count += c.Count
}

// begin is when an arm's measured time began in a block.
func (e *Evidence) begin(arm string, block int) time.Time {
	for _, b := range e.Run.Summary.Blocks {
		if b.Arm == arm && b.Block == block {
			return b.Started
		}
	}
	return time.Time{}
}

// Recovery is that of all operations of the arm's mix: the last to recover.
func (e *Evidence) Recovery(f *results.Fault) Recovery {
	all := Recovery{Known: true, Recovered: true}
	seen := false
	for _, s := range e.Series {
		if r, ok := s.recovered[faultKey{f.Number, f.Block}]; ok && s.Row.Name == f.Arm {
			seen = true
			all.Known = all.Known && r.Known
			all.Recovered = all.Recovered && r.Recovered
			all.S = max(all.S, r.S)
		}
	}
	all.Known = all.Known && seen
	return all
}

// faultKey is a fault of an arm.
type faultKey struct{ number, block int }

// middle is that of one value for each block: from stats.MinBlocks on with its
// interval, else the median alone; nil of none.
func middle(values []float64) *Interval {
	if len(values) == 0 {
		return nil
	}
	if i, err := stats.Center(values, stats.Options{}); err == nil {
		out := told(i, 1)
		return &out
	}
	return &Interval{Estimate: median(values)}
}
