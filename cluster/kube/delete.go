package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// kinds are what a cluster has in its namespace, in the order in which they
// go: volume claims and secrets when nobody uses them any more.
var kinds = []schema.GroupVersionResource{
	{Group: "batch", Version: "v1", Resource: "jobs"}, // of loaders whose command was killed
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Version: "v1", Resource: "services"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "persistentvolumeclaims"},
}

// Delete removes the cluster with its data, and the namespace if that was made
// for it, and returns when all is gone or ctx ends.
func (c *Cluster) Delete(ctx context.Context) error {
	space, err := c.client.CoreV1().Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil && !apierrors.IsForbidden(err) { // some may only use a namespace
		return fmt.Errorf("namespace %s: %w", c.namespace, err)
	}
	if err := c.deleteObjects(ctx); err != nil {
		return err
	}
	own, err := labels.Parse(selector)
	if err != nil {
		return err
	}
	if space == nil || !own.Matches(labels.Set(space.Labels)) {
		return nil
	}
	spaces := c.client.CoreV1().Namespaces()
	if err := spaces.Delete(ctx, c.namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete namespace %s: %w", c.namespace, err)
	}
	return until(ctx, "namespace "+c.namespace, func() (int, error) {
		_, err := spaces.Get(ctx, c.namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return 0, nil
		}
		return 1, err
	})
}

// deleteObjects removes what carries the cluster's labels, and waits until its
// pods, and those of its ETLs, are gone.
func (c *Cluster) deleteObjects(ctx context.Context) error {
	of := metav1.ListOptions{LabelSelector: selector}
	for _, kind := range kinds {
		// Not every kind can be deleted as a collection: services cannot.
		all := c.dynamic.Resource(kind).Namespace(c.namespace)
		list, err := all.List(ctx, of)
		if kind.Resource == "jobs" && apierrors.IsForbidden(err) {
			continue // who may not list jobs has made none
		}
		if err != nil {
			return fmt.Errorf("%s of namespace %s: %w", kind.Resource, c.namespace, err)
		}
		background := metav1.DeletePropagationBackground
		for _, o := range list.Items {
			if err := all.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete %s %s/%s: %w", o.GetKind(), c.namespace, o.GetName(), err)
			}
		}
		if kind.Resource == "statefulsets" {
			if err := c.awaitNoPods(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cluster) awaitNoPods(ctx context.Context) error {
	return until(ctx, "pods of namespace "+c.namespace, func() (n int, err error) {
		for _, s := range []string{selector, podkube.Selector} {
			list, err := c.client.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: s})
			if err != nil {
				return 0, err
			}
			n += len(list.Items)
		}
		return n, nil
	})
}

// until waits until count gives 0.
func until(ctx context.Context, what string, count func() (int, error)) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		n, err := count()
		if err == nil && n > 0 {
			err = errStillThere
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, Multiplier: 1.5, MaxInterval: time.Second}), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: not gone: %w", what, err)
	}
	return nil
}

var errStillThere = errors.New("it is still there")
