package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/scenarios"
)

// ground is a Kubernetes on which a sweep has its clusters, one after the other.
type ground struct {
	up upFlags
	k  *kube.Cluster
	st *clusterState
}

// ground makes the Kubernetes of a sweep, or takes the one that kubectl uses.
// remove removes what was made.
func (f *scaleFlags) ground(ctx context.Context, e *env, steps []step) (_ *ground, remove func(), err error) {
	g := &ground{up: f.up}
	g.up.sync, g.up.proxies, g.up.targets, g.up.sweep = f.sync, 1, 1, true
	for _, s := range steps {
		g.up.targets = max(g.up.targets, s.scenario.Target.Targets)
	}
	g.up.listen = "127.0.0.1:0" // which up checks
	if err := errors.Join(g.up.check(), g.up.checkFree(e)); err != nil {
		return nil, nil, err
	}
	unlock, err := lockName(e, g.up.name)
	if err != nil {
		return nil, nil, err
	}
	open := g.open
	if g.up.on == onKind {
		open = g.make
	}
	if err := open(ctx, e); err != nil {
		unlock()
		return nil, nil, err
	}
	return g, func() {
		defer unlock()
		if g.up.on == onKind {
			fmt.Fprintln(e.err, "removing the kind cluster …")
		}
		if err := removeKube(ctx, e, g.st); err != nil {
			fmt.Fprintf(e.err, "etlbench: clean up: %v; try: etlbench down%s\n", err, nameFlag(g.up.name))
		}
	}, nil
}

// make makes a kind cluster with a worker for each target that there is at most.
func (g *ground) make(ctx context.Context, e *env) error {
	st, img, err := g.up.beginKind(ctx, e)
	if err != nil {
		return err
	}
	g.st = st
	c, err := g.up.makeKind(ctx, e, st, img)
	if err == nil {
		g.k, err = kubeOf(c, st)
	}
	if err != nil {
		return errors.Join(err, g.up.giveUpKind(ctx, e, c, st))
	}
	return nil
}

// open takes a namespace that has no cluster.
func (g *ground) open(ctx context.Context, e *env) (err error) {
	if g.k, err = kube.Open(g.up.kubeconfig, g.up.context, g.up.namespace); err != nil {
		return err
	}
	if _, err = g.k.Status(ctx); err == nil {
		return fmt.Errorf("namespace %s has a cluster, which scale does not change, as it would lose its objects: choose another --namespace, or take it down",
			g.up.namespace)
	}
	if !errors.Is(err, kube.ErrNotFound) {
		return err
	}
	g.st = g.up.kubeState(&kubeState{Namespace: g.up.namespace, Kubeconfig: g.up.kubeconfig, Context: g.k.Context(), Image: g.up.image})
	return g.st.save(e)
}

// place starts the cluster of a run; done removes it with its objects.
func (g *ground) place(ctx context.Context, e *env, s *scenarios.Scenario) (_ context.Context, where *chosen, done func(), err error) {
	up := g.up
	up.targets, up.cpu = s.Target.Targets, s.Target.CPU
	limits := up.limits()
	g.st.Limits = limits
	done = func() {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), goneTimeout, fmt.Errorf("waited %s", goneTimeout))
		defer cancel()
		if err := g.k.Delete(ctx); err != nil {
			fmt.Fprintln(e.err, "etlbench: clean up:", err)
		}
	}
	err = up.apply(ctx, e, g.k, up.kubeConfig(g.st.Kube.Namespace, g.st.Kube.Image), g.st)
	if err == nil {
		if err = allReachable(ctx, g.k); err != nil {
			err = fmt.Errorf("the cluster cannot be reached from this machine: %w: run etlbench where the addresses of the Kubernetes nodes are reachable", err)
		}
	}
	if err != nil {
		done()
		return nil, nil, nil, fail(err)
	}
	return ctx, &chosen{urls: []string{g.st.URL}, kind: "spawned", sync: up.sync, limits: &limits, why: "it was started for the run", kube: g.st}, done, nil
}
