package loader

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

// slot is an interval of a phase.
type slot struct {
	phase int
	index int64 // from the start of the phase
}

func (a slot) compare(b slot) int {
	return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.index, b.index))
}

// collector adds samples up and writes intervals. A sample counts in the
// interval of its intended start, with all its bytes, whenever it comes: of
// the interval under way it is added at once, and those that come after their
// interval has ended make a further record of it. Of them there are at most
// as many at a time as operations under way, so that memory is bounded by
// workers and series, however long the load lasts and whatever its timeout.
type collector struct {
	every  time.Duration // length of an interval
	phases []phase
	kinds  []opKind // that are written
	names  []string // of targets
	key    results.Key
	write  func(results.Interval) error
	pass   func(phase int, iv results.Interval, s *series) error // in place of write: all metrics at once
	seen   func(s *sample)                                       // nil: nobody wants to know

	keepP99s bool // for the live view

	mu     sync.Mutex // guards the rest
	began  time.Time
	now    slot
	tally  *tally // of now
	behind *tally // of an interval that has ended
	late   []sample
	totals []*tally      // by phase
	p99s   []float64     // of the intervals that are over
	end    time.Duration // of the load, once it is known
	err    error         // the first of writing
}

func newCollector(phases []phase, targets []string) *collector {
	c := &collector{every: time.Second, phases: phases, names: targets, tally: newTally(len(targets)), behind: newTally(len(targets)),
		write: func(results.Interval) error { return nil }}
	for range phases {
		c.totals = append(c.totals, newTally(len(targets)))
	}
	return c
}

// slotOf is where an operation counts.
func (c *collector) slotOf(s *sample) slot {
	p := &c.phases[s.phase]
	at := max(0, s.due-p.start)
	if p.length > 0 {
		at = min(at, p.length-1) // of a closed loop that looked at the clock in time
	}
	return slot{int(s.phase), int64(at / c.every)}
}

// take adds samples, in any order. It may be called concurrently, and keeps
// nothing of them.
func (c *collector) take(samples []sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range samples {
		s := &samples[i]
		at := c.slotOf(s)
		if at.compare(c.now) > 0 {
			c.roll(at)
		}
		c.totals[s.phase].add(s)
		if at == c.now {
			c.tally.add(s)
		} else {
			c.late = append(c.late, *s)
		}
		if c.seen != nil {
			c.seen(s)
		}
	}
}

// tick ends the intervals that are over.
func (c *collector) tick() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.phases[c.now.phase]
	at := time.Since(c.began) - p.start
	if p.length > 0 {
		at = min(at, p.length-1)
	}
	if to := (slot{c.now.phase, int64(max(0, at) / c.every)}); to.compare(c.now) > 0 {
		c.roll(to)
	}
	return c.err
}

// finish writes what is left. The load ended at a moment from its start.
func (c *collector) finish(at time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = at
	c.roll(c.now)
	return c.err
}

// roll writes the interval under way, empty ones behind it, and what came late
// for those before it. A standstill is a result: its intervals are written.
func (c *collector) roll(to slot) {
	c.flush(c.now, c.tally, true)
	c.keepP99(c.tally)
	c.tally.reset()
	for c.now.compare(to) < 0 {
		c.now.index++
		if c.now.phase < to.phase && !c.holds(c.now) {
			c.now = slot{phase: c.now.phase + 1}
		}
		if c.now.compare(to) < 0 {
			c.flush(c.now, c.behind, true) // empty
			c.keepP99(c.behind)
		}
	}
	slices.SortStableFunc(c.late, func(a, b sample) int { return c.slotOf(&a).compare(c.slotOf(&b)) })
	for i := range c.late {
		c.behind.add(&c.late[i])
		if at := c.slotOf(&c.late[i]); i+1 == len(c.late) || c.slotOf(&c.late[i+1]) != at {
			c.flush(at, c.behind, false)
			c.behind.reset()
		}
	}
	c.late = c.late[:0]
}

// holds tells whether a phase is that long.
func (c *collector) holds(s slot) bool {
	p := &c.phases[s.phase]
	return p.length > 0 && time.Duration(s.index)*c.every < p.length
}

// flush writes the series of an interval: of all targets always when whole is
// set, as a standstill is a result, else only where there is something.
func (c *collector) flush(at slot, t *tally, whole bool) {
	p := &c.phases[at.phase]
	start, length := time.Duration(at.index)*c.every, c.every
	if p.length > 0 {
		length = min(length, p.length-start)
	}
	if c.end > 0 {
		length = max(1, min(length, c.end-p.start-start))
	}
	iv := results.Interval{Start: c.began.Add(p.start + start), Duration: length}
	for _, k := range c.kinds {
		for i := range t.cells[k] {
			s := &t.cells[k][i]
			iv.Key = c.key
			iv.Key.Op, iv.Key.Phase = opNames[k], p.name
			if i < t.targets {
				iv.Key.Target = c.names[i]
			}
			if (i == t.targets && whole) || s.Accounted() > 0 {
				c.series(at.phase, iv, s)
			}
		}
	}
}

// series hands a series on.
func (c *collector) series(phase int, iv results.Interval, s *series) {
	switch {
	case c.err != nil:
	case c.pass != nil:
		iv.Counts = s.Counts
		c.err = c.pass(phase, iv, s)
	default:
		c.err = s.write(iv, c.write)
	}
}
