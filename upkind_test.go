package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stuckPodman is an engine whose nodes never come up: run lasts until somebody
// removes what it makes, of which the folder nodes tells.
const stuckPodman = `#!/bin/sh
cd "${0%/*}"
case "$1 $2" in
"--version "*) echo podman version 4.3.1 ;;
"run "*)
	for name; do case $name in etlbench-stuck-*) break ;; esac; done
	echo $$ >"nodes/$name"
	while [ -e "nodes/$name" ]; do sleep 0.05; done
	exit 1 ;;
"ps "*) case "$*" in *label=io.x-k8s.kind.cluster=*) ls nodes ;; *) [ -z "$(ls nodes)" ] || echo etlbench-stuck ;; esac ;;
"rm "*) shift; for name; do rm -f "nodes/$name"; done ;;
"image "*) exit 1 ;;
"info "*) echo '{}' ;;
esac
`

// TestInterruptedUpOnKind: Ctrl-C while nodes are made removes them, and what
// tells of them.
func TestInterruptedUpOnKind(t *testing.T) {
	engine, state := t.TempDir(), t.TempDir()
	nodes := filepath.Join(engine, "nodes")
	require.NoError(t, os.Mkdir(nodes, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(engine, "podman"), []byte(stuckPodman), 0o700))
	exe := program(t)
	t.Setenv("PATH", strings.Join([]string{engine, filepath.Dir(exe), os.Getenv("PATH")}, string(filepath.ListSeparator)))
	t.Setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
	t.Setenv("KUBECONFIG", filepath.Join(state, "of-the-user"))
	p := startAt(t, t.TempDir(), state, "up", "--on", "kind", "--name", "stuck", "--targets", "1", "--node-image", "localhost/node")
	p.says(`making the kind cluster`)
	require.Eventually(t, func() bool {
		list, err := os.ReadDir(nodes)
		return err == nil && len(list) > 0
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.Equal(t, exitInterrupted, p.code(), "%s", p.stderr())
	require.Contains(t, p.stderr(), "removing what did not come up")
	list, err := os.ReadDir(nodes)
	require.NoError(t, err)
	require.Empty(t, list)
	left, err := filepath.Glob(filepath.Join(state, "etlbench", "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(state, "etlbench", "stuck.lock")}, left)
	require.NoFileExists(t, filepath.Join(state, "of-the-user"))
}
