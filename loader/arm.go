package loader

import (
	"slices"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// none stands for the transform and the communication type of an arm without
// an ETL.
const none = scenarios.None

// opETLObject is what offline jobs do, as results call it.
const opETLObject = "etl-object"

// arm is one combination of a scenario's factors, and what became of it.
type arm struct {
	scenarios.Arm
	number     int         // from 1, in the names of what it creates
	replicated bool        // the scenario has replicas
	etl        *deployment // nil before it was made, and without one
	dead       bool        // it could not be set up: no block tries again
	notOffered string      // results.Arm.NotOffered
	language   string
	errs       errorLog
	sums       []*sum    // by operation
	partial    *outcomes // the one that the end of the run cut short
}

// arms are those of a scenario, in its order.
func arms(s *scenarios.Scenario) (list []*arm) {
	for i, a := range s.Plan() {
		list = append(list, &arm{Arm: a, number: i + 1, replicated: s.Arms.Replicas > 1})
	}
	return list
}

// etlName is the name of the arm's ETL, "" without one.
func (a *arm) etlName() string {
	if a.etl == nil {
		return ""
	}
	return a.etl.name
}

// told is the arm as results have it.
func (a *arm) told() results.Arm {
	t := results.Arm{Name: a.Name, Comm: a.Comm, Mode: a.Mode, Transform: a.Transform, Language: a.language,
		Put: a.Put, Argument: a.Stream, Workers: a.Workers, NotOffered: a.notOffered}
	if a.Sized {
		t.Size = a.Size.String()
	}
	if a.replicated {
		t.Replica = a.Replica
	}
	return t
}

// op is the operation that the arm is about.
func (a *arm) op(mix map[string]int) string {
	if a.Endpoint != "" {
		return scenarios.OpGet
	}
	switch a.Mode {
	case scenarios.ModeOffline:
		return opETLObject
	case scenarios.ModeInit:
		return opInit
	}
	i := slices.IndexFunc(opNames[:], func(op string) bool { return mix[op] > 0 })
	return opNames[i]
}

// objectsOf are the objects of the arm's size class, or all.
func (r *run) objectsOf(a *arm) []object {
	if !a.Sized {
		return r.objects
	}
	return r.classes[a.Size]
}
