package kube

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// Node is a proxy or a target as Kubernetes has it.
type Node struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	URL      string `json:"url"`       // for clients; "" while it has none
	KubeNode string `json:"kube_node"` // "" while it is on none
	State    string `json:"state"`     // "ready", or why not
	Restarts int    `json:"restarts"`
}

// ETLPod is a transformer's pod.
type ETLPod struct {
	Name   string `json:"name"`
	Target string `json:"target"` // its ID
	// KubeNode is where the pod is, TargetNode where its target is: the same,
	// or something is wrong.
	KubeNode   string `json:"kube_node"`
	TargetNode string `json:"target_node"`
	State      string `json:"state"`
}

// Beside tells whether the pod is on its target's node.
func (p *ETLPod) Beside() bool { return p.KubeNode != "" && p.KubeNode == p.TargetNode }

// Status is a cluster as Kubernetes has it, lists by name.
type Status struct {
	Nodes []Node   `json:"nodes"`
	Pods  []ETLPod `json:"pods"`
}

// Status asks for the cluster. ErrNotFound: there is none.
func (c *Cluster) Status(ctx context.Context) (*Status, error) {
	core := c.client.CoreV1()
	pods, err := core.Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("pods of namespace %s: %w", c.namespace, err)
	}
	services, err := core.Services(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("services of namespace %s: %w", c.namespace, err)
	}
	if len(pods.Items)+len(services.Items) == 0 {
		return nil, fmt.Errorf("namespace %s: %w", c.namespace, ErrNotFound)
	}
	transformers, err := core.Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: podkube.Selector})
	if err != nil {
		return nil, fmt.Errorf("ETL pods of namespace %s: %w", c.namespace, err)
	}
	nodePorts := map[string]int32{}
	for _, s := range services.Items {
		if len(s.Spec.Ports) > 0 {
			nodePorts[s.Name] = s.Spec.Ports[0].NodePort
		}
	}
	st := &Status{Nodes: []Node{}, Pods: []ETLPod{}}
	on := map[string]string{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Labels[labelComponent] == componentLoader {
			continue
		}
		on[p.Name] = p.Spec.NodeName
		st.Nodes = append(st.Nodes, nodeOf(p, nodePorts[p.Name]))
	}
	for i := range transformers.Items {
		p := &transformers.Items[i]
		target := p.Labels[podkube.LabelTarget]
		st.Pods = append(st.Pods, ETLPod{Name: p.Name, Target: target, KubeNode: p.Spec.NodeName, TargetNode: on[target], State: describe(p)})
	}
	slices.SortFunc(st.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Pods, func(a, b ETLPod) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Target, b.Target))
	})
	return st, nil
}

func nodeOf(p *corev1.Pod, nodePort int32) Node {
	n := Node{ID: p.Name, Type: p.Labels[labelComponent], KubeNode: p.Spec.NodeName, State: describe(p)}
	if p.Status.HostIP != "" && nodePort != 0 {
		n.URL = "http://" + net.JoinHostPort(p.Status.HostIP, strconv.Itoa(int(nodePort)))
	}
	for _, s := range p.Status.ContainerStatuses {
		n.Restarts += int(s.RestartCount)
	}
	return n
}
