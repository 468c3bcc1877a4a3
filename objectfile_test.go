package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSaveAsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			return errors.Join(werr, err)
		}
	}
	cut := errors.New("cut")

	_, err := saveAs(file, "base", write("half", cut))
	require.ErrorIs(t, err, cut)
	require.NoFileExists(t, file)
	_, err = saveAs(file, "base", write("whole", nil))
	require.NoError(t, err)
	_, err = saveAs(file, "base", write("half", cut))
	require.ErrorIs(t, err, cut)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "whole", string(data))

	// A link leads on to its file; a folder takes the name; a device stays one.
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
	_, err = saveAs(filepath.Join(dir, "link"), "base", write("linked", nil))
	require.NoError(t, err)
	data, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "linked", string(data))
	to, err := saveAs(dir, "base", write("in a folder", nil))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "base"), to)
	require.FileExists(t, to)
	_, err = saveAs(os.DevNull, "base", write("x", nil))
	require.NoError(t, err)
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())

	left, err := filepath.Glob(filepath.Join(dir, ".etlbench-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPlanOfUploads(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, f := range []string{"top", "tree/a", "tree/sub/b", "other/a"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(f), 0o755))
		require.NoError(t, os.WriteFile(f, []byte(f), 0o600))
	}
	require.NoError(t, os.Symlink("../top", "tree/link"))
	require.NoError(t, os.Symlink("tree", "linked"))
	tests := []struct {
		name    string
		sources []string
		to      string
		want    []string // names
		err     string
	}{
		{"a file by its own name", []string{"tree/a"}, "", []string{"a"}, ""},
		{"a file into a folder", []string{"tree/a"}, "d/", []string{"d/a"}, ""},
		{"a file by another name", []string{"top"}, "d/x", []string{"d/x"}, ""},
		{"a folder", []string{"tree"}, "", []string{"a", "link", "sub/b"}, ""},
		{"a folder below a name", []string{"tree/"}, "d", []string{"d/a", "d/link", "d/sub/b"}, ""},
		{"a link to a folder", []string{"linked"}, "", []string{"a", "link", "sub/b"}, ""},
		{"several", []string{"top", "tree"}, "d/", []string{"d/top", "d/a", "d/link", "d/sub/b"}, ""},
		{"standard input", []string{"-"}, "x", []string{"x"}, ""},
		{"standard input without a name", []string{"-"}, "d/", nil, "has no name of its own"},
		{"the same name twice", []string{"tree", "other"}, "", nil, `other/a: it would overwrite tree/a, which has the name "a" too`},
		{"nothing there", []string{"top", "nosuch"}, "", nil, "nosuch: no such file"},
		{"no file", []string{os.DevNull}, "", nil, "is neither a file nor a folder"},
		{"a name that is none", []string{"top"}, "../x", nil, "invalid object name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := plan(tt.sources, tt.to)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, u := range list {
				names = append(names, u.name)
			}
			require.Equal(t, tt.want, names)
		})
	}
	require.NoError(t, os.Symlink(".", "tree/circle"))
	_, err := plan([]string{"tree"}, "")
	require.ErrorContains(t, err, "tree/circle: is not a file")
}
