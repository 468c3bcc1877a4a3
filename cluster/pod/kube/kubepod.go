package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

type kubePod struct {
	runtime  *Runtime
	uid      types.UID
	nodePort int32
	changed  chan struct{} // has an element after a change
	gone     chan struct{} // closed when the pod has ended

	mu       sync.Mutex
	info     pod.Info    // guarded by mu: the URL is known when the pod has a node
	state    *corev1.Pod // guarded by mu
	over     bool        // gone is closed; guarded by mu
	deleted  bool        // Kubernetes knows no such pod any more; guarded by mu
	unwanted bool        // Stop was called; guarded by mu
	err      error       // valid after gone
}

var _ pod.Pod = (*kubePod)(nil)

// update takes a new state.
func (k *kubePod) update(p *corev1.Pod, deleted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state, k.deleted = p, k.deleted || deleted
	err := failure(p)
	if err == nil && (deleted || p.DeletionTimestamp != nil) {
		err = &pod.ExitError{Container: mainContainer(p), State: "Terminated", Reason: "Deleted", Message: deletedBy(p)}
	}
	if err != nil && !k.over {
		k.over = true
		if !k.unwanted {
			k.err = err
		}
		close(k.gone)
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// deletedBy says who has deleted a pod: of an eviction the reason stands in a
// condition.
func deletedBy(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return c.Reason + ": " + oneLine(c.Message)
		}
	}
	return "somebody has deleted the pod"
}

// ready waits until the pod is ready and answers at its address.
func (k *kubePod) ready(ctx context.Context) error {
	asked, launched := time.Now(), time.Time{}
	for {
		k.mu.Lock()
		p := k.state
		k.mu.Unlock()
		if launched.IsZero() && (runs(p) || isReady(p)) {
			launched = time.Now()
		}
		if isReady(p) {
			if err := k.reach(ctx, p.Status.HostIP); err != nil {
				return err
			}
			k.started(ctx, launched.Sub(asked), time.Since(launched))
			return nil
		}
		select {
		case <-k.gone:
			return k.err
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w (%s)%s", context.Cause(ctx), describe(p), k.lastWords())
		case <-k.changed:
		}
	}
}

// started notes how long the pod took. What its image took is in an event; where
// events are not for this program to read, it is a part of the launch.
func (k *kubePod) started(ctx context.Context, launch, ready time.Duration) {
	pull := time.Duration(0)
	events, err := k.runtime.cfg.Client.CoreV1().Events(k.runtime.cfg.Namespace).List(ctx,
		metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(k.uid)).String()})
	if err == nil {
		pull = min(pulled(events.Items), launch)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.info.Start = api.PodStart{Pull: pull, Launch: launch - pull, Ready: ready}
}

// reachTimeout bounds one attempt to connect.
const reachTimeout = time.Second

// reach waits until connections find their way to the pod: the nodes learn of
// a Service a moment after it was made.
func (k *kubePod) reach(ctx context.Context, host string) error {
	addr := net.JoinHostPort(host, strconv.Itoa(int(k.nodePort)))
	k.mu.Lock()
	k.info.URL = "http://" + addr
	k.mu.Unlock()
	dialer := net.Dialer{Timeout: reachTimeout}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case <-k.gone:
			return struct{}{}, backoff.Permanent(k.err)
		default:
		}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 1.5, MaxInterval: time.Second}), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: nothing answers at %s: %w", context.Cause(ctx), addr, err)
	}
	return err
}

// lastWordsTimeout bounds the look into a log.
const lastWordsTimeout = 2 * time.Second

// lastWords is the end of the log of a pod that goes because it does not
// become ready.
func (k *kubePod) lastWords() string {
	ctx, cancel := context.WithTimeout(context.Background(), lastWordsTimeout)
	defer cancel()
	var log bytes.Buffer
	if k.logs(ctx, &log, 5) != nil || log.Len() == 0 {
		return ""
	}
	return "; its last words: " + oneLine(log.String())
}

// Info describes the pod.
func (k *kubePod) Info() pod.Info {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.info
}

// logLines is how much of a log is shown.
const logLines = 1000

// Logs writes the end of the log.
func (k *kubePod) Logs(ctx context.Context, w io.Writer) error { return k.logs(ctx, w, logLines) }

func (k *kubePod) logs(ctx context.Context, w io.Writer, lines int64) error {
	name := k.Info().Name
	log, err := k.runtime.cfg.Client.CoreV1().Pods(k.runtime.cfg.Namespace).GetLogs(name, &corev1.PodLogOptions{TailLines: &lines}).Stream(ctx)
	if err != nil {
		return fmt.Errorf("logs of pod %s: %w", name, err)
	}
	defer log.Close()
	_, err = io.Copy(w, log)
	return err
}

// Done is closed when the pod has gone.
func (k *kubePod) Done() <-chan struct{} { return k.gone }

// Err says why.
func (k *kubePod) Err() error {
	select {
	case <-k.gone:
		return k.err
	default:
		return nil
	}
}

// Stop deletes the pod and what belongs to it, and waits until Kubernetes has
// let go of it.
func (k *kubePod) Stop(ctx context.Context) error {
	k.mu.Lock()
	k.unwanted = true
	k.mu.Unlock()
	err := k.runtime.remove(ctx, k.info.Name)
	k.mu.Lock()
	if !k.over {
		k.over = true
		close(k.gone)
	}
	k.mu.Unlock()
	if err == nil {
		k.runtime.forget(k)
	}
	return err
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

var errStillThere = errors.New("it is still there")
