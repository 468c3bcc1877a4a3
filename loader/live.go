package loader

import (
	"slices"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

// Live is what the load of an inline arm did in the phase under way, of the
// operation that the arm is about where it says percentiles, and of all
// together elsewhere.
type Live struct {
	OfferedPerS  float64 // over the last second; 0 of loops that are not open
	AchievedPerS float64 // operations without error, over the last second
	InFlight     int64
	Cap          int // of InFlight
	Response     results.Quantiles
	Service      results.Quantiles
	Delay        results.Quantiles
	InMiBPerS    float64 // source bytes, over the last second
	OutMiBPerS   float64 // delivered or stored
	// P99s are the p99 of the response time of the intervals so far, in
	// milliseconds, the newest last; of one without operations 0.
	P99s   []float64
	Errors []ErrorCount // most frequent first
}

// ErrorCount is how often a class of errors occurred in the measured time.
type ErrorCount struct {
	Class string
	Count int64
}

// Use is what a component used over the last collect.interval.
type Use struct {
	Component string
	Processes int
	CPUs      float64 // CPU seconds a second
	RSS       int64   // bytes at its end
}

// keptP99s is how many intervals Live.P99s holds at most.
const keptP99s = 240

// lively shows the load l of an arm in r.progress. It looks at what the
// collector has added up, from the goroutine that fetches samples: a worker
// does the same whether anybody looks or not.
func (r *run) lively(l *inlineLoad) error {
	if r.Config.Progress == nil {
		return nil
	}
	v := &lookout{load: l.load, errs: l.errs, phase: -1}
	var err error
	if v.offered, err = r.phases(l.arm, l.block); err != nil {
		return err
	}
	l.sink.keepP99s = true
	l.looks = append(l.looks, func(now time.Time) { r.progress.live(v.look(now)) })
	return nil
}

// lookout makes a Live several times a second.
type lookout struct {
	*load
	errs    *errorLog
	offered []phase // with schedules of its own: none is for concurrent use
	phase   int     // that past and due are of
	due     int64   // operations of it that are due
	past    []totalAt
}

// totalAt is what was done and due by a moment.
type totalAt struct {
	at  time.Time
	due int64
	results.Counts
}

func (v *lookout) look(now time.Time) Live {
	phase := int(v.current.Load())
	if phase != v.phase {
		v.phase, v.due, v.past = phase, 0, nil
	}
	n, _ := v.busy.at(now)
	live := Live{InFlight: n, Cap: v.workers, Errors: v.errs.counts()}
	sum, start := v.sink.look(phase, &live)
	if v.open {
		live.Cap = v.inFlight
		for s := v.offered[phase].due; v.due < s.count() && s.at(v.due) <= now.Sub(v.began)-start; v.due++ {
		}
	}
	v.past = append(v.past, totalAt{now, v.due, sum})
	if len(v.past) > rateOver+1 {
		v.past = v.past[1:]
	}
	first := v.past[0]
	took := now.Sub(first.at).Seconds()
	live.OfferedPerS = ratio(float64(v.due-first.due), took) / float64(v.share.step())
	live.AchievedPerS = ratio(float64(sum.Ops-first.Ops), took)
	live.InMiBPerS = ratio(float64(sum.BytesIn-first.BytesIn)/mib, took)
	live.OutMiBPerS = ratio(float64(sum.BytesOut-first.BytesOut)/mib, took)
	return live
}

// look fills in the percentiles of a phase. It returns its counts of all
// operations, and when it began.
func (c *collector) look(phase int, to *Live) (sum results.Counts, start time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kinds {
		sum.Add(c.totals[phase].all(k).Counts)
	}
	s := c.totals[phase].all(c.kinds[0])
	to.Response = results.NewQuantiles(s.hist[metricResponse], s.Late())
	to.Service = results.NewQuantiles(s.hist[metricService], 0)
	to.Delay = results.NewQuantiles(s.hist[metricDelay], 0)
	to.P99s = slices.Clone(c.p99s)
	return sum, c.phases[phase].start
}

// keepP99 notes that of an interval that is over.
func (c *collector) keepP99(t *tally) {
	if !c.keepP99s {
		return
	}
	p99 := 0.0
	if v := quantile(t.all(c.kinds[0]).hist[metricResponse], 99); v != nil {
		p99 = *v
	}
	if c.p99s = append(c.p99s, p99); len(c.p99s) > keptP99s {
		c.p99s = c.p99s[1:]
	}
}

// counts are the classes so far, the most frequent first.
func (l *errorLog) counts() (list []ErrorCount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.classes {
		list = append(list, ErrorCount{l.classes[i].Class, l.classes[i].Count})
	}
	slices.SortStableFunc(list, func(a, b ErrorCount) int { return int(b.Count - a.Count) })
	return list
}
