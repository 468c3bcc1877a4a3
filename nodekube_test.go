package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func TestPythonImages(t *testing.T) {
	for _, tt := range []struct {
		name    string
		choices []string
		runtime string
		want    string
	}{
		{"published", nil, "python3", "python:3.11-slim"},
		{"published of a version", nil, "python3.8v2", "python:3.8-slim"},
		{"published of Python 2", nil, "python2", "python:2.7-slim"},
		{"chosen", []string{"localhost/python:3.11"}, "python3", "localhost/python:3.11"},
		{"chosen for another", []string{"localhost/python:3.11"}, "python3.12", "python:3.12-slim"},
		{"chosen for a runtime", []string{"a:1", "python3.8=b:5000/c@sha256:00"}, "python3.8", "b:5000/c@sha256:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f pythonImagesFlag
			for _, c := range tt.choices {
				require.NoError(t, f.Set(c))
			}
			got, err := f.image(tt.runtime)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	var f pythonImagesFlag
	for _, bad := range []string{"", "ruby=x", "python3=", "a b", "python3.8=a=b"} {
		require.Error(t, f.Set(bad), bad)
	}
	_, err := f.image("ruby")
	require.ErrorContains(t, err, "--python-image ruby=IMAGE")
}

func TestSampleArgs(t *testing.T) {
	table, err := images("", "")
	require.NoError(t, err)
	find := sampleArgs(table)
	args, ok := find("etlbench/md5:latest")
	require.True(t, ok)
	require.Equal(t, []string{"transform", "md5"}, args)
	_, ok = find("example.com/md5")
	require.False(t, ok)
}

func TestPodInstallEnv(t *testing.T) {
	require.Equal(t, map[string]string{"ETLBENCH_INSTALL_PIP_INDEX_URL": "u", "ETLBENCH_INSTALL_HTTPS_PROXY": "p"},
		podInstallEnv([]string{"PIP_INDEX_URL=u", "HTTPS_PROXY=p", "PATH=/bin", "HOME=/"}))
}

func TestCheckPods(t *testing.T) {
	for _, tt := range []struct {
		flags nodeFlags
		want  string
	}{
		{nodeFlags{pods: podsKube, image: "x", podCPUs: 0.01, sharedCPUs: true}, ""},
		{nodeFlags{pods: podsProcess}, ""},
		{nodeFlags{pods: "vm"}, "must be process or kube"},
		{nodeFlags{pods: podsProcess, podCPUs: 1}, "go with --pods kube"},
		{nodeFlags{pods: podsProcess, sharedCPUs: true}, "go with --pods kube"},
		{nodeFlags{pods: podsKube, image: "x", podCPUs: math.NaN()}, "must be 0.01 or more"},
		{nodeFlags{pods: podsKube, image: "x", podCPUs: -1}, "must be 0.01 or more"},
	} {
		err := tt.flags.checkPods()
		if tt.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tt.want)
		}
	}
}

// TestLimits: on Kubernetes target and pod have a limit each.
func TestLimits(t *testing.T) {
	for on, want := range map[string]string{
		onLocal: "0.5 CPUs, 1 MiB/s",
		onKind:  "0.5 CPUs (0.25 of them its pod's), 1 MiB/s",
		onKube:  "0.5 CPUs (0.25 of them its pod's) reserved, 1 MiB/s",
	} {
		f := upFlags{cpu: 50, link: 1 << 20, kubeFlags: kubeFlags{on: on}}
		l := f.limits()
		require.Equal(t, want, l.String())
		require.Equal(t, on == onKube, l.Reserved)
		require.NoError(t, checkLimits(scenarios.Target{CPU: 50, Link: 1 << 20}, &l))
		require.Error(t, checkLimits(scenarios.Target{CPU: 40, Link: 1 << 20}, &l))
	}
}
