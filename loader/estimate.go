package loader

import (
	"time"
	"unsafe"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// Estimate is what a run of a scenario will take, as far as the scenario
// decides it.
type Estimate struct {
	Arms   []ArmEstimate
	Blocks int
	Steps  int // an arm in a block each
	Deploy int // how often pods of an ETL are made

	Objects     int
	Bytes       int64 // of all objects: put once
	ExpectBytes int64 // read to compute what transforms should give
	StoredBytes int64 // of results of jobs, if outputs were as large as inputs, at most at a time

	Operations int64         // that open loops and epochs intend, in all blocks, warm-up included
	Memory     int64         // bytes of the loader, at most
	Time       time.Duration // of all inline arms; jobs, deployments and filling come on top
	Jobs       int           // and cold starts, whose time nobody knows beforehand
}

// ArmEstimate is what an arm takes in one block.
type ArmEstimate struct {
	scenarios.Arm
	Objects         int
	Bytes           int64 // of its objects
	Warmup, Measure time.Duration
	// WarmupOps and Ops are how many operations are intended; -1: as many as
	// there is time for.
	WarmupOps, Ops int64
}

// Plan estimates what a run takes. It does no I/O but for reading a trace.
func Plan(s *scenarios.Scenario, data dataset.Set) (*Estimate, error) {
	phases, err := phasesOf(s, 0)
	if err != nil {
		return nil, err
	}
	r := &run{Config: Config{Scenario: s, Data: data}, classes: map[scenarios.Bytes][]object{}}
	for _, o := range data.Objects() {
		r.objects = append(r.objects, object{name: o.Name, size: o.Size})
	}
	if err := r.classify(); err != nil {
		return nil, err
	}
	list := arms(s)
	all := steps(list, s.Trials, s.Seed)
	e := &Estimate{Blocks: s.Trials.Blocks, Steps: len(all), Deploy: r.deployments(all), Objects: len(r.objects), Bytes: bytesOf(r.objects),
		Memory: r.memory(list)}
	for _, a := range list {
		e.add(r.armEstimate(a, phases))
	}
	for _, t := range transformsOf(list) {
		if t != none && s.Verify.Content != scenarios.SampleOff {
			e.ExpectBytes += e.Bytes
		}
	}
	return e, nil
}

// PlannedTime is the part of Plan that does not depend on the data set.
func PlannedTime(s *scenarios.Scenario) (inline time.Duration, jobs int, err error) {
	phases, err := phasesOf(s, 0)
	if err != nil {
		return 0, 0, err
	}
	e := &Estimate{Blocks: s.Trials.Blocks}
	r := &run{Config: Config{Scenario: s}, classes: map[scenarios.Bytes][]object{}}
	for _, a := range arms(s) {
		e.add(r.armEstimate(a, phases))
	}
	return e.Time, e.Jobs, nil
}

func (e *Estimate) add(a ArmEstimate) {
	e.Arms = append(e.Arms, a)
	if a.Mode != scenarios.ModeInline {
		e.Jobs += e.Blocks
		if a.Mode == scenarios.ModeInit {
			return
		}
		if e.Blocks > 1 {
			e.StoredBytes = max(e.StoredBytes, a.Bytes)
		} else {
			e.StoredBytes += a.Bytes
		}
		return
	}
	e.Time += time.Duration(e.Blocks) * (a.Warmup + a.Measure)
	e.Operations += int64(e.Blocks) * (max(0, a.WarmupOps) + max(0, a.Ops))
}

func (r *run) armEstimate(a *arm, phases []phase) ArmEstimate {
	objects := r.objectsOf(a)
	e := ArmEstimate{Arm: a.Arm, Objects: len(objects), Bytes: bytesOf(objects), WarmupOps: -1, Ops: -1}
	switch a.Mode {
	case scenarios.ModeOffline:
		e.WarmupOps, e.Ops = 0, int64(len(objects))
		return e
	case scenarios.ModeInit:
		e.WarmupOps, e.Ops = 0, 1
		return e
	}
	for i := range phases {
		p := &phases[i]
		n := int64(-1)
		switch {
		case p.due != nil:
			n = p.due.count()
		case p.most != 0:
			n = int64(r.Scenario.Load.Epochs) * int64(len(objects))
		}
		if p.name == results.PhaseWarmup {
			e.Warmup, e.WarmupOps = p.length, n
		} else {
			e.Measure, e.Ops = p.length, n
		}
	}
	if e.Warmup == 0 {
		e.WarmupOps = 0
	}
	return e
}

// deployments is how often pods of an ETL are made.
func (r *run) deployments(all []step) (n int) {
	later, distinct := map[etlKey]bool{}, make([]int, len(all)) // ETLs that are needed behind a step
	for i := len(all) - 1; i >= 0; i-- {
		distinct[i] = len(later)
		if all[i].arm.ETL() && all[i].arm.Mode != scenarios.ModeInit {
			later[all[i].arm.key()] = true
		}
	}
	age := map[etlKey]int{}
	for i, s := range all {
		if !s.arm.ETL() {
			continue
		}
		if s.arm.Mode == scenarios.ModeInit {
			n++
			continue
		}
		if old, ok := age[s.arm.key()]; !ok || old != r.age(s.block) {
			n++
			age[s.arm.key()] = r.age(s.block)
		}
		if distinct[i] > mostKept {
			clear(age)
		}
	}
	return n
}

// memory is what the loader needs at most, in bytes: of every worker its
// chunks, a body's buffer and buffers of its connections to proxies, targets
// and pods; histograms of an arm's tallies; the objects' names; and the
// program itself.
func (r *run) memory(list []*arm) int64 {
	const program, perObject = 32 << 20, 256
	workers := 0
	for _, a := range list {
		workers = max(workers, r.workersOf(a))
	}
	targets := r.Scenario.Target.Targets
	perWorker := 2*chunk*int(unsafe.Sizeof(sample{})) + bodyBufferLen + 2*connBuffer*(1+2*targets)
	kinds := 0
	for _, w := range r.Scenario.Load.Mix {
		kinds += min(w, 1)
	}
	histograms := 4 * kinds * (int(metricInit) + targets) * results.NewHistogram().ByteSize()
	return program + int64(workers*perWorker) + int64(histograms) + int64(len(r.objects)*perObject)
}

func bytesOf(objects []object) (n int64) {
	for _, o := range objects {
		n += o.size
	}
	return n
}

// transformsOf are the transforms of arms, each once.
func transformsOf(list []*arm) (names []string) {
	seen := map[string]bool{}
	for _, a := range list {
		if !seen[a.Transform] {
			seen[a.Transform] = true
			names = append(names, a.Transform)
		}
	}
	return names
}
