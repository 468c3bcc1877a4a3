package loader

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// inject makes the scenario's faults happen at their moments, counted from
// now. The caller ends it with stop, which undoes what lasts.
func (r *run) inject(ctx context.Context, a *arm, block int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, f := range r.Scenario.Faults {
		wg.Go(func() { r.fault(ctx, a, block, f) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

func (r *run) fault(ctx context.Context, a *arm, block int, f scenarios.Fault) {
	pause(ctx, time.Duration(f.At))
	if ctx.Err() != nil {
		return
	}
	undo, err := r.Inject(ctx, f)
	r.event(results.EventFault, a, block, told(describe(f), err))
	if undo == nil {
		return
	}
	if f.For > 0 {
		pause(ctx, time.Duration(f.For))
	} else {
		<-ctx.Done()
	}
	r.event(results.EventFault, a, block, told("undone: "+describe(f), undo()))
}

func told(what string, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: failed: %v", what, err)
	}
	return what
}

// describe says in a few words what a fault is.
func describe(f scenarios.Fault) string {
	switch {
	case f.Kill != "":
		return "kill " + f.Kill
	case f.Throttle != "":
		return fmt.Sprintf("throttle %s to %s", f.Throttle, f.CPU)
	case f.Delay != 0:
		return fmt.Sprintf("delay of %s to %s", f.Delay, f.On)
	}
	return fmt.Sprintf("drop %s to %s", f.Drop, f.On)
}
