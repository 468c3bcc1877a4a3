package loader

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// mostKept is how many ETLs stay deployed while others are measured. Idle pods
// cost no more than memory, but of that more and more.
const mostKept = 24

// etlKey is what ETLs differ in. Arms that do not differ in it share one.
type etlKey struct{ transform, comm, put, stream string }

func (a *arm) key() etlKey { return etlKey{a.Transform, a.Comm, a.Put, a.Stream} }

// deployment is an ETL that was made, or tried to be.
type deployment struct {
	key      etlKey
	name     string
	language string
	age      int // how often pods had been made anew before: see run.age
}

// age is how often pods must have been made anew by a block.
func (r *run) age(block int) int {
	if every := r.Scenario.Trials.RedeployEvery; every > 0 {
		return (block - 1) / every
	}
	return 0
}

// deploy makes sure that the arm's ETL runs, with pods of the age that the
// block asks for. fresh tells whether they were made just now.
func (r *run) deploy(ctx context.Context, a *arm, block int) (fresh bool, err error) {
	if !a.ETL() {
		return false, nil
	}
	d := r.etls[a.key()]
	if d != nil && d.age != r.age(block) {
		r.undeploy(ctx, d)
		d = nil
	}
	if d == nil {
		fresh = true
		d = &deployment{key: a.key(), age: r.age(block)}
		if err := r.initETL(ctx, a, d); err != nil {
			r.undeploy(ctx, d)
			return false, err
		}
		r.etls[a.key()] = d
		r.event(results.EventDeploy, a, block, d.name)
	} else if err := r.revive(ctx, d); err != nil {
		return false, err
	}
	a.etl, a.language = d, d.language
	return fresh, nil
}

func (r *run) initETL(ctx context.Context, a *arm, d *deployment) error {
	r.progress.enter("init", 0, r.progress.left())
	spec, language, err := r.ETL(a.Arm)
	if err != nil {
		return err
	}
	d.language, a.language = language, language
	r.deployed++
	name := r.newETLName(a.Comm)
	if err := api.CheckNewETLName(name, false); err != nil {
		return err
	}
	mine := *spec // the caller's stays as it is
	mine.ID, mine.Name = "", name
	d.name = name
	if _, err := r.client.InitETL(ctx, &mine); err != nil {
		return err
	}
	r.log.Debug("etl runs", logETL, name)
	return nil
}

// newETLName is unique in the cluster, and valid in both dialects of init: at
// most 20 lower-case letters, digits and '-'.
func (r *run) newETLName(comm string) string {
	const longest = 5
	comm = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, comm)
	return fmt.Sprintf("lb-%s-%s-%d", r.id, comm[:min(len(comm), longest)], r.deployed)
}

// undeploy stops and deletes an ETL, one whose init failed as well: it keeps
// its name, and perhaps its pods.
func (r *run) undeploy(ctx context.Context, d *deployment) {
	if r.etls[d.key] == d { // one that is made for a cold start is not
		delete(r.etls, d.key)
	}
	if d.name == "" {
		return
	}
	ctx, cancel := aside(ctx)
	defer cancel()
	r.progress.enter("remove", 0, r.progress.left())
	// Deleting stops as well; what matters is that nothing is left.
	if err := r.client.StopETL(ctx, d.name); err != nil && !errors.Is(err, api.ErrNotFound) {
		r.log.Warn("etl did not stop", logETL, d.name, logErr, err)
	}
	if err := r.client.DeleteETL(ctx, d.name); err != nil && !errors.Is(err, api.ErrNotFound) {
		r.leftover = append(r.leftover, fmt.Errorf("remove etl %s: %w; try: etlbench etl rm %s", d.name, err, d.name))
	}
}

// undeployIdle removes the ETLs that no later step needs as they are, and all
// when there are too many to keep.
func (r *run) undeployIdle(ctx context.Context, later []step) {
	keep := map[etlKey]bool{}
	for _, s := range later {
		if s.arm.ETL() {
			if _, seen := keep[s.arm.key()]; !seen {
				d := r.etls[s.arm.key()]
				keep[s.arm.key()] = d != nil && d.age == r.age(s.block)
			}
		}
	}
	for key, d := range r.etls {
		if !keep[key] || len(keep) > mostKept {
			r.undeploy(ctx, d)
		}
	}
}
