package kube

import (
	"maps"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// leastCPU is what a container asks for that says nothing else: without a word
// Kubernetes takes the limit.
var leastCPU = resource.MustParse("10m")

// LimitCPU holds a container to so many CPUs, or to the fewer that it says
// itself. With reserve the scheduler keeps them free for it, else what the
// container asks for.
func LimitCPU(r *corev1.ResourceRequirements, cpus float64, reserve bool) {
	limit := *resource.NewMilliQuantity(int64(math.Round(cpus*1000)), resource.DecimalSI)
	if own, ok := r.Limits[corev1.ResourceCPU]; ok && own.Cmp(limit) < 0 {
		limit = own
	}
	request, ok := r.Requests[corev1.ResourceCPU]
	if !ok {
		request = leastCPU
	}
	if reserve || request.Cmp(limit) > 0 {
		request = limit
	}
	r.Limits, r.Requests = with(r.Limits, limit), with(r.Requests, request)
}

// with is a copy of a list with another amount of CPU.
func with(list corev1.ResourceList, cpu resource.Quantity) corev1.ResourceList {
	list = maps.Clone(list)
	if list == nil {
		list = corev1.ResourceList{}
	}
	list[corev1.ResourceCPU] = cpu
	return list
}
