package python_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
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
)

// startIO starts what transforms objects in processes of their own, for the
// length of the test.
func startIO(t testing.TB, cfg python.Config, code string) *python.IO {
	t.Helper()
	if cfg.Python == "" {
		cfg.Python = python3(t)
	}
	cfg.Code = module(t, code)
	x, err := python.NewIO(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

func transformIO(t testing.TB, x *python.IO, body string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := x.Transform(t.Context(), &out, strings.NewReader(body), comm.Info{Size: int64(len(body))})
	return out.String(), err
}

// TestIO: a fork does what a process of its own would.
func TestIO(t *testing.T) {
	for _, c := range ioCases {
		if strings.Contains(c.code, "assert 'site'") {
			continue // it is there from the beginning
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log buffer
			x := startIO(t, python.Config{Functions: c.f, Stderr: &log}, c.code)
			for range 2 {
				got, err := transformIO(t, x, "abc")
				require.Equal(t, c.want, got)
				if c.wantExit == 0 {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, fmt.Sprintf("exit status %d: ", c.wantExit))
				require.ErrorContains(t, err, strings.TrimSpace(c.wantStderr))
				require.Contains(t, log.String(), c.wantStderr)
			}
			require.NotContains(t, log.String(), "<string>")
		})
	}
}

// TestIOIsAProcessOfItsOwn runs modules as a process of its own and in a fork,
// which must not tell which they are.
func TestIOIsAProcessOfItsOwn(t *testing.T) {
	for _, c := range []struct{ name, code string }{
		{"state does not last", "import json\njson.seen = getattr(json, 'seen', 0) + 1\nprint(json.seen)"},
		{"argv, name and file", "import sys, os\nprint(sys.argv == [__file__], __name__, os.path.basename(__file__), sys.modules['__main__'].__dict__ is globals())"},
		{"environment and folder", "import os\nprint(sorted(os.environ.items()), os.getcwd())"},
		{"files", "import os\nprint(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))"},
		{"streams", "import sys\nfor f in sys.stdin, sys.stdout, sys.stderr:\n  print(f.encoding, f.errors, f.line_buffering, f.seekable(), f.isatty(), f.fileno())"},
		{"signals", "import signal\nprint([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)], signal.set_wakeup_fd(-1))"},
		{"text that is not flushed", "import sys\nsys.stdout.write('x' * 100)"},
		{"atexit", "import atexit\natexit.register(print, 'last')\nprint('first')"},
		{"atexit of an import", "import logging\nlogging.basicConfig(filename='/dev/stdout')\nlogging.warning('logged')"},
		{"threads are waited for", "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), print('thread'))).start()\nprint('main')"},
		{"a file that nobody closed", "f = open('/dev/stdout', 'w')\nf.write('written')"},
		{"a file in a circle", "l = [open('/dev/stdout', 'w')]\nl.append(l)\nl[0].write('written')"},
		{"an archive that nobody closed", "import tarfile, sys\nt = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')\nt.addfile(tarfile.TarInfo('n'))"},
		{"a finalizer", "class C:\n  def __del__(self): print('gone', NAME)\nNAME = 'name'\nc = C()"},
		{"exit in the middle", "import sys\nprint('x')\nsys.exit('why')"},
		{"exit of a library", "import os\nprint('x', flush=True)\nos._exit(3)"},
		{"a signal", "import os, signal\nprint('x', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"},
		{"children", "import subprocess\nprint(subprocess.check_output(['cat'], stdin=0))"},
		{"a pool", "import multiprocessing\nif __name__ == '__main__':\n  with multiprocessing.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, -2]))"},
		{"an import that prints", "import this"},
		{"an import that does not work", "import not_there\n"},
		{"an import that does not matter", "try:\n  import not_there\nexcept ImportError:\n  import json\nprint(json.dumps(1))"},
		{"the environment is set before an import", "import os\nos.environ['X'] = '1'\nimport says_x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "says_x.py"), []byte("import os\nprint(os.environ.get('X'))"), 0o600))
			// Not another case of the table: a module that calls no function.
			code := c.code + "\ndef transform(): pass\n"
			cfg := python.Config{Python: python3(t), Env: []string{"PYTHONPATH=" + dir, "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH")}}
			x := startIO(t, cfg, code)
			argv, err := python.IOCommand(cfg.Python, module(t, code), python.Functions{})
			require.NoError(t, err)
			var want, got strings.Builder
			o := comm.Info{Size: 3}
			wantErr := comm.Command(argv, cfg.Env, io.Discard)(t.Context(), &want, strings.NewReader("abc"), o)
			for range 2 {
				got.Reset()
				err = x.Transform(t.Context(), &got, strings.NewReader("abc"), o)
				require.Equal(t, want.String(), got.String())
				if wantErr == nil {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, strings.ReplaceAll(wantErr.Error(), "/003/code.py", "/002/code.py")) // folders of the test
				}
			}
			require.True(t, wantErr != nil || want.Len() > 0)
		})
	}
}

// TestIOOldVersions runs where other Pythons than the newest are on PATH.
func TestIOOldVersions(t *testing.T) {
	for _, i := range python.Installed(t.Context()) {
		t.Run(fmt.Sprint(i.Major, ".", i.Minor), func(t *testing.T) {
			var log buffer
			x := startIO(t, python.Config{Python: i.Path, Stderr: &log}, "import random, json\ndef transform(b):\n  if not b: raise ValueError('bad')\n  return str(random.random()).encode('ascii') + b")
			one, err := transformIO(t, x, strings.Repeat("x", 1<<20))
			require.NoError(t, err)
			two, err := transformIO(t, x, strings.Repeat("x", 1<<20))
			require.NoError(t, err)
			require.NotEqual(t, one, two, "random numbers are not the same in all processes")
			_, err = transformIO(t, x, "")
			require.ErrorContains(t, err, "ValueError: bad (code.py line 3)")
			require.Equal(t, i.Major == 2, strings.Contains(log.String(), "an interpreter is started for each object: Python 2"))
		})
	}
}

// TestIOLeavesImportsToObjects: a fork shares no thread, file, child or output
// of an import.
func TestIOLeavesImportsToObjects(t *testing.T) {
	for name, code := range map[string]string{
		"thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()",
		"file":   "f = open('/dev/null')",
		"child":  "import subprocess\np = subprocess.Popen(['sleep', '0.1'])",
		"output": "print('banner')",
		"signal": "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			code = "import os\nhere = os.getpid()\n" + code
			require.NoError(t, os.WriteFile(filepath.Join(dir, "own.py"), []byte(code), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "shared.py"), []byte("import os\nhere = os.getpid()"), 0o600))
			var log buffer
			x := startIO(t, python.Config{Env: []string{"PYTHONPATH=" + dir}, Stderr: &log},
				"import own\nimport shared\nimport os, sys\ndef transform():\n  sys.stdout.write('%s %s' % (own.here == os.getpid(), shared.here == os.getpid()))")
			for range 2 {
				got, err := transformIO(t, x, "")
				require.NoError(t, err)
				require.Equal(t, "True False", strings.TrimPrefix(got, "banner\n"))
			}
			require.Contains(t, log.String(), "imported again for each object, since a fork cannot share it: own\n")
		})
	}
}

// TestIOKnowsNumPy: of a library like it, whose threads end before a fork, the
// import is shared; its generator is seeded anew in every process. A stand-in
// for NumPy, which does both.
func TestIOKnowsNumPy(t *testing.T) {
	dir := t.TempDir()
	for file, code := range map[string]string{
		"numpy/__init__.py":        "import numpy.random",
		"numpy/random/__init__.py": "import numpy.random.mtrand",
		"numpy/random/mtrand.py": `
import _thread, os
end, ended = _thread.allocate_lock(), _thread.allocate_lock()
end.acquire(), ended.acquire()
def work():
    with end: ended.release()
_thread.start_new_thread(work, ())
def stop():
    if end.locked():
        end.release()
        ended.acquire()
os.register_at_fork(before=stop)
here, seeded = os.getpid(), None
def seed():
    global seeded
    seeded = os.getpid()
`,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(code), 0o600))
	}
	var log buffer
	x := startIO(t, python.Config{Env: []string{"PYTHONPATH=" + dir}, Stderr: &log},
		"import numpy\nimport os, sys\ndef transform():\n  m = numpy.random.mtrand\n  sys.stdout.write('%s %s' % (m.here == os.getpid(), m.seeded == os.getpid()))")
	got, err := transformIO(t, x, "")
	require.NoError(t, err)
	require.Equal(t, "False True", got, log.String())
	require.Empty(t, log.String())
}

func TestIOKillsOnCancel(t *testing.T) {
	x := startIO(t, python.Config{}, `
import os, subprocess, sys, time
def transform():
    if sys.stdin.read():
        child = subprocess.Popen(["sleep", "3600"])
        print(os.getpid(), child.pid, flush=True)
        time.sleep(3600)
`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out buffer
	failed := make(chan error, 1)
	go func() { failed <- x.Transform(ctx, &out, strings.NewReader("x"), comm.Info{Size: 1}) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "\n") }, 20*time.Second, time.Millisecond)
	_, err := transformIO(t, x, "") // another object is not concerned
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	for _, text := range strings.Fields(out.String()) {
		requireGone(t, text)
	}
	_, err = transformIO(t, x, "")
	require.NoError(t, err)
}

// requireGone waits until there is no such process, or only what is left of one
// that nobody waits for.
func requireGone(t *testing.T, text string) {
	pid, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 10*time.Second, time.Millisecond, "process %d", pid)
}

func TestForkServerDeathFailsItsObjects(t *testing.T) {
	x := startIO(t, python.Config{}, `
import os, sys, time
def transform():
    body = sys.stdin.read()
    print(os.getpid(), os.getppid(), flush=True)
    if body: time.sleep(3600)
`)
	var out buffer
	failed := make(chan error, 1)
	go func() {
		failed <- x.Transform(context.Background(), &out, strings.NewReader("x"), comm.Info{Size: 1})
	}()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "\n") }, 20*time.Second, time.Millisecond)
	pids := strings.Fields(out.String())
	server, err := strconv.Atoi(pids[1])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(server, syscall.SIGKILL))
	require.ErrorContains(t, <-failed, "fork server ended: signal: killed")
	requireGone(t, pids[0])
	text, err := transformIO(t, x, "")
	require.NoError(t, err)
	require.NotEqual(t, pids[1], strings.Fields(text)[1])
	require.NoError(t, x.Err())
}

func TestCloseIOLeavesNoProcess(t *testing.T) {
	x := startIO(t, python.Config{}, "import os, sys, time\ndef transform():\n  print(os.getpid(), os.getppid(), flush=True)\n  if sys.stdin.read(): time.sleep(3600)")
	var out buffer
	failed := make(chan error, 1)
	go func() {
		failed <- x.Transform(context.Background(), &out, strings.NewReader("x"), comm.Info{Size: 1})
	}()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "\n") }, 20*time.Second, time.Millisecond)
	require.NoError(t, x.Close())
	require.ErrorContains(t, <-failed, "fork server ended")
	for _, pid := range strings.Fields(out.String()) {
		requireGone(t, pid)
	}
	_, err := transformIO(t, x, "")
	require.ErrorIs(t, err, python.ErrClosed)
}

func TestIOConcurrently(t *testing.T) {
	x := startIO(t, python.Config{}, "import sys\ndef transform(b):\n  if b == b'exit': sys.exit(9)\n  return b")
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for n := range 10 {
				body := strings.Repeat(fmt.Sprint(g, n), 1+n*g*2000)
				var out strings.Builder
				if err := x.Transform(t.Context(), &out, strings.NewReader(body), comm.Info{Size: -1}); err != nil || out.String() != body {
					t.Errorf("%v: %d bytes of %d", err, out.Len(), len(body))
				}
				if err := x.Transform(t.Context(), io.Discard, strings.NewReader("exit"), comm.Info{Size: 4}); err == nil || !strings.Contains(err.Error(), "exit status 9") {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNewIOErrors(t *testing.T) {
	_, err := python.NewIO(t.Context(), python.Config{})
	require.ErrorContains(t, err, "interpreter's path, is missing")
	_, err = python.NewIO(t.Context(), python.Config{Python: "/nowhere/python3", Code: "code.py"})
	require.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hangs.py"), []byte("import time\ntime.sleep(3600)"), 0o600))
	_, err = python.NewIO(ctx, python.Config{Python: python3(t), Code: module(t, "import hangs"), Env: []string{"PYTHONPATH=" + dir}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// BenchmarkIO has the CPU time of an object, that of the host and of all it has
// waited for.
func BenchmarkIO(b *testing.B) {
	source, _ := python.Sample("md5")
	path := module(b, string(source))
	argv, err := python.IOCommand(python3(b), path, python.Functions{})
	require.NoError(b, err)
	x, err := python.NewIO(b.Context(), python.Config{Python: python3(b), Code: path})
	require.NoError(b, err)
	defer x.Close()
	for _, c := range []struct {
		name string
		f    comm.Transform
	}{
		{"start=exec", comm.Command(argv, nil, io.Discard)},
		{"start=fork", x.Transform},
	} {
		b.Run("size=4KiB/"+c.name, func(b *testing.B) {
			body := make([]byte, 4096)
			for b.Loop() {
				require.NoError(b, c.f(b.Context(), io.Discard, bytes.NewReader(body), comm.Info{Size: 4096}))
			}
		})
	}
}
