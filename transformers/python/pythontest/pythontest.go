// Package pythontest makes Python packages for tests that install some: a
// folder of them is an index that needs no network.
package pythontest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Wheel writes a wheel of some modules, by file name, for any Python into dir.
// requires are other packages that it needs.
func Wheel(t testing.TB, dir, name, version string, modules map[string]string, requires ...string) {
	t.Helper()
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	files := maps.Clone(modules)
	files[info+"METADATA"] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	for _, r := range requires {
		files[info+"METADATA"] += "Requires-Dist: " + r + "\n"
	}
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
	record := info + "RECORD,,\n"
	for file := range files {
		record += file + ",,\n"
	}
	files[info+"RECORD"] = record

	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(file)
		require.NoError(t, err)
		_, err = f.Write([]byte(files[file]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	file := fmt.Sprintf("%s-%s-py2.py3-none-any.whl", name, version)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o644))
}

// Source writes a source package into dir which pip builds by running the
// function build_wheel of backend, a Python module, and nothing from elsewhere.
func Source(t testing.TB, dir, name, version, backend string) {
	t.Helper()
	top := name + "-" + version
	files := map[string]string{
		top + "/PKG-INFO":       fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		top + "/pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
		top + "/backend.py":     backend,
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(files[file]))}))
		_, err := w.Write([]byte(files[file]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, top+".tar.gz"), b.Bytes(), 0o644))
}
