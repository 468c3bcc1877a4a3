// Package judge says what the numbers of a run are worth, from its folder
// alone: whether they are valid, whether its gates hold, and which arms differ.
// It prints nothing: reports shows what it finds.
//
// Read takes the evidence from a folder, as a stream: it keeps what is shown
// and judged, never all intervals. Judge makes a Judgement of it. Across
// compares the arms of several runs. ParseGates checks gates before a run, and
// Gate.Check looks at numbers that may still grow. The statistics are those of
// package stats.
package judge

import (
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// Interval is an estimate with its confidence interval of 95 %, nil bounds
// where there is none.
type Interval struct {
	Estimate float64  `json:"estimate"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
}

// told leaves out what JSON has no form for.
func told(i stats.Interval, scale float64) Interval {
	out := Interval{Estimate: i.Estimate * scale}
	if i.Level > 0 {
		low, high := i.Low*scale, i.High*scale
		out.Low, out.High = &low, &high
	}
	return out
}

// Judgement is all that is concluded about one run.
type Judgement struct {
	Validity Validity      `json:"validity"`
	Gates    []GateOutcome `json:"gates"`
	// Faults are what faults on purpose did, by arm.
	Faults     []FaultOutcome `json:"faults"`
	Comparison Comparison     `json:"comparison"`
	// Memory is that of every component in every arm, of 40 intervals and three minutes or more.
	Memory []Memory `json:"memory"`
}

// Options are those of comparisons.
type Options struct {
	// Base is the arm that others are compared with; "" is the first of those
	// that differ in one factor only.
	Base string
	// MinEffect is the change that matters, a share of the base between 0 and
	// 1; 0 is 0.05.
	MinEffect float64
}

// Judge judges a run. The error is about options or about gates that say
// nothing.
func Judge(e *Evidence, o Options) (*Judgement, error) {
	gates, err := ParseGates(e.Run.Summary.Gates, e.Arms())
	if err != nil {
		return nil, err
	}
	v := e.validity(gates)
	c, err := e.compare(v, o)
	if err != nil {
		return nil, err
	}
	j := &Judgement{Validity: v, Gates: []GateOutcome{}, Faults: e.faults(), Comparison: c, Memory: e.memory()}
	for _, g := range gates {
		out, err := g.outcome(e, v, o)
		if err != nil {
			return nil, err
		}
		j.Gates = append(j.Gates, out)
	}
	return j, nil
}

// GatesHold tells whether all gates do.
func (j *Judgement) GatesHold() bool {
	for _, g := range j.Gates {
		if !g.Holds {
			return false
		}
	}
	return true
}

// Arms are the arms of the run by name, in their order.
func (e *Evidence) Arms() []results.Arm {
	if len(e.Run.Summary.Arms) > 0 {
		return e.Run.Summary.Arms
	}
	var arms []results.Arm
	seen := map[string]bool{}
	for _, r := range e.Run.Summary.Rows {
		if !seen[r.Name] {
			arms = append(arms, r.Arm)
		}
		seen[r.Name] = true
	}
	return arms
}
