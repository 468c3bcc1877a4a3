package python_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers/python"
	"github.com/etlbench/etlbench/transformers/python/pythontest"
)

// greeting writes a wheel, and returns requirements that find it.
func greeting(t *testing.T) (requirements string) {
	wheels := t.TempDir()
	pythontest.Wheel(t, wheels, "greeting", "1.2", map[string]string{"greeting.py": "import other\ntext = other.text\n"}, "other")
	pythontest.Wheel(t, wheels, "other", "3.0", map[string]string{"other.py": "text = b'hello'\n"})
	return "--no-index\n--find-links " + wheels + "\ngreeting==1.2\n"
}

func config(path string, requirements []byte, dir string, log io.Writer) python.InstallConfig {
	return python.InstallConfig{Python: path, Requirements: requirements, Dir: dir, Env: os.Environ(), Log: log}
}

const greet = "import greeting\ndef transform(b): return greeting.text + b"

// install installs into dir and has both kinds of workers use it.
func install(t *testing.T, path, requirements, dir string, log *bytes.Buffer) error {
	t.Helper()
	e, err := python.Install(t.Context(), config(path, []byte(requirements), dir, log))
	if err != nil {
		return err
	}
	defer e.Close()
	env := e.Environ(append(os.Environ(), "PYTHONPATH=/nowhere"))
	h := start(t, python.Config{Python: path, Workers: 1, Env: env}, greet)
	got, err := transform(t, h, " you", comm.Info{})
	require.NoError(t, err)
	require.Equal(t, "hello you", got)

	argv, err := python.IOCommand(path, module(t, greet), python.Functions{})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env, cmd.Stdin = env, strings.NewReader(" io")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "hello io", string(out))
	return nil
}

// TestInstallWithEveryVersion runs where other Pythons than the newest are on
// PATH.
func TestInstallWithEveryVersion(t *testing.T) {
	requirements, dir := greeting(t), filepath.Join(t.TempDir(), "envs")
	for _, i := range python.Installed(t.Context()) {
		t.Run(fmt.Sprint(i.Major, ".", i.Minor), func(t *testing.T) {
			tools := i.Tools(t.Context())
			var log bytes.Buffer
			err := install(t, i.Path, requirements, dir, &log)
			if !tools.Usable() {
				require.ErrorContains(t, err, "neither pip nor venv: install pip for "+i.Path)
				return
			}
			require.NoError(t, err)
			require.Contains(t, log.String(), "installing dependencies for Python "+i.String())
			require.Contains(t, log.String(), "Successfully installed")
			log.Reset()
			require.NoError(t, install(t, i.Path, requirements, dir, &log))
			require.Empty(t, log.String(), "made once")
		})
	}
}

// withTools skips a test where nothing can be installed.
func withTools(t *testing.T) string {
	i, err := find3()
	if err != nil || !i.Tools(t.Context()).Usable() {
		t.Skipf("needs a Python 3 on PATH with pip or venv: %v", err)
	}
	return i.Path
}

func TestInstallOfNothingNeedsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "envs")
	for _, text := range []string{"", "\n# numpy\n  \n"} {
		e, err := python.Install(t.Context(), config("/nowhere/python3", []byte(text), dir, os.Stderr))
		require.NoError(t, err)
		require.Nil(t, e)
	}
	require.NoDirExists(t, dir)
}

// TestInstallWithoutPip has an interpreter with venv only, and one with neither.
func TestInstallWithoutPip(t *testing.T) {
	path := withTools(t)
	if i, _ := find3(); !i.Tools(t.Context()).Venv {
		t.Skipf("%s has no venv", i)
	}
	bare := t.TempDir()
	out, err := exec.CommandContext(t.Context(), path, "-m", "venv", "--without-pip", bare).CombinedOutput()
	require.NoError(t, err, string(out))
	requirements, dir := greeting(t), t.TempDir()
	require.NoError(t, install(t, bare+"/bin/python", requirements, dir, &bytes.Buffer{}))

	// Debian's interpreter without python3-venv has no ensurepip.
	lib, err := filepath.Glob(bare + "/lib/python*/site-packages")
	require.NoError(t, err)
	require.Len(t, lib, 1)
	require.NoError(t, os.WriteFile(lib[0]+"/sitecustomize.py", []byte("import sys\nsys.modules['ensurepip'] = None\n"), 0o600))
	err = install(t, bare+"/bin/python", requirements, t.TempDir(), &bytes.Buffer{})
	require.ErrorContains(t, err, "has neither pip nor venv: install pip for "+bare+"/bin/python; on Debian and Ubuntu: apt-get install python3-pip, or python3.")
}

func TestInstallFails(t *testing.T) {
	path := withTools(t)
	for _, c := range []struct{ name, requirements, want string }{
		{"package", "--no-index\nnosuch==1.0\n", "ERROR: Could not find a version that satisfies the requirement nosuch==1.0 (from versions: none); ERROR: No matching distribution found for nosuch==1.0"},
		{"syntax", "a b c\n", "Invalid requirement: 'a b c'"},
		{"file", "-r /etc/passwd", "line 1: -r: not an option that is allowed here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := python.Install(t.Context(), config(path, []byte(c.requirements), dir, &bytes.Buffer{}))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
			left, err := filepath.Glob(dir + "/*[^k]") // all but the lock
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	_, err := python.Install(t.Context(), config("/nowhere/python3", []byte("x"), t.TempDir(), &bytes.Buffer{}))
	require.ErrorContains(t, err, "/nowhere/python3 does not run as a Python")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = python.Install(t.Context(), config(path, []byte("x"), file+"/envs", &bytes.Buffer{}))
	require.ErrorIs(t, err, syscall.ENOTDIR)
}

func TestInstallByEnvironmentVariables(t *testing.T) {
	path, dir := withTools(t), t.TempDir()
	wheels := strings.Fields(greeting(t))[2]
	t.Setenv("PIP_NO_INDEX", "1")
	_, err := python.Install(t.Context(), config(path, []byte("greeting"), dir, &bytes.Buffer{}))
	require.ErrorContains(t, err, "No matching distribution found for greeting")
	t.Setenv("PIP_FIND_LINKS", wheels)
	require.NoError(t, install(t, path, "greeting", dir, &bytes.Buffer{}))
}

// TestInstallOnce has many want the same at once.
func TestInstallOnce(t *testing.T) {
	path, requirements, dir := withTools(t), greeting(t), t.TempDir()
	logs := make([]bytes.Buffer, 6)
	var wg sync.WaitGroup
	for n := range logs {
		wg.Go(func() {
			e, err := python.Install(t.Context(), config(path, []byte(requirements), dir, &logs[n]))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { e.Close() }) // in use while others still wait
		})
	}
	wg.Wait()
	made := 0
	for n := range logs {
		made += strings.Count(logs[n].String(), "Successfully installed")
	}
	require.Equal(t, 1, made)
}

// TestInstallIsCancelled ends an installation in the middle, and has the next
// one find nothing of it.
func TestInstallIsCancelled(t *testing.T) {
	path := withTools(t)
	wheels, dir := t.TempDir(), t.TempDir()
	mark := filepath.Join(t.TempDir(), "mark")
	// It hangs at first, and not when it is built again.
	pythontest.Source(t, wheels, "slow", "1.0", fmt.Sprintf(`
import os, time, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    if not os.path.exists(%[1]q):
        with open(%[1]q + ".new", "w") as f:
            f.write(str(os.getpid()))
        os.rename(%[1]q + ".new", %[1]q)
        time.sleep(3600)
    name = "slow-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as z:
        z.writestr("slow.py", "")
        z.writestr("slow-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
        z.writestr("slow-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("slow-1.0.dist-info/RECORD", "")
    return name
`, mark))
	requirements := []byte("--no-index\n-f " + wheels + "\nslow\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := python.Install(ctx, config(path, requirements, dir, &bytes.Buffer{}))
		result <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(mark); return err == nil }, 60*time.Second, 10*time.Millisecond)

	waiting, done := context.WithTimeout(t.Context(), 5*time.Second) // a start of an interpreter, and then some
	defer done()
	_, err := python.Install(waiting, config(path, requirements, dir, &bytes.Buffer{}))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "wait for another process that installs the same")

	cancel(syscall.ECANCELED)
	require.ErrorIs(t, <-result, syscall.ECANCELED)
	builder, err := os.ReadFile(mark)
	require.NoError(t, err)
	pid, err := strconv.Atoi(string(builder))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }, 10*time.Second, 10*time.Millisecond,
		"what pip has started ends, too")
	e, err := python.Install(t.Context(), config(path, requirements, dir, &bytes.Buffer{}))
	require.NoError(t, err)
	defer e.Close()
	found, err := filepath.Glob(dir + "/*/slow.py")
	require.NoError(t, err)
	require.Len(t, found, 1)
}
