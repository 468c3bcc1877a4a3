package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/fault"
	"github.com/etlbench/etlbench/cluster/link"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// injector makes a scenario's faults happen to a cluster of this machine.
type injector struct {
	where *chosen
	seed  uint64
}

// victim is what a fault befalls: a node, or a pod with what it started.
type victim struct {
	what   string // in words
	node   *cluster.NodeProcess
	pids   []int
	target string // ID of the target whose requests it meets, "" for all
}

// checkFaults refuses, before anything runs, faults that nobody here can
// inject. where is nil for a cluster that is started for the run.
func checkFaults(s *scenarios.Scenario, where *chosen) error {
	if len(s.Faults) > 0 && where != nil && where.nodes == nil {
		return misuse("faults need a cluster whose processes run on this machine, and this one (%s) is elsewhere: "+
			"drop them, or let one be started for the run", where.why)
	}
	if i := ofNetwork(s); i >= 0 && where != nil && where.control == "" {
		return hint(misuse("faults[%d]: this cluster was not started so that what is sent to it can be delayed or dropped: "+
			"start one that is, or none: it is then started for the run", i), "etlbench up --faults")
	}
	return nil
}

// ofNetwork is the first of a scenario's faults that is one of the network, -1
// without any.
func ofNetwork(s *scenarios.Scenario) int {
	return slices.IndexFunc(s.Faults, func(f scenarios.Fault) bool { return f.On != "" })
}

func (i *injector) inject(ctx context.Context, f loader.Fault) (*loader.Injected, error) {
	victims, err := i.victims(f)
	if err != nil {
		return nil, err
	}
	in := &loader.Injected{}
	groups := make([][]int, len(victims))
	for n, v := range victims {
		in.Against = append(in.Against, v.what)
		groups[n] = v.pids
		if v.target != "" {
			in.Targets = append(in.Targets, v.target)
		}
	}
	switch {
	case f.Kill != "":
		return in, i.kill(f, victims, in)
	case f.Throttle != "":
		undo, how, err := fault.Throttle(groups, float64(f.CPU)/100)
		in.How, in.Undo = how, func(context.Context) error { return undo() }
		return in, err
	}
	in.How = "emulated link"
	in.Undo, err = i.impair(f, victims)
	return in, err
}

// impair makes the links bad by which victims are reached.
func (i *injector) impair(f loader.Fault, victims []victim) (undo func(context.Context) error, err error) {
	var undos []func() error
	undo = func(context.Context) error {
		var errs []error
		for _, u := range undos {
			errs = append(errs, u())
		}
		return errors.Join(errs...)
	}
	for n, v := range victims {
		seed := draw.Word(draw.Key(i.seed, "losses"), uint64(f.Block)<<32|uint64(f.Number)<<16|uint64(n))
		u, err := link.Impair(i.where.control, v.pids[0], link.Impairment{Delay: time.Duration(f.Delay), Loss: float64(f.Drop) / 100, Seed: seed})
		if err != nil {
			return nil, errors.Join(err, undo(context.Background()))
		}
		undos = append(undos, u)
	}
	return undo, nil
}

// kill kills victims. Nodes are started again by who looks after the cluster.
func (i *injector) kill(f loader.Fault, victims []victim, in *loader.Injected) error {
	in.How, in.At = "SIGKILL", time.Now()
	for _, v := range victims {
		if f.Kill != results.ComponentTransformer {
			i.where.kills.expect(v.node.PID)
		}
		if err := fault.Kill(v.pids); err != nil {
			return err
		}
	}
	if f.Kill != results.ComponentTransformer {
		in.Undo = func(ctx context.Context) error { return i.awaitNodes(ctx, victims) }
	}
	return nil
}

// awaitNodes waits until nodes that were killed run again and have joined.
func (i *injector) awaitNodes(ctx context.Context, victims []victim) error {
	client := api.NewClient(i.where.urls[0])
	defer client.Close()
	for {
		missing := ""
		m, err := client.Map(ctx)
		now := i.where.nodes()
		for _, v := range victims {
			if err != nil || !back(m, now, v.node) {
				missing = v.what
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s is not back", missing), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// back tells whether another process has taken a node's place.
func back(m *api.Map, now []*cluster.NodeProcess, old *cluster.NodeProcess) bool {
	for _, n := range now {
		if n.ID == old.ID && n.PID != old.PID {
			in := m.Node(n.ID)
			return in != nil && in.PubNet.URL == n.URL
		}
	}
	return false
}

// victims are those of the component that the fault is about; with a count, as
// many, which the seed chooses anew in each block.
func (i *injector) victims(f loader.Fault) ([]victim, error) {
	component := f.Kill + f.Throttle + f.On // one of them is given
	var all []victim
	for _, n := range i.where.nodes() {
		switch {
		case component == results.ComponentTransformer && n.Type == api.TypeTarget:
			for _, pod := range podsOf(n.PID, f.ETL) {
				all = append(all, victim{what: "pod on " + n.ID, node: n, pids: append([]int{pod}, descendants(pod)...), target: n.ID})
			}
		case component == n.Type:
			v := victim{what: n.Type + " " + n.ID, node: n, pids: []int{n.PID}}
			if n.Type == api.TypeTarget {
				v.target = n.ID
			}
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the cluster has no process of a %s at this moment", component)
	}
	if f.Count == 0 || f.Count >= len(all) {
		return all, nil
	}
	key := draw.Word(draw.Key(i.seed, "faults"), uint64(f.Block)<<16|uint64(f.Number))
	order := draw.NewPermutation(key, uint64(len(all)))
	some := make([]victim, f.Count)
	for n := range some {
		some[n] = all[order.At(uint64(n))]
	}
	return some, nil
}

// kills are processes of nodes that are killed on purpose. The zero value is
// ready; nil expects nothing and is of clusters that somebody else looks after.
type kills struct {
	mu   sync.Mutex // guards pids
	pids map[int]bool
}

func (k *kills) expect(pid int) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pids == nil {
		k.pids = map[int]bool{}
	}
	k.pids[pid] = true
}

func (k *kills) expected(pid int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pids[pid]
}

// lookAfter starts nodes again that were killed on purpose, as up does with any.
// One that dies otherwise takes the run with it: numbers of half a cluster
// would compare nothing.
func lookAfter(ctx context.Context, s *cluster.Spawned, k *kills, lost context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-s.Died():
			if !k.expected(n.PID) {
				lost(fmt.Errorf("%s %s has died (%v)", n.Type, n.ID, n.Err()))
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(restartWait):
			}
			if err := s.Restart(ctx, n); err != nil && ctx.Err() == nil {
				lost(fmt.Errorf("restart %s %s: %w", n.Type, n.ID, err))
				return
			}
		}
	}
}
