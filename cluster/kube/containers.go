package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/etlbench/etlbench/cluster/api"
	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// Containers are the IDs of containers that run, as the container runtime of
// their node has them.
type Containers struct {
	Proxies, Targets []string
	Pods             []string // of an ETL
}

// Containers asks for those of the cluster, and of the pods of an ETL; "" of
// none.
func (c *Cluster) Containers(ctx context.Context, etl string) (*Containers, error) {
	list := func(selector string) ([]corev1.Pod, error) {
		l, err := c.client.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("pods of namespace %s: %w", c.namespace, err)
		}
		return l.Items, nil
	}
	nodes, err := list(selector)
	if err != nil {
		return nil, err
	}
	var all Containers
	for i := range nodes {
		switch nodes[i].Labels[labelComponent] {
		case api.TypeProxy:
			all.Proxies = append(all.Proxies, running(&nodes[i])...)
		case api.TypeTarget:
			all.Targets = append(all.Targets, running(&nodes[i])...)
		}
	}
	if etl == "" {
		return &all, nil
	}
	pods, err := list(podkube.Selector)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if p := &pods[i]; p.Name == api.PodName(etl, p.Labels[podkube.LabelTarget]) {
			all.Pods = append(all.Pods, running(p)...)
		}
	}
	return &all, nil
}

// running are the containers of a pod that run: their IDs without the name of
// the runtime, which comes first.
func running(p *corev1.Pod) (ids []string) {
	for _, s := range p.Status.ContainerStatuses {
		if _, id, ok := strings.Cut(s.ContainerID, "://"); ok && s.State.Running != nil {
			ids = append(ids, id)
		}
	}
	return ids
}
