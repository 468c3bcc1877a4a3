package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/transformers/python"
	"github.com/etlbench/etlbench/transformers/python/pythontest"
)

var findPython3 = sync.OnceValues(func() (python.Interpreter, error) { return findPython(context.Background()) })

// python3 is the interpreter of the runtime python3; without one a test of init
// code has nothing to run.
func python3(t *testing.T) python.Interpreter {
	py, err := findPython3()
	if err != nil {
		t.Skipf("needs a Python 3 on PATH: %v", err)
	}
	return py
}

// pip skips tests that install where nothing can be, and keeps the settings of
// this machine's user out of them.
func pip(t *testing.T) {
	py := python3(t)
	if tools := py.Tools(t.Context()); !tools.Usable() {
		t.Skipf("needs pip or venv: %s has %s", py, tools)
	}
	t.Setenv("PIP_FIND_LINKS", "")
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
}

func initCode(t *testing.T, c *api.Client, spec api.ETLSpec) error {
	t.Helper()
	if spec.Runtime == nil {
		spec.Runtime = json.RawMessage(`"python3"`)
	}
	spec.DirectPut = spec.Communication == "ws"
	_, err := c.InitETL(t.Context(), &spec)
	return err
}

// inline gets an object through an ETL.
func inline(t *testing.T, c *api.Client, bucket, object, etl string) ([]byte, error) {
	t.Helper()
	var q url.Values
	if etl != "" {
		q = url.Values{api.QparamETLName: {etl}}
	}
	body, _, err := c.Get(t.Context(), api.AIS(bucket), object, q)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// putBytes puts an object into a bucket, which it makes.
func putBytes(t *testing.T, c *api.Client, bucket, object string, data []byte) {
	t.Helper()
	if err := c.CreateBucket(t.Context(), api.AIS(bucket)); err != nil {
		require.ErrorIs(t, err, api.ErrExists)
	}
	require.NoError(t, c.Put(t.Context(), api.AIS(bucket), object, bytes.NewReader(data), int64(len(data))))
}

// TestInitCode runs every form of user code through every communication type,
// inline and offline.
func TestInitCode(t *testing.T) {
	python3(t)
	_, c := spawn(t, 2)
	objects := map[string][]byte{"empty": nil, "one": []byte("x"), "some": []byte(strings.Repeat("abcdefg", 1000)), "big": bytes.Repeat([]byte("0123456789abcdef"), 100_000)}
	for name, data := range objects {
		putBytes(t, c, "src", name, data)
	}
	digest := func(data []byte) string { return fmt.Sprintf("%x", md5.Sum(data)) }
	forms := []struct {
		name, code string
		funcs      *api.Funcs
		chunk      int64
		want       func([]byte) string
		ioOnly     bool
	}{
		{name: "bytes", code: "def transform(b): return b.upper()", want: func(b []byte) string { return string(bytes.ToUpper(b)) }},
		// io and ws do not tell the size.
		{name: "context", code: "def transform(b, context): return b'%d' % (len(b) if context['size'] == len(b) else -1)", want: func(b []byte) string { return strconv.Itoa(len(b)) }},
		{
			name: "hooks",
			code: "import hashlib\ndef before(context): context['md5'] = hashlib.md5()\ndef transform(b, context): context['md5'].update(b)\ndef after(context): return context['md5'].hexdigest().encode()",
			want: digest,
		},
		{
			name: "funcs", funcs: &api.Funcs{Transform: "work", Before: "open_it", After: "close_it"},
			code: "def before(c): 1 / 0\ndef open_it(c): c['n'] = 7\ndef work(b, c): return b\ndef close_it(c): return c['result'] + b'%d' % c['n']",
			want: func(b []byte) string { return string(b) + "7" },
		},
		{
			name: "chunks", chunk: 1000,
			code: "import hashlib\ndef before(context): context['md5'] = hashlib.md5()\ndef transform(b, context):\n  assert len(b) <= 1000\n  context['md5'].update(b)\ndef after(context): return context['md5'].hexdigest().encode()",
			want: digest,
		},
		{
			name: "chunks without after", chunk: 1 << 20,
			code: "def transform(b, context): context['result'] = context.get('result', b'') + b",
			want: func(b []byte) string { return string(b) },
		},
		{
			name: "reader and writer", chunk: 1000,
			code: "def transform(reader, writer):\n  for b in reader:\n    assert len(b) <= 1000\n    writer.write(b)",
			want: func(b []byte) string { return string(b) },
		},
		{
			name: "standard streams", ioOnly: true,
			code: "import sys\ndef transform(): sys.stdout.buffer.write(sys.stdin.buffer.read() + b'.')",
			want: func(b []byte) string { return string(b) + "." },
		},
		{
			name: "standard streams, called by the module", ioOnly: true,
			code: "import sys\ndef transform(): sys.stdout.buffer.write(sys.stdin.buffer.read() + b'.')\ntransform()",
			want: func(b []byte) string { return string(b) + "." },
		},
	}
	for n, form := range forms {
		for _, comm := range []string{"hpush", "hpull", "hrev", "io", "shm", "ws"} {
			if form.ioOnly && comm != "io" || form.name == "context" && (comm == "io" || comm == "ws") {
				continue
			}
			t.Run(form.name+"/"+comm, func(t *testing.T) {
				etl := fmt.Sprintf("etl-%s-%d", comm, n)
				require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Communication: comm, Code: []byte(form.code), Funcs: form.funcs, ChunkSize: form.chunk}))
				dst := "dst-" + etl
				id, err := c.TransformBucket(t.Context(), api.AIS("src"), api.AIS(dst), api.TransformMsg{ID: etl})
				require.NoError(t, err)
				require.NoError(t, c.WaitJob(t.Context(), id))
				for name, data := range objects {
					got, err := inline(t, c, "src", name, etl)
					require.NoError(t, err, name)
					require.Equal(t, form.want(data), string(got), "%s, inline", name)
					got, err = inline(t, c, dst, name, "")
					require.NoError(t, err, name)
					require.Equal(t, form.want(data), string(got), "%s, offline", name)
				}
				require.NoError(t, c.DeleteETL(t.Context(), etl))
			})
		}
	}
}

// TestInitCodeThatHangs: an object that hangs longer than the ETL's object
// timeout fails, and holds neither a worker nor a process any longer.
func TestInitCodeThatHangs(t *testing.T) {
	python3(t)
	_, c := spawn(t, 1)
	putBytes(t, c, "src", "good", []byte("good"))
	putBytes(t, c, "src", "hangs", []byte("hangs"))
	code := []byte("import time\ndef transform(b):\n  if b == b'hangs': time.sleep(3600)\n  return b\n")
	for _, comm := range []string{"hpush", "hpull", "io"} {
		t.Run(comm, func(t *testing.T) {
			etl := "etl-hang-" + comm
			require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Communication: comm, Code: code, ObjTimeout: api.Duration(time.Second)}))
			var wg sync.WaitGroup
			for range 2 * runtime.NumCPU() { // more than there are workers
				wg.Go(func() {
					if _, err := inline(t, c, "src", "hangs", etl); err == nil {
						t.Error("an object that hangs did not fail")
					}
				})
			}
			wg.Wait()
			var err error
			require.Eventually(t, func() bool {
				var data []byte
				data, err = inline(t, c, "src", "good", etl) // a worker that is started again may take longer than the object may
				return err == nil && string(data) == "good"
			}, time.Minute, 10*time.Millisecond, "%v", err)
			require.NoError(t, c.DeleteETL(t.Context(), etl))
		})
	}
}

// TestInitCodeErrors: an object that fails before its reply has begun is a 500
// with the reason, one that fails behind that cuts the reply, and both leave
// other objects alone.
func TestInitCodeErrors(t *testing.T) {
	python3(t)
	_, c := spawn(t, 1)
	putBytes(t, c, "src", "good", []byte("good"))
	putBytes(t, c, "src", "bad", []byte("bad"))
	putBytes(t, c, "src", "late", []byte("late"))
	putBytes(t, c, "src", "dies", []byte("dies"))
	code := []byte(`
import os
def transform(reader, writer):
    what = reader.read()
    if what == b"bad":
        writer.write(b"x" * 100)
        raise ValueError("this is bad")
    if what == b"dies":
        os._exit(3)
    if what == b"late":
        for _ in range(100):
            writer.write(b"x" * 65536)
        raise ValueError("this is late")
    writer.write(what)
`)
	for _, comm := range []string{"hpush", "hpull", "hrev", "io"} {
		t.Run(comm, func(t *testing.T) {
			etl := "etl-err-" + comm
			require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Communication: comm, Code: code, ChunkSize: 4096}))
			for range 2 {
				_, err := inline(t, c, "src", "bad", etl)
				require.ErrorContains(t, err, "ValueError: this is bad (code.py line 7)")
				_, err = inline(t, c, "src", "dies", etl)
				require.ErrorContains(t, err, "exit status 3")
				data, err := inline(t, c, "src", "late", etl)
				require.Error(t, err, "%d bytes were taken for whole", len(data))
				data, err = inline(t, c, "src", "good", etl)
				require.NoError(t, err)
				require.Equal(t, "good", string(data))
			}
			// None of them is stored by a job.
			dst := api.AIS("dst-" + comm)
			id, err := c.TransformBucket(t.Context(), api.AIS("src"), dst, api.TransformMsg{ID: etl, ContinueOnErr: true})
			require.NoError(t, err)
			_ = c.WaitJob(t.Context(), id) // its error is that of an object
			var stored []string
			require.NoError(t, c.ListAll(t.Context(), dst, func(e *api.ListEntry) error { stored = append(stored, e.Name); return nil }))
			require.Equal(t, []string{"good"}, stored)
			require.NoError(t, c.DeleteETL(t.Context(), etl))
		})
	}
}

func TestInitCodeIsRefused(t *testing.T) {
	python3(t)
	_, c := spawn(t, 1)
	const one = "def transform(b): return b"
	for n, tt := range []struct {
		name string
		spec api.ETLSpec
		want string
	}{
		{"chunk size, no context", api.ETLSpec{Code: []byte(one), ChunkSize: 10}, "transform takes 1 argument: with a chunk size"},
		{"chunk size, no context, io", api.ETLSpec{Code: []byte(one), ChunkSize: 10, Communication: "io"}, "transform takes 1 argument: with a chunk size"},
		{"before, no context", api.ETLSpec{Code: []byte("def before(c): pass\n" + one)}, "transform takes 1 argument: with before or after"},
		{"chunk size too large", api.ETLSpec{Code: []byte(one), ChunkSize: 1<<20 + 1}, "chunk_size: 1048577, must be 0 to 1048576"},
		{"negative chunk size", api.ETLSpec{Code: []byte(one), ChunkSize: -1}, "chunk_size: -1, must be 0 to 1048576"},
		{"function that is not there", api.ETLSpec{Code: []byte(one), Funcs: &api.Funcs{Before: "pre"}}, `code.py defines no function "pre"`},
		{"syntax", api.ETLSpec{Code: []byte("def transform(b: return b")}, "code.py line 1: SyntaxError"},
		{"runtime that is not there", api.ETLSpec{Code: []byte(one), Runtime: []byte(`"python3.99"`)}, `runtime "python3.99" needs Python 3.99, which is not on PATH; installed: ` + python3(t).String()},
		{"unknown runtime", api.ETLSpec{Code: []byte(one), Runtime: []byte(`"perl5"`)}, `runtime: "perl5", must be python2 or python3`},
		{"local file", api.ETLSpec{Code: []byte(one), Dependencies: []byte("-r /etc/passwd")}, "line 1: -r: not an option that is allowed here"},
		{"setting of pip", api.ETLSpec{Code: []byte(one), Dependencies: []byte("x"), Env: []api.EnvVar{{Name: "PIP_REQUIREMENT", Value: "/etc/passwd"}}}, "PIP_REQUIREMENT: not a setting that is allowed here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Name = fmt.Sprintf("etl-no-%02d", n)
			err := initCode(t, c, tt.spec)
			require.ErrorIs(t, err, api.ErrBadRequest)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestStreamingCodeIsBounded sends an object that is larger than anything may
// use of memory through a reader and a writer.
func TestStreamingCodeIsBounded(t *testing.T) {
	python3(t)
	const size = 256 << 20
	s, c := spawn(t, 1, func(c *cluster.SpawnConfig) { c.NodeArgs = []string{"--sync", "none"} })
	require.NoError(t, c.CreateBucket(t.Context(), api.AIS("src")))
	require.NoError(t, c.Put(t.Context(), api.AIS("src"), "big", content("big", size), size))
	// The worker's own peak is at the end of the result.
	code := []byte("import resource\ndef transform(reader, writer):\n  for b in reader: writer.write(b)\n" +
		"  writer.write(b'%12d' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
	for _, comm := range []string{"hpush", "hpull", "hrev", "io"} {
		etl := "etl-big-" + comm
		require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Communication: comm, Code: code, ChunkSize: 1 << 20, ObjTimeout: api.Duration(time.Minute)}))
		body, _, err := c.Get(t.Context(), api.AIS("src"), "big", url.Values{api.QparamETLName: {etl}})
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, body, size)
		require.NoError(t, err)
		peak, err := io.ReadAll(body)
		require.NoError(t, err)
		body.Close()
		kib, err := strconv.Atoi(strings.TrimSpace(string(peak)))
		require.NoError(t, err)
		require.Less(t, kib, 64<<10, "%s: KiB of a worker", comm)

		metrics, err := c.ETLMetrics(t.Context(), etl)
		require.NoError(t, err)
		require.Less(t, metrics[0].Memory, int64(256<<20), "%s: bytes of the pod", comm)
		require.NoError(t, c.DeleteETL(t.Context(), etl))
	}
	for _, n := range s.Nodes {
		require.Less(t, peakRSS(t, n.PID), int64(128<<20), "%s %s", n.Type, n.ID)
	}
}

// TestDependencies installs from a folder of wheels: once for all targets and
// all ETLs that ask for the same.
func TestDependencies(t *testing.T) {
	pip(t)
	wheels, envs := t.TempDir(), filepath.Join(t.TempDir(), "envs")
	pythontest.Wheel(t, wheels, "greeting", "1.2", map[string]string{"greeting.py": "text = b'hello '\n"})
	_, c := spawn(t, 3, func(c *cluster.SpawnConfig) { c.NodeArgs = []string{"--environments", envs} })
	for i := range 6 {
		putBytes(t, c, "src", fmt.Sprint("o", i), []byte("you"))
	}
	const code = "import os, greeting\nassert not [k for k in os.environ if k.startswith('ETLBENCH_INSTALL_')]\ndef transform(b): return greeting.text + b"
	lines := api.Blob("# from here alone\n--no-index\n--find-links " + wheels + "\ngreeting == 1.2\n")
	for _, comm := range []string{"hpush", "io"} {
		etl := "etl-deps-" + comm
		require.NoError(t, initCode(t, c, api.ETLSpec{ID: etl, Communication: comm, Code: []byte(code), Dependencies: lines}))
		for i := range 6 {
			got, err := inline(t, c, "src", fmt.Sprint("o", i), etl)
			require.NoError(t, err)
			require.Equal(t, "hello you", string(got))
		}
	}
	logs, err := c.ETLLogs(t.Context(), "etl-deps-hpush")
	require.NoError(t, err)
	installed := 0
	for _, l := range logs {
		installed += strings.Count(string(l.Logs), "Successfully installed greeting-1.2")
	}
	require.Equal(t, 1, installed, "of %d targets", len(logs))
	made, err := filepath.Glob(envs + "/*/greeting.py")
	require.NoError(t, err)
	require.Len(t, made, 1)

	for _, tt := range []struct{ name, deps, want string }{
		{"no such package", "--no-index\nnosuch>1\n", "No matching distribution found for nosuch>1"},
		{"nonsense", "no such thing\n", "Invalid requirement: 'no such thing'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := initCode(t, c, api.ETLSpec{ID: "etl-wrong", Code: []byte(code), Dependencies: api.Blob(tt.deps)})
			require.ErrorIs(t, err, api.ErrBadRequest)
			require.ErrorContains(t, err, "install dependencies: pip ended with exit status 1: ")
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "\n")
			d, err := c.ETL(t.Context(), "etl-wrong")
			require.NoError(t, err)
			require.Contains(t, d.Reason, tt.want)
			require.NoError(t, c.DeleteETL(t.Context(), "etl-wrong"))
		})
	}
	made, err = filepath.Glob(envs + "/*.new")
	require.NoError(t, err)
	require.Empty(t, made)
}

// TestDependenciesByVariables has pip's settings in the environment: in that of
// the cluster, and in the ETL's own.
func TestDependenciesByVariables(t *testing.T) {
	pip(t)
	wheels := t.TempDir()
	pythontest.Wheel(t, wheels, "greeting", "1.2", map[string]string{"greeting.py": "text = b'hello '\n"})
	t.Setenv("PIP_NO_INDEX", "1")
	_, c := spawn(t, 1)
	putBytes(t, c, "src", "o", []byte("you"))
	spec := api.ETLSpec{Name: "etl-variables", Code: []byte("import greeting\ndef transform(b): return greeting.text + b"), Dependencies: api.Blob("greeting\n")}
	require.ErrorContains(t, initCode(t, c, spec), "No matching distribution found for greeting")
	require.NoError(t, c.DeleteETL(t.Context(), spec.Name))
	spec.Env = []api.EnvVar{{Name: "PIP_FIND_LINKS", Value: wheels}}
	require.NoError(t, initCode(t, c, spec))
	got, err := inline(t, c, "src", "o", spec.Name)
	require.NoError(t, err)
	require.Equal(t, "hello you", string(got))
}

// TestNoDependenciesNeedNoPip has an interpreter that cannot install anything.
func TestNoDependenciesNeedNoPip(t *testing.T) {
	bare := bareInterpreter(t)
	_, c := spawn(t, 1, func(c *cluster.SpawnConfig) { c.NodeArgs = []string{"--runtime", "python3=" + bare} })
	putBytes(t, c, "src", "o", []byte("x"))
	code := []byte("def transform(b): return b + b")
	for n, deps := range []string{"", "\n# numpy\n  \n"} {
		etl := fmt.Sprint("etl-none-", n)
		require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Code: code, Dependencies: api.Blob(deps)}))
		got, err := inline(t, c, "src", "o", etl)
		require.NoError(t, err)
		require.Equal(t, "xx", string(got))
	}
	err := initCode(t, c, api.ETLSpec{Name: "etl-some", Code: code, Dependencies: api.Blob("--no-index\nnumpy\n")})
	require.ErrorContains(t, err, "has neither pip nor venv: install pip for "+bare+"; on Debian and Ubuntu: apt-get install python3-pip, or python3.")
}

// bareInterpreter is a Python without pip and, as Debian has it, ensurepip.
func bareInterpreter(t *testing.T) string {
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python3(t).Path, "-m", "venv", "--without-pip", dir).CombinedOutput()
	if err != nil {
		t.Skipf("needs venv: %s", out)
	}
	lib, err := filepath.Glob(dir + "/lib/python*/site-packages")
	require.NoError(t, err)
	require.Len(t, lib, 1)
	require.NoError(t, os.WriteFile(lib[0]+"/sitecustomize.py", []byte("import sys\nsys.modules['ensurepip'] = None\n"), 0o600))
	return dir + "/bin/python"
}

// TestInstallationEnds has pip build something that never ends, with a child of
// its own: whatever ends the start of the ETL ends all of them.
func TestInstallationEnds(t *testing.T) {
	pip(t)
	_, c := spawn(t, 1)
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		end     func(t *testing.T, hangUp func())
		want    string
	}{
		{"init timeout", 5 * time.Second, func(*testing.T, func()) {}, "init timeout of 5s"},
		{"hang up", 0, func(_ *testing.T, hangUp func()) { hangUp() }, "context canceled"},
		{"delete", 0, func(t *testing.T, _ func()) { require.NoError(t, c.DeleteETL(t.Context(), "etl-slow")) }, ""},
		{"stop", 0, func(t *testing.T, _ func()) { require.NoError(t, c.StopETL(t.Context(), "etl-slow")) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wheels, mark := t.TempDir(), filepath.Join(t.TempDir(), "pids")
			pythontest.Source(t, wheels, "slow", "1.0", fmt.Sprintf(`
import os, subprocess
def build_wheel(folder, config_settings=None, metadata_directory=None):
    child = subprocess.Popen(["sleep", "3600"])
    with open(%[1]q + ".new", "w") as f:
        f.write("%%d %%d" %% (os.getpid(), child.pid))
    os.rename(%[1]q + ".new", %[1]q)
    child.wait()
`, mark))
			spec := api.ETLSpec{ID: "etl-slow", Code: []byte("def transform(b): return b"), Runtime: json.RawMessage(`"python3"`),
				Timeout: api.Duration(tt.timeout), Dependencies: api.Blob("--no-index\n--find-links " + wheels + "\nslow\n")}
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			result := make(chan error, 1)
			go func() {
				_, err := c.InitETL(ctx, &spec)
				result <- err
			}()
			var pids []byte
			require.Eventually(t, func() bool {
				var err error
				pids, err = os.ReadFile(mark)
				return err == nil
			}, 60*time.Second, 10*time.Millisecond)
			tt.end(t, hangUp)
			err := <-result
			require.Error(t, err)
			require.ErrorContains(t, err, tt.want)
			for _, word := range strings.Fields(string(pids)) {
				pid, err := strconv.Atoi(word)
				require.NoError(t, err)
				require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }, 20*time.Second, 10*time.Millisecond)
			}
			if err := c.DeleteETL(t.Context(), "etl-slow"); err != nil {
				require.ErrorIs(t, err, api.ErrNotFound)
			}
		})
	}
}

// TestRuntimeOfTheOperator: what really runs stands in the ETL's details.
func TestRuntimeOfTheOperator(t *testing.T) {
	py := python3(t)
	_, c := spawn(t, 2, func(c *cluster.SpawnConfig) { c.NodeArgs = []string{"--runtime", "python3.6=" + py.Path} })
	putBytes(t, c, "src", "o", []byte("x"))
	for n, runtime := range []string{"python3", "python3.6", "python3.6v2", fmt.Sprintf("python3.%d", py.Minor), fmt.Sprintf("python3.%dv2", py.Minor)} {
		etl := fmt.Sprint("etl-runtime-", n)
		require.NoError(t, initCode(t, c, api.ETLSpec{Name: etl, Code: []byte("import sys\ndef transform(b): return repr(sys.version_info[:3]).encode()"), Runtime: fmt.Appendf(nil, "%q", runtime)}))
		got, err := inline(t, c, "src", "o", etl)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("(%d, %d, %d)", py.Major, py.Minor, py.Micro), string(got))
		d, err := c.ETL(t.Context(), etl)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"tgt00001": py.String(), "tgt00002": py.String()}, d.Interpreters)
	}
}

// TestPickledCode sends what AIStore's old Python SDK makes of functions: a
// module that unpickles them, which needs the package cloudpickle. Here a
// stand-in of that name comes from a folder, and the functions are pickled as
// cloudpickle does it: by value, with a function of the package to make them.
func TestPickledCode(t *testing.T) {
	pip(t)
	wheels := t.TempDir()
	const cloudpickle = `
import marshal, pickle, types
loads = pickle.loads

def make(code, name):
    return types.FunctionType(marshal.loads(code), {"__builtins__": __builtins__}, name)

class Pickled(object):
    def __init__(self, function): self.function = function
    def __reduce__(self): return make, (marshal.dumps(self.function.__code__), self.function.__name__)
`
	pythontest.Wheel(t, wheels, "cloudpickle", "2.0.0", map[string]string{"cloudpickle/__init__.py": cloudpickle})
	pickled := func(definition, name string) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cloudpickle.py"), []byte(cloudpickle), 0o600))
		script := fmt.Sprintf("import base64, cloudpickle, pickle\n%s\nprint(base64.b64encode(pickle.dumps(cloudpickle.Pickled(%s))).decode())", definition, name)
		cmd := exec.CommandContext(t.Context(), python3(t).Path, "-c", script)
		cmd.Dir = dir
		out, err := cmd.Output()
		require.NoError(t, err)
		_, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(out)))
		require.NoError(t, err)
		return fmt.Sprintf("%s = pickle.loads(base64.b64decode('%s'))\n", name, strings.TrimSpace(string(out)))
	}
	const head = "\nimport pickle\nimport base64\n\n"
	_, c := spawn(t, 1)
	putBytes(t, c, "src", "o", []byte("abc"))
	for n, tt := range []struct {
		name, comm, code, want string
		funcs                  *api.Funcs
		chunk                  int64
	}{
		{name: "hpush", code: head + pickled("def transform(b):\n  import hashlib\n  return hashlib.md5(b).hexdigest().encode()", "transform"), want: fmt.Sprintf("%x", md5.Sum([]byte("abc")))},
		{name: "io", comm: "io", code: head + pickled("def transform():\n  import sys\n  sys.stdout.buffer.write(sys.stdin.buffer.read() + b'.')", "transform") + "transform()\n", want: "abc."},
		{name: "stream", chunk: 32768, code: head + pickled("def transform(reader, writer):\n  for b in reader: writer.write(b + b'|')", "transform"), want: "abc|"},
		{
			name: "before and after", funcs: &api.Funcs{Transform: "transform", Before: "before", After: "after"},
			code: head + pickled("def before(context): context['x'] = b'<'", "before") + pickled("def after(context): return context['x']", "after") +
				pickled("def transform(b, context): context['x'] += b", "transform"),
			want: "<abc",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			etl := fmt.Sprint("etl-pickled-", n)
			require.NoError(t, initCode(t, c, api.ETLSpec{ID: etl, Communication: tt.comm, Code: []byte(tt.code), Funcs: tt.funcs, ChunkSize: tt.chunk,
				Dependencies: api.Blob("--no-index\n--find-links=" + wheels + "\ncloudpickle==2.0.0")}))
			got, err := inline(t, c, "src", "o", etl)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
		})
	}
}
