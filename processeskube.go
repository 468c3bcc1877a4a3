package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/reports/results"
)

// podProcesses finds the processes of a cluster whose Kubernetes nodes are
// containers of this machine, as kind makes them: the kernel tells of each
// process in which container it is.
type podProcesses struct {
	root       string // of the machine's files
	containers func(etl string) (*kube.Containers, error)

	mu sync.Mutex
	// What is known of the last ETL; guarded by mu.
	etl    string
	parts  map[string]string // component by container
	pods   bool              // every target has one
	others map[int]bool      // processes that are in none of the containers
}

// askKubeTime bounds a question about containers.
const askKubeTime = 5 * time.Second

// kubeProcesses finds the processes of a cluster, or is nil when its nodes are
// other machines, or those of another process space.
func kubeProcesses(ctx context.Context, k *kube.Cluster) func(etl string) map[string][]int {
	p := &podProcesses{root: "/", containers: func(etl string) (*kube.Containers, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askKubeTime) // what was used is told at the end, too
		defer cancel()
		return k.Containers(ctx, etl)
	}}
	if len(p.of("")[results.ComponentTarget]) == 0 {
		return nil
	}
	return p.of
}

// of are the processes of nodes, and of the pods of an ETL, by component.
func (p *podProcesses) of(etl string) map[string][]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if etl == p.etl && (p.pods || etl == "") {
		if pids, all := p.scan(); all {
			return pids
		}
	}
	c, err := p.containers(etl)
	if err != nil {
		p.parts = nil // asked again next time
		return map[string][]int{}
	}
	p.etl, p.parts, p.others = etl, map[string]string{}, map[int]bool{}
	p.pods = len(c.Pods) >= len(c.Targets)
	for component, ids := range map[string][]string{results.ComponentProxy: c.Proxies, results.ComponentTarget: c.Targets, results.ComponentTransformer: c.Pods} {
		for _, id := range ids {
			p.parts[id] = component
		}
	}
	pids, _ := p.scan()
	return pids
}

// scan looks at all processes; all is false when a container has none any more.
func (p *podProcesses) scan() (pids map[string][]int, all bool) {
	pids = map[string][]int{}
	seen, others := map[string]bool{}, map[int]bool{}
	dir, err := os.Open(filepath.Join(p.root, "proc"))
	if err != nil {
		return pids, false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // of what can be read
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p.others[pid] {
			others[pid] = true
			continue
		}
		id := p.container(name)
		if id == "" {
			others[pid] = true
			continue
		}
		seen[id] = true
		pids[p.parts[id]] = append(pids[p.parts[id]], pid)
	}
	p.others = others // without those that have gone: a number may be used again
	return pids, len(p.parts) > 0 && len(seen) == len(p.parts)
}

// containerScope is the last part of a container's control group, by which its
// runtime calls it: cri-containerd-ID.scope, or the ID alone.
var containerScope = regexp.MustCompile(`([0-9a-f]{64})(?:\.scope)?\n`)

// container is the ID of the one of ours that a process is in, "" of none.
func (p *podProcesses) container(pid string) string {
	data, _ := os.ReadFile(filepath.Join(p.root, "proc", pid, "cgroup")) // it may have gone
	for _, m := range containerScope.FindAllSubmatch(data, -1) {
		if id := string(m[1]); p.parts[id] != "" {
			return id
		}
	}
	return ""
}
