package node

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// TargetConfig of a Target.
type TargetConfig struct {
	Config
	// Dir is the data folder, which the target keeps its store and its record
	// of buckets in. It is the store's own.
	Dir   string
	Store *store.Store // open on Dir; the caller closes it after Serve
	Pods  pod.Runtime  // the caller closes it after Serve
	// Socket is a unix socket on which the target listens too, for pods of its
	// machine; "" for none.
	Socket string
}

// Target keeps the objects that are placed on it and runs a pod of every ETL.
type Target struct {
	*node
	dir     string
	socket  string
	store   *store.Store
	pods    pod.Runtime
	etls    etlTable
	ended   history[api.Snap] // runs of ETLs that have ended
	jobs    targetJobs
	applied applied // guarded by node.stateMu
	writing gate
}

// NewTarget checks the configuration and reads which buckets the store has.
func NewTarget(cfg TargetConfig) (*Target, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Primary == "" {
		return nil, errors.New("node: a target needs the primary's URL")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	t := &Target{node: newNode(api.TypeTarget, cfg.Config, meta.NewCopy()), dir: dir, socket: cfg.Socket, store: cfg.Store, pods: cfg.Pods}
	t.data = dir
	t.etls.byName, t.etls.leaving, t.etls.died = map[string]*runningETL{}, map[string]*runningETL{}, map[string]string{}
	t.checkState, t.onState = t.sameCluster, t.stateChanged
	if t.applied, err = readApplied(t.dir); err != nil {
		return nil, err
	}
	return t, nil
}

// Serve answers on ln until ctx ends, and returns when all is done. It closes
// ln.
func (t *Target) Serve(ctx context.Context, ln net.Listener) error {
	lns := []net.Listener{ln}
	if t.socket != "" {
		socket, err := net.Listen("unix", t.socket)
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		lns = append(lns, socket)
	}
	err := t.serve(ctx, lns, t.handle, nil, func(ctx context.Context) error {
		if err := t.join(ctx, false); err != nil {
			return err
		}
		t.task(t.keepUp)
		return nil
	})
	t.etls.stopAll()
	return err
}

func (t *Target) handle(ctx *fasthttp.RequestCtx) {
	if err := t.route(ctx); err != nil {
		t.fail(ctx, err)
	}
}

func (t *Target) route(ctx *fasthttp.RequestCtx) error {
	path, query := rawPath(ctx)
	switch {
	case strings.HasPrefix(path, api.PathObjects+"/"):
		return t.object(ctx, path, query)
	case strings.HasPrefix(path, api.PathETLObject+"/"):
		return t.podObject(ctx, path, query)
	case strings.HasPrefix(path, pathInternal):
		return t.internal(ctx, path)
	case path == api.PathHealth:
		return t.health(query)
	case path == api.PathDaemon:
		return t.daemon(ctx, query)
	}
	return t.errURI(ctx)
}

// health answers probes; with readiness only once the target has joined.
func (t *Target) health(query string) error {
	q, err := parseQuery(query)
	if err == nil && q.Has("readiness") {
		err = t.hasState()
	}
	return err
}

// internal answers calls of the primary.
func (t *Target) internal(ctx *fasthttp.RequestCtx, path string) error {
	if err := t.checkSecret(ctx); err != nil {
		return err
	}
	if strings.HasPrefix(path, pathObject) {
		_, query := rawPath(ctx)
		return t.peerObject(ctx, path, query)
	}
	switch path {
	case pathState:
		return handle(t.node, ctx, func(s *meta.State) (any, error) { return nil, t.replaceState(s) })
	case pathPing:
		return writeJSON(ctx, t.cfg.ID)
	case pathCopy:
		return writeJSON(ctx, t.state()) // of version 0 before it has joined
	case pathLeave:
		return handle(t.node, ctx, t.leave)
	case pathList:
		return handle(t.node, ctx, t.list)
	case pathETLStart:
		return handle(t.node, ctx, t.startETL)
	case pathETLStop:
		return handle(t.node, ctx, t.stopETL)
	case pathETLInfo:
		return handle(t.node, ctx, t.etlInfo)
	case pathETLLogs:
		return handle(t.node, ctx, t.etlLogs)
	case pathJobBegin:
		return handle(t.node, ctx, t.beginJob)
	case pathJobCommit:
		return handle(t.node, ctx, t.commitJob)
	case pathJobAbort:
		return handle(t.node, ctx, t.abortJob)
	case pathJobQuery:
		return handle(t.node, ctx, t.queryJobs)
	case pathJobErrors:
		return handle(t.node, ctx, t.jobErrors)
	case pathSummary:
		return handle(t.node, ctx, t.summary)
	case pathMissing:
		return handle(t.node, ctx, t.missing)
	}
	return t.errURI(ctx)
}

// handle decodes the body of a call between nodes and answers it; a nil answer
// is an empty one.
func handle[In any](n *node, ctx *fasthttp.RequestCtx, fn func(*In) (any, error)) error {
	var in In
	if err := n.readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := fn(&in)
	if err != nil || out == nil {
		return err
	}
	return writeJSON(ctx, out)
}

// etlTable is a target's ETLs that run.
type etlTable struct {
	mu      sync.RWMutex
	byName  map[string]*runningETL // guarded by mu
	leaving map[string]*runningETL // taken out, the last of each name; guarded by mu
	died    map[string]string      // why the last run's pod died by itself, by name; guarded by mu
}

// get finds an ETL by name or by xaction id.
func (e *etlTable) get(name string) *runningETL {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if r := e.byName[name]; r != nil {
		return r
	}
	for _, r := range e.byName {
		if r.xact == name {
			return r
		}
	}
	return nil
}

// add takes a new run, unless there is one of that name.
func (e *etlTable) add(r *runningETL) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.byName[r.name]; ok {
		return false
	}
	e.byName[r.name] = r
	delete(e.died, r.name)
	return true
}

// takeDead removes a run whose pod has died, unless it was removed before.
func (e *etlTable) takeDead(r *runningETL, reason string) bool {
	if e.take(r.name, r.xact) == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.died[r.name] = reason
	return true
}

// reason is why the last run of a name died, "" when it did not.
func (e *etlTable) reason(name string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.died[name]
}

// take removes a run, if it is there, for the caller to stop it.
func (e *etlTable) take(name, xact string) *runningETL {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.byName[name]
	if r == nil || xact != "" && r.xact != xact {
		return nil
	}
	delete(e.byName, name)
	e.leaving[name] = r
	return r
}

// awaitGone waits until the last run of a name that was taken out has stopped:
// only then is its pod's name free.
func (e *etlTable) awaitGone(name string) {
	e.mu.RLock()
	r := e.leaving[name]
	e.mu.RUnlock()
	if r == nil {
		return
	}
	<-r.gone
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaving[name] == r {
		delete(e.leaving, name)
	}
}

// all lists the runs.
func (e *etlTable) all() []*runningETL {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := make([]*runningETL, 0, len(e.byName))
	for _, r := range e.byName {
		list = append(list, r)
	}
	return list
}

func (e *etlTable) stopAll() {
	for _, r := range e.all() {
		if r := e.take(r.name, r.xact); r != nil {
			r.stop()
		}
	}
}

// stopOthers stops runs that the state does not have any more, such as those
// whose end was not told because the target could not be reached.
func (t *Target) stopOthers(s *meta.State) {
	for _, r := range t.etls.all() {
		if s.ETLs[r.name].XactID == r.xact {
			continue
		}
		if r := t.etls.take(r.name, r.xact); r != nil {
			t.jobs.abortOf(r.xact, "ETL "+r.name+" was stopped")
			t.task(func(context.Context) { r.stop() })
		}
	}
}
