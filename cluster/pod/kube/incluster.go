package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// EnvHostIP is the environment variable with the address of the node on which
// a pod runs (status.hostIP).
const EnvHostIP = "HOST_IP"

// InCluster is a client with the rights of this process's own pod.
func InCluster() (kubernetes.Interface, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("this process does not run in a pod of Kubernetes: %w", err)
	}
	return NewClient(config)
}

// Limits of what a client asks in a second, and at once. Those of client-go, 5
// and 10, would make pods of many ETLs wait for each other.
const (
	clientQPS   = 50
	clientBurst = 100
)

// NewClient is a client that a Runtime can be made with.
func NewClient(config *rest.Config) (kubernetes.Interface, error) {
	c := rest.CopyConfig(config)
	c.QPS, c.Burst = clientQPS, clientBurst
	return kubernetes.NewForConfig(c)
}

// PublicURL is where what is outside of Kubernetes reaches this process's pod:
// its node's address, and the node port of the Service of the pod's name. get
// looks up environment variables.
func PublicURL(ctx context.Context, client kubernetes.Interface, get func(string) string) (string, error) {
	data, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("this process does not run in a pod of Kubernetes: %w", err)
	}
	return publicURL(ctx, client, strings.TrimSpace(string(data)), get)
}

func publicURL(ctx context.Context, client kubernetes.Interface, namespace string, get func(string) string) (string, error) {
	host, name := get(EnvHostIP), get("HOSTNAME")
	if host == "" || name == "" {
		return "", errors.New(EnvHostIP + " and HOSTNAME must be set, to the address of the pod's node and the name of the pod")
	}
	s, err := client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the service of this pod, %s/%s: %w", namespace, name, err)
	}
	if len(s.Spec.Ports) == 0 || s.Spec.Ports[0].NodePort == 0 {
		return "", fmt.Errorf("service %s/%s has no node port: it must be of type NodePort", namespace, name)
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(s.Spec.Ports[0].NodePort))), nil
}
