package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// grace is how long a pod has between SIGTERM and SIGKILL, seconds.
	grace = 2
	// removeTimeout bounds a graceful end, and then a forced one.
	removeTimeout = 20 * time.Second
)

// remove deletes the objects of a name and waits until the pod is no more: at
// first gracefully; a pod whose node does not answer is struck off the list.
func (r *Runtime) remove(ctx context.Context, name string) error {
	core, ns := r.cfg.Client.CoreV1(), r.cfg.Namespace
	errs := []error{
		ignoreMissing(core.Services(ns).Delete(ctx, name, metav1.DeleteOptions{})),
		ignoreMissing(core.ConfigMaps(ns).Delete(ctx, name, metav1.DeleteOptions{})),
	}
	err := r.removePod(ctx, name, grace)
	if errors.Is(err, errStillThere) {
		r.cfg.Log.Warn("pod does not go, it is forced to", "pod", name)
		err = r.removePod(ctx, name, 0)
	}
	return errors.Join(append(errs, err)...)
}

func (r *Runtime) removePod(ctx context.Context, name string, grace int64) error {
	pods := r.cfg.Client.CoreV1().Pods(r.cfg.Namespace)
	p, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return ignoreMissing(err)
	}
	err = pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &p.UID}})
	if err != nil {
		return ignoreMissing(err)
	}
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		now, err := pods.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && now.UID != p.UID:
			return struct{}{}, nil
		case err != nil:
			return struct{}{}, err
		}
		return struct{}{}, errStillThere
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 1.5, MaxInterval: time.Second}), backoff.WithMaxElapsedTime(removeTimeout))
	if err != nil {
		return fmt.Errorf("delete pod %s: %w", name, err)
	}
	return nil
}

// removeLeftovers removes all that carries the target's label.
func (r *Runtime) removeLeftovers(ctx context.Context) error {
	core, ns, of := r.cfg.Client.CoreV1(), r.cfg.Namespace, metav1.ListOptions{LabelSelector: r.selector()}
	names := map[string]bool{}
	pods, err := core.Pods(ns).List(ctx, of)
	if err != nil {
		return err
	}
	services, err := core.Services(ns).List(ctx, of)
	if err != nil {
		return err
	}
	files, err := core.ConfigMaps(ns).List(ctx, of)
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		names[p.Name] = true
	}
	for _, s := range services.Items {
		names[s.Name] = true
	}
	for _, f := range files.Items {
		names[f.Name] = true
	}
	var errs []error
	for name := range names {
		r.cfg.Log.Info("remove what an earlier life left behind", "pod", name)
		errs = append(errs, r.remove(ctx, name))
	}
	return errors.Join(errs...)
}
