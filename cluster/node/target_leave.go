package node

import (
	"fmt"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// gate lets objects in, until the target is about to leave its cluster.
type gate struct {
	mu     sync.Mutex
	inside int  // objects being written; guarded by mu
	closed bool // guarded by mu
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) exit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// shut closes the gate, and tells how many objects are being written.
func (g *gate) shut() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.inside
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}

// errLeaving refuses objects that a target would take with it.
func (t *Target) errLeaving() error {
	return api.Errorf(fasthttp.StatusServiceUnavailable, "", "%s is being decommissioned", t.name())
}

// leaveMsg asks a target to take no more objects, or to Stay after all.
type leaveMsg struct {
	Stay bool `json:"stay"`
}

// leave makes an empty target take no more objects. One that has some says how
// many, and goes on.
func (t *Target) leave(m *leaveMsg) (any, error) {
	if m.Stay {
		t.writing.open()
		return nil, nil
	}
	n, err := t.writing.shut(), error(nil)
	if n == 0 {
		n, err = t.countObjects()
	}
	if err == nil && n > 0 {
		err = api.Errorf(fasthttp.StatusConflict, "", "%s still has %d objects: copy or delete them first", t.name(), n)
	}
	if err != nil {
		t.writing.open()
	}
	return nil, err
}

// countObjects counts the objects of all buckets.
func (t *Target) countObjects() (int, error) {
	buckets, err := t.store.Buckets()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, b := range buckets {
		opt := store.ListOptions{Limit: api.MaxPage}
		for more := true; more; {
			var infos []store.Info
			if infos, more, err = t.store.List(b, opt); err != nil {
				return 0, fmt.Errorf("%s: count objects: %w", t.name(), err)
			}
			n += len(infos)
			if len(infos) > 0 {
				opt.After = infos[len(infos)-1].Name
			}
		}
	}
	return n, nil
}
