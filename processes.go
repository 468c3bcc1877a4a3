package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/procfs"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// nodes lists those of a cluster that up started, as its state file has them at
// the moment: nodes that died were started again.
func (s *clusterState) nodes(e *env) func() []*cluster.NodeProcess {
	return func() []*cluster.NodeProcess {
		now, err := loadState(e, s.Name)
		if err != nil || now == nil {
			return nil
		}
		return now.Nodes
	}
}

// processes are those of the cluster, by component; nil when it is elsewhere.
func (c *chosen) processes(ctx context.Context) func(etl string) map[string][]int {
	switch {
	case c.nodes != nil:
		return func(etl string) map[string][]int { return processesOf(c.nodes(), etl) }
	case c.kube != nil:
		if k, err := openKube(c.kube); err == nil { // else nobody can tell
			return kubeProcesses(ctx, k)
		}
	}
	return nil
}

// processesOf are the processes of nodes, and of the pods of an ETL on them, by
// component.
func processesOf(nodes []*cluster.NodeProcess, etl string) map[string][]int {
	pids := map[string][]int{}
	for _, n := range nodes {
		if n.Type == api.TypeProxy {
			pids[results.ComponentProxy] = append(pids[results.ComponentProxy], n.PID)
			continue
		}
		pids[results.ComponentTarget] = append(pids[results.ComponentTarget], n.PID)
		for _, pod := range podsOf(n.PID, etl) {
			pids[results.ComponentTransformer] = append(append(pids[results.ComponentTransformer], pod), descendants(pod)...)
		}
	}
	return pids
}

// podsOf are the processes of an ETL's pods on a target, without those that
// they started.
func podsOf(target int, etl string) (pods []int) {
	for _, pod := range children(target) {
		if etl != "" && podOf(pod, etl) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// podOf tells whether a process is a pod of an ETL: the URL at which it finds
// its target has the ETL's name in it.
func podOf(pid int, etl string) bool {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	for _, kv := range strings.Split(string(data), "\x00") {
		if url, ok := strings.CutPrefix(kv, api.EnvTargetURL+"="); ok {
			return strings.Contains(url, "/"+etl+"/")
		}
	}
	return false
}

// descendants are the children of a process, theirs, and so on.
func descendants(pid int) (list []int) {
	for _, child := range children(pid) {
		list = append(append(list, child), descendants(child)...)
	}
	return list
}

func children(pid int) (list []int) {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(word); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// endpointProcesses finds the processes of servers of this machine by their
// URL: those that listen there are targets, what they started transformers.
// Listeners are looked for once.
func endpointProcesses() func(url string) map[string][]int {
	var mu sync.Mutex
	known := map[string][]int{}
	return func(url string) map[string][]int {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := known[url]; !ok {
			known[url] = listeners(url)
		}
		pids := map[string][]int{}
		for _, pid := range known[url] {
			pids[results.ComponentTarget] = append(pids[results.ComponentTarget], pid)
			for _, child := range descendants(pid) {
				if !slices.Contains(known[url], child) && !slices.Contains(pids[results.ComponentTransformer], child) {
					pids[results.ComponentTransformer] = append(pids[results.ComponentTransformer], child)
				}
			}
		}
		return pids
	}
}

// listeners are the processes that listen at the port of a URL of the loopback
// interface; none of another.
func listeners(base string) (pids []int) {
	u, err := url.Parse(base)
	if err != nil || !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "localhost" {
		return nil
	}
	sockets := listening(u.Port())
	procs, _ := procfs.AllProcs()
	for _, p := range procs {
		fds, _ := p.FileDescriptorTargets() // none of processes of others
		if slices.ContainsFunc(fds, func(fd string) bool { return slices.Contains(sockets, fd) }) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// listening are the sockets that listen at a TCP port, as links of /proc name
// them.
func listening(port string) (sockets []string) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, _ := os.ReadFile(file) // there may be no IPv6
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line) // number, local address, remote one, state, …, inode
			const stateListen = "0A"
			if len(f) > 9 && f[3] == stateListen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				sockets = append(sockets, "socket:["+f[9]+"]")
			}
		}
	}
	return sockets
}
