package loader

import (
	"context"
	"fmt"
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// AbortedError is that of a run which a gate has ended.
type AbortedError struct {
	Gate scenarios.Gate
	// Text is the reason, one line without a full stop.
	Text string
}

func (e *AbortedError) Error() string { return "aborted by a gate: " + e.Text }

// guard watches the gates of a run that have abort-after, while an inline arm
// is measured in a block.
type guard struct {
	gates []scenarios.Gate
	check func(i int, rows []results.Row) (holds bool, found string)
	since []time.Time // when each began not to hold; zero: it holds
}

// guard is that of the run's scenario; nil when no gate may end it.
func (r *run) guard() *guard {
	for _, g := range r.Scenario.Gates {
		if g.AbortAfter > 0 {
			return &guard{gates: r.Scenario.Gates, check: r.Check, since: make([]time.Time, len(r.Scenario.Gates))}
		}
	}
	return nil
}

// look checks the gates on an arm's numbers at a moment. It returns an
// *AbortedError once one has not held for its time.
func (g *guard) look(rows []results.Row, now time.Time) error {
	for i, gate := range g.gates {
		if gate.AbortAfter == 0 {
			continue
		}
		holds, found := g.check(i, rows)
		switch {
		case holds:
			g.since[i] = time.Time{}
		case g.since[i].IsZero():
			g.since[i] = now
		case now.Sub(g.since[i]) >= time.Duration(gate.AbortAfter):
			return &AbortedError{gate, fmt.Sprintf("%s %s has not held for %s in %s: %s", gate.On, gate.Is, gate.AbortAfter, rows[0].Name, found)}
		}
	}
	return nil
}

// guarded ends the load l of an arm when one of the run's gates says so. The
// collector's goroutine looks, after it has fetched samples: workers and pacer
// know nothing of it.
func (r *run) guarded(ctx context.Context, a *arm, l *load) (context.Context, context.CancelCauseFunc) {
	ctx, abort := context.WithCancelCause(ctx)
	g := r.guard()
	if g == nil {
		return ctx, abort
	}
	measured := len(l.phases) - 1
	l.looks = append(l.looks, func(now time.Time) {
		if int(l.current.Load()) != measured || ctx.Err() != nil {
			return
		}
		if err := g.look(r.soFar(a, l, measured, now), now); err != nil {
			abort(err)
		}
	})
	return ctx, abort
}

// soFar are the numbers of an arm since a phase began.
func (r *run) soFar(a *arm, l *load, phase int, now time.Time) (rows []results.Row) {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	t := l.sink.totals[phase]
	took := now.Sub(l.began) - l.phases[phase].start
	for _, k := range l.sink.kinds {
		o := opOutcome{op: opNames[k], intended: t.all(k).Accounted(), cells: t.cells[k]}
		rows = append(rows, results.Row{Arm: a.told(), Op: o.op, Samples: 1, Measured: r.measured(&o, took)})
	}
	return rows
}
