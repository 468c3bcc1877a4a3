package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/etlbench/etlbench/cluster/api"
)

// Times of loaders.
const (
	roomTime       = 10 * time.Second // for Kubernetes to find nodes for them
	readyTime      = 2 * time.Minute  // until all are ready
	loaderGoneTime = time.Minute
	whyTime        = 5 * time.Second // for Kubernetes to notice what befell one
)

// Loaders are etlbench agents in pods of the cluster's namespace. They are
// reached from here through the API server. Methods may be called concurrently,
// but Remove comes last.
type Loaders struct {
	// Proxies are the base URLs by which loaders reach the cluster's proxies.
	Proxies []string

	c        *Cluster
	name     string        // of the job and the secret
	pods     []*corev1.Pod // by index
	forwards []*forward
}

// StartLoaders makes loaders beside a cluster that is up, and returns when all
// are ready and reached. What does not come up is removed. The caller calls
// Remove.
func (c *Cluster) StartLoaders(ctx context.Context, cfg LoaderConfig) (_ *Loaders, err error) {
	l := &Loaders{c: c, name: cfg.name()}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Remove(ctx))
		}
	}()
	if l.Proxies, err = c.proxiesInside(ctx); err != nil {
		return nil, err
	}
	secret, job := cfg.objects(c.namespace)
	if _, err := c.client.CoreV1().Secrets(c.namespace).Create(ctx, secret, metav1.CreateOptions{FieldManager: app}); err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w", c.namespace, l.name, err)
	}
	if _, err := c.client.BatchV1().Jobs(c.namespace).Create(ctx, job, metav1.CreateOptions{FieldManager: app}); err != nil {
		return nil, fmt.Errorf("job %s/%s: %w", c.namespace, l.name, err)
	}
	if l.pods, err = c.awaitLoaders(ctx, l.name, cfg.Count); err != nil {
		return nil, err
	}
	for _, p := range l.pods {
		f, err := c.forward(ctx, p.Name, loaderPort)
		if err != nil {
			return nil, err
		}
		l.forwards = append(l.forwards, f)
	}
	return l, nil
}

// proxiesInside are the URLs of the proxies for who is in Kubernetes.
func (c *Cluster) proxiesInside(ctx context.Context) (urls []string, err error) {
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range st.Nodes {
		if n.Type == api.TypeProxy {
			urls = append(urls, (&Config{Namespace: c.namespace}).url(api.TypeProxy, n.ID))
		}
	}
	return urls, nil
}

// Names are "pod:port" of each, in the order of their indices.
func (l *Loaders) Names() (names []string) {
	for _, p := range l.pods {
		names = append(names, net.JoinHostPort(p.Name, strconv.Itoa(loaderPort)))
	}
	return names
}

// Where says on which nodes of Kubernetes they are, in the order of Names.
func (l *Loaders) Where() (nodes []string) {
	for _, p := range l.pods {
		nodes = append(nodes, p.Spec.NodeName)
	}
	return nodes
}

func (l *Loaders) index(name string) int {
	host, _, _ := net.SplitHostPort(name)
	return slices.IndexFunc(l.pods, func(p *corev1.Pod) bool { return p.Name == host })
}

// Dial connects to one of Names.
func (l *Loaders) Dial(ctx context.Context, name string) (net.Conn, error) {
	i := l.index(name)
	if i < 0 {
		return nil, fmt.Errorf("there is no loader %s", name)
	}
	return l.forwards[i].dial(ctx)
}

// Why is what Kubernetes knows of a loader that was lost: its pod, container and
// what became of that. It waits a while for Kubernetes to notice.
func (l *Loaders) Why(name string) string {
	i := l.index(name)
	if i < 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), whyTime)
	defer cancel()
	pod := l.pods[i]
	for {
		p, err := l.c.client.CoreV1().Pods(l.c.namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return l.fate(pod, "the pod was deleted")
		case err == nil:
			if text := ended(p); text != "" {
				return l.fate(p, text)
			}
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return l.fate(pod, "Kubernetes does not tell: "+err.Error())
			}
			return l.fate(p, "Kubernetes has it as "+describe(p))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (l *Loaders) fate(p *corev1.Pod, text string) string {
	return fmt.Sprintf("pod %s/%s on node %s, container %s: %s", p.Namespace, p.Name, p.Spec.NodeName, componentLoader, text)
}

// ended says how a pod came to its end, "" while it has not.
func ended(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil && (p.DeletionTimestamp == nil || t.ExitCode != 0) {
			text := fmt.Sprintf("%s, exit code %d", t.Reason, t.ExitCode)
			lines := strings.Split(strings.TrimSpace(t.Message), "\n") // the end of its log
			return strings.TrimSuffix(text+"; its last words: "+lines[len(lines)-1], "; its last words: ")
		}
	}
	switch {
	case p.Status.Reason != "": // Evicted, NodeLost
		return p.Status.Reason + ": " + oneLine(p.Status.Message)
	case p.DeletionTimestamp != nil:
		return "the pod was deleted"
	}
	return ""
}

// Remove removes the loaders and all that was made for them, also when ctx has
// ended, and returns when they are gone.
func (l *Loaders) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), loaderGoneTime, fmt.Errorf("waited %s", loaderGoneTime))
	defer cancel()
	for _, f := range l.forwards {
		f.close()
	}
	background := metav1.DeletePropagationBackground
	jobErr := l.c.client.BatchV1().Jobs(l.c.namespace).Delete(ctx, l.name, metav1.DeleteOptions{PropagationPolicy: &background})
	secretErr := l.c.client.CoreV1().Secrets(l.c.namespace).Delete(ctx, l.name, metav1.DeleteOptions{})
	for _, err := range []error{jobErr, secretErr} {
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("remove loaders %s/%s: %w", l.c.namespace, l.name, err)
		}
	}
	return until(ctx, "loaders of job "+l.name, func() (int, error) {
		list, err := l.c.client.CoreV1().Pods(l.c.namespace).List(ctx, metav1.ListOptions{LabelSelector: ofJob(l.name)})
		if err != nil {
			return 0, err
		}
		return len(list.Items), nil
	})
}

// ofJob selects the pods of a job.
func ofJob(name string) string { return batchv1.JobNameLabel + "=" + name }
