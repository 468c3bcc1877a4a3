package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// jobSnaps is how one job stands on each target.
type jobSnaps struct {
	id, kind string
	start    time.Time // the earliest
	snaps    map[string]api.Snap
}

func (j *jobSnaps) add(target string, s api.Snap) {
	j.snaps[target] = s
	if j.start.IsZero() || s.Start.Before(j.start) {
		j.start = s.Start
	}
}

// queryJobs asks all targets for the jobs of a query, in the order that they
// began in. The part of a target that does not answer counts as aborted.
func (p *Proxy) queryJobs(q api.JobQuery) []*jobSnaps {
	jobs, ended := p.askJobs(q)
	if ended {
		// A target that was asked before another one's part had ended did not
		// know then of all objects that it was sent.
		jobs, _ = p.askJobs(q)
	}
	return jobs
}

// askJobs is queryJobs once. ended tells that some job was not known before to
// have ended.
func (p *Proxy) askJobs(q api.JobQuery) (jobs []*jobSnaps, ended bool) {
	asked := time.Now()
	// Clients of two versions take what init replied, the ETL's name, for the
	// id of its job.
	if _, e, ok := p.state().ETL(q.ID); ok {
		q.ID = cmp.Or(e.XactID, e.Last, q.ID)
	}
	var (
		mu   sync.Mutex
		byID = map[string]*jobSnaps{}
	)
	targets := p.state().Map.Targets
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	lost := each(targets, func(t *api.NodeInfo) error {
		var list []api.Snap
		if err := p.peers.call(ctx, t.ControlNet.URL, pathJobQuery, q, &list); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range list {
			j := byID[s.ID]
			if j == nil {
				j = &jobSnaps{id: s.ID, kind: s.Kind, snaps: map[string]api.Snap{}}
				byID[s.ID] = j
			}
			j.add(t.ID, s)
		}
		return nil
	})
	for id, j := range byID {
		ended = p.complete(j, lost, asked) || ended
		if q.Active != nil && *q.Active && !j.active() {
			delete(byID, id)
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *jobSnaps) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.id, b.id))
	}), ended
}

// complete fills in the parts of a job that no target has told of. Parts that
// were asked for when all were known to have ended are kept, so that the loss
// of a target later on does not change what became of a job. It tells whether
// that all have ended is news.
func (p *Proxy) complete(j *jobSnaps, lost map[string]error, asked time.Time) (news bool) {
	p.jobs.mu.Lock()
	defer p.jobs.mu.Unlock()
	r := p.jobs.byID[j.id]
	if r != nil && r.snaps != nil {
		j.snaps = r.snaps
		return false
	}
	some := j.any()
	for id, err := range lost {
		if _, ok := j.snaps[id]; !ok && j.kind != api.ActETLInline {
			j.snaps[id] = lostSnap(some, api.NodeName(api.TypeTarget, id)+" is lost: "+err.Error())
		}
	}
	if r == nil || !r.begun {
		return false
	}
	ended := true
	for id := range r.targets {
		s, ok := j.snaps[id]
		if !ok { // it was restarted, and remembers nothing
			s = lostSnap(some, api.NodeName(api.TypeTarget, id)+" was restarted while the job ran")
			j.snaps[id] = s
		}
		ended = ended && !s.End.IsZero()
	}
	switch {
	case !ended:
	case r.ended.IsZero():
		r.ended = time.Now()
		return true
	case asked.After(r.ended):
		r.snaps = j.snaps
	}
	return false
}

// any is the part of the target with the lowest ID.
func (j *jobSnaps) any() api.Snap { return j.snaps[slices.Min(slices.Collect(maps.Keys(j.snaps)))] }

// idleShown is how long a job that idles before it ends, as clients expect of
// its kind, is shown as one that has not ended.
const idleShown = time.Minute

// idles tells whether a part of a job is done with its work and is still to be
// shown as one that has not ended.
func idles(s *api.Snap) bool {
	return !s.End.IsZero() && api.Idling(s.Kind) && !s.Aborted && time.Since(s.End) < idleShown
}

// active tells whether a job is shown to those who ask for what runs.
func (j *jobSnaps) active() bool {
	for _, s := range j.snaps {
		if s.End.IsZero() || idles(&s) {
			return true
		}
	}
	return false
}

// lostSnap stands for a target's part that will not finish.
func lostSnap(like api.Snap, reason string) api.Snap {
	now := time.Now()
	return api.Snap{ID: like.ID, Kind: like.Kind, Start: like.Start, End: now, SrcBck: like.SrcBck, DstBck: like.DstBck,
		Bck: like.Bck, CtlMsg: like.CtlMsg, Aborted: true, AbortErr: reason, GlobID: "0", Idle: true}
}

// statusOf sums a job up.
func (p *Proxy) statusOf(j *jobSnaps) api.JobStatus {
	st := api.JobStatus{Kind: j.kind, UUID: j.id}
	running := false
	var errs []string
	for _, id := range slices.Sorted(maps.Keys(j.snaps)) {
		s := j.snaps[id]
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
	stopped := ""
	if r := p.jobs.get(j.id); r != nil {
		p.jobs.mu.Lock()
		stopped = r.stopped
		p.jobs.mu.Unlock()
	}
	if stopped != "" {
		errs = []string{stopped}
	}
	if len(errs) > 0 {
		st.Err = errs[0]
	}
	if n := len(errs) - 1; n == 1 {
		st.Err += " (and 1 more error)"
	} else if n > 1 {
		st.Err += fmt.Sprintf(" (and %d more errors)", n)
	}
	// A job is aborted as soon as one target is; it has ended when all have.
	if running && st.Aborted && stopped == "" && j.kind != api.ActETLInline {
		p.abortJob(j.id, st.Err)
	}
	if running {
		st.EndTime, st.Aborted = 0, false
	}
	return st
}

// getJobs answers the questions about jobs, whose selector is a GET's body.
func (p *Proxy) getJobs(ctx *fasthttp.RequestCtx, what string) error {
	data, err := readBody(ctx)
	if err != nil {
		return err
	}
	sel, err := p.jobSelector(data)
	if err != nil {
		return err
	}
	switch what {
	case "status":
		return p.jobStatus(ctx, sel)
	case "status_all":
		list := []api.JobStatus{}
		for _, j := range p.queryJobs(sel) {
			list = append(list, p.statusOf(j))
		}
		data, err := json.Marshal(list)
		if err != nil {
			return err
		}
		writeText(ctx, string(data))
		return nil
	case "running_all":
		return p.runningJobs(ctx, sel)
	}
	return p.jobSnaps(ctx, sel)
}

// jobSelector reads a selector; none selects everything.
func (p *Proxy) jobSelector(data []byte) (sel api.JobQuery, err error) {
	if len(data) == 0 || string(data) == "null" {
		return sel, nil
	}
	if err := json.Unmarshal(data, &sel); err != nil {
		return sel, api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the job selector, err: %v", p.name(), err)
	}
	return sel, nil
}

func (p *Proxy) jobStatus(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	if sel.ID == "" && !jobKinds[sel.Kind] {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid x-")
	}
	jobs := p.queryJobs(sel)
	if len(jobs) == 0 {
		return api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: x-%s[%s] does not exist", p.name(), sel.Kind, sel.ID)
	}
	// Of several, the last one that runs, or else the last one.
	st := p.statusOf(jobs[len(jobs)-1])
	for _, j := range slices.Backward(jobs) {
		if s := p.statusOf(j); !s.Done() {
			st = s
			break
		}
	}
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	writeText(ctx, string(data))
	return nil
}

// runningJobs lists the jobs that have not ended, as "kind[id]".
func (p *Proxy) runningJobs(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	active := true
	sel.Active = &active
	list := []string{}
	for _, j := range p.queryJobs(sel) {
		list = append(list, j.kind+"["+j.id+"]")
	}
	return writeJSON(ctx, list)
}

func (p *Proxy) jobSnaps(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	all := map[string][]api.Snap{}
	for id := range p.state().Map.Targets {
		if sel.Target() == "" || sel.Target() == id {
			all[id] = []api.Snap{}
		}
	}
	jobs := p.queryJobs(sel)
	if sel.ID != "" && len(jobs) == 0 {
		only := ""
		if sel.Active != nil && *sel.Active {
			only = "-only-running"
		}
		return api.Errorf(fasthttp.StatusNotFound, "", "\"x-%s[%s]%s\" not found", sel.Kind, sel.ID, only)
	}
	for _, j := range jobs {
		for id, s := range j.snaps {
			if idles(&s) {
				s.End = time.Time{}
			}
			if !sel.Ext {
				s.Ext = nil
			}
			if sel.Target() == "" || sel.Target() == id {
				all[id] = append(all[id], s)
			}
		}
	}
	return writeJSON(ctx, all)
}

// putCluster stops jobs, and starts those that a client may start.
func (p *Proxy) putCluster(ctx *fasthttp.RequestCtx) error {
	var a action
	if err := p.readJSON(ctx, &a); err != nil {
		return err
	}
	if a.Action == api.ActDecommission {
		return p.decommission(&a)
	}
	if a.Action != api.ActStop && a.Action != api.ActStart {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	sel, err := p.jobSelector(a.Value)
	if err != nil {
		return err
	}
	if a.Action == api.ActStart {
		return p.startJob(ctx, sel)
	}
	if sel.ID == "" && !jobKinds[sel.Kind] {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid x-%s: stop needs an id or a kind", sel.Kind)
	}
	for _, j := range p.queryJobs(sel) {
		if st := p.statusOf(j); st.Done() {
			continue
		}
		if err := p.stopJob(j); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) stopJob(j *jobSnaps) error {
	if j.kind == api.ActETLInline {
		name, e, ok := p.state().ETL(j.id)
		if !ok {
			return nil
		}
		return p.stopETL(name, e, "")
	}
	p.abortJob(j.id, "user abort")
	return nil
}

// housekeeping are kinds of jobs that a client may start and that have nothing
// to do in a cluster that keeps every object once and as a plain file.
var housekeeping = map[string]bool{"lru": true, "cleanup-store": true, "load-lom-cache": true, "resilver": true, "rebalance": true}

func (p *Proxy) startJob(ctx *fasthttp.RequestCtx, sel api.JobQuery) error {
	if !housekeeping[sel.Kind] {
		return api.Errorf(fasthttp.StatusBadRequest, "", "cannot start x-%s: it is started by a request of its own, or not at all", sel.Kind)
	}
	writeText(ctx, randomID(9))
	return nil
}

// jobKinds are the kinds that clients ask about; a reference cluster never has
// jobs of most of them.
var jobKinds = map[string]bool{
	api.ActETLBucket: true, api.ActCopyBucket: true, api.ActETLObjects: true, api.ActCopyObjects: true,
	api.ActDeleteObjects: true, api.ActETLInline: true, api.ActList: true,
	"archive": true, "blob-download": true, "cleanup-store": true, "download": true, "dsort": true, "ec-encode": true,
	"ec-get": true, "ec-put": true, "ec-resp": true, "election": true, "evict-listrange": true, "evict-remote-bck": true,
	"get-batch": true, "index-shard": true, "load-lom-cache": true, "lru": true, "make-n-copies": true, "move-bck": true,
	"prefetch-listrange": true, "promote": true, "put-copies": true, "rebalance": true, "rechunk": true, "resilver": true,
	"summary-bck": true, "summary-shard": true, "create-inventory": true,
}
