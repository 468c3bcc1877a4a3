package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/loader/fleet"
	"github.com/etlbench/etlbench/scenarios"
)

// fleetFlags are those of a run that agents issue: some that wait for orders, or
// some that are made for the run, on the cluster's Kubernetes.
type fleetFlags struct {
	agents, token, on string
	shareNodes        bool
}

func (f *fleetFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.agents, "agents", "", "have etlbench agents issue the operations, each its share: `HOST:PORT,HOST:PORT`, or with --on how many")
	fl.StringVar(&f.token, "token", "", tokenUsage)
	fl.StringVar(&f.on, "on", "", "make the agents, as pods beside the cluster that up --on `kube|kind` started, and remove them at the end")
	fl.BoolVar(&f.shareNodes, "share-nodes", false, "with --on: let agents run on Kubernetes nodes that have targets")
	cmd.MarkFlagsMutuallyExclusive("on", "token")
}

// check refuses flags that do not go together, and scenarios that such a fleet
// cannot run.
func (f *fleetFlags) check(s *scenarios.Scenario) error {
	switch n, err := strconv.Atoi(f.agents); {
	case f.on == "" && f.shareNodes:
		return misuse("--share-nodes: goes with --on")
	case f.on == "" && f.agents != "" && err == nil:
		return misuse("--agents %s: must be HOST:PORT,…; that many agents are made with --on kube or --on kind", f.agents)
	case f.on == "":
		return nil
	case f.on != onKube && f.on != onKind:
		return misuse("--on %q: must be kube or kind", f.on)
	case err != nil || n < 1 || n > maxNodes:
		return misuse("--agents %q: must be how many, 1 to %d, with --on %s", f.agents, maxNodes, f.on)
	default:
		if err := errors.Join(fleet.CheckScenario(s), loader.CheckShare(s, n)); err != nil {
			return misuse("--agents: %w", err)
		}
		return nil
	}
}

// named gives the orders of agents that wait; nil when none are named. The caller
// closes it.
func (f *fleetFlags) named(e *env, s *scenarios.Scenario) (*fleet.Coordinator, error) {
	if f.agents == "" || f.on != "" {
		return nil, nil
	}
	names, err := fleet.ParseAgents(f.agents)
	if err != nil {
		return nil, misuse("--agents: %w", err)
	}
	c, err := fleet.New(fleet.Config{Agents: names, Token: cmp.Or(f.token, e.get(envToken)), Version: version(), Scenario: s})
	if err != nil {
		return nil, misuse("--agents: %w", err)
	}
	return c, nil
}

// made makes loaders beside a cluster on Kubernetes, and gives their orders. The
// caller closes the coordinator, and then calls remove.
func (f *fleetFlags) made(ctx context.Context, e *env, s *scenarios.Scenario, on *clusterState) (_ *fleet.Coordinator, remove func(), err error) {
	k, err := openKube(on)
	if err != nil {
		return nil, nil, fail(err)
	}
	n, err := strconv.Atoi(f.agents)
	if err != nil {
		return nil, nil, err // checked
	}
	cfg := kube.LoaderConfig{ID: strings.ToLower(rand.Text()[:6]), Image: on.Kube.Image, Count: n, Token: rand.Text(), ShareNodes: f.shareNodes}
	fmt.Fprintf(e.err, "starting loaders in namespace %s: %d …\n", on.Kube.Namespace, n)
	l, err := k.StartLoaders(ctx, cfg)
	if errors.Is(err, kube.ErrNoRoom) && !f.shareNodes {
		return nil, nil, fail(fmt.Errorf("%w\ntry: nodes without targets (etlbench up --on kind --loader-nodes %d makes some), or --share-nodes, which has loaders and targets share CPUs", err, n))
	}
	if err != nil {
		return nil, nil, fail(err)
	}
	remove = func() {
		if err := l.Remove(ctx); err != nil {
			fmt.Fprintln(e.err, "etlbench: clean up:", err)
		}
	}
	c, err := fleet.New(fleet.Config{Agents: l.Names(), Token: cfg.Token, Version: version(), Scenario: s, Dial: l.Dial, Proxies: l.Proxies, Why: l.Why})
	if err != nil {
		remove()
		return nil, nil, misuse("--agents: %w", err)
	}
	fmt.Fprintf(e.err, "they are ready, on: %s\n", strings.Join(slices.Compact(slices.Sorted(slices.Values(l.Where()))), ", "))
	return c, remove, nil
}

// chooseKube is the cluster on Kubernetes that up started, the one at a URL if
// that is named.
func chooseKube(ctx context.Context, e *env, on, url string) (*chosen, error) {
	list, err := loadStates(e)
	if err != nil {
		return nil, fail(err)
	}
	list = slices.DeleteFunc(list, func(s *clusterState) bool {
		return s.Kube == nil || s.Sweep || on == onKind && s.Kube.Kind == "" || url != "" && strings.TrimSuffix(url, "/") != s.URL
	})
	if len(list) == 0 {
		at := ""
		if url != "" {
			at = " at " + url
		}
		return nil, misuse("--on %s: no cluster on Kubernetes%s was started from here: start one with: etlbench up --on %s", on, at, on)
	}
	s, err := only(list)
	if err != nil {
		return nil, err
	}
	return s.choose(ctx, e)
}
