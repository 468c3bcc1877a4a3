package loader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// Fault is one that is due.
type Fault struct {
	scenarios.Fault
	Number int    // in the scenario, from 0
	Block  int    // from 1
	ETL    string // of the arm that is measured; "" without one
}

// Injected is a fault that has happened.
type Injected struct {
	At      time.Time // when, where that is known better than by the call; else zero
	Against []string  // what it befell, in words: "target tgt00002"
	// Targets are the IDs of those whose requests cannot do without what it
	// befell; nil: of all.
	Targets []string
	How     string // what does it, in a few words
	// Undo ends it; of a kill it waits until what was killed runs again. nil:
	// there is nothing to do.
	Undo func(ctx context.Context) error
}

// inject makes the scenario's faults happen at their moments, counted from
// now. The caller ends it with stop, which undoes what lasts and returns when
// the arm's ETL runs again.
func (r *run) inject(ctx context.Context, a *arm, block int, log *faultLog) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, f := range r.Scenario.Faults {
		wg.Go(func() { r.fault(ctx, a, Fault{Fault: f, Number: i, Block: block, ETL: a.etlName()}, log) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

func (r *run) fault(ctx context.Context, a *arm, f Fault, log *faultLog) {
	pause(ctx, time.Duration(f.At))
	if ctx.Err() != nil {
		return
	}
	entry := log.begin(results.Fault{Number: f.Number, Kind: kindOf(f.Fault), What: describe(f.Fault), Arm: a.Name, Block: f.Block})
	in, err := r.Inject(ctx, f)
	if err != nil {
		log.fail(entry, err)
		r.event(results.EventFault, a, f.Block, told(describe(f.Fault), err))
		return
	}
	log.happened(entry, in, r.targets)
	r.event(results.EventFault, a, f.Block, describe(f.Fault))
	if f.Kill == "" {
		lasts(ctx, time.Duration(f.For))
	}
	err = r.restore(ctx, f, in)
	log.end(entry, err)
	r.event(results.EventFault, a, f.Block, told("undone: "+describe(f.Fault), err))
}

// lasts waits for a time, or with 0 until ctx ends.
func lasts(ctx context.Context, d time.Duration) {
	if d > 0 {
		pause(ctx, d)
		return
	}
	<-ctx.Done()
}

// restore ends a fault, and starts an ETL again that it has aborted. It takes
// its time also when ctx has ended: what is measured next is not to suffer.
func (r *run) restore(ctx context.Context, f Fault, in *Injected) error {
	ctx, cancel := aside(ctx)
	defer cancel()
	if in.Undo != nil {
		if err := in.Undo(ctx); err != nil {
			return err
		}
	}
	switch {
	case f.ETL == "" || f.Kill == "" || f.Kill == results.ComponentProxy:
		return nil
	case f.Kill == results.ComponentTransformer:
		return r.restartETL(ctx, f.ETL, true)
	}
	return r.restartETL(ctx, f.ETL, false)
}

const (
	etlPoll   = 20 * time.Millisecond
	etlSettle = 2 * time.Second // an ETL that runs for so long after a kill was not aborted
)

// restartETL does what an operator does: it starts an ETL again that is
// Aborted, until it runs. One whose pod was killed must become that; one whose
// target was is aborted when the cluster notices, which may be never, if the
// target is back before.
func (r *run) restartETL(ctx context.Context, name string, must bool) error {
	began := time.Now()
	for {
		stage, err := r.stage(ctx, name)
		switch {
		case err == nil && stage == api.StageAborted:
			if _, err = r.client.StartETL(ctx, name); err == nil {
				return nil
			}
		case err == nil && stage == api.StageRunning && !must && time.Since(began) > etlSettle:
			return nil
		}
		if pause(ctx, etlPoll); ctx.Err() != nil {
			return errors.Join(fmt.Errorf("etl %s is %s, and does not start again", name, stage), err)
		}
	}
}

func (r *run) stage(ctx context.Context, name string) (string, error) {
	list, err := r.client.ETLs(ctx)
	for _, e := range list {
		if e.ID == name {
			return e.Stage, err
		}
	}
	return "not known", err
}

// revive makes sure that an ETL runs which was deployed for an arm before: the
// kill of a target, during another arm, has aborted all of them.
func (r *run) revive(ctx context.Context, d *deployment) error {
	if len(r.Scenario.Faults) == 0 {
		return nil
	}
	stage, err := r.stage(ctx, d.name)
	if err != nil || stage != api.StageAborted {
		return err
	}
	return r.restartETL(ctx, d.name, true)
}

func told(what string, err error) string {
	if err != nil {
		return fmt.Sprintf("%s: failed: %v", what, err)
	}
	return what
}

// kindOf is what a fault does.
func kindOf(f scenarios.Fault) string {
	switch {
	case f.Kill != "":
		return results.FaultKill
	case f.Throttle != "":
		return results.FaultThrottle
	case f.Delay != 0:
		return results.FaultDelay
	}
	return results.FaultDrop
}

// describe says in a few words what a fault is.
func describe(f scenarios.Fault) string {
	switch kindOf(f) {
	case results.FaultKill:
		return "kill " + f.Kill
	case results.FaultThrottle:
		return fmt.Sprintf("throttle %s to %s", f.Throttle, f.CPU)
	case results.FaultDelay:
		return fmt.Sprintf("delay of %s to %s", f.Delay, f.On)
	}
	return fmt.Sprintf("drop %s to %s", f.Drop, f.On)
}
