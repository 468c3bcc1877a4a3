package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/etlbench/etlbench/reports/stats"
)

const (
	confirmations  = 3 // windows at the rate found, and at the one that is within above it
	confirmedSteps = 5 // most steps of within that confirmation may move the rate by
)

// rateFinder looks for the highest rate that holds an objective. try runs a
// window at a rate, and tells whether it held there.
type rateFinder struct {
	search stats.SearchConfig
	within float64
	try    func(rate float64) (bool, error)
}

// foundRate is a rate that held in most windows at it, and did not in most of
// those at Above.
type foundRate struct {
	Rate, Above           float64
	HeldAt, HeldAbove     int // of confirmations each
	Interval              stats.Interval
	WindowsRan, Confirmed int // of the search, and to confirm
}

// errNoRate wraps why no rate could be found.
var errNoRate = errors.New("no rate was found")

// find searches by single windows, any of which may be wrong, and confirms what
// it finds by several at the rate and above it. All are votes of the search,
// whose interval is of all. The error wraps errNoRate, or is that of a window.
func (f *rateFinder) find() (*foundRate, error) {
	s, err := stats.NewSearch(f.search)
	if err != nil {
		return nil, err
	}
	found := &foundRate{}
	for rate, more := s.Next(); more; rate, more = s.Next() {
		if _, err := f.vote(s, rate); err != nil {
			return nil, err
		}
		found.WindowsRan++
	}
	at, err := s.Found()
	if at.Estimate == 0 {
		return nil, fmt.Errorf("%w: %w", errNoRate, err)
	}
	if err := f.confirm(s, at.Estimate, found); err != nil {
		return nil, err
	}
	// Windows that confirm may leave the interval open at an end.
	found.Interval, _ = s.Found()
	return found, nil
}

func (f *rateFinder) vote(s *stats.Search, rate float64) (bool, error) {
	ok, err := f.try(rate)
	if err != nil {
		return false, err
	}
	return ok, s.Observe(rate, ok)
}

// confirm walks in steps of within from the rate of the search to one that
// holds where the next one does not. Windows of a step are run once, so that it
// never turns back.
func (f *rateFinder) confirm(s *stats.Search, rate float64, found *foundRate) error {
	step := func(k int) float64 { return rate * math.Pow(1+f.within, float64(k)) }
	held := map[int]int{}
	holds := func(k int) (bool, error) {
		if _, ok := held[k]; !ok {
			held[k] = 0
			for range confirmations {
				ok, err := f.vote(s, step(k))
				if err != nil {
					return false, err
				}
				found.Confirmed++
				if ok {
					held[k]++
				}
			}
		}
		return 2*held[k] > confirmations, nil
	}
	for k := 0; k >= -confirmedSteps && k <= confirmedSteps; {
		at, err := holds(k)
		if err != nil {
			return err
		}
		if !at {
			k--
			continue
		}
		above, err := holds(k + 1)
		if err != nil {
			return err
		}
		if !above {
			found.Rate, found.Above, found.HeldAt, found.HeldAbove = step(k), step(k+1), held[k], held[k+1]
			return nil
		}
		k++
	}
	return fmt.Errorf("%w: the search found %.4g a second, which windows did not confirm, nor %d steps around it", errNoRate, rate, confirmedSteps)
}
