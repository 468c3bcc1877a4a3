package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
)

// ErrNoRoom is that no node of Kubernetes takes a loader.
var ErrNoRoom = errors.New("no room for loaders")

// gathering is what is known of the loaders that are to be ready.
type gathering struct {
	mu   sync.Mutex // guards pods
	pods []*corev1.Pod
}

// awaitLoaders waits until all are ready, and gives their pods by index. The
// error of what never will be says why.
func (c *Cluster) awaitLoaders(ctx context.Context, job string, n int) ([]*corev1.Pod, error) {
	g := gathering{pods: make([]*corev1.Pod, n)}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("waited %s", readyTime))
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	room := time.AfterFunc(roomTime, func() {
		if err := g.noRoom(); err != nil {
			giveUp(err)
		}
	})
	defer room.Stop()
	_, err := watchtools.UntilWithSync(ctx, c.watchPods(ofJob(job)), &corev1.Pod{}, nil, func(e watch.Event) (bool, error) {
		p, ok := e.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		if err := g.take(p, e.Type == watch.Deleted); err != nil {
			return false, fmt.Errorf("loader %s: %w", p.Name, err)
		}
		return g.missing() == "", nil
	})
	switch cause := context.Cause(ctx); {
	case err == nil:
		return g.pods, nil
	case errors.Is(cause, ErrNoRoom):
		return nil, cause
	case cause != nil:
		return nil, fmt.Errorf("loaders in namespace %s are not ready: %w: %s", c.namespace, cause, g.missing())
	}
	return nil, err
}

// take notes a pod. None is made anew, so one that has ended is an error.
func (g *gathering) take(p *corev1.Pod, deleted bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || i < 0 || i >= len(g.pods) {
		return nil
	}
	g.pods[i] = p
	if deleted {
		return errors.New("the pod was deleted")
	}
	if text := ended(p); text != "" {
		return errors.New(text)
	}
	for _, s := range p.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil && hopeless(w) {
			return fmt.Errorf("does not start: %s", strings.TrimSuffix(w.Reason+": "+oneLine(w.Message), ": "))
		}
	}
	return nil
}

// noRoom says why a pod has no node, nil when all have.
func (g *gathering) noRoom() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.pods {
		if p == nil {
			continue
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				return fmt.Errorf("%w: %s: %s", ErrNoRoom, p.Name, oneLine(c.Message))
			}
		}
	}
	return nil
}

// missing says of each loader that is not ready why, "" when all are.
func (g *gathering) missing() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []string
	for i, p := range g.pods {
		if p == nil {
			list = append(list, fmt.Sprintf("loader %d is not there", i))
		} else if !isReady(p) {
			list = append(list, p.Name+" "+describe(p))
		}
	}
	return strings.Join(list, "; ")
}
