// Package kube is the pod.Runtime of targets that run on Kubernetes: a pod for
// every ETL, on the node of the target that asks, and a Service of type
// NodePort by which the target and its clients reach it.
//
// Read manifest.go for what is created, status.go for when a pod is ready or
// has failed, and self.go for how a target finds out where it runs.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/etlbench/etlbench/cluster/pod"
)

// Config of a Runtime. Client, Namespace, Target, Node and Image are required.
type Config struct {
	Client kubernetes.Interface
	// Target is the ID of the target, by which it knows its pods.
	Target string
	// Self is where the target runs.
	Self
	// Image has this program as /etlbench: it serves the sample transformers
	// and init code, and runs commands that are run once an object.
	Image string
	// Samples gives the arguments of the program that serves what an image
	// name such as "etlbench/md5" stands for; false of images that are to be
	// pulled. nil: there are none.
	Samples func(image string) (args []string, ok bool)
	// Python gives the image that has a runtime of init code ("python3.11"),
	// with an interpreter python3 or python on its PATH. nil: init code is
	// refused.
	Python func(runtime string) (image string, err error)
	// InstallEnv is what pods of init code hand to pip.
	InstallEnv map[string]string
	// CPUs is the limit of each pod, all its containers together; 0: none but
	// its spec's.
	CPUs float64
	// SharedCPUs tells that nodes share the CPUs that they have, as those of
	// kind do: limits are not reserved.
	SharedCPUs bool
	Log        *slog.Logger // nil: nothing is logged
}

// Runtime is the pod.Runtime on Kubernetes. Close it.
type Runtime struct {
	cfg    Config
	cancel context.CancelFunc
	done   <-chan struct{} // closed when the watch has ended

	mu   sync.Mutex
	pods map[string]*kubePod // by name; guarded by mu
}

var _ pod.Runtime = (*Runtime)(nil)

// syncTimeout bounds the first look at the pods that there are.
const syncTimeout = 30 * time.Second

// New watches the target's pods, and removes what an earlier life of the
// target left behind.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runtime{cfg: cfg, pods: map[string]*kubePod{}}
	if err := r.removeLeftovers(ctx); err != nil {
		return nil, fmt.Errorf("pods of an earlier life: %w", err)
	}
	if err := r.watch(ctx); err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	return r, nil
}

// selector finds all that belongs to the target.
func (r *Runtime) selector() string { return LabelTarget + "=" + r.cfg.Target }

// watch has every change of a pod told to it. A watch that breaks is begun
// anew by the informer.
func (r *Runtime) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(r.cfg.Client, 0, informers.WithNamespace(r.cfg.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = r.selector() }))
	informer := factory.Core().V1().Pods().Informer()
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { r.changed(o, false) },
		UpdateFunc: func(_, o any) { r.changed(o, false) },
		DeleteFunc: func(o any) { r.changed(o, true) },
	})
	if err != nil {
		return err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	factory.Start(watching.Done())
	r.cancel, r.done = cancel, done
	go func() {
		defer close(done)
		<-watching.Done()
		factory.Shutdown()
	}()
	first, stop := context.WithTimeout(ctx, syncTimeout)
	defer stop()
	if !cache.WaitForCacheSync(first.Done(), handler.HasSynced) {
		cancel()
		<-done
		return fmt.Errorf("no list of pods within %s (%w)", syncTimeout, first.Err())
	}
	return nil
}

// changed hands a pod's new state to whoever waits for it.
func (r *Runtime) changed(o any, deleted bool) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	k := r.pods[p.Name]
	r.mu.Unlock()
	if k != nil && k.uid == p.UID {
		k.update(p, deleted)
	}
}

// Start creates the pod with its Service, and waits until it is ready.
func (r *Runtime) Start(ctx context.Context, s pod.Spec) (pod.Pod, error) {
	k, err := r.create(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("pod %s: %w", s.Name, err)
	}
	if err := k.ready(ctx); err != nil {
		err = fmt.Errorf("pod %s: %w", s.Name, err)
		return nil, errors.Join(err, k.Stop(context.WithoutCancel(ctx)))
	}
	return k, nil
}

// create creates what belongs to a pod and registers it.
func (r *Runtime) create(ctx context.Context, s pod.Spec) (*kubePod, error) {
	m, err := r.manifests(&s)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	_, running := r.pods[s.Name]
	r.mu.Unlock()
	if running {
		return nil, fmt.Errorf("%w: a pod of this name runs already", pod.ErrSpec)
	}
	if err := r.remove(ctx, s.Name); err != nil {
		return nil, fmt.Errorf("one of this name is in the way: %w", err)
	}
	k := &kubePod{runtime: r, info: pod.Info{Name: s.Name, Node: r.cfg.Node, Runs: m.runs}, changed: make(chan struct{}, 1), gone: make(chan struct{})}
	if err := r.apply(ctx, m, k); err != nil {
		return nil, errors.Join(err, r.remove(context.WithoutCancel(ctx), s.Name))
	}
	return k, nil
}

// apply creates the objects. The pod comes last, as it starts at once, and its
// name is registered together with it, so that no change of it is missed.
func (r *Runtime) apply(ctx context.Context, m *manifests, k *kubePod) error {
	core := r.cfg.Client.CoreV1()
	if m.files != nil {
		if _, err := core.ConfigMaps(r.cfg.Namespace).Create(ctx, m.files, metav1.CreateOptions{}); err != nil {
			return refused("config map", err)
		}
	}
	service, err := core.Services(r.cfg.Namespace).Create(ctx, m.service, metav1.CreateOptions{})
	if err != nil {
		return refused("service", err)
	}
	k.nodePort = service.Spec.Ports[0].NodePort
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := core.Pods(r.cfg.Namespace).Create(ctx, m.pod, metav1.CreateOptions{})
	if err != nil {
		return refused("pod", err)
	}
	k.uid = p.UID
	k.state = p
	r.pods[p.Name] = k
	return nil
}

// refused tells apart what cannot be started as it is specified.
func refused(what string, err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) {
		return fmt.Errorf("%w: %w", pod.ErrSpec, err)
	}
	return fmt.Errorf("create its %s: %w", what, err)
}

// forget lets go of a pod that has gone.
func (r *Runtime) forget(k *kubePod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pods[k.info.Name] == k {
		delete(r.pods, k.info.Name)
	}
}

// List tells of the pods that carry the target's label.
func (r *Runtime) List(ctx context.Context) ([]pod.Info, error) {
	list, err := r.cfg.Client.CoreV1().Pods(r.cfg.Namespace).List(ctx, metav1.ListOptions{LabelSelector: r.selector()})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	infos := make([]pod.Info, 0, len(list.Items))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list.Items {
		p := &list.Items[i]
		if k := r.pods[p.Name]; k != nil && k.uid == p.UID {
			infos = append(infos, k.Info())
		} else {
			infos = append(infos, pod.Info{Name: p.Name, Node: p.Spec.NodeName})
		}
	}
	return infos, nil
}

// Close stops every pod, and the watch.
func (r *Runtime) Close() error {
	r.mu.Lock()
	pods := make([]*kubePod, 0, len(r.pods))
	for _, k := range r.pods {
		pods = append(pods, k)
	}
	r.mu.Unlock()
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, k := range pods {
		wg.Go(func() { errs[i] = k.Stop(context.Background()) })
	}
	wg.Wait()
	r.cancel()
	<-r.done
	return errors.Join(errs...)
}
