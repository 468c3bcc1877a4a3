package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// processes lists those of a cluster that up started, as its state file has
// them at the moment: nodes that died were started again.
func (s *clusterState) processes(e *env) func(etl string) map[string][]int {
	return func(etl string) map[string][]int {
		now, err := loadState(e, s.Name)
		if err != nil || now == nil {
			return map[string][]int{}
		}
		return processesOf(now.Nodes, etl)
	}
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
		for _, pod := range children(n.PID) {
			if etl != "" && podOf(pod, etl) {
				pids[results.ComponentTransformer] = append(append(pids[results.ComponentTransformer], pod), descendants(pod)...)
			}
		}
	}
	return pids
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
