package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/kube"
	"github.com/etlbench/etlbench/reports/results"
)

func TestPodProcesses(t *testing.T) {
	id := func(c string) string { return strings.Repeat(c, 64) }
	root := t.TempDir()
	process := func(pid int, cgroup string) {
		dir := filepath.Join(root, "proc", fmt.Sprint(pid))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup"), []byte(cgroup), 0o600))
	}
	gone := func(pid int) { require.NoError(t, os.RemoveAll(filepath.Join(root, "proc", fmt.Sprint(pid)))) }
	node := "/libpod_parent/libpod-" + id("e")
	scope := func(c string) string {
		return "1:cpu:" + node + "/kubelet.slice/kubelet-kubepods-pod9c1ef8e7_e3ca.slice/cri-containerd-" + id(c) + ".scope\n"
	}
	process(1, "0::/init.scope\n")
	process(2, "0::"+node+"/system.slice/kubelet.service\n") // of the Kubernetes node
	process(3, "9:name=systemd:/\n"+scope("a"))
	process(4, "2:pids:/docker/"+id("e")+"\n0::/docker/"+id("e")+"/kubelet/kubepods/burstable/pod9c1ef8e7-e3ca/"+id("b")+"\n")
	process(5, scope("b"))
	process(6, scope("d")) // of somebody else's pod

	have := map[string]*kube.Containers{"": {Proxies: []string{id("a")}, Targets: []string{id("b")}}}
	asked := 0
	p := &podProcesses{root: root, containers: func(etl string) (*kube.Containers, error) {
		asked++
		if c := have[etl]; c != nil {
			return c, nil
		}
		return nil, errors.New("the API server is not there")
	}}
	of := func(etl string) map[string][]int {
		pids := p.of(etl)
		for _, list := range pids {
			slices.Sort(list)
		}
		return pids
	}
	nodes := map[string][]int{results.ComponentProxy: {3}, results.ComponentTarget: {4, 5}}
	require.Equal(t, nodes, of(""))
	process(7, scope("b")) // it forks
	nodes[results.ComponentTarget] = []int{4, 5, 7}
	require.Equal(t, nodes, of(""))
	require.Equal(t, 1, asked, "what is known is not asked for")

	require.Empty(t, of("etl-x"))
	have["etl-x"] = have[""]
	require.Equal(t, nodes, of("etl-x"), "its pods are not there yet")
	have["etl-x"] = &kube.Containers{Proxies: []string{id("a")}, Targets: []string{id("b")}, Pods: []string{id("c")}}
	process(8, scope("c"))
	nodes[results.ComponentTransformer] = []int{8}
	require.Equal(t, nodes, of("etl-x"))
	require.Equal(t, nodes, of("etl-x"))
	require.Equal(t, 4, asked)

	// another pod in its place, with a number that was another process'
	gone(8)
	gone(6)
	have["etl-x"].Pods = []string{id("f")}
	process(6, scope("f"))
	nodes[results.ComponentTransformer] = []int{6}
	require.Equal(t, nodes, of("etl-x"))
	require.Equal(t, 5, asked)
}
