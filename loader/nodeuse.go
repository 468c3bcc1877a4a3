package loader

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// nodeUse asks the nodes of a cluster on other machines what they have used.
// Pods are not asked: nobody there can tell.
type nodeUse struct {
	log   func(string, ...any)
	nodes []*askedNode
	mu    sync.Mutex // guards what nodes have said
}

// askedNode is a node and what it said last.
type askedNode struct {
	component string
	client    *api.Client
	last      consumption
}

// nodeUseTime bounds a question: one that is not answered counts as no change.
const nodeUseTime = 2 * time.Second

// newNodeUse finds the nodes of a map that tell what they use; those of a
// component are left out when one of them does not.
func newNodeUse(m *api.Map, components []string, log func(string, ...any)) *nodeUse {
	u := &nodeUse{log: log}
	for component, list := range map[string]map[string]*api.NodeInfo{results.ComponentProxy: m.Proxies, results.ComponentTarget: m.Targets} {
		if !slices.Contains(components, component) {
			continue
		}
		for _, n := range list {
			u.nodes = append(u.nodes, &askedNode{component: component, client: api.NewClient(n.PubNet.URL)})
		}
	}
	for component := range u.ask() {
		u.nodes = slices.DeleteFunc(u.nodes, func(n *askedNode) bool {
			if n.component == component {
				n.client.Close()
			}
			return n.component == component
		})
	}
	return u
}

// ask asks all nodes at once, and gives the components of which not all have
// answered.
func (u *nodeUse) ask() (silent map[string]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), nodeUseTime) // what was used is told at the end, too
	defer cancel()
	silent = map[string]bool{}
	var wg sync.WaitGroup
	for _, n := range u.nodes {
		wg.Go(func() {
			use, err := n.client.NodeUse(ctx)
			u.mu.Lock()
			defer u.mu.Unlock()
			if err != nil {
				u.log("a node does not tell what it uses", "node", n.client.URL(), logErr, err)
				silent[n.component] = true
				return
			}
			n.last.processes, n.last.cpu, n.last.rss, n.last.peak = 1, use.CPU, use.Resident, max(n.last.peak, use.Resident)
		})
	}
	wg.Wait()
	return silent
}

// consumed adds up what nodes have used so far, by component.
func (u *nodeUse) consumed() map[string]consumption {
	u.ask()
	u.mu.Lock()
	defer u.mu.Unlock()
	all := map[string]consumption{}
	for _, n := range u.nodes {
		c := all[n.component]
		c.processes, c.cpu, c.rss, c.peak = c.processes+1, c.cpu+n.last.cpu, c.rss+n.last.rss, c.peak+n.last.peak
		all[n.component] = c
	}
	return all
}

// forgetPeaks has the most that was ever seen be the most from now on.
func (u *nodeUse) forgetPeaks() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.nodes {
		n.last.peak = 0
	}
}

func (u *nodeUse) close() {
	for _, n := range u.nodes {
		n.client.Close()
	}
}
