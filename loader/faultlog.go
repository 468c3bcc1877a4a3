package loader

import (
	"slices"
	"sync"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

// faultLog tells what became of operations while faults lasted, of an arm in a
// block. Workers and whoever injects share it.
type faultLog struct {
	mu   sync.Mutex // guards list
	list []*faultEntry
}

// faultEntry is a fault since it was injected.
type faultEntry struct {
	results.Fault
	open    bool      // it lasts
	landed  time.Time // it has happened by then
	targets []bool    // by target: its requests meet the fault
}

// begin is called just before a fault is injected: what fails from now on may
// be its doing.
func (l *faultLog) begin(f results.Fault) *faultEntry {
	e := &faultEntry{Fault: f, open: true}
	e.Against = []string{}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.At = time.Now()
	l.list = append(l.list, e)
	return e
}

// fail is about a fault that could not be injected.
func (l *faultLog) fail(e *faultEntry, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.open, e.Until, e.Failed = false, time.Now(), err.Error()
}

// happened tells whom a fault befell. targets are those of the cluster.
func (l *faultLog) happened(e *faultEntry, in *Injected, targets []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Against, e.How, e.landed = in.Against, in.How, time.Now()
	if in.At.After(e.At) { // what it befalls has to be looked for
		e.At = in.At
	}
	e.targets = make([]bool, len(targets))
	for i, id := range targets {
		e.targets[i] = in.Targets == nil || slices.Contains(in.Targets, id)
	}
}

// end is called when a fault is undone.
func (l *faultLog) end(e *faultEntry, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.open, e.Until = false, time.Now()
	if err != nil {
		e.Failed = err.Error()
	}
}

// ended is told of each operation that was sent: when it was due, sent and
// ended. An error is charged to the fault that came last of those that lasted
// at some time between.
func (l *faultLog) ended(due, sent, end time.Time, target int32, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.list) - 1; i >= 0; i-- {
		e := l.list[i]
		if err != nil {
			if !end.Before(e.At) && (e.open || !due.After(e.Until)) {
				e.failed(classOf(err))
				return
			}
			continue
		}
		if e.FirstGoodS == nil && e.targets != nil && !sent.Before(e.landed) && e.targets[target] {
			s := end.Sub(e.At).Seconds()
			e.FirstGoodS = &s
		}
	}
}

func (e *faultEntry) failed(class string) {
	i := slices.IndexFunc(e.Errors, func(c results.FaultErrors) bool { return c.Class == class })
	if i < 0 {
		i = len(e.Errors)
		e.Errors = append(e.Errors, results.FaultErrors{Class: class})
	}
	e.Errors[i].Count++
}

// counted is told of each operation that is counted, by when it was due.
func (l *faultLog) counted(due time.Time, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if due.Before(e.At) || !e.open && due.After(e.Until) {
			continue
		}
		e.Intended++
		if o == done {
			e.Done++
		}
	}
}

// told are the faults, in the order in which they were injected.
func (l *faultLog) told() []results.Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []results.Fault
	for _, e := range l.list {
		f := e.Fault
		f.Errors = slices.Clone(f.Errors)
		list = append(list, f)
	}
	return list
}
