package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// etlInfo is what a target knows of an ETL that it runs.
type etlInfo struct {
	Running bool           `json:"running"`
	Objects int64          `json:"objects"`
	In      int64          `json:"in"`
	Out     int64          `json:"out"`
	Errors  []api.ObjError `json:"errors"`
	Usage   api.ETLUsage   `json:"usage"`
	Runs    string         `json:"runs"`            // pod.Info.Runs
	Start   *api.PodStart  `json:"start,omitempty"` // nil before it is ready
}

// askETL asks all targets about an ETL; those that do not answer are left out.
func (p *Proxy) askETL(name, xact string, usage bool) map[string]etlInfo {
	var mu sync.Mutex
	infos := map[string]etlInfo{}
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for id, err := range each(p.state().Map.Targets, func(t *api.NodeInfo) error {
		var info etlInfo
		if err := p.peers.call(ctx, t.ControlNet.URL, pathETLInfo, etlRef{Name: name, XactID: xact, Usage: usage}, &info); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		infos[t.ID] = info
		return nil
	}) {
		p.log.Warn("etl info", keyETL, name, keyTarget, id, keyErr, err)
	}
	return infos
}

func (p *Proxy) listETLs(ctx *fasthttp.RequestCtx) error {
	list := []api.ETLInfo{}
	for name, e := range p.state().ETLs {
		line := api.ETLInfo{ID: name, Stage: e.Stage, XactID: e.XactID}
		if e.Stage == api.StageRunning {
			for _, info := range p.askETL(name, e.XactID, false) {
				line.ObjCount += info.Objects
				line.InBytes += info.In
				line.OutBytes += info.Out
			}
		}
		list = append(list, line)
	}
	slices.SortFunc(list, func(a, b api.ETLInfo) int { return strings.Compare(a.ID, b.ID) })
	return writeJSON(ctx, list)
}

func (p *Proxy) getETL(ctx *fasthttp.RequestCtx, name, sub, job string) error {
	what, tid, _ := strings.Cut(sub, "/")
	if what == "logs" && tid != "" && p.state().Map.Targets[tid] == nil {
		return api.Errorf(fasthttp.StatusBadRequest, "", "unknown target %q", tid)
	}
	asked := name
	name, e, err := p.findETL(asked)
	var unknown *api.Error
	if errors.As(err, &unknown) && unknown.Kind == api.KindNotFound && sub != "" {
		return api.Errorf(unknown.Status, unknown.Kind, "%s: %s does not exist", p.name(), asked) // as a target says it
	}
	if err != nil {
		return err
	}
	switch {
	case sub == "":
		return p.viewETL(ctx, name, e, job)
	case sub == "health":
		return p.etlHealth(ctx, name, e)
	case sub == "metrics":
		return p.etlMetrics(ctx, name, e)
	case what == "logs":
		return p.etlLogs(ctx, name, e, tid)
	}
	return p.errURI(ctx)
}

// viewETL tells how an ETL was made, what runs it, and which objects failed: in
// inline requests, or in a job.
func (p *Proxy) viewETL(ctx *fasthttp.RequestCtx, name string, e meta.ETL, job string) error {
	d := api.ETLDetails{ETLSpec: e.Spec, Init: e.Spec, Stage: e.Stage, Reason: e.Reason}
	if e.Stage == api.StageRunning {
		d.Interpreters, d.Starts = map[string]string{}, map[string]api.PodStart{}
		for id, info := range p.askETL(name, e.XactID, false) {
			d.Errors = append(d.Errors, info.Errors...)
			if info.Runs != "" {
				d.Interpreters[id] = info.Runs
			}
			if info.Start != nil && ctx.QueryArgs().GetBool(api.QparamStarts) {
				d.Starts[id] = *info.Start
			}
		}
	}
	if job != "" && job != e.XactID && job != name {
		d.Errors = p.jobErrors(job)
	}
	slices.SortStableFunc(d.Errors, func(a, b api.ObjError) int { return strings.Compare(a.Object, b.Object) })
	return writeJSON(ctx, d)
}

// jobErrors are the objects of a job that failed, as far as targets remember.
func (p *Proxy) jobErrors(id string) (list []api.ObjError) {
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for tid, err := range each(p.state().Map.Targets, func(t *api.NodeInfo) error {
		var part []api.ObjError
		if err := p.peers.call(ctx, t.ControlNet.URL, pathJobErrors, jobRef{ID: id}, &part); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, part...)
		return nil
	}) {
		p.log.Warn("job errors", keyJob, id, keyTarget, tid, keyErr, err)
	}
	return list
}

// running refuses what a stopped ETL cannot tell.
func (p *Proxy) running(name string, e meta.ETL) error {
	if e.Stage == api.StageRunning {
		return nil
	}
	return api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: %s does not exist%s", p.name(), name, because(e))
}

// describe is a stage with its reason, if it has one.
func describe(e meta.ETL) string {
	if e.Reason == "" {
		return e.Stage
	}
	return fmt.Sprintf("%s: %s", e.Stage, e.Reason)
}

// because is why an ETL that is not there is not, if nobody stopped it.
func because(e meta.ETL) string {
	if e.Reason == "" {
		return ""
	}
	return ": it is " + describe(e)
}

func (p *Proxy) etlHealth(ctx *fasthttp.RequestCtx, name string, e meta.ETL) error {
	if err := p.running(name, e); err != nil {
		return err
	}
	list := []api.ETLHealth{}
	for id, info := range p.askETL(name, e.XactID, true) {
		status := "Failed"
		if info.Running {
			status = api.StageRunning
		}
		list = append(list, api.ETLHealth{TargetID: id, Status: status, ETLUsage: info.Usage})
	}
	slices.SortFunc(list, func(a, b api.ETLHealth) int { return strings.Compare(a.TargetID, b.TargetID) })
	return writeJSON(ctx, list)
}

func (p *Proxy) etlMetrics(ctx *fasthttp.RequestCtx, name string, e meta.ETL) error {
	if err := p.running(name, e); err != nil {
		return err
	}
	list := []api.ETLMetrics{}
	for id, info := range p.askETL(name, e.XactID, true) {
		list = append(list, api.ETLMetrics{TargetID: id, ETLUsage: info.Usage})
	}
	slices.SortFunc(list, func(a, b api.ETLMetrics) int { return strings.Compare(a.TargetID, b.TargetID) })
	return writeJSON(ctx, list)
}

func (p *Proxy) etlLogs(ctx *fasthttp.RequestCtx, name string, e meta.ETL, tid string) error {
	if err := p.running(name, e); err != nil {
		return err
	}
	targets := p.state().Map.Targets
	if tid != "" {
		targets = map[string]*api.NodeInfo{tid: targets[tid]}
	}
	var mu sync.Mutex
	list := []api.ETLLogs{}
	c, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	errs := each(targets, func(t *api.NodeInfo) error {
		var l api.ETLLogs
		if err := p.peers.call(c, t.ControlNet.URL, pathETLLogs, etlRef{Name: name, XactID: e.XactID}, &l); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, l)
		return nil
	})
	if err := firstError(errs); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b api.ETLLogs) int { return strings.Compare(a.TargetID, b.TargetID) })
	return writeJSON(ctx, list)
}
