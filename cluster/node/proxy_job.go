package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// jobRecord is what the primary keeps of a job. How it stands is asked of the
// targets, and kept once all have ended.
type jobRecord struct {
	job     bucketJob
	targets map[string]*api.NodeInfo // that it was begun on
	snaps   map[string][]api.Snap    // final ones, nil before
	stopped string                   // why the primary stopped it; "" when it did not
}

// jobList is the primary's jobs. Its lock guards the records' fields, too.
type jobList struct{ history[*jobRecord] }

// selectJobs lists the jobs of a query, in the order they were made.
func (l *jobList) selectJobs(q api.JobQuery) []*jobRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*jobRecord
	for _, id := range l.order {
		r := l.byID[id]
		if (q.ID == "" || q.ID == id) && (q.Kind == "" || q.Kind == r.job.Kind) {
			list = append(list, r)
		}
	}
	return list
}

// transformBucket begins an etl-bck on all targets and commits it when all
// agree.
func (p *Proxy) transformBucket(ctx *fasthttp.RequestCtx, from string, a *action, q url.Values) error {
	j, err := planBucketJob(from, a, q)
	if err != nil {
		return err
	}
	if err := p.checkBucketJob(j); err != nil {
		return err
	}
	if !j.DryRun {
		if _, ok := p.state().Buckets[j.To]; !ok {
			if _, err := p.createBucket(j.To); err != nil && !errors.Is(err, api.ErrExists) {
				return err
			}
		}
	}
	j.ID = randomID(10)
	r := &jobRecord{job: *j, targets: p.state().Map.Targets}
	// Known before it runs: a target may report at once that it failed.
	p.jobs.add(j.ID, r)
	c, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for _, path := range []string{pathJobBegin, pathJobCommit} {
		err := firstError(each(r.targets, func(t *api.NodeInfo) error {
			return p.peers.call(c, t.ControlNet.URL, path, j, nil)
		}))
		if err != nil {
			p.abortJob(r, err.Error())
			return err
		}
	}
	writeText(ctx, j.ID)
	return nil
}

// checkBucketJob checks a job against the state, and completes it.
func (p *Proxy) checkBucketJob(j *bucketJob) error {
	s := p.state()
	if _, ok := s.Buckets[j.From]; !ok {
		return errNoBucket(j.From)
	}
	if j.ETL == "" {
		return api.Errorf(fasthttp.StatusNotFound, "", "ETL name \"\" is empty")
	}
	name, e, ok := s.ETL(j.ETL)
	if !ok {
		return api.Errorf(fasthttp.StatusNotFound, "", "ETL %s doesn't exist", j.ETL)
	}
	if err := p.running(name, e); err != nil {
		return err
	}
	j.ETL, j.XactID = name, e.XactID
	if j.From == j.To && !j.DryRun {
		return api.Errorf(fasthttp.StatusBadRequest, "", "cannot %s bucket %q onto itself", j.Kind, api.AIS(j.From).String())
	}
	return nil
}

// abortJob stops a job on all its targets.
func (p *Proxy) abortJob(r *jobRecord, reason string) {
	p.jobs.mu.Lock()
	if r.stopped == "" {
		r.stopped = reason
	}
	p.jobs.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for id, err := range each(r.targets, func(t *api.NodeInfo) error {
		return p.peers.call(ctx, t.ControlNet.URL, pathJobAbort, jobRef{ID: r.job.ID, Reason: reason}, nil)
	}) {
		p.log.Warn("abort job", keyJob, r.job.ID, keyTarget, id, keyErr, err)
	}
}

// jobRef names a job, in calls between nodes.
type jobRef struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// jobFailed is a target's word that an object has failed for good.
func (p *Proxy) jobFailed(ctx *fasthttp.RequestCtx) error {
	var ref jobRef
	if err := p.readJSON(ctx, &ref); err != nil {
		return err
	}
	if r := p.jobs.get(ref.ID); r != nil {
		p.abortJob(r, ref.Reason)
	}
	return nil
}

// snapsOf is how a job stands on each target. A target that does not answer is
// an aborted snap that says so.
func (p *Proxy) snapsOf(r *jobRecord) map[string][]api.Snap {
	p.jobs.mu.Lock()
	snaps := r.snaps
	p.jobs.mu.Unlock()
	if snaps != nil {
		return snaps
	}
	snaps = map[string][]api.Snap{}
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	each(r.targets, func(t *api.NodeInfo) error {
		var s api.Snap
		if err := p.peers.call(ctx, t.ControlNet.URL, pathJobSnap, jobRef{ID: r.job.ID}, &s); err != nil {
			s = p.lostSnap(r, t, err)
		}
		mu.Lock()
		defer mu.Unlock()
		snaps[t.ID] = []api.Snap{s}
		return nil
	})
	for _, list := range snaps {
		if list[0].End.IsZero() {
			return snaps
		}
	}
	p.jobs.mu.Lock()
	defer p.jobs.mu.Unlock()
	r.snaps = snaps
	return snaps
}

// lostSnap stands for a target that does not answer: it cannot finish its part.
func (p *Proxy) lostSnap(r *jobRecord, t *api.NodeInfo, err error) api.Snap {
	reason := t.Name() + " is lost: " + err.Error()
	now := time.Now()
	return api.Snap{ID: r.job.ID, Kind: r.job.Kind, Start: now, End: now, SrcBck: api.AIS(r.job.From),
		DstBck: api.AIS(r.job.To), Bck: api.AIS(r.job.To), Aborted: true, AbortErr: reason, Err: reason, GlobID: "0"}
}

// statusOf sums a job up.
func (p *Proxy) statusOf(r *jobRecord) api.JobStatus {
	snaps := p.snapsOf(r)
	st := api.JobStatus{Kind: r.job.Kind, UUID: r.job.ID}
	running := false
	var errs []string
	for _, id := range slices.Sorted(maps.Keys(snaps)) {
		s := snaps[id][0]
		running = running || s.End.IsZero()
		st.Aborted = st.Aborted || s.Aborted
		if !s.End.IsZero() {
			st.EndTime = max(st.EndTime, s.End.UnixNano())
		}
		for _, e := range []string{s.AbortErr, s.Err} {
			if e != "" && !slices.Contains(errs, e) {
				errs = append(errs, e)
			}
		}
	}
	p.jobs.mu.Lock()
	stopped := r.stopped
	p.jobs.mu.Unlock()
	if stopped != "" {
		errs = []string{stopped}
	}
	if running {
		st.EndTime = 0
	}
	// A job is aborted as soon as one target is; it has ended when all have.
	if running && st.Aborted && stopped == "" {
		p.abortJob(r, strings.Join(errs, "; "))
	}
	st.Aborted = st.Aborted && !running
	st.Err = strings.Join(errs, "; ")
	return st
}

// cluster answers /v1/cluster: jobs, mostly.
func (p *Proxy) cluster(ctx *fasthttp.RequestCtx, _ string, q url.Values) error {
	switch string(ctx.Method()) {
	case fasthttp.MethodPut:
		return p.putCluster(ctx)
	case fasthttp.MethodGet:
	default:
		methodNotAllowed(ctx, "GET, PUT")
		return nil
	}
	what := q.Get(api.QparamWhat)
	if what == "smap" {
		return writeJSON(ctx, &p.state().Map)
	}
	var sel api.JobQuery
	if data, err := readBody(ctx); err != nil {
		return err
	} else if len(data) > 0 {
		if err := json.Unmarshal(data, &sel); err != nil {
			return api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the job selector, err: %v", p.name(), err)
		}
	}
	switch what {
	case "status":
		return p.jobStatus(ctx, sel)
	case "status_all":
		list := []api.JobStatus{}
		for _, r := range p.jobs.selectJobs(sel) {
			list = append(list, p.statusOf(r))
		}
		return writeJSON(ctx, list)
	case "qryxstats":
		return p.jobSnaps(ctx, sel)
	}
	return api.Errorf(fasthttp.StatusBadRequest, "", "unexpected query [what=%s]", what)
}

func (p *Proxy) jobStatus(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	if sel.ID == "" && sel.Kind == "" {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid x-")
	}
	jobs := p.jobs.selectJobs(sel)
	if len(jobs) == 0 {
		return api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: x-%s[%s] does not exist", p.name(), sel.Kind, sel.ID)
	}
	st := p.statusOf(jobs[len(jobs)-1])
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	writeText(ctx, string(data))
	return nil
}

func (p *Proxy) jobSnaps(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	all := map[string][]api.Snap{}
	for id := range p.state().Map.Targets {
		all[id] = []api.Snap{}
	}
	jobs := p.jobs.selectJobs(sel)
	if sel.ID != "" && len(jobs) == 0 {
		return api.Errorf(fasthttp.StatusNotFound, "", "\"x-[%s]\" not found", sel.ID)
	}
	for _, r := range jobs {
		for id, list := range p.snapsOf(r) {
			for _, s := range list {
				if sel.Active == nil || !*sel.Active || s.End.IsZero() {
					all[id] = append(all[id], s)
				}
			}
		}
	}
	return writeJSON(ctx, all)
}

func (p *Proxy) putCluster(ctx *fasthttp.RequestCtx) error {
	var a action
	if err := p.readJSON(ctx, &a); err != nil {
		return err
	}
	if a.Action != api.ActStop {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	var sel api.JobQuery
	if a.hasValue() {
		if err := json.Unmarshal(a.Value, &sel); err != nil {
			return api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the job selector, err: %v", p.name(), err)
		}
	}
	if sel.ID == "" && sel.Kind == "" {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid x-: stop needs an id or a kind")
	}
	for _, r := range p.jobs.selectJobs(sel) {
		if st := p.statusOf(r); !st.Done() {
			p.abortJob(r, "user abort")
		}
	}
	return nil
}
