package node

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// internal answers calls of other nodes.
func (p *Proxy) internal(ctx *fasthttp.RequestCtx, path string) error {
	if err := p.checkSecret(ctx); err != nil {
		return err
	}
	switch path {
	case pathRaft:
		return p.stream(ctx)
	case pathState:
		var s meta.State
		if err := p.readJSON(ctx, &s); err != nil {
			return err
		}
		return p.replaceState(&s)
	case pathJoin:
		return p.atPrimary(ctx, p.joined)
	case pathBeat:
		return p.beat(ctx)
	case pathETLAborted:
		return p.atPrimary(ctx, p.etlAborted)
	case pathJobFailed:
		return p.atPrimary(ctx, p.jobFailed)
	}
	return p.errURI(ctx)
}

// atPrimary answers a node's call, or has the primary answer it.
func (p *Proxy) atPrimary(ctx *fasthttp.RequestCtx, h func(*fasthttp.RequestCtx) error) error {
	if !p.primary() {
		if err := p.noteAddress(ctx); err != nil {
			return err
		}
		passed, err := p.forward(ctx)
		if passed || err != nil {
			return err
		}
	}
	return h(ctx)
}

// noteAddress remembers where a proxy is that wants to join: it may take that
// very proxy to elect a primary.
func (p *Proxy) noteAddress(ctx *fasthttp.RequestCtx) error {
	if path, _ := rawPath(ctx); path != pathJoin {
		return nil
	}
	data, err := readBody(ctx)
	if err != nil {
		return err
	}
	ctx.SetUserValue(bodyKey{}, bodyOf(data))
	var n joinMsg
	if err := p.readJSON(ctx, &n); err != nil {
		return err
	}
	ctx.SetUserValue(bodyKey{}, bodyOf(data))
	if n.Type == api.TypeProxy {
		p.book.note(n.ID, n.ControlNet.URL)
	}
	return nil
}

func (n *node) checkSecret(ctx *fasthttp.RequestCtx) error {
	if string(ctx.Request.Header.Peek(hdrSecret)) != n.cfg.Secret {
		return api.Errorf(fasthttp.StatusForbidden, "", "%s: not a node of this cluster", n.name())
	}
	return nil
}

// joined takes a node into the map. Targets that come, or come back without
// their pods, end all ETLs that run: each needs a pod on every target.
func (p *Proxy) joined(ctx *fasthttp.RequestCtx) error {
	var msg joinMsg
	if err := p.readJSON(ctx, &msg); err != nil {
		return err
	}
	n := msg.NodeInfo
	if err := p.checkIdentity(&n); err != nil {
		return err
	}
	if n.Type == api.TypeProxy {
		p.book.note(n.ID, n.ControlNet.URL)
		if err := p.meta.AddMember(n.ID, msg.Fresh); err != nil {
			return err
		}
	}
	s, err := p.change(meta.Command{Join: &n})
	if err != nil {
		return err
	}
	p.log.Info("joined", keyTarget, n.Name(), "url", n.PubNet.URL, "map", s.Map.Version)
	// Whatever begins to start from now on gets a pod on this target, too.
	if n.Type == api.TypeTarget {
		if err := p.abortAll(n.Name() + " joined the cluster"); err != nil {
			return err
		}
	}
	return writeJSON(ctx, p.state())
}

// checkIdentity refuses a second node of an ID that is still alive: two data
// folders would answer for one place in the map. What has the address of the
// old one among nodes is that one, wherever clients reach it now.
func (p *Proxy) checkIdentity(n *api.NodeInfo) error {
	old := p.state().Map.Node(n.ID)
	if old == nil || old.ControlNet.URL == n.ControlNet.URL {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	// Another node may have the old address by now.
	client := api.NewClient(old.PubNet.URL)
	defer client.Close()
	if is, err := client.Node(ctx); err == nil && is.ID == n.ID {
		return api.Errorf(fasthttp.StatusConflict, "", "node id %s is in use at %s", n.ID, old.PubNet.URL)
	}
	return nil
}

func (p *Proxy) beat(ctx *fasthttp.RequestCtx) error {
	var b beatMsg
	if err := p.readJSON(ctx, &b); err != nil {
		return err
	}
	s := p.state()
	if s.Version <= b.Version {
		s = &meta.State{}
	}
	return writeJSON(ctx, s)
}
