// Package kube puts a reference cluster onto a Kubernetes: what it consists of,
// as manifests, which are applied, waited for, looked at and removed again.
//
// Read manifest.go for what that is, wait.go for when it is up or never will be,
// and loaders.go for loaders beside it. How a target runs its pods there is in
// cluster/pod/kube.
package kube

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config of a cluster. Namespace, Image, Proxies, Targets and Sync are required.
type Config struct {
	Namespace string // it has one cluster at most
	// Image has this program as its entrypoint.
	Image            string
	Proxies, Targets int
	Sync             string // store.ParseSync
	// StorageClass is of the claims that keep the nodes' data; "": the data is
	// gone with the pod (emptyDir).
	StorageClass string
	TargetCPUs   float64 // limit of each target, a half for itself and one for each of its pods; 0: none
	// SharedCPUs tells that nodes share the CPUs that they have, as those of
	// kind do: limits are not reserved.
	SharedCPUs bool
	TargetArgs []string // more arguments of every target
}

// PodCPUs is the limit of each pod of a target. Kubernetes can hold a pod to
// something, not two of them together.
func (c *Config) PodCPUs() float64 { return c.TargetCPUs / 2 }

// Cluster is a Kubernetes with, or for, a cluster of ours. Methods may be
// called concurrently.
type Cluster struct {
	namespace string
	context   string
	config    *rest.Config
	client    kubernetes.Interface
	dynamic   dynamic.Interface
}

// ErrNotFound is a namespace without a cluster of ours.
var ErrNotFound = errors.New("no cluster of etlbench there")

// Limits of how often the API server is asked; there are some twenty objects.
const (
	queriesPerSecond = 50
	queriesAtOnce    = 100
)

// New uses the Kubernetes of a client configuration.
func New(config *rest.Config, namespace string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = queriesPerSecond, queriesAtOnce
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{namespace: namespace, config: config, client: client, dynamic: dyn}, nil
}

// Open uses the Kubernetes of a kubeconfig file, or of several as in
// KUBECONFIG, and one of their contexts. "" is the file, and the context, that
// kubectl would use.
func Open(file, context, namespace string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if files := filepath.SplitList(file); len(files) > 1 {
		rules.Precedence = files
	} else {
		rules.ExplicitPath = file
	}
	client := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	config, err := client.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no kubeconfig tells of a Kubernetes: set KUBECONFIG, or give one by --kubeconfig")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	c, err := New(config, namespace)
	if err != nil {
		return nil, err
	}
	raw, err := client.RawConfig()
	c.context = cmp.Or(context, raw.CurrentContext)
	return c, err
}

// Context is the one of the kubeconfig that Open took; "" of New.
func (c *Cluster) Context() string { return c.context }
