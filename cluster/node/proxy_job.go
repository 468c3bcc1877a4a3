package node

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// jobRecord is what the primary that began a job knows of it. Everything else,
// and all of it after the loss of that proxy, is asked of the targets.
type jobRecord struct {
	job     bucketJob
	targets map[string]*api.NodeInfo // that it was begun on
	begun   bool                     // committed on all of them
	ended   time.Time                // when this proxy learned that all parts have ended
	snaps   map[string]api.Snap      // final ones, by target; nil before
	stopped string                   // why the primary stopped it; "" when it did not
}

// jobList is the jobs that this proxy began. Its lock guards the records'
// fields, too.
type jobList struct{ history[*jobRecord] }

// beginJob plans a job, begins it on all targets and commits it when all agree.
func (p *Proxy) beginJob(ctx *fasthttp.RequestCtx, from string, a *action, q url.Values) error {
	j, err := planBucketJob(from, a, q)
	if err != nil {
		return err
	}
	if err := p.checkJob(j); err != nil {
		return err
	}
	// Before anything is made for a job that cannot begin.
	if err := p.checkAllAlive(p.state().Map.Targets); err != nil {
		return err
	}
	if _, ok := p.state().Buckets[j.To]; !ok && j.To != "" && !j.DryRun {
		if _, err := p.createBucket(j.To, p.state().Buckets[j.From]); err != nil && !errors.Is(err, api.ErrExists) {
			return err
		}
	}
	j.ID = randomID(10)
	if api.Idling(j.Kind) {
		j.ID = "tco-" + j.ID
	}
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
			p.abortJob(j.ID, err.Error())
			return err
		}
	}
	p.jobs.mu.Lock()
	r.begun = true
	p.jobs.mu.Unlock()
	writeText(ctx, j.ID)
	return nil
}

// checkJob checks a job against the state, and completes it.
func (p *Proxy) checkJob(j *bucketJob) error {
	s := p.state()
	if _, ok := s.Buckets[j.From]; !ok {
		return errNoBucket(j.From)
	}
	if j.transforms() {
		if err := p.checkJobETL(j); err != nil {
			return err
		}
	}
	if j.From == j.To && !j.DryRun && !j.listed() {
		return badJob("cannot %s bucket %q onto itself", j.Kind, api.AIS(j.From).String())
	}
	return nil
}

func (p *Proxy) checkJobETL(j *bucketJob) error {
	if j.ETL == "" {
		return api.Errorf(fasthttp.StatusNotFound, "", "ETL name \"\" is empty")
	}
	name, e, ok := p.state().ETL(j.ETL)
	if !ok {
		return api.Errorf(fasthttp.StatusNotFound, "", "ETL %s doesn't exist", j.ETL)
	}
	if err := p.running(name, e); err != nil {
		return err
	}
	j.ETL, j.XactID = name, e.XactID
	for i, member := range j.Pipeline {
		name, e, ok := p.state().ETL(member)
		if !ok || e.Stage != api.StageRunning {
			return p.errNoMember(member)
		}
		j.Pipeline[i] = name
	}
	return nil
}

// errNoMember is a pipeline with an ETL that does not run.
func (n *node) errNoMember(name string) error {
	return api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "[%s,etl=%q] entry not found in the target", n.name(), name)
}

// abortJob stops a job on all targets.
func (p *Proxy) abortJob(id, reason string) {
	targets := p.state().Map.Targets
	if r := p.jobs.get(id); r != nil {
		p.jobs.mu.Lock()
		if r.stopped == "" {
			r.stopped = reason
		}
		p.jobs.mu.Unlock()
		targets = r.targets
	}
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for tid, err := range each(targets, func(t *api.NodeInfo) error {
		return p.peers.call(ctx, t.ControlNet.URL, pathJobAbort, jobRef{ID: id, Reason: reason}, nil)
	}) {
		p.log.Warn("abort job", keyJob, id, keyTarget, tid, keyErr, err)
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
	p.abortJob(ref.ID, ref.Reason)
	return nil
}
