package node

import (
	"context"
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// rmNode is the value of a decommission. Its other fields, such as how to
// rebalance, are about what an empty target does not have.
type rmNode struct {
	ID  string   `json:"sid"`
	IDs []string `json:"sids"`
}

// decommission takes targets out of the map, if they have no objects. It is
// the only thing that changes where objects are placed, beside a new target.
func (p *Proxy) decommission(a *action) error {
	var v rmNode
	if a.hasValue() {
		if err := json.Unmarshal(a.Value, &v); err != nil {
			return api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the nodes to decommission, err: %v", p.name(), err)
		}
	}
	ids := v.IDs
	if v.ID != "" {
		ids = append(ids, v.ID)
	}
	if len(ids) == 0 {
		return api.Errorf(fasthttp.StatusBadRequest, "", "%s needs the \"sid\" of a target", a.Action)
	}
	for _, id := range ids {
		if err := p.removeTarget(id); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) removeTarget(id string) error {
	t := p.state().Map.Targets[id]
	switch {
	case t == nil && p.state().Map.Proxies[id] != nil:
		return api.Errorf(fasthttp.StatusBadRequest, "", "%s is a proxy: only targets can be decommissioned", id)
	case t == nil:
		return api.Errorf(fasthttp.StatusNotFound, api.KindNodeNotFound, "%s: node %s does not exist", p.name(), id)
	}
	if err := p.checkAlive(t); err != nil {
		return err
	}
	if err := p.askToLeave(t, leaveMsg{}); err != nil {
		return err
	}
	if _, err := p.change(meta.Command{RemoveTarget: &id}); err != nil {
		if serr := p.askToLeave(t, leaveMsg{Stay: true}); serr != nil {
			p.log.Warn("decommission", keyTarget, id, keyErr, serr)
		}
		return err
	}
	p.log.Info("decommissioned", keyTarget, id)
	// Its own pods go as soon as it hears that it is out.
	return p.abortAll(t.Name() + " was decommissioned")
}

func (p *Proxy) askToLeave(t *api.NodeInfo, m leaveMsg) error {
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	return firstError(each(map[string]*api.NodeInfo{t.ID: t}, func(t *api.NodeInfo) error {
		return p.peers.call(ctx, t.ControlNet.URL, pathLeave, m, nil)
	}))
}
