package loader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

const (
	jobPollFirst = 20 * time.Millisecond
	jobPollMost  = 250 * time.Millisecond
	jobAppears   = 10 * time.Second // after its start, a job may be unknown to the proxy that is asked
)

// offlineJob is one etl-bck job and all that is known of it.
type offlineJob struct {
	id     string
	posted time.Time
	seen   time.Time // when it was first seen ended
	status api.JobStatus
	snaps  map[string]api.Snap // by target; empty when the cluster does not tell
	dst    api.Bucket
	cells  []series // by target, of the objects that each stores; the last of all
}

// offline transforms the whole source bucket into a fresh one, and then reads
// every result back.
func (r *run) offline(ctx context.Context, a *arm) ([]results.Row, error) {
	after := r.progress.left() - r.jobTime
	r.progress.enter("job", r.jobTime, after)
	j := &offlineJob{dst: r.bucket(fmt.Sprint(a.number)), cells: make([]series, len(r.targets)+1)}
	err := r.createBucket(ctx, j.dst)
	if err == nil {
		err = r.runJob(ctx, a, j)
	}
	if err == nil {
		r.told(ctx, a, j)
		r.progress.enter("read back", 0, after)
		err = r.found(ctx, a, j)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err() // half a job measures nothing
	case err != nil:
		a.errs.reset() // objects of a job that nothing is known of
		a.errs.add(&failure{classJob, err}, "", "")
		return r.failedRow(a), nil
	}
	j.sum()
	start, took := j.span()
	r.jobTime = took
	if err := r.writeIntervals(a, opETLObject, phaseMeasure, j.cells, start, took, metricObject); err != nil {
		return nil, err
	}
	return []results.Row{r.row(a, opETLObject, j.cells, took, int64(len(r.objects)))}, ctx.Err()
}

// runJob starts the job and waits for its end. Its objects fail one by one
// and not the job with them, so that all failures are counted.
func (r *run) runJob(ctx context.Context, a *arm, j *offlineJob) (err error) {
	j.posted = time.Now()
	j.id, err = r.client.TransformBucket(ctx, r.src, j.dst, api.TransformMsg{
		ID:             a.etl,
		RequestTimeout: api.Duration(r.Scenario.Load.Timeout),
		ContinueOnErr:  true,
	})
	if err != nil {
		return fmt.Errorf("start job: %w", err)
	}
	err = r.awaitJob(ctx, j)
	if err != nil {
		stop, cancel := aside(ctx)
		defer cancel()
		if serr := r.client.StopJob(stop, j.id); serr != nil {
			r.leftover = append(r.leftover, fmt.Errorf("stop job %s: %w; try: etlbench job stop %s", j.id, serr, j.id))
		}
		return fmt.Errorf("job %s: %w", j.id, err)
	}
	return nil
}

func (r *run) awaitJob(ctx context.Context, j *offlineJob) error {
	for wait := jobPollFirst; ; wait = min(wait*3/2, jobPollMost) {
		s, err := r.client.JobStatus(ctx, j.id)
		switch {
		case err == nil && s.Done():
			j.status, j.seen = *s, time.Now()
			return nil
		case errors.Is(err, api.ErrNotFound) && time.Since(j.posted) < jobAppears:
		case err != nil:
			return err
		}
		pause(ctx, wait)
	}
}

// told takes in what the cluster tells of an ended job.
func (r *run) told(ctx context.Context, a *arm, j *offlineJob) {
	if j.status.Aborted {
		a.errs.add(&failure{classJob, fmt.Errorf("job %s was aborted: %s", j.id, j.status.Err)}, "", "")
	}
	j.snaps = map[string]api.Snap{}
	all, err := r.client.JobSnaps(ctx, j.id)
	if err != nil {
		r.log.Warn("the cluster tells nothing of a job", logJob, j.id, logErr, err)
		return
	}
	for i, id := range r.targets {
		for _, s := range all[id] {
			if s.ID != j.id && s.ID != "" {
				continue
			}
			j.snaps[id] = s
			j.cells[i].ops = s.Stats.LocObjs
			if s.Ext != nil {
				j.cells[i].ops = s.Ext.Objects
				j.cells[i].in = s.Ext.SourceBytes
			}
			j.cells[i].ttlb = r.objectTimes(s)
		}
	}
}

// objectTimes decodes what a target recorded, with the bounds that all
// histograms here have; nil when it recorded nothing.
func (r *run) objectTimes(s api.Snap) *hdrhistogram.Histogram {
	if s.Ext == nil || s.Ext.ObjectTimes == "" {
		return nil
	}
	from, err := hdrhistogram.Decode([]byte(s.Ext.ObjectTimes))
	if err != nil {
		r.log.Warn("object times of a target can't be read", logJob, s.ID, logErr, err)
		return nil
	}
	h := results.NewHistogram()
	if beyond := h.Merge(from); beyond > 0 {
		_ = h.RecordValues(results.MaxLatency, beyond)
		r.note("%d object times were above %s and are counted as that.", beyond, time.Duration(results.MaxLatency))
	}
	return h
}

// found looks at the results themselves: which there are, and whether they
// are what they should be. A source object's result is charged to the target
// that had to make it.
func (r *run) found(ctx context.Context, a *arm, j *offlineJob) error {
	sizes := map[string]int64{}
	err := r.client.ListAll(ctx, j.dst, func(e *api.ListEntry) error {
		sizes[e.Name] = e.Size
		return nil
	})
	if err != nil {
		return fmt.Errorf("list bucket %s: %w", j.dst, err)
	}
	lost := errors.New("no result in the destination bucket")
	if j.status.Err != "" {
		lost = fmt.Errorf("%w; the job says: %s", lost, j.status.Err)
	}
	told := slices.ContainsFunc(j.cells, func(c series) bool { return c.ops > 0 })
	for i := range r.objects {
		o := &r.objects[i]
		c := &j.cells[o.owner]
		size, ok := sizes[o.name]
		if !ok {
			c.errors++
			a.errs.add(&failure{classMissing, lost}, o.name, r.targets[o.owner])
			continue
		}
		c.out += size
		if !told {
			c.ops++
		}
		// AIStore counts the bytes of results only.
		if j.snaps[r.targets[o.owner]].Ext == nil {
			c.in += o.size
		}
	}
	r.readBack(ctx, a, j, sizes)
	return nil
}

// readBack compares all results that can be compared. The end of ctx leaves
// the rest unverified.
func (r *run) readBack(ctx context.Context, a *arm, j *offlineJob, sizes map[string]int64) {
	want := r.expect[a.transform]
	if want == nil {
		return
	}
	verdicts := make([]error, len(r.objects))
	equal := make([]bool, len(r.objects))
	// The only error is that of ctx, and the job was measured all the same.
	_ = r.each(ctx, len(r.objects), r.Scenario.Load.Workers, func(d *driver, i int) error {
		o := &r.objects[i]
		if _, ok := sizes[o.name]; !ok || !want[i].known {
			return nil
		}
		rep := d.get([]byte(api.ObjectPath(j.dst, o.name)+query("")), o.owner)
		equal[i] = check(&rep, want, i)
		verdicts[i] = rep.err
		r.progress.ops.Add(1)
		r.progress.bytes.Add(o.size)
		return nil
	})
	for i := range verdicts {
		o := &r.objects[i]
		c := &j.cells[o.owner]
		if equal[i] {
			c.verified++
		}
		if verdicts[i] != nil {
			c.ops = max(0, c.ops-1)
			c.errors++
			a.errs.add(verdicts[i], o.name, r.targets[o.owner])
		}
	}
}

// span is when the job began and how long it took: by the clocks of the
// targets, from the first one's start to the last one's end, when all tell;
// else from the request to the end that the cluster tells, or that was seen.
func (j *offlineJob) span() (time.Time, time.Duration) {
	var start, end time.Time
	for _, s := range j.snaps {
		if s.Start.IsZero() || s.End.IsZero() {
			start, end = time.Time{}, time.Time{}
			break
		}
		if start.IsZero() || s.Start.Before(start) {
			start = s.Start
		}
		if s.End.After(end) {
			end = s.End
		}
	}
	if end.After(start) {
		return start, end.Sub(start)
	}
	end = time.Unix(0, j.status.EndTime)
	if j.status.EndTime == 0 || !end.After(j.posted) || end.After(j.seen) {
		end = j.seen
	}
	return j.posted, end.Sub(j.posted)
}

// sum adds the targets up, and the abort of the job, which is none's.
func (j *offlineJob) sum() {
	all := &j.cells[len(j.cells)-1]
	for i := range j.cells[:len(j.cells)-1] {
		c := &j.cells[i]
		all.ops += c.ops
		all.errors += c.errors
		all.in += c.in
		all.out += c.out
		all.verified += c.verified
		if c.ttlb != nil {
			if all.ttlb == nil {
				all.ttlb = results.NewHistogram()
			}
			all.ttlb.Merge(c.ttlb)
		}
	}
	if j.status.Aborted {
		all.errors++
	}
}
