package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// podman is an engine whose nodes never come up: run lasts until somebody
// removes what it makes, of which names tells.
const podman = `#!/bin/sh
cd "${0%/*}"
case "$1 $2" in
"--version "*) echo podman version 4.3.1 ;;
"version "*) echo 4.3.1 ;;
"run "*)
	for name; do case $name in fake-*) break ;; esac; done
	echo $$ >"nodes/$name"
	while [ -e "nodes/$name" ]; do sleep 0.05; done
	echo "$name is gone" >&2
	exit 1 ;;
"ps "*) case "$*" in *label=io.x-k8s.kind.cluster=fake*) ls nodes ;; *) [ -z "$(ls nodes)" ] || echo fake ;; esac ;;
"rm "*) shift; for name; do rm -f "nodes/$name"; done ;;
"info "*) echo '{}' ;;
esac
`

// engineOf puts the engine into the PATH, and gives the folder of its nodes.
func engineOf(t *testing.T) (nodes string) {
	dir := t.TempDir()
	nodes = filepath.Join(dir, "nodes")
	require.NoError(t, os.Mkdir(nodes, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "podman"), []byte(podman), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return nodes
}

// interrupted creates a cluster, and interrupts that as soon as there are nodes.
func interrupted(t *testing.T, keep bool) (c *Cluster, nodes string) {
	nodes = engineOf(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop it")
	go func() {
		for ctx.Err() == nil {
			if list, _ := os.ReadDir(nodes); len(list) > 0 {
				cancel(stop)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	c, err := Create(ctx, Config{Name: "fake", Provider: "podman", NodeImage: "localhost/node", Workers: 1,
		Kubeconfig: filepath.Join(t.TempDir(), "config"), Keep: keep})
	require.ErrorIs(t, err, stop)
	require.NotNil(t, c)
	return c, nodes
}

func TestInterruptedCreate(t *testing.T) {
	_, nodes := interrupted(t, false)
	list, err := os.ReadDir(nodes)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestInterruptedAndKept(t *testing.T) {
	c, nodes := interrupted(t, true)
	list, err := os.ReadDir(nodes)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.NoError(t, c.Delete())
	// Kind itself goes on until its process ends: what it made is gone again.
	require.Eventually(t, func() bool {
		list, err := os.ReadDir(nodes)
		return err == nil && (len(list) == 0 || c.Delete() != nil)
	}, time.Minute, 50*time.Millisecond)
}

func TestCreateTaken(t *testing.T) {
	nodes := engineOf(t)
	require.NoError(t, os.WriteFile(filepath.Join(nodes, "fake-worker"), nil, 0o600))
	c, err := Create(t.Context(), Config{Name: "fake", Provider: "podman"})
	require.ErrorIs(t, err, ErrExists)
	require.Nil(t, c)
	require.FileExists(t, filepath.Join(nodes, "fake-worker"))
}

// TestReader: what streams an image ends with the context.
func TestReader(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &reader{ctx, strings.NewReader("abc")}
	b := make([]byte, 2)
	n, err := r.Read(b)
	require.Equal(t, 2, n)
	require.NoError(t, err)
	stop := errors.New("stop it")
	cancel(stop)
	_, err = r.Read(b)
	require.Equal(t, stop, err)
}
