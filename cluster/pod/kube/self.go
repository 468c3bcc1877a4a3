package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// EnvNode is the environment variable that names the node of a target.
// Without it HOSTNAME is taken for the name of the target's own pod, as
// AIStore has it.
const EnvNode = "K8S_NODE_NAME"

// Self is where a target runs, and what its pods take over from it.
type Self struct {
	Namespace string
	Node      string // its pods run there
	// Owner is the target's own pod: with it go all its pods. nil outside a
	// cluster.
	Owner *metav1.OwnerReference
	// Volumes and Mounts are given to its pods too, read-only, so that they
	// can be told of files.
	Volumes []corev1.Volume
	Mounts  []corev1.VolumeMount
	// PullSecrets are those that its pods pull their images with.
	PullSecrets []corev1.LocalObjectReference
}

// namespaceFile has the namespace of a pod's own service account.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// FindSelf asks Kubernetes about the pod in which this process runs. get looks
// up environment variables.
func FindSelf(ctx context.Context, client kubernetes.Interface, get func(string) string) (*Self, error) {
	data, err := os.ReadFile(namespaceFile)
	if err != nil {
		return nil, fmt.Errorf("this process does not run in a pod of Kubernetes: %w", err)
	}
	return findSelf(ctx, client, strings.TrimSpace(string(data)), get)
}

func findSelf(ctx context.Context, client kubernetes.Interface, namespace string, get func(string) string) (*Self, error) {
	host := get("HOSTNAME")
	if host == "" {
		return nil, errors.New("HOSTNAME is not set: it names the target's own pod, and must not be overwritten")
	}
	p, err := client.CoreV1().Pods(namespace).Get(ctx, host, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("the target's own pod %s/%s (by HOSTNAME): %w", namespace, host, err)
	}
	s := &Self{Namespace: namespace, Node: get(EnvNode), PullSecrets: p.Spec.ImagePullSecrets,
		Owner: &metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID}}
	if s.Node == "" {
		s.Node = p.Spec.NodeName
	}
	if s.Node == "" {
		return nil, fmt.Errorf("the target's own pod %s/%s is on no node yet: set %s", namespace, host, EnvNode)
	}
	s.share(&p.Spec)
	return s, nil
}

// share takes the volumes over that two pods can have at once and that hold
// data: no emptyDir, which is a pod's own, and no credentials.
func (s *Self) share(spec *corev1.PodSpec) {
	shared := map[string]bool{}
	for _, v := range spec.Volumes {
		if v.HostPath != nil || v.PersistentVolumeClaim != nil || v.NFS != nil || v.CSI != nil {
			shared[v.Name] = true
			s.Volumes = append(s.Volumes, v)
		}
	}
	if len(spec.Containers) == 0 {
		return
	}
	for _, m := range spec.Containers[0].VolumeMounts {
		if shared[m.Name] {
			m.ReadOnly = true
			s.Mounts = append(s.Mounts, m)
		}
	}
}
