package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/etlbench/etlbench/cluster/api"
)

// plain is an object as it is sent: without what Kubernetes fills in.
func plain(o runtime.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: fields}
	for _, path := range [][]string{{"status"}, {"metadata", "creationTimestamp"}, {"spec", "template", "metadata", "creationTimestamp"}} {
		unstructured.RemoveNestedField(u.Object, path...)
	}
	if u.GetKind() == "Namespace" {
		unstructured.RemoveNestedField(u.Object, "spec")
	}
	claims, _, _ := unstructured.NestedSlice(u.Object, "spec", "volumeClaimTemplates")
	for _, c := range claims {
		delete(c.(map[string]any), "status")
	}
	if claims != nil {
		err = unstructured.SetNestedSlice(u.Object, claims, "spec", "volumeClaimTemplates")
	}
	return u, err
}

// YAML is the manifests as kubectl apply takes them.
func YAML(list []runtime.Object) ([]byte, error) {
	var b bytes.Buffer
	for _, o := range list {
		u, err := plain(o)
		if err != nil {
			return nil, err
		}
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "---\n%s", data)
	}
	return b.Bytes(), nil
}

// Apply makes the cluster what the configuration says, a new one or the one
// that is there. A namespace that it makes is its own, and goes with it.
func (c *Cluster) Apply(ctx context.Context, cfg Config) error {
	if err := c.checkSizes(ctx, cfg); err != nil {
		return err
	}
	secret, err := c.secret(ctx)
	if err != nil {
		return err
	}
	for _, o := range Manifests(cfg, secret) {
		u, err := plain(o)
		if err != nil {
			return err
		}
		if u.GetKind() == "Namespace" {
			err = c.makeNamespace(ctx, u)
		} else {
			resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
			_, err = c.dynamic.Resource(resource).Namespace(c.namespace).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: app, Force: true})
		}
		if err != nil {
			return fmt.Errorf("apply %s %s/%s: %w", u.GetKind(), c.namespace, u.GetName(), err)
		}
	}
	return nil
}

// makeNamespace makes the namespace, marked as our own, unless there is one:
// that is somebody else's, and stays.
func (c *Cluster) makeNamespace(ctx context.Context, u *unstructured.Unstructured) error {
	u.SetLabels(map[string]string{labelName: app, labelManaged: app})
	resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	_, err := c.dynamic.Resource(resource).Create(ctx, u, metav1.CreateOptions{FieldManager: app})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// secret is the one that the nodes of a cluster know each other by, "" when
// there is none yet.
func (c *Cluster) secret(ctx context.Context) (string, error) {
	s, err := c.client.CoreV1().Secrets(c.namespace).Get(ctx, app, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("secret %s/%s: %w", c.namespace, app, err)
	}
	return string(s.Data[secretKey]), nil
}

// checkSizes refuses to take nodes from a cluster: the objects of a target
// would be lost, and without a majority of the proxies nothing could change.
func (c *Cluster) checkSizes(ctx context.Context, cfg Config) error {
	sets := c.client.AppsV1().StatefulSets(c.namespace)
	var errs []error
	for kind, want := range map[string]int{api.TypeProxy: cfg.Proxies, api.TypeTarget: cfg.Targets} {
		s, err := sets.Get(ctx, setName(kind), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("stateful set %s/%s: %w", c.namespace, setName(kind), err)
		}
		if have := replicas(s); have > want {
			errs = append(errs, fmt.Errorf("namespace %s has a cluster with %d %ss, which cannot become %d: take it down first, with etlbench down", c.namespace, have, kind, want))
		}
	}
	return errors.Join(errs...)
}

func replicas(s *appsv1.StatefulSet) int {
	if s.Spec.Replicas == nil {
		return 1
	}
	return int(*s.Spec.Replicas)
}
