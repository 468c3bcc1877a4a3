package kind

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// build compiles a program that does nothing.
func build(t *testing.T, cgo string) string {
	dir := t.TempDir()
	src := "package main\n\nfunc main() {}\n"
	if cgo == "1" {
		src = "package main\n\nimport \"C\"\n\nfunc main() {}\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(src), 0o644))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "exe", "main.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED="+cgo, "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(dir, "exe")
}

func TestImage(t *testing.T) {
	exe := build(t, "0")
	img, err := NewImage(exe)
	require.NoError(t, err)
	again, err := NewImage(exe)
	require.NoError(t, err)
	require.Regexp(t, `^localhost/etlbench:[0-9a-f]{12}$`, img.Name)
	require.Equal(t, img.Name, again.Name, "its name is made of what is in it")

	var archive bytes.Buffer
	require.NoError(t, img.Write(&archive))
	read, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }, &img.ref)
	require.NoError(t, err)
	file, err := read.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{Program}, file.Config.Entrypoint)
	require.Equal(t, "65532:65532", file.Config.User)
	require.Equal(t, runtime.GOARCH, file.Architecture)

	want, err := os.ReadFile(exe)
	require.NoError(t, err)
	found := map[string]int64{}
	layers := mutate.Extract(read)
	defer layers.Close()
	for r := tar.NewReader(layers); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		found[h.Name] = h.Mode
		if h.Name == "etlbench" {
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		}
	}
	require.Equal(t, map[string]int64{"tmp": 0o1777, "etlbench": 0o755}, found)
}

func TestImageRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	_, err := NewImage(script)
	require.ErrorContains(t, err, "it is no Linux executable")
	_, err = NewImage(filepath.Join(t.TempDir(), "nosuch"))
	require.ErrorIs(t, err, os.ErrNotExist)
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("a program that is linked dynamically is made with gcc, which is not here")
	}
	_, err = NewImage(build(t, "1"))
	require.ErrorContains(t, err, "build it with CGO_ENABLED=0")
}
