package main

import (
	"testing"

	"github.com/stretchr/testify/require"
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
