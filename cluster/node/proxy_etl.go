package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/pod"
)

const etlMethods = "DELETE, GET, POST, PUT"

// etl answers everything under /v1/etl.
func (p *Proxy) etl(ctx *fasthttp.RequestCtx, path string, q url.Values) error {
	rest, err := url.PathUnescape(strings.Trim(strings.TrimPrefix(path, api.PathETL), "/"))
	if err != nil {
		return p.errURI(ctx)
	}
	name, sub, _ := strings.Cut(rest, "/")
	switch string(ctx.Method()) {
	case fasthttp.MethodPut:
		// AIStore's own messages send people to /v1/etl/init.
		if name != "" && name != "init" {
			return p.errURI(ctx)
		}
		return p.initETL(ctx)
	case fasthttp.MethodGet:
		if name == "" {
			return p.listETLs(ctx)
		}
		return p.getETL(ctx, name, sub, q.Get(api.QparamUUID))
	case fasthttp.MethodPost:
		return p.postETL(ctx, name, sub)
	case fasthttp.MethodDelete:
		return p.deleteETL(name, sub)
	}
	methodNotAllowed(ctx, etlMethods)
	return nil
}

// findETL resolves a name, or a xaction id, of a request.
func (p *Proxy) findETL(name string) (string, meta.ETL, error) {
	if name, e, ok := p.state().ETL(name); ok {
		return name, e, nil
	}
	if err := api.CheckETLName(name); err != nil {
		return "", meta.ETL{}, api.Errorf(fasthttp.StatusBadRequest, "", "%v", err)
	}
	return "", meta.ETL{}, api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: etl job %s does not exist", p.name(), name)
}

// initETL adds an ETL and starts it on every target. It answers when all
// targets have a pod that is ready.
func (p *Proxy) initETL(ctx *fasthttp.RequestCtx) error {
	spec, err := p.readETLSpec(ctx)
	if err != nil {
		return err
	}
	old := spec.Old()
	pl, err := planETL(spec)
	if err != nil {
		return err
	}
	if err := p.checkAllAlive(p.state().Map.Targets); err != nil {
		return err
	}
	e := meta.ETL{Spec: pl.spec, XactID: newETLXact(), Secret: randomID(secretLength), Stage: api.StageInitializing}
	if _, err := p.change(meta.Command{AddETL: &e}); err != nil {
		if errors.Is(err, meta.ErrExists) {
			err = api.Errorf(fasthttp.StatusConflict, "", "%s: %v%s", p.name(), err, p.inTheWay(pl.spec.Name))
		}
		return err
	}
	if err := p.startFor(ctx, e); err != nil {
		return err
	}
	reply := e.XactID
	if old {
		reply = pl.spec.Name
	}
	writeText(ctx, reply)
	return nil
}

// readETLSpec reads an init message. One that has its name in both dialects is
// in the new one.
func (p *Proxy) readETLSpec(ctx *fasthttp.RequestCtx) (s api.ETLSpec, err error) {
	data, err := readBody(ctx)
	if err != nil {
		return s, err
	}
	if s, err = api.ParseETLSpec(data); err != nil {
		return s, api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the request (%s), err: %v", p.name(), ctx.Method(), err)
	}
	if s.Name != "" && s.ID == s.Name {
		s.ID = ""
	}
	return s, nil
}

// inTheWay says how to make way for a new ETL of a name whose old one only
// failed to start or has died.
func (p *Proxy) inTheWay(name string) string {
	e, ok := p.state().ETLs[name]
	if !ok || e.Reason == "" {
		return ""
	}
	return fmt.Sprintf("; it is %s; remove it with DELETE %s/%s", describe(e), api.PathETL, name)
}

// secretLength gives a secret more than 160 bits.
const secretLength = 32

func newETLXact() string { return "etl-" + randomID(10) }

// etlRef names one run of an ETL.
type etlRef struct {
	Name   string `json:"name"`
	XactID string `json:"xact_id"`
	Reason string `json:"reason,omitempty"`
	Usage  bool   `json:"usage,omitempty"` // tell that as well
}

// startFor starts an ETL for a client, which ends the start by hanging up.
func (p *Proxy) startFor(ctx *fasthttp.RequestCtx, e meta.ETL) error {
	stop := p.watchClient(ctx, func() {
		if p.ctx.Err() != nil {
			return // the node stops, and so does the start
		}
		if err := p.stopETL(e.Spec.ETLName(), e, "the client hung up while it started"); err != nil {
			p.log.Warn("stop", keyETL, e.Spec.ETLName(), keyErr, err)
		}
	})
	defer stop()
	return p.startETL(e)
}

// startETL starts an ETL that the state has as Initializing. When one target
// fails all stop, and the ETL stays behind as Aborted with the reason.
func (p *Proxy) startETL(e meta.ETL) error {
	name := e.Spec.ETLName()
	pl, err := planETL(e.Spec)
	if err != nil {
		return err
	}
	targets := p.state().Map.Targets
	if len(targets) == 0 {
		err = api.ErrNoTargets
	} else {
		// A target waits for its pod itself; this bound is for a target that
		// does not answer.
		ctx, cancel := context.WithTimeout(p.ctx, pl.init+peerTimeout)
		defer cancel()
		err = firstError(each(targets, func(t *api.NodeInfo) error {
			return p.peers.call(ctx, t.ControlNet.URL, pathETLStart, etlRef{Name: name, XactID: e.XactID}, nil)
		}))
	}
	if err != nil && p.state().ETLs[name].XactID != e.XactID {
		err = p.errAborted(name) // what targets say of it is of no interest
	}
	stage := meta.SetETL{Name: name, XactID: e.XactID, Secret: e.Secret, Stage: api.StageRunning, If: e.XactID}
	if err != nil {
		p.log.Warn("init", keyETL, name, keyErr, err)
		p.stopPods(name, e.XactID)
		stage.Stage, stage.Reason, stage.XactID = api.StageAborted, err.Error(), ""
	}
	_, serr := p.change(meta.Command{SetETL: &stage})
	if err == nil && serr != nil {
		err = serr
		if errors.Is(serr, meta.ErrNotFound) {
			// A pod died or somebody deleted the ETL between its start and now.
			p.stopPods(name, e.XactID)
			err = p.errAborted(name)
		}
	}
	var refused *api.Error
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, pod.ErrSpec) {
		return api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "%s: etl job %s: %v", p.name(), name, err)
	}
	return err
}

// errAborted is what a start comes to whose ETL has died, or that somebody
// stopped or deleted meanwhile.
func (p *Proxy) errAborted(name string) error {
	reason := p.state().ETLs[name].Reason
	if reason == "" {
		reason = "it was stopped"
	}
	return api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "%s: etl job %s was aborted while it started: %s", p.name(), name, reason)
}

// stopPods stops a run's pods wherever they are.
func (p *Proxy) stopPods(name, xact string) {
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	for id, err := range each(p.state().Map.Targets, func(t *api.NodeInfo) error {
		return p.peers.call(ctx, t.ControlNet.URL, pathETLStop, etlRef{Name: name, XactID: xact}, nil)
	}) {
		p.log.Warn("stop pods", keyETL, name, keyTarget, id, keyErr, err)
	}
}

// stopETL makes an ETL Aborted and stops its pods and the jobs that use it. A
// reason is for stops that nobody asked for.
func (p *Proxy) stopETL(name string, e meta.ETL, reason string) error {
	if e.Stage == api.StageAborted {
		return nil
	}
	_, err := p.change(meta.Command{SetETL: &meta.SetETL{Name: name, Secret: e.Secret, Stage: api.StageAborted,
		Reason: reason, If: e.XactID}})
	if errors.Is(err, meta.ErrNoLeader) {
		return err // what is refused has no effect
	}
	// Pods stop also when the disk is full and nothing can be noted.
	p.stopPods(name, e.XactID)
	if errors.Is(err, meta.ErrNotFound) {
		err = nil
	}
	return err
}

// abortAll ends all ETLs that run.
func (p *Proxy) abortAll(reason string) error {
	var errs []error
	for name, e := range p.state().ETLs {
		errs = append(errs, p.stopETL(name, e, reason))
	}
	return errors.Join(errs...)
}

// etlAborted is a target's word that a pod has died.
func (p *Proxy) etlAborted(ctx *fasthttp.RequestCtx) error {
	var ref etlRef
	if err := p.readJSON(ctx, &ref); err != nil {
		return err
	}
	e, ok := p.state().ETLs[ref.Name]
	if !ok || e.XactID != ref.XactID {
		return nil
	}
	p.log.Warn("pod died", keyETL, ref.Name, keyErr, ref.Reason)
	return p.stopETL(ref.Name, e, ref.Reason)
}

func (p *Proxy) postETL(ctx *fasthttp.RequestCtx, name, sub string) error {
	name, e, err := p.findETL(name)
	if err != nil {
		return err
	}
	switch sub {
	case "stop":
		return p.stopETL(name, e, "")
	case "start":
		return p.restartETL(ctx, name, e)
	}
	return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action \"invalid operation: %s\"", sub)
}

func (p *Proxy) restartETL(ctx *fasthttp.RequestCtx, name string, e meta.ETL) error {
	if e.Stage != api.StageAborted {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action \"can't start ETL[%s] during %s stage\"", name, e.Stage)
	}
	if err := p.checkAllAlive(p.state().Map.Targets); err != nil {
		return err
	}
	e.XactID, e.Secret, e.Stage = newETLXact(), randomID(secretLength), api.StageInitializing
	if _, err := p.change(meta.Command{SetETL: &meta.SetETL{Name: name, XactID: e.XactID, Secret: e.Secret, Stage: e.Stage}}); err != nil {
		return err
	}
	if err := p.startFor(ctx, e); err != nil {
		return err
	}
	writeText(ctx, e.XactID)
	return nil
}

// deleteETL stops an ETL and forgets it; DELETE of …/stop only stops it.
func (p *Proxy) deleteETL(name, sub string) error {
	name, e, err := p.findETL(name)
	if err != nil {
		return err
	}
	if err := p.stopETL(name, e, ""); err != nil || sub == "stop" {
		return err
	}
	_, err = p.change(meta.Command{DeleteETL: &name})
	return err
}
