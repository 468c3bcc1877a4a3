package node

import (
	"context"
	"errors"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// Limits of the watch over targets.
const (
	pingTime  = 2 * time.Second
	pingsMost = 3 // that may go unanswered; a refused connection is enough at once
)

// liveness is which targets do not answer this proxy.
type liveness struct {
	mu     sync.Mutex
	missed map[string]int // pings in a row, by ID; guarded by mu
}

// note takes the outcome of a ping, and tells whether the target is dead.
func (l *liveness) note(id string, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missed == nil {
		l.missed = map[string]int{}
	}
	switch {
	case err == nil:
		l.missed[id] = 0
	case errors.Is(err, syscall.ECONNREFUSED):
		l.missed[id] = pingsMost
	default:
		l.missed[id]++
	}
	return l.missed[id] >= pingsMost
}

func (l *liveness) dead(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missed[id] >= pingsMost
}

// watchTargets pings all targets. A dead one keeps its place in the map; the
// ETLs that it had pods of are over.
func (p *Proxy) watchTargets(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		targets := maps.Clone(p.state().Map.Targets)
		each(targets, func(t *api.NodeInfo) error {
			if p.alive.note(t.ID, p.ping(ctx, t)) && p.primary() {
				p.targetLost(t)
			}
			return nil
		})
	}
}

// ping asks a target whether it is there, at the address of the map.
func (p *Proxy) ping(ctx context.Context, t *api.NodeInfo) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var id string
	if err := p.peers.call(ctx, t.ControlNet.URL, pathPing, struct{}{}, &id); err != nil {
		return err
	}
	if id != t.ID {
		return syscall.ECONNREFUSED // somebody else has its address now
	}
	return nil
}

// targetLost ends what ran when a target was lost. What is starting ends by
// itself.
func (p *Proxy) targetLost(t *api.NodeInfo) {
	for name, e := range p.state().ETLs {
		if e.Stage != api.StageRunning {
			continue
		}
		p.log.Warn("target lost", keyTarget, t.ID, keyETL, name)
		if err := p.stopETL(name, e, t.Name()+" is unreachable"); err != nil {
			p.log.Warn("abort", keyETL, name, keyErr, err)
		}
	}
}

// checkAlive refuses what needs a target that is dead.
func (p *Proxy) checkAlive(t *api.NodeInfo) error {
	if !p.alive.dead(t.ID) {
		return nil
	}
	return api.Errorf(fasthttp.StatusServiceUnavailable, "", "%s: %s is unreachable", p.name(), t.Name())
}

// checkAllAlive is checkAlive for what needs all targets.
func (p *Proxy) checkAllAlive(targets map[string]*api.NodeInfo) error {
	for _, id := range sortedKeys(targets) {
		if err := p.checkAlive(targets[id]); err != nil {
			return err
		}
	}
	return nil
}
