package kube

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/etlbench/etlbench/cluster/pod"
)

// isReady tells whether the readiness probe holds and the pod has an address.
func isReady(p *corev1.Pod) bool {
	return p.Status.HostIP != "" && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// runs tells whether all containers of a pod have begun.
func runs(p *corev1.Pod) bool {
	return len(p.Status.ContainerStatuses) == len(p.Spec.Containers) &&
		!slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.State.Running == nil })
}

// pullMessage is what a kubelet says of an image that it has pulled:
// Successfully pulled image "a/b:1" in 1.204s (1.204s including waiting).
var pullMessage = regexp.MustCompile(`^Successfully pulled image .* in ([0-9.a-zµ]+)`)

// pulled is how long a pod's images took to come, one after the other.
func pulled(events []corev1.Event) (sum time.Duration) {
	for _, e := range events {
		if m := pullMessage.FindStringSubmatch(e.Message); e.Reason == "Pulled" && m != nil {
			if d, err := time.ParseDuration(m[1]); err == nil {
				sum += d
			}
		}
	}
	return sum
}

// hopelessReasons are those for which a container waits that no waiting mends.
// ContainerCreating and PodInitializing are not among them.
var hopelessReasons = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "ImageInspectError": true,
	"RegistryUnavailable": true, "CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
	"CrashLoopBackOff": true,
}

// Passing tells whether a container waits for a Secret or ConfigMap of which its
// node has not heard yet: the kubelet asks again by itself.
func Passing(w *corev1.ContainerStateWaiting) bool {
	return strings.Contains(w.Message, "failed to sync")
}

// hopeless tells whether a container waits, and no waiting mends it.
func hopeless(s *corev1.ContainerStatus) bool {
	w := s.State.Waiting
	return w != nil && hopelessReasons[w.Reason] && !Passing(w)
}

// failure says why a pod is over, or never will be ready; nil while there is
// hope. Pods are never started anew, so a container that has ended is the end.
func failure(p *corev1.Pod) error {
	for _, s := range p.Status.InitContainerStatuses {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return terminated(s.Name, t)
		}
		if hopeless(&s) {
			return waiting(s.Name, s.State.Waiting)
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil {
			return terminated(s.Name, t)
		}
		if hopeless(&s) {
			return waiting(s.Name, s.State.Waiting)
		}
	}
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded { // evicted, say
		return &pod.ExitError{Container: mainContainer(p), State: string(p.Status.Phase), Reason: cmp.Or(p.Status.Reason, "Unknown"), Message: oneLine(p.Status.Message)}
	}
	return unschedulable(p)
}

func terminated(name string, t *corev1.ContainerStateTerminated) error {
	return &pod.ExitError{Container: name, State: "Terminated", Reason: t.Reason, Message: oneLine(t.Message), ExitCode: int(t.ExitCode)}
}

func waiting(name string, w *corev1.ContainerStateWaiting) error {
	return &pod.ExitError{Container: name, State: "Waiting", Reason: w.Reason, Message: oneLine(w.Message)}
}

// unschedulable says why the target's node does not take the pod: other nodes
// are out of the question.
func unschedulable(p *corev1.Pod) error {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &pod.ExitError{Container: mainContainer(p), State: "Pending", Reason: c.Reason, Message: oneLine(c.Message)}
		}
	}
	return nil
}

func mainContainer(p *corev1.Pod) string { return p.Spec.Containers[0].Name }

// describe is a pod that is not ready in a few words.
func describe(p *corev1.Pod) string {
	text := fmt.Sprintf("pod_status=%q", p.Status.Phase)
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil {
			text += fmt.Sprintf(", container %s waits: %s", s.Name, w.Reason)
		}
		if r := s.State.Running; r != nil && !s.Ready {
			text += fmt.Sprintf(", container %s runs and is not ready", s.Name)
		}
	}
	return text
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}
