package node

import (
	"context"

	"github.com/etlbench/etlbench/cluster/api"
)

// queryJobs tells of this target's parts of the jobs that are asked for, and
// of the ETLs that run: each is a job, too.
func (t *Target) queryJobs(q *api.JobQuery) (any, error) {
	list := []api.Snap{}
	runs := t.ended.all()
	for _, r := range t.etls.all() {
		runs = append(runs, r.snap())
	}
	for _, s := range runs {
		if q.Matches(&s) {
			list = append(list, s)
		}
	}
	for _, j := range t.jobs.all() {
		s, err := j.snap()
		if err != nil {
			return nil, err
		}
		if q.Matches(&s) {
			list = append(list, s)
		}
	}
	return list, nil
}

// snap is the ETL's run as a job.
func (r *runningETL) snap() api.Snap {
	s := api.Snap{ID: r.xact, Kind: api.ActETLInline, Start: r.start, CtlMsg: r.about, GlobID: "0",
		Stats: api.SnapStats{LocObjs: r.objects.Load(), LocBytes: r.out.Load()}}
	select {
	case <-r.gone:
		s.End, s.Idle, s.Aborted, s.AbortErr = r.end, true, true, context.Cause(r.ctx).Error()
	default:
	}
	return s
}

// jobErrors tells which objects of a job failed here.
func (t *Target) jobErrors(ref *jobRef) (any, error) {
	j := t.jobs.get(ref.ID)
	if j == nil {
		return []api.ObjError{}, nil
	}
	return j.errors.all(), nil
}
