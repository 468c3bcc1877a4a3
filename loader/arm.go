package loader

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// none stands for the transform and the communication type of an arm without
// an ETL.
const none = "none"

// opETLObject is what offline jobs do, as results call it.
const opETLObject = "etl-object"

// arm is one transform through one communication type in one mode.
type arm struct {
	transform, comm, mode string
	number                int    // from 1, in the names of what it creates
	etl                   string // the ETL's name while there is one
	language              string
	errs                  errorLog
}

// told is the arm as results have it.
func (a *arm) told() results.Arm {
	return results.Arm{Name: a.transform + ":" + a.comm + ":" + a.mode, Transform: a.transform, Comm: a.comm, Mode: a.mode, Language: a.language}
}

// plan lists the arms of a scenario in their order. Inline arms whose mix has
// no get-etl are all the same: one without an ETL stands for them.
func plan(s *scenarios.Scenario) (arms []*arm) {
	plain := s.Load.Mix[scenarios.OpGetETL] == 0
	transforms, comms := s.Transforms, s.Arms.Comm
	for _, mode := range s.Arms.Mode {
		if mode == scenarios.ModeInline && plain {
			arms = append(arms, &arm{transform: none, comm: none, mode: mode})
		}
	}
	for _, t := range transforms {
		for _, c := range comms {
			for _, m := range s.Arms.Mode {
				if m == scenarios.ModeInline && plain {
					continue
				}
				arms = append(arms, &arm{transform: t, comm: c, mode: m})
			}
		}
	}
	for i, a := range arms {
		a.number = i + 1
	}
	return arms
}

// runArm makes the ETL, measures and removes it. Trouble with the ETL or the
// job ends up in the arm's row; an error ends the run.
func (r *run) runArm(ctx context.Context, a *arm) ([]results.Row, error) {
	if a.transform != none {
		defer r.removeETL(ctx, a)
		if err := r.initETL(ctx, a); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			a.errs.add(&failure{classInit, err}, "", "")
			r.log.Warn("arm skipped", logETL, a.etl, logErr, err)
			return r.failedRow(a), nil
		}
	}
	if a.mode == scenarios.ModeOffline {
		return r.offline(ctx, a)
	}
	return r.inline(ctx, a)
}

func (r *run) initETL(ctx context.Context, a *arm) error {
	spec, language, err := r.ETL(a.transform, a.comm)
	if err != nil {
		return err
	}
	a.language = language
	name := r.etlName(a)
	if err := api.CheckNewETLName(name, false); err != nil {
		return err
	}
	mine := *spec // the caller's stays as it is
	mine.ID, mine.Name = "", name
	a.etl = name
	if _, err := r.client.InitETL(ctx, &mine); err != nil {
		return err
	}
	r.log.Debug("etl runs", logETL, name)
	return nil
}

// etlName is unique in the cluster, and valid in both dialects of init: at
// most 20 lower-case letters, digits and '-'.
func (r *run) etlName(a *arm) string {
	const longest = 5
	comm := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, a.comm)
	return fmt.Sprintf("lb-%s-%s-%d", r.id, comm[:min(len(comm), longest)], a.number)
}

// removeETL stops and deletes the arm's ETL, one whose init failed as well:
// it keeps its name, and perhaps its pods.
func (r *run) removeETL(ctx context.Context, a *arm) {
	if a.etl == "" {
		return
	}
	ctx, cancel := aside(ctx)
	defer cancel()
	r.progress.enter("remove", 0, r.progress.left())
	// Deleting stops as well; what matters is that nothing is left.
	if err := r.client.StopETL(ctx, a.etl); err != nil && !errors.Is(err, api.ErrNotFound) {
		r.log.Warn("etl did not stop", logETL, a.etl, logErr, err)
	}
	if err := r.client.DeleteETL(ctx, a.etl); err != nil && !errors.Is(err, api.ErrNotFound) {
		r.leftover = append(r.leftover, fmt.Errorf("remove etl %s: %w; try: etlbench etl rm %s", a.etl, err, a.etl))
	}
}
