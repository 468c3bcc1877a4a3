package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Of the wait for nodes.
const (
	readyTimeout = 3 * time.Minute
	readyEvery   = 200 * time.Millisecond
)

// AwaitKubeNodes waits until all nodes of a new Kubernetes take pods. One that
// is later than the others has no part in how pods are spread. It asks for what
// only an administrator may see.
func (c *Cluster) AwaitKubeNodes(ctx context.Context) error {
	var why error
	err := wait.PollUntilContextTimeout(ctx, readyEvery, readyTimeout, true, func(ctx context.Context) (bool, error) {
		list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err == nil {
			err = allReady(list.Items)
		}
		if err != nil && ctx.Err() == nil {
			why = err
		}
		return err == nil, nil
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("nodes of Kubernetes, after %s: %w", readyTimeout, why)
	}
	return nil
}

// allReady says of each node that is not ready why; nil when all are.
func allReady(list []corev1.Node) error {
	if len(list) == 0 {
		return errors.New("there are none")
	}
	var errs []error
	for _, n := range list {
		i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%s has said nothing", n.Name))
		case n.Status.Conditions[i].Status != corev1.ConditionTrue:
			errs = append(errs, fmt.Errorf("%s is not ready: %s", n.Name, strings.TrimSpace(n.Status.Conditions[i].Message)))
		case slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady }):
			errs = append(errs, fmt.Errorf("%s takes no pods yet", n.Name))
		}
	}
	return errors.Join(errs...)
}
