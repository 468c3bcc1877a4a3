package results_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

func TestABundleIsTheFolder(t *testing.T) {
	dir := shared{begin: start, last: 2, yaml: "a: 1\n"}.write(t)
	trace := filepath.Join(t.TempDir(), "my trace")
	require.NoError(t, os.WriteFile(trace, []byte("0.1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "report.md"), []byte("can be made again"), 0o600))
	var b bytes.Buffer
	require.NoError(t, results.WriteBundle(&b, dir, map[string]string{results.TraceFile: trace}))
	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, results.ReadBundle(&b, out))
	was, err := results.Read(dir)
	require.NoError(t, err)
	is, err := results.Read(out)
	require.NoError(t, err)
	is.Dir = was.Dir
	require.Equal(t, was, is)
	data, err := os.ReadFile(filepath.Join(out, results.TraceFile))
	require.NoError(t, err)
	require.Equal(t, "0.1\n", string(data))
	require.NoFileExists(t, filepath.Join(out, "report.md"))
}

// TestForeignBundles: nothing but a bundle's own files is ever written.
func TestForeignBundles(t *testing.T) {
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 2, Mode: 0o777}
	}
	for _, c := range []struct {
		name string
		list []tar.Header
		want string
	}{
		{"above", []tar.Header{file("../summary.json")}, `"../summary.json" is nothing that a bundle has`},
		{"absolute", []tar.Header{file("/tmp/summary.json")}, "is nothing that a bundle has"},
		{"below", []tar.Header{file("a/summary.json")}, "is nothing that a bundle has"},
		{"another", []tar.Header{file("report.html")}, "is nothing that a bundle has"},
		{"a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "summary.json", Linkname: "/etc/passwd"}}, "is nothing that a bundle has"},
		{"a hard link", []tar.Header{{Typeflag: tar.TypeLink, Name: "summary.json", Linkname: "/etc/passwd"}}, "is nothing that a bundle has"},
		{"a folder", []tar.Header{{Typeflag: tar.TypeDir, Name: "summary.json"}}, "is nothing that a bundle has"},
		{"twice", []tar.Header{file("scenario.yaml"), file("scenario.yaml")}, "file exists"},
		{"not all", []tar.Header{file("scenario.yaml")}, "summary.json"},
		{"huge", []tar.Header{{Typeflag: tar.TypeReg, Name: "ops.hlog", Size: 5 << 30}}, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			zip := gzip.NewWriter(&b)
			w := tar.NewWriter(zip)
			for _, h := range c.list {
				require.NoError(t, w.WriteHeader(&h))
				if h.Size == 2 {
					_, err := w.Write([]byte("{}"))
					require.NoError(t, err)
				}
			}
			_ = w.Close() // of the huge one it complains that it is not there
			require.NoError(t, zip.Close())
			root := t.TempDir()
			require.ErrorContains(t, results.ReadBundle(&b, filepath.Join(root, "out")), c.want)
			left, err := os.ReadDir(root)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	require.ErrorContains(t, results.ReadBundle(bytes.NewReader([]byte("text")), filepath.Join(t.TempDir(), "out")), "no bundle")
}
