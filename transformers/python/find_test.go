package python_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/transformers/python"
)

// fakePython writes a script that answers like an interpreter of that version
// which is really somewhere else, as a shim is.
func fakePython(t *testing.T, dir, name, version string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' '/real/%[1]s/bin/python' '/real/%[1]s' '%[1]s'\n", version)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700))
}

func TestFind(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	fakePython(t, first, "python3", "3 8 18")
	fakePython(t, first, "python3.10", "3 10 1")
	fakePython(t, second, "python3", "3 11 7")
	fakePython(t, second, "python3.11", "3 11 7")
	fakePython(t, second, "python3.10", "3 10 9")
	fakePython(t, second, "python2.7", "2 7 18")
	fakePython(t, second, "python3.11-config", "3 99 0")
	require.NoError(t, os.WriteFile(filepath.Join(second, "python3.6"), []byte("#!/bin/sh\nexit 127\n"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(second, "python"), []byte("#!/bin/sh\necho hello\n"), 0o700))
	t.Setenv("PATH", filepath.Join(first, "nowhere")+":"+first+":"+second)

	for _, c := range []struct{ name, want, wantErr string }{
		{name: "python3.8", want: "/real/3 8 18/bin/python"},
		{name: "python3.8v2", want: "/real/3 8 18/bin/python"},
		{name: "python3.10", want: "/real/3 10 9/bin/python"},
		{name: "python3.10v2", want: "/real/3 10 9/bin/python"},
		{name: "python2", want: "/real/2 7 18/bin/python"},
		{name: "python3.6", wantErr: `runtime "python3.6" needs Python 3.6, which is not on PATH; installed: 3.`},
		// The rows of the reference's tables of runtimes that are not above.
		{name: "python3", want: "/real/3 11 7/bin/python"},
		{name: "python3.11v2", want: "/real/3 11 7/bin/python"},
		// And what else may be asked for.
		{name: "python3.11", want: "/real/3 11 7/bin/python"},
		{name: "python2.7", want: "/real/2 7 18/bin/python"},
		{name: "python3.9v2", wantErr: `runtime "python3.9v2" needs Python 3.9, which is not on PATH; installed: 3.11.7 (/real/3 11 7/bin/python)`},
		{name: "python3.1", wantErr: `runtime "python3.1" needs Python 3.1, which is not on PATH`},
		{name: "", wantErr: `unknown runtime ""`},
		{name: "python3v2", wantErr: `unknown runtime "python3v2": must be python2 or python3, or one with a version, such as python3.11`},
		{name: "python4", wantErr: `unknown runtime "python4"`},
		{name: "python3.8\n", wantErr: `unknown runtime "python3.8\n"`},
		{name: "../bin/sh", wantErr: `unknown runtime "../bin/sh"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := python.Find(t.Context(), c.name)
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got.Path)
		})
	}
}

func TestFindNewestAndInstalled(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	fakePython(t, dir, "python3", "3 9 1")
	fakePython(t, dir, "python3.10", "3 10 1")
	fakePython(t, dir, "python", "3 9 1")
	t.Setenv("PATH", dir)
	got, err := python.Find(t.Context(), "python3")
	require.NoError(t, err)
	require.Equal(t, "3.10.1 (/real/3 10 1/bin/python)", got.String())
	require.Len(t, python.Installed(t.Context()), 2)

	t.Setenv("PATH", empty)
	_, err = python.Find(t.Context(), "python3")
	require.ErrorContains(t, err, `runtime "python3" needs Python 3, which is not on PATH; installed: none`)
}

func TestFoundInterpretersRun(t *testing.T) {
	for _, i := range python.Installed(t.Context()) {
		require.NoError(t, python.Check(t.Context(), i.Path, module(t, "def transform(b): return b"), python.Functions{}, false), i.String())
	}
}

func TestRuntimesOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	fakePython(t, dir, "python3", "3 9 1")
	fakePython(t, dir, "mine", "3 12 4")
	t.Setenv("PATH", dir)
	r := python.Runtimes{}
	require.NoError(t, r.Set("python3.8="+dir+"/mine"))
	require.NoError(t, r.Set("python3.8v2="+dir+"/mine"))
	require.NoError(t, r.Set("python2="+dir+"/nosuch"))
	for _, name := range []string{"python3.8", "python3.8v2"} {
		got, err := r.Find(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, "3.12.4 (/real/3 12 4/bin/python)", got.String())
	}
	got, err := r.Find(t.Context(), "python3")
	require.NoError(t, err)
	require.Equal(t, 9, got.Minor)
	_, err = r.Find(t.Context(), "python2")
	require.ErrorContains(t, err, `runtime "python2" was mapped to `+dir+`/nosuch, which does not run as a Python`)

	require.ErrorContains(t, r.Set("python3.8"), `"python3.8": must be NAME=PATH`)
	require.ErrorContains(t, r.Set("python3.8="), "must be NAME=PATH")
	require.ErrorContains(t, r.Set("ruby=/usr/bin/ruby"), `unknown runtime "ruby"`)
	require.ErrorContains(t, r.Set("python3.8v2=/elsewhere"), "is "+dir+"/mine already")
}
