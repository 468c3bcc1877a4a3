package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	etl    *runningETL
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex // guards what follows
	start  time.Time  // zero before the commit
	end    time.Time  // zero while it runs
	stats  api.SnapStats
	result int64 // bytes of all results
	failed int64
	err    string // of the first object that failed, or what ended the job
	abort  bool
	times  *hdrhistogram.Histogram // ns an object
}

// targetJobs is a target's parts of jobs.
type targetJobs struct{ history[*targetJob] }

// abortOf aborts the jobs of one run of an ETL.
func (l *targetJobs) abortOf(xact, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.byID {
		if j.job.XactID == xact {
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

// stop aborts a job that has not ended.
func (j *targetJob) stop(reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.end.IsZero() || j.abort {
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
	r := t.etls.get(job.ETL)
	if r == nil || r.xact != job.XactID {
		return nil, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: %s does not exist", t.name(), job.ETL)
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	t.jobs.add(job.ID, &targetJob{job: *job, etl: r, ctx: ctx, cancel: cancel,
		times: hdrhistogram.New(minObjectTime, maxObjectTime, 3)})
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
		j.stop(ref.Reason)
	}
	return nil, nil
}

// jobWorkers is how many objects a target transforms at once when the request
// does not say: two for each CPU, so that reading and writing overlap with
// what the pod computes.
func jobWorkers(job *bucketJob) int {
	if job.Workers > 0 {
		return min(job.Workers, 1024)
	}
	return 2 * runtime.GOMAXPROCS(0)
}

// listPage is how many names a job's walk reads at once.
const listPage = 1000

// runJob walks this target's own objects and transforms them.
func (t *Target) runJob(j *targetJob) {
	names := make(chan string)
	var wg sync.WaitGroup
	for range jobWorkers(&j.job) {
		wg.Go(func() {
			for name := range names {
				t.jobObject(j, name)
			}
		})
	}
	err := t.walk(j, names)
	close(names)
	wg.Wait()
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

func (t *Target) walk(j *targetJob, names chan<- string) error {
	opt := store.ListOptions{Prefix: j.job.Prefix, Limit: listPage}
	for {
		infos, more, err := t.store.List(j.job.From, opt)
		if err != nil {
			return t.explainMissing(j.job.From, "", err)
		}
		for _, i := range infos {
			select {
			case names <- i.Name:
			case <-j.ctx.Done():
				return context.Cause(j.ctx)
			}
			opt.After = i.Name
		}
		if !more {
			return nil
		}
	}
}

// delivery is what a job does with one object.
func (j *targetJob) delivery(name string) *delivery {
	return &delivery{etl: j.etl, fromBucket: j.job.From, from: name, toBucket: j.job.To, to: j.job.Rename.apply(name),
		job: j.job.ID, timeout: time.Duration(j.job.Timeout), dryRun: j.job.DryRun}
}

// tellFailed tells the primary that this part of a job was aborted, so that
// the other targets stop too.
func (t *Target) tellFailed(j *targetJob, reason string) {
	ctx, cancel := context.WithTimeout(t.ctx, peerTimeout)
	defer cancel()
	if err := t.peers.call(ctx, t.cfg.Primary, pathJobFailed, jobRef{ID: j.job.ID, Reason: reason}, nil); err != nil {
		t.log.Warn("tell the primary", keyJob, j.job.ID, keyErr, err)
	}
}

// jobObject transforms one object and records how that went.
func (t *Target) jobObject(j *targetJob, name string) {
	if j.ctx.Err() != nil {
		return
	}
	begin := time.Now()
	d, err := t.deliver(j.ctx, j.delivery(name))
	took := time.Since(begin)
	if err != nil && j.ctx.Err() != nil {
		return // aborted: not this object's failure
	}
	j.mu.Lock()
	if err == nil {
		j.stats.LocObjs++
		j.stats.LocBytes += d.source
		j.result += d.result
		if d.sent {
			j.stats.OutObjs++
			j.stats.OutBytes += d.result
		}
		_ = j.times.RecordValue(min(max(int64(took), minObjectTime), maxObjectTime))
		j.mu.Unlock()
		return
	}
	j.failed++
	msg := fmt.Sprintf("%s/%s: %s", api.AIS(j.job.From), name, oneLine(err))
	if j.err == "" {
		j.err = msg
	}
	j.mu.Unlock()
	t.log.Warn("transform", keyJob, j.job.ID, keyObject, name, keyErr, err)
	if !j.job.Continue {
		j.stop(msg)
	}
}

// jobSnap tells how this target's part of a job stands.
func (t *Target) jobSnap(ref *jobRef) (any, error) {
	j := t.jobs.get(ref.ID)
	if j == nil {
		return nil, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: job %s is not known here", t.name(), ref.ID)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	times, err := j.times.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	s := api.Snap{
		Ext:   &api.SnapExt{ObjectTimes: string(times), ResultBytes: j.result, Failed: j.failed},
		Start: j.start, End: j.end, Bck: api.AIS(j.job.To), SrcBck: api.AIS(j.job.From), DstBck: api.AIS(j.job.To),
		ID: j.job.ID, Kind: j.job.Kind, CtlMsg: j.job.ETL, GlobID: "0", Stats: j.stats, Aborted: j.abort && !j.end.IsZero(),
		Idle: !j.end.IsZero(),
	}
	if j.abort {
		s.AbortErr = j.err
	} else {
		s.Err = j.err
	}
	return s, nil
}
