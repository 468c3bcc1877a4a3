//go:build kind

package kube_test

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/etlbench/etlbench/cluster/api"
)

func envVar(name, value string) api.EnvVar { return api.EnvVar{Name: name, Value: value} }

func quantity(s string) *resource.Quantity {
	q := resource.MustParse(s)
	return &q
}
