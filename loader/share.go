package loader

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// share is the part of a stream that one of several loaders issues: the
// operations whose index is index modulo of. Taken together, the shares are the
// stream, each operation once and when it is due. The zero value is all of it.
type share struct{ index, of int }

// shareOf is a share as results tell it; nil is all.
func shareOf(s *results.Share) share {
	if s == nil {
		return share{}
	}
	return share{s.Number - 1, s.Of}
}

// step is how far apart its operations are.
func (s share) step() uint64 { return uint64(max(1, s.of)) }

// from is the first of its operations that is not before i.
func (s share) from(i uint64) uint64 {
	n := s.step()
	return i + (uint64(s.index)+n-i%n)%n
}

// part is what it gets of so many workers, or operations in flight: no two
// shares differ by more than one, and they add up to all.
func (s share) part(all int) int {
	n := int(s.step())
	part := all / n
	if s.index < all%n {
		part++
	}
	return part
}

// CheckShare says what keeps so many loaders from sharing a scenario; nil when
// nothing does.
func CheckShare(sc *scenarios.Scenario, of int) error {
	var errs []error
	said := map[string]bool{}
	least := func(what string, n int) {
		if n < of && !said[what] {
			said[what] = true
			errs = append(errs, fmt.Errorf("%s: %d cannot be shared by %d loaders, which need one each", what, n, of))
		}
	}
	if len(sc.Faults) > 0 {
		errs = append(errs, errors.New("faults: of several loaders none knows what a fault did to the operations of the others (drop them, or use one loader)"))
	}
	if slices.ContainsFunc(sc.Gates, func(g scenarios.Gate) bool { return g.AbortAfter > 0 }) {
		errs = append(errs, errors.New("gates: of several loaders none knows the numbers of all while they run (drop abort-after, or use one loader)"))
	}
	for _, a := range sc.Plan() {
		switch {
		case a.Mode == scenarios.ModeOffline:
		case a.Workers > 0:
			least("arms.workers", a.Workers)
		default:
			least("load.workers", sc.Load.Workers)
		}
	}
	if sc.Load.Model == scenarios.ModelOpen {
		least("load.in-flight", sc.Load.InFlight)
	}
	return errors.Join(errs...)
}
