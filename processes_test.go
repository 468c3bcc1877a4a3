package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEndpointProcesses: who listens at a URL is found, and what it started.
func TestEndpointProcesses(t *testing.T) {
	s := httptest.NewServer(nil)
	defer s.Close()
	child := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	pids := endpointProcesses()(s.URL)
	require.Equal(t, []int{os.Getpid()}, pids["target"])
	require.Contains(t, pids["transformer"], child.Process.Pid)
	require.Empty(t, endpointProcesses()("http://192.0.2.1:80"), "not on this machine")
}
