package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/etlbench/etlbench/cluster/pod"
)

// errNoUsage is what there is to say where nobody measures pods.
var errNoUsage = errors.New("no usage: the cluster has no metrics server, and this account may not ask kubelets (nodes/proxy)")

// Usage asks the metrics server (metrics.k8s.io), which averages over some
// seconds; where there is none, the pod's kubelet.
func (k *kubePod) Usage(ctx context.Context) (pod.Usage, error) {
	client := k.runtime.cfg.Client.Discovery().RESTClient()
	u, err := k.fromMetrics(ctx, client)
	if err == nil {
		return u, nil
	}
	u, kerr := k.fromKubelet(ctx, client)
	switch {
	case kerr == nil:
		return u, nil
	case apierrors.IsNotFound(err) && apierrors.IsForbidden(kerr):
		kerr = errNoUsage
	case !apierrors.IsNotFound(err):
		kerr = err
	}
	return pod.Usage{}, fmt.Errorf("pod %s: %w", k.info.Name, kerr)
}

// fromMetrics reads a PodMetrics of metrics.k8s.io/v1beta1.
func (k *kubePod) fromMetrics(ctx context.Context, client rest.Interface) (u pod.Usage, err error) {
	data, err := client.Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", k.runtime.cfg.Namespace, "pods", k.info.Name).DoRaw(ctx)
	if err != nil {
		return u, err
	}
	var m struct {
		Containers []struct {
			Usage corev1.ResourceList `json:"usage"`
		} `json:"containers"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return u, err
	}
	for _, c := range m.Containers {
		u.CPU += c.Usage.Cpu().AsApproximateFloat64()
		u.Memory += c.Usage.Memory().Value()
	}
	return u, nil
}

// fromKubelet reads the pod's part of a kubelet's /stats/summary.
func (k *kubePod) fromKubelet(ctx context.Context, client rest.Interface) (u pod.Usage, err error) {
	data, err := client.Get().AbsPath("/api/v1/nodes", k.runtime.cfg.Node, "proxy/stats/summary").DoRaw(ctx)
	if err != nil {
		return u, err
	}
	var summary struct {
		Pods []struct {
			Ref struct {
				UID string `json:"uid"`
			} `json:"podRef"`
			CPU struct {
				Nanocores float64 `json:"usageNanoCores"`
			} `json:"cpu"`
			Memory struct {
				WorkingSet int64 `json:"workingSetBytes"`
			} `json:"memory"`
		} `json:"pods"`
	}
	if err := json.Unmarshal(data, &summary); err != nil {
		return u, err
	}
	for _, p := range summary.Pods {
		if p.Ref.UID == string(k.uid) {
			return pod.Usage{CPU: p.CPU.Nanocores / 1e9, Memory: p.Memory.WorkingSet}, nil
		}
	}
	return u, fmt.Errorf("the kubelet of %s has not measured it yet", k.runtime.cfg.Node)
}
