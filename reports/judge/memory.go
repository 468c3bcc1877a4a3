package judge

import (
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// Memory is how the resident memory of a component went while an arm was
// measured.
type Memory struct {
	Arm       string `json:"arm"`
	Component string `json:"component"`
	// FirstBytes and LastBytes are means of the first and the last twentieth.
	FirstBytes float64 `json:"first_bytes"`
	LastBytes  float64 `json:"last_bytes"`
	// BytesPerHour is the slope. It says nothing of a component whose
	// processes were made anew meanwhile.
	BytesPerHour Interval `json:"bytes_per_hour"`
	Hours        float64  `json:"hours"` // from the first to the last interval
	Verdict      string   `json:"verdict"`
}

// Verdicts on memory, by the interval of its slope.
const (
	MemoryGrows   = "grows"
	MemorySteady  = "steady" // the interval holds 0
	MemoryShrinks = "shrinks"
)

// mostUses is how many intervals of a component are kept one by one; of more,
// neighbours are put together.
const mostUses = 4096

// leastMemory is how long a component has to be looked at: every program grows
// in its first minutes.
const leastMemory = 3 * time.Minute

// uses is the memory of a component in an arm.
type uses struct {
	arm, component string
	started        time.Time
	hours, bytes   []float64
	each, n        int // intervals of each value, and of the last one
}

// addUsage takes a line of resources.csv in.
func (r *reader) addUsage(u results.Usage) error {
	for _, s := range r.e.uses {
		if s.arm == u.Arm && s.component == u.Component {
			s.add(u)
			return nil
		}
	}
	s := &uses{arm: u.Arm, component: u.Component, started: u.At, each: 1, n: 1}
	s.add(u)
	r.e.uses = append(r.e.uses, s)
	return nil
}

func (s *uses) add(u results.Usage) {
	at, bytes := u.At.Sub(s.started).Hours(), float64(u.RSSBytes)
	if last := len(s.hours) - 1; s.n < s.each {
		s.n++
		s.hours[last] += (at - s.hours[last]) / float64(s.n)
		s.bytes[last] += (bytes - s.bytes[last]) / float64(s.n)
		return
	}
	if len(s.hours) == mostUses {
		for i := range mostUses / 2 {
			s.hours[i] = (s.hours[2*i] + s.hours[2*i+1]) / 2
			s.bytes[i] = (s.bytes[2*i] + s.bytes[2*i+1]) / 2
		}
		s.hours, s.bytes, s.each = s.hours[:mostUses/2], s.bytes[:mostUses/2], 2*s.each
	}
	s.hours, s.bytes, s.n = append(s.hours, at), append(s.bytes, bytes), 1
}

// memory tells of every component that was looked at long enough.
func (e *Evidence) memory() []Memory {
	list := []Memory{}
	for _, s := range e.uses {
		if n := len(s.hours); s.hours[n-1]-s.hours[0] < leastMemory.Hours() {
			continue
		}
		slope, err := stats.Slope(s.hours, s.bytes, stats.Options{})
		if err != nil {
			continue // too few intervals
		}
		m := Memory{Arm: s.arm, Component: s.component, BytesPerHour: told(slope, 1), Verdict: MemorySteady}
		n := len(s.bytes)
		m.FirstBytes, m.LastBytes = mean(s.bytes[:n/20]), mean(s.bytes[n-n/20:])
		m.Hours = s.hours[n-1] - s.hours[0]
		switch {
		case slope.Low > 0:
			m.Verdict = MemoryGrows
		case slope.High < 0:
			m.Verdict = MemoryShrinks
		}
		list = append(list, m)
	}
	return list
}

func mean(xs []float64) (m float64) {
	for i, x := range xs {
		m += (x - m) / float64(i+1)
	}
	return m
}
