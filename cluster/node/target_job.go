package node

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// targetJob is this target's part of a job.
type targetJob struct {
	job    bucketJob
	etl    *runningETL // nil for jobs that transform nothing
	ctx    context.Context
	cancel context.CancelCauseFunc
	errors objErrors

	mu     sync.Mutex // guards what follows
	start  time.Time  // zero before the commit
	end    time.Time  // zero while it runs
	stats  api.SnapStats
	done   int64 // objects
	result int64 // bytes of all results
	source int64 // bytes of all source objects
	failed int64
	err    string // of the first object that failed, or what ended the job
	abort  bool
	times  *hdrhistogram.Histogram // ns an object
	slow   slowest
}

// targetJobs is a target's parts of jobs.
type targetJobs struct{ history[*targetJob] }

// abortOf aborts the jobs of one run of an ETL.
func (l *targetJobs) abortOf(xact, reason string) {
	for _, j := range l.all() {
		if xact != "" && j.job.XactID == xact {
			j.stop(reason)
		}
	}
}

// received credits a job with an object that another target sent.
func (l *targetJobs) received(id string, size int64) {
	if j := l.get(id); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.stats.InObjs++
		j.stats.InBytes += size
	}
}

// stop aborts what this target still has to do of a job.
func (j *targetJob) stop(reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.end.IsZero() {
		j.abortLocked(reason)
	}
}

// stopWhole aborts a job that is aborted as a whole, also when there is nothing
// more to do of it here.
func (j *targetJob) stopWhole(reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.abortLocked(reason)
}

func (j *targetJob) abortLocked(reason string) {
	if j.abort {
		return
	}
	j.abort, j.err = true, reason
	if j.start.IsZero() { // begun, never committed
		j.start, j.end = time.Now(), time.Now()
	}
	j.cancel(errors.New(reason))
}

// Bounds of the histogram of object times, ns: 1 µs to an hour.
const (
	minObjectTime = int64(time.Microsecond)
	maxObjectTime = int64(time.Hour)
)

// beginJob checks that this target can do its part. Nothing is done before the
// commit.
func (t *Target) beginJob(job *bucketJob) (any, error) {
	j := &targetJob{job: *job, times: hdrhistogram.New(minObjectTime, maxObjectTime, 3)}
	parent := t.ctx
	if job.transforms() {
		if j.etl = t.etls.get(job.ETL); j.etl == nil || j.etl.xact != job.XactID {
			return nil, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: %s does not exist", t.name(), job.ETL)
		}
		parent = j.etl.ctx
	}
	for _, name := range job.Pipeline {
		if t.etls.get(name) == nil {
			return nil, t.errNoMember(name)
		}
	}
	j.ctx, j.cancel = context.WithCancelCause(parent)
	t.jobs.add(job.ID, j)
	return nil, nil
}

func (t *Target) commitJob(job *bucketJob) (any, error) {
	j := t.jobs.get(job.ID)
	if j == nil {
		return nil, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: job %s was not begun", t.name(), job.ID)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.start.IsZero() {
		return nil, nil
	}
	j.start = time.Now()
	t.task(func(context.Context) { t.runJob(j) })
	return nil, nil
}

func (t *Target) abortJob(ref *jobRef) (any, error) {
	if j := t.jobs.get(ref.ID); j != nil {
		j.stopWhole(ref.Reason)
	}
	return nil, nil
}

// syncWorkers are more than a machine's CPUs would need: those that wait for the
// disk need none, and it makes durable at once what was written meanwhile.
const syncWorkers = 16

// jobWorkers is how many objects a target has in hand at once when the request
// does not say: two for each CPU, so that reading and writing overlap with
// what the pod computes, and more where writes wait for the disk, unless each
// object takes a process of its own.
func (t *Target) jobWorkers(j *targetJob) int {
	if j.job.Workers > 0 {
		return min(j.job.Workers, 1024)
	}
	n := 2 * runtime.GOMAXPROCS(0)
	if t.store.Sync() != store.SyncNone && (j.etl == nil || !j.etl.typ.PerObject) {
		n = max(n, syncWorkers)
	}
	return n
}

// runJob takes this target's own objects through the job.
func (t *Target) runJob(j *targetJob) {
	names := make(chan string)
	var wg sync.WaitGroup
	for range t.jobWorkers(j) {
		wg.Go(func() {
			for name := range names {
				t.jobObject(j, name)
			}
		})
	}
	err := t.sources(j, names)
	close(names)
	wg.Wait()
	if err == nil && j.job.Sync && !j.job.DryRun {
		err = t.dropExtra(j)
	}
	// The ETL or the node may have ended after the last name was handed out;
	// then objects were left out.
	if err == nil && j.ctx.Err() != nil {
		err = context.Cause(j.ctx)
	}
	if err != nil {
		j.stop(oneLine(err))
	}
	j.mu.Lock()
	j.end = time.Now()
	aborted, reason := j.abort, j.err
	j.mu.Unlock()
	j.cancel(nil)
	if aborted {
		t.tellFailed(j, reason)
	}
}

// tellFailed tells the primary that this part of a job was aborted, so that
// the other targets stop too.
func (t *Target) tellFailed(j *targetJob, reason string) {
	ctx, cancel := context.WithTimeout(t.ctx, peerTimeout)
	defer cancel()
	if err := t.callPrimary(ctx, pathJobFailed, jobRef{ID: j.job.ID, Reason: reason}, nil); err != nil {
		t.log.Warn("tell the primary", keyJob, j.job.ID, keyErr, err)
	}
}

// delivery is what a job does with one object.
func (j *targetJob) delivery(name string) *delivery {
	return &delivery{etl: j.etl, pipeline: j.job.Pipeline, latest: j.job.LatestVer,
		fromBucket: j.job.From, from: name, toBucket: j.job.To, to: j.job.Rename.apply(name),
		job: j.job.ID, timeout: time.Duration(j.job.Timeout), dryRun: j.job.DryRun}
}

// jobObject does what the job is about with one object and records how that
// went.
func (t *Target) jobObject(j *targetJob, name string) {
	if j.ctx.Err() != nil {
		return
	}
	begin := time.Now()
	var (
		d   delivered
		err error
	)
	if j.job.deletes() {
		err = t.deleteObject(j.job.From, name)
	} else {
		d, err = t.deliver(j.ctx, j.delivery(name))
	}
	if err != nil {
		t.jobObjectFailed(j, name, err)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count(d)
	took := time.Since(begin)
	_ = j.times.RecordValue(min(max(int64(took), minObjectTime), maxObjectTime))
	j.slow.add(name, took)
}

// count takes an object into the sums, as AIStore does. j.mu is held.
func (j *targetJob) count(d delivered) {
	j.done++
	j.source += d.source
	j.result += max(0, d.result)
	if d.sent {
		j.stats.OutObjs++
	}
	if d.direct {
		return
	}
	if d.sent {
		j.stats.OutBytes += d.result
	}
	j.stats.LocObjs++
	j.stats.LocBytes += d.result
}

func (t *Target) jobObjectFailed(j *targetJob, name string, err error) {
	e := t.apiError(err)
	// Only a list names objects that must be there: a template stands for
	// some that need not, and what a walk has found may be gone meanwhile.
	missing := e.Status == fasthttp.StatusNotFound && (e.Kind == api.KindNotFound || e.Kind == "" && j.job.deletes())
	if missing && len(j.job.Objects) == 0 {
		return
	}
	if j.ctx.Err() != nil {
		return // aborted: not this object's failure
	}
	j.errors.add(api.AIS(j.job.From).String()+"/"+name, e)
	j.mu.Lock()
	j.failed++
	if j.err == "" {
		j.err = oneLine(e)
	}
	j.mu.Unlock()
	t.log.Warn("object failed", keyJob, j.job.ID, keyObject, name, keyErr, err)
	if !j.job.Continue {
		j.stop(oneLine(e))
	}
}

// snap tells how this target's part of a job stands.
func (j *targetJob) snap() (api.Snap, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	times, err := j.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return api.Snap{}, err
	}
	s := api.Snap{
		Ext: &api.SnapExt{ObjectTimes: string(times), Objects: j.done, Bytes: j.result, SourceBytes: j.source, Failed: j.failed,
			Slowest: slices.Clone(j.slow)},
		Start: j.start, End: j.end, Bck: api.AIS(j.job.From), SrcBck: api.AIS(j.job.From), DstBck: api.AIS(j.job.To),
		ID: j.job.ID, Kind: j.job.Kind, CtlMsg: j.job.describe(), GlobID: "0", Stats: j.stats,
		Aborted: j.abort && !j.end.IsZero(), Idle: !j.end.IsZero(),
	}
	if !api.Idling(j.job.Kind) && j.job.To != "" {
		s.Bck = api.AIS(j.job.To)
	}
	if j.abort {
		s.AbortErr = j.err
	} else {
		s.Err = j.err
	}
	return s, nil
}

// describe says in a few words what the job does; up to the first semicolon in
// AIStore's words.
func (j *bucketJob) describe() string {
	what := "cp " + api.AIS(j.From).String()
	switch {
	case j.deletes():
		return "rm " + api.AIS(j.From).String()
	case j.transforms():
		what = "etl " + api.AIS(j.From).String()
	}
	what += "=>" + api.AIS(j.To).String()
	if j.Rename.Prepend != "" && !j.listed() {
		what += "/" + j.Rename.Prepend
	}
	if j.transforms() {
		what += "; " + strings.Join(append([]string{j.ETL}, j.Pipeline...), "=>")
	}
	if j.DryRun {
		what += "; dry run"
	}
	return what
}
