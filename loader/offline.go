package loader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios/dataset"
	"github.com/etlbench/etlbench/scenarios/draw"
)

const (
	jobPollFirst = 20 * time.Millisecond
	jobPollMost  = 250 * time.Millisecond
	jobAppears   = 10 * time.Second // after its start, a job may be unknown to the proxy that is asked
)

// offlineJob is one etl-bck job and all that is known of it.
type offlineJob struct {
	id      string
	posted  time.Time
	seen    time.Time // when it was first seen ended
	status  api.JobStatus
	snaps   map[string]api.Snap // by target; empty when the cluster does not tell
	dst     api.Bucket
	objects []object
	prefix  string   // of their names
	cells   []series // by target, of the objects that each stores; the last of all
	errs    *errorLog
}

// offline transforms the arm's objects into a fresh bucket, and then reads
// every result back.
func (r *run) offline(ctx context.Context, a *arm, block int) (*outcomes, error) {
	after := r.progress.left() - r.jobTime
	r.progress.enter("job", r.jobTime, after)
	j := &offlineJob{dst: r.bucket(fmt.Sprintf("%d-%d", a.number, block)), objects: r.objectsOf(a),
		cells: make([]series, len(r.targets)+1), errs: &errorLog{}}
	if a.Sized {
		j.prefix = dataset.ClassPrefix(a.Size)
	}
	watch, faults := r.watch(a, block, nil), &faultLog{}
	err := r.createBucket(ctx, j.dst)
	if err == nil {
		r.event(results.EventPhase, a, block, results.PhaseMeasure)
		watch.start()
		undo := r.inject(ctx, a, block, faults)
		err = r.runJob(ctx, a, j)
		undo()
	}
	usage := watch.stop()
	r.event(results.EventPhase, a, block, "")
	if err == nil {
		r.told(ctx, j)
		r.progress.enter("read back", 0, after)
		err = r.found(ctx, a, j)
	}
	if r.Scenario.Trials.Blocks > 1 {
		r.dropBucket(ctx, j.dst) // many of them would fill the disk
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err() // half a job measures nothing
	case err != nil:
		r.kill(a, &failure{classJob, err}) // errors of objects of a job that nothing is known of are nobody's
		return nil, nil
	}
	j.sum()
	start, took := j.span()
	r.jobTime = took
	o := opOutcome{op: opETLObject, intended: j.cells[len(j.cells)-1].Accounted(), cells: j.cells, comparable: int64(len(j.objects))}
	out := &outcomes{arm: a, block: block, started: start, window: took, ops: []opOutcome{o}, errs: j.errs, usage: usage, job: r.describeJob(j, start), faults: faults.told()}
	return out, r.writeJob(a, block, j.cells, start, took)
}

// writeJob writes the job as an interval of every target, and of all together.
func (r *run) writeJob(a *arm, block int, cells []series, start time.Time, took time.Duration) error {
	for i := range cells {
		iv := results.Interval{Key: results.Key{Arm: a.Name, Op: opETLObject, Phase: results.PhaseMeasure, Metric: results.MetricObject, Block: block},
			Start: start, Duration: took, Counts: cells[i].Counts, Latency: cells[i].hist[metricObject]}
		if i < len(r.targets) {
			if cells[i].Accounted() == 0 {
				continue
			}
			iv.Key.Target = r.targets[i]
		}
		if err := r.Results.Interval(iv); err != nil {
			return err
		}
	}
	return nil
}

// mostStragglers is how many slow objects a job's results name.
const mostStragglers = 10

// describeJob is what targets tell of a job besides.
func (r *run) describeJob(j *offlineJob, start time.Time) *results.Job {
	d := &results.Job{ID: j.id}
	for _, id := range r.targets {
		s, ok := j.snaps[id]
		if !ok {
			continue
		}
		if done := s.End.Sub(start).Seconds(); !s.End.IsZero() && done >= 0 {
			if d.FirstDoneS == nil || done < *d.FirstDoneS {
				d.FirstDoneS = &done
			}
			if d.LastDoneS == nil || done > *d.LastDoneS {
				d.LastDoneS = &done
			}
		}
		if s.Ext != nil {
			for _, o := range s.Ext.Slowest {
				d.Stragglers = append(d.Stragglers, results.Straggler{Name: o.Name, Target: id, Ms: float64(o.Took) / float64(time.Millisecond)})
			}
		}
	}
	slices.SortStableFunc(d.Stragglers, func(a, b results.Straggler) int { return cmp.Compare(b.Ms, a.Ms) })
	d.Stragglers = d.Stragglers[:min(len(d.Stragglers), mostStragglers)]
	return d
}

// runJob starts the job and waits for its end. Its objects fail one by one
// and not the job with them, so that all failures are counted.
func (r *run) runJob(ctx context.Context, a *arm, j *offlineJob) (err error) {
	j.posted = time.Now()
	j.id, err = r.client.TransformBucket(ctx, r.src, j.dst, api.TransformMsg{
		ID:             a.etlName(),
		Prefix:         j.prefix,
		RequestTimeout: api.Duration(r.Scenario.Load.Timeout),
		Workers:        a.Workers,
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
func (r *run) told(ctx context.Context, j *offlineJob) {
	if j.status.Aborted {
		j.errs.add(&failure{classJob, fmt.Errorf("job %s was aborted: %s", j.id, j.status.Err)}, "", "")
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
			j.cells[i].Ops = s.Stats.LocObjs
			if s.Ext != nil {
				j.cells[i].Ops = s.Ext.Objects
				j.cells[i].BytesIn = s.Ext.SourceBytes
			}
			j.cells[i].hist[metricObject] = r.objectTimes(s)
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
	told := slices.ContainsFunc(j.cells, func(c series) bool { return c.Ops > 0 })
	for i := range j.objects {
		o := &j.objects[i]
		c := &j.cells[o.owner]
		size, ok := sizes[o.name]
		if !ok {
			c.Errors++
			j.errs.add(&failure{classMissing, lost}, o.name, r.targets[o.owner])
			continue
		}
		c.BytesOut += size
		if !told {
			c.Ops++
		}
		// AIStore counts the bytes of results only.
		if j.snaps[r.targets[o.owner]].Ext == nil {
			c.BytesIn += o.size
		}
	}
	r.readBack(ctx, a, j, sizes)
	return nil
}

// readBack compares all results that can be compared, or a sample of them and
// the sizes of the others. The end of ctx leaves the rest unverified.
func (r *run) readBack(ctx context.Context, a *arm, j *offlineJob, sizes map[string]int64) {
	want := r.expect[a.Transform]
	if want == nil {
		return
	}
	share, _ := r.Scenario.Verify.Content.Share()
	key := draw.Key(r.Scenario.Seed, "read back")
	verdicts := make([]error, len(j.objects))
	equal := make([]bool, len(j.objects))
	// The only error is that of ctx, and the job was measured all the same.
	_ = r.each(ctx, len(j.objects), r.workersOf(a), func(d *driver, i int) error {
		o := &j.objects[i]
		size, ok := sizes[o.name]
		w := &want[o.number]
		if !ok || !w.known {
			return nil
		}
		if draw.Unit(draw.Word(key, uint64(o.number))) >= share {
			verdicts[i] = differ(Digest{Size: size}, w.Digest, true)
			return nil
		}
		rep := d.get([]byte(api.ObjectPath(j.dst, o.name)+query("")), o.owner)
		if rep.err == nil {
			rep.err = differ(rep.got, w.Digest, false)
		}
		verdicts[i], equal[i] = rep.err, rep.err == nil
		r.progress.ops.Add(1)
		r.progress.bytes.Add(o.size)
		return nil
	})
	for i := range verdicts {
		o := &j.objects[i]
		c := &j.cells[o.owner]
		if equal[i] {
			c.verified++
		}
		if verdicts[i] != nil {
			c.Ops = max(0, c.Ops-1)
			c.Errors++
			j.errs.add(verdicts[i], o.name, r.targets[o.owner])
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
		all.merge(&j.cells[i])
	}
	if j.status.Aborted {
		all.Errors++
	}
}
