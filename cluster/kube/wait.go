package kube

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/etlbench/etlbench/cluster/api"
	podkube "github.com/etlbench/etlbench/cluster/pod/kube"
)

// hopelessReasons are those for which a container waits that no waiting mends.
var hopelessReasons = map[string]bool{
	"ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "ImageInspectError": true,
	"CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
}

// hopeless tells whether no waiting mends what a container waits for.
func hopeless(w *corev1.ContainerStateWaiting) bool {
	return hopelessReasons[w.Reason] && !podkube.Passing(w)
}

// restartMost is how often a node may end before it is given up: at first its
// pod may not reach others, or the API server, yet.
const restartMost = 3

// waiting is what is known of the pods that are to be ready.
type waiting struct {
	revision map[string]string // by the name of each
	pods     map[string]*corev1.Pod
}

// Wait waits until every node of the configuration is ready, which a target is
// when it has joined. The error of what never will be, or is not when ctx ends,
// says why.
func (c *Cluster) Wait(ctx context.Context, cfg Config) error {
	w := waiting{pods: map[string]*corev1.Pod{}, revision: map[string]string{}}
	sizes := map[string]int{api.TypeProxy: cfg.Proxies, api.TypeTarget: cfg.Targets}
	for kind, revision := range map[string]string{
		api.TypeProxy:  cfg.proxies().Spec.Template.Annotations[noteRevision],
		api.TypeTarget: cfg.targets().Spec.Template.Annotations[noteRevision],
	} {
		for i := range sizes[kind] {
			w.revision[nodeName(kind, i)] = revision
		}
	}
	_, err := watchtools.UntilWithSync(ctx, c.watchPods(selector), &corev1.Pod{}, nil, func(e watch.Event) (bool, error) {
		p, ok := e.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		if err := w.take(p, e.Type == watch.Deleted); err != nil {
			return false, fmt.Errorf("%w%s", err, c.lastWords(ctx, p))
		}
		return w.done(), nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cluster in namespace %s is not ready: %w: %s", c.namespace, context.Cause(ctx), w.missing())
	}
	return err
}

// watchPods watches the pods that a selector of labels selects.
func (c *Cluster) watchPods(selector string) cache.ListerWatcher {
	pods := c.client.CoreV1().Pods(c.namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return pods.Watch(ctx, o)
		},
	}, c.client)
}

// take notes a pod. Those of an earlier revision are about to go.
func (w *waiting) take(p *corev1.Pod, deleted bool) error {
	revision, ok := w.revision[p.Name]
	if !ok {
		return nil
	}
	if deleted || p.DeletionTimestamp != nil || p.Annotations[noteRevision] != revision {
		delete(w.pods, p.Name)
		return nil
	}
	w.pods[p.Name] = p
	for _, s := range p.Status.ContainerStatuses {
		waits := s.State.Waiting
		if waits == nil {
			continue
		}
		if hopeless(waits) || s.RestartCount >= restartMost {
			return fmt.Errorf("%s does not start: %s", p.Name, strings.TrimSuffix(waits.Reason+": "+oneLine(waits.Message), ": "))
		}
	}
	return nil
}

func (w *waiting) done() bool {
	return len(w.pods) == len(w.revision) && !slices.ContainsFunc(slices.Collect(maps.Values(w.pods)), func(p *corev1.Pod) bool { return !isReady(p) })
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// missing says of each pod that is not ready why.
func (w *waiting) missing() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(w.revision)) {
		if p := w.pods[name]; p == nil {
			list = append(list, name+" is not there")
		} else if !isReady(p) {
			list = append(list, name+" "+describe(p))
		}
	}
	return strings.Join(list, "; ")
}

// describe is the state of a pod in a few words.
func describe(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "is ending"
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "has no node: " + oneLine(cmp.Or(c.Message, c.Reason))
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		if s.State.Waiting != nil {
			return "waits: " + strings.TrimSuffix(s.State.Waiting.Reason+": "+oneLine(s.State.Waiting.Message), ": ")
		}
		if s.State.Terminated != nil {
			return "has ended: " + s.State.Terminated.Reason
		}
	}
	if isReady(p) {
		return "ready"
	}
	if p.Status.Phase == corev1.PodRunning {
		return "runs and is not ready"
	}
	return strings.ToLower(string(p.Status.Phase))
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// lastWords is the end of the log of the container that ended last, or nothing.
func (c *Cluster) lastWords(ctx context.Context, p *corev1.Pod) string {
	const lines, most = 1, 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	log, err := c.client.CoreV1().Pods(c.namespace).GetLogs(p.Name, &corev1.PodLogOptions{Previous: true, TailLines: new(int64(lines))}).Stream(ctx)
	if err != nil {
		return ""
	}
	defer log.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, log); err != nil || b.Len() == 0 {
		return ""
	}
	return "; its last words: " + oneLine(b.String())
}

// InsideURL is where clients in pods reach the first proxy of a namespace's
// cluster.
func InsideURL(namespace string) string {
	c := Config{Namespace: namespace}
	return c.url(api.TypeProxy, nodeName(api.TypeProxy, 0))
}

// Endpoint is where clients reach the first proxy: the address of a node of
// Kubernetes, which need not be reachable from everywhere.
func (c *Cluster) Endpoint(ctx context.Context) (string, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range st.Nodes {
		if n.Type == api.TypeProxy && n.URL != "" {
			return n.URL, nil
		}
	}
	return "", errors.New("no proxy has an address")
}
