package python_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/python"
)

func TestTransformCallsTheUsersFunctions(t *testing.T) {
	for _, c := range []struct {
		name, code, body string
		info             comm.Info
		cfg              python.Config
		want, wantErr    string
	}{
		{name: "bytes", code: "def transform(b): return b.upper()", body: "abc", want: "ABC"},
		{name: "empty body", code: "def transform(b): return b + b'!'", want: "!"},
		{name: "empty result", code: "def transform(b): return b''", body: "abc"},
		{name: "bytearray", code: "def transform(b): return bytearray(b)", body: "abc", want: "abc"},
		{name: "memoryview, not contiguous", code: "def transform(b): return memoryview(b)[::2]", body: "abc", want: "ac"},
		{name: "other name", cfg: python.Config{Functions: python.Functions{Transform: "work"}}, code: "def work(b): return b * 2", body: "ab", want: "abab"},
		{
			name: "context",
			code: "def transform(b, context): return repr(sorted(context.items())).encode()",
			info: comm.Info{Bucket: "src", Name: "a/ü.bin", Size: 3, Args: "x=1"},
			want: "[('args', 'x=1'), ('bucket', 'src'), ('name', 'a/ü.bin'), ('size', 3)]",
		},
		{name: "second parameter with default", code: "def transform(b, c=None): return str(type(c)).encode()", want: "<class 'dict'>"},
		{name: "keyword-only parameter", code: "def transform(b, *, c=1): return b", body: "x", want: "x"},
		{name: "star args", code: "def transform(*a): return b'%d' % len(a)", want: "1"},
		{name: "callable object", code: "class T:\n  def __call__(self, b): return b[::-1]\ntransform = T()", body: "ab", want: "ba"},
		{name: "bound method", code: "class T:\n  def f(self, b): return b[::-1]\ntransform = T().f", body: "ab", want: "ba"},
		{name: "partial", code: "import functools\ntransform = functools.partial(lambda s, b: s + b, b'x')", body: "y", want: "xy"},
		{
			name: "wrapped",
			code: "import functools\ndef w(f):\n  @functools.wraps(f)\n  def g(*a): return f(*a)\n  return g\n@w\ndef transform(b, context): return context['name'].encode()",
			info: comm.Info{Name: "n"}, want: "n",
		},
		{
			name: "before and after",
			code: "def before(context): context['x'] = b'<'\ndef transform(b, context): return context['x'] + b\ndef after(context): return context['result'] + b'>'",
			body: "a", want: "<a>",
		},
		{
			name: "result left in the context",
			code: "def before(context): context['x'] = b'x'\ndef transform(b, context): context['result'] = b + context['x']",
			body: "a", want: "ax",
		},
		{
			name: "after that returns nothing",
			code: "def transform(b, c): return b\ndef after(context): context['result'] += b'!'",
			body: "a", want: "a!",
		},
		{
			name: "named before and after", cfg: python.Config{Functions: python.Functions{Before: "pre", After: "post"}},
			code: "def pre(c): c['k'] = b'k'\ndef post(c): return c['result'] + c['k']\ndef transform(b, c): return b",
			body: "a", want: "ak",
		},
		{name: "runs as a module", code: "name = __name__\nif __name__ == '__main__': raise SystemExit(1)\ndef transform(b): return name.encode()", want: "etl_code"},
		{name: "does not hide the standard module code", code: "import pdb, code\ncode.InteractiveConsole\ndef transform(b): return b"},
		{name: "str", code: "def transform(b): return 'x'", wantErr: "transform must return bytes, not str"},
		{name: "nothing", code: "def transform(b): pass", wantErr: "transform must return bytes, not None"},
		{name: "list", code: "def transform(b): return []", wantErr: "transform must return bytes, not list"},
		{name: "after returns str", code: "def transform(b, c): return b\ndef after(c): return 'x'", wantErr: "after must return bytes, not str"},
		{name: "exception", code: "def transform(b):\n  x = 1\n\n  raise ValueError('bad input')", wantErr: "ValueError: bad input (code.py line 4)"},
		{name: "exception below", code: "import json\ndef transform(b):\n  return json.loads('{')", wantErr: "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) (code.py line 3)"},
		{name: "exception without text", code: "def transform(b): raise KeyError", wantErr: "KeyError (code.py line 1)"},
		{name: "exit", code: "import sys\ndef transform(b): sys.exit(3)", wantErr: "SystemExit: 3 (code.py line 2)"},
		{name: "exception that cannot be shown", code: "class E(Exception):\n  def __str__(self): raise E\ndef transform(b): raise E()", wantErr: "E: (its text cannot be shown) (code.py line 3)"},
		{name: "exception in before", code: "def before(c): 1 / 0\ndef transform(b, c): return b", wantErr: "ZeroDivisionError: division by zero (code.py line 1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Workers = 1
			h := start(t, c.cfg, c.code)
			for range 2 { // the worker serves on, whatever became of an object
				got, err := transform(t, h, c.body, c.info)
				require.Equal(t, c.want, got)
				if c.wantErr == "" {
					require.NoError(t, err)
					continue
				}
				var failure *python.CodeError
				require.ErrorAs(t, err, &failure)
				require.EqualError(t, err, c.wantErr)
			}
		})
	}
}

func TestNewRefusesModulesThatCannotWork(t *testing.T) {
	for _, c := range []struct {
		name, code string
		cfg        python.Config
		want       string // first line
		wantTrace  string // is among the others
	}{
		{name: "syntax", code: "x = 1\n\ndef transform(b: return b\n", want: "code.py line 3: SyntaxError: invalid syntax", wantTrace: "def transform(b: return b"},
		{name: "no function", code: "x = 1", want: `code.py defines no function "transform"`},
		{name: "not a function", code: "transform = 1", want: `code.py defines no function "transform"`},
		{name: "missing before", cfg: python.Config{Functions: python.Functions{Before: "pre"}}, code: "def transform(b): return b", want: `code.py defines no function "pre"`},
		{name: "import", code: "import os\nimport nowhere_to_be_found", want: "code.py line 2: ModuleNotFoundError: No module named 'nowhere_to_be_found'", wantTrace: "import nowhere_to_be_found"},
		{name: "raises", code: "def f():\n  raise ValueError('no')\nf()", want: "code.py line 2: ValueError: no", wantTrace: "in f"},
		{name: "exits", code: "import sys\nsys.exit(2)", want: "code.py line 2: SystemExit: 2"},
		{name: "no argument", code: "def transform(): pass", want: "transform takes no argument: that form is for io:// only"},
		{name: "three arguments", code: "def transform(a, b, c): pass", want: "transform requires 3 arguments: it is called with the bytes and, if it takes two, the context"},
		{name: "before, no context", code: "def before(c): pass\ndef transform(b): return b",
			want: "transform takes 1 argument: with before or after it is called with the bytes and the context"},
		{name: "chunks, no context", cfg: python.Config{Functions: python.Functions{ChunkSize: 4}}, code: "def transform(b): return b",
			want: "transform takes 1 argument: with a chunk size it is called with the chunk and the context, or with a reader and a writer"},
		{name: "null byte", code: "x = 1\x00", want: "code.py: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Python, c.cfg.Code, c.cfg.Workers = python3(t), module(t, c.code), 2
			_, err := python.New(t.Context(), c.cfg)
			var failure *python.CodeError
			require.ErrorAs(t, err, &failure)
			first, rest, _ := strings.Cut(err.Error(), "\n")
			if c.name == "null byte" { // its type and text are another in every version
				require.Contains(t, first, "null bytes")
				return
			}
			if c.name == "syntax" { // as is its text
				first = first[:min(len(first), len("code.py line 3: SyntaxError:"))]
				c.want = "code.py line 3: SyntaxError:"
			}
			require.Equal(t, c.want, first)
			require.Contains(t, rest, c.wantTrace)
		})
	}
}

func TestNewReportsWhatIsWrongWithTheConfig(t *testing.T) {
	_, err := python.New(t.Context(), python.Config{Functions: python.Functions{ChunkSize: -1}, Workers: -1})
	require.ErrorContains(t, err, "interpreter's path, is missing")
	require.ErrorContains(t, err, "module's path, is missing")
	require.ErrorContains(t, err, "chunk size -1")
	require.ErrorContains(t, err, "workers -1")
}

func TestNewWithoutInterpreterOrModule(t *testing.T) {
	_, err := python.New(t.Context(), python.Config{Python: "/nowhere/python3", Code: "code.py", Workers: 2})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = python.New(t.Context(), python.Config{Python: python3(t), Code: "/nowhere/code.py", Workers: 2})
	require.ErrorContains(t, err, "FileNotFoundError")
}

func TestNewWhenTheModuleEndsOrHangsTheProcess(t *testing.T) {
	cfg := python.Config{Python: python3(t), Workers: 2}
	cfg.Code = module(t, "import os\nos.write(2, b'last words\\n')\nos._exit(7)")
	_, err := python.New(t.Context(), cfg)
	require.ErrorContains(t, err, "exit status 7")
	require.ErrorContains(t, err, "last words")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cfg.Code = module(t, "import time\ntime.sleep(3600)")
	_, err = python.New(ctx, cfg)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, cfg.Code)
}

func TestPrintsAndTracebacksGoToStderr(t *testing.T) {
	var log buffer
	h := start(t, python.Config{Stderr: &log}, `
import os, subprocess, sys
print("at import")
def transform(b):
    print("printed")
    sys.stdout.write("written\n")
    os.write(1, b"raw\n")
    subprocess.check_call(["echo", "from a child"])
    if not b:
        raise ValueError("no bytes")
    return b
`)
	got, err := transform(t, h, "abc", comm.Info{})
	require.NoError(t, err)
	require.Equal(t, "abc", got)
	_, err = transform(t, h, "", comm.Info{})
	require.EqualError(t, err, "ValueError: no bytes (code.py line 10)")
	require.NoError(t, h.Close()) // all output has arrived
	for _, want := range []string{"at import\n", "printed\n", "written\n", "raw\n", "from a child\n", "Traceback", `raise ValueError("no bytes")`} {
		require.Contains(t, log.String(), want)
	}
	require.NotContains(t, log.String(), "<string>", "tracebacks show the user's code, not ours")
}

func TestWorkerDeathFailsOneObject(t *testing.T) {
	const code = `
import os, signal, sys
def transform(b):
    if b == b"exit":
        sys.stderr.write("going down\n")
        os._exit(3)
    if b == b"segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if b == b"close":
        os.close(4)
    return b
`
	h := start(t, python.Config{}, code)
	for _, c := range []struct{ body, want string }{
		{"exit", "python: worker died: exit status 3; its last output: going down"},
		{"segv", "python: worker died: signal: segmentation fault"},
		{"close", "python: worker died: exit status 1"},
	} {
		_, err := transform(t, h, c.body, comm.Info{})
		require.ErrorContains(t, err, c.want)
		for range 4 {
			got, err := transform(t, h, "fine", comm.Info{})
			require.NoError(t, err)
			require.Equal(t, "fine", got)
		}
	}
	require.NoError(t, h.Err())
}

func TestWorkersThatDieIdleAreReplaced(t *testing.T) {
	h := start(t, python.Config{}, "import os\ndef transform(b): return b'%d' % os.getpid()")
	for range 3 {
		text, err := transform(t, h, "", comm.Info{})
		require.NoError(t, err)
		pid, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }, 5*time.Second, time.Millisecond)
	}
	_, err := transform(t, h, "", comm.Info{})
	require.NoError(t, err)
}

func TestHostBreaksWhenWorkersCannotBeReplaced(t *testing.T) {
	dir := t.TempDir()
	h := start(t, python.Config{Workers: 1}, fmt.Sprintf(`
import os
mark = %q
if os.path.exists(mark):
    raise RuntimeError("not twice")
open(mark, "w").close()
def transform(b):
    os._exit(1)
`, dir+"/mark"))
	_, err := transform(t, h, "", comm.Info{})
	require.ErrorContains(t, err, "exit status 1")
	_, err = transform(t, h, "", comm.Info{}) // waits for the replacement
	require.ErrorContains(t, err, "3 workers in a row did not start: code.py line 5: RuntimeError: not twice")
	<-h.Done()
	require.Equal(t, err, h.Err())
	require.NoError(t, h.Close())
	require.Equal(t, err, h.Err(), "closing does not hide the reason")
}

func TestCancelKillsTheWorkerAndNoOther(t *testing.T) {
	h := start(t, python.Config{}, "import time\ndef transform(b):\n  time.sleep(3600 if b == b'hang' else 0)\n  return b")
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := h.Transform(ctx, io.Discard, strings.NewReader("hang"), comm.Info{})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		got, err := transform(t, h, "fine", comm.Info{})
		require.NoError(t, err)
		require.Equal(t, "fine", got)
	}
}

func TestCancelWhileWaitingForAWorker(t *testing.T) {
	h := start(t, python.Config{Workers: 1}, "import time\ndef transform(b):\n  time.sleep(3600)")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			err := h.Transform(ctx, io.Discard, strings.NewReader(""), comm.Info{})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestCloseFinishesWhatIsUnderWay(t *testing.T) {
	h, result, out := startSlow(t, "0.2")
	require.NoError(t, h.Close())
	require.NoError(t, <-result)
	require.Equal(t, "x", out.String())
	<-h.Done()
	require.ErrorIs(t, h.Err(), python.ErrClosed)
	_, err := transform(t, h, "x", comm.Info{})
	require.ErrorIs(t, err, python.ErrClosed)
}

func TestCloseEndsAWorkerThatHangs(t *testing.T) {
	h, result, _ := startSlow(t, "3600")
	require.NoError(t, h.Close())
	require.ErrorIs(t, <-result, python.ErrClosed)
}

// startSlow returns a host whose one worker is at an object that takes so many
// seconds, and that object's result. The output may be read after it.
func startSlow(t *testing.T, seconds string) (*python.Host, <-chan error, *strings.Builder) {
	t.Helper()
	var log buffer
	h := start(t, python.Config{Workers: 1, Stderr: &log},
		"import time\ndef transform(b):\n  print('started', flush=True)\n  time.sleep("+seconds+")\n  return b")
	result, out := make(chan error, 1), &strings.Builder{}
	go func() { result <- h.Transform(context.Background(), out, strings.NewReader("x"), comm.Info{}) }()
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "started") }, 10*time.Second, time.Millisecond)
	return h, result, out
}

func TestCloseLeavesNoProcess(t *testing.T) {
	h := start(t, python.Config{Workers: 1}, "import os\ndef transform(b): return b'%d' % os.getpid()")
	text, err := transform(t, h, "", comm.Info{})
	require.NoError(t, err)
	pid, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, h.Close())
	require.Equal(t, syscall.ESRCH, syscall.Kill(pid, 0))
}

func TestBigBodies(t *testing.T) {
	h := start(t, python.Config{}, "def transform(b):\n  assert type(b) is bytes\n  return b")
	for _, size := range []int{1, 65535, 65536, 256 << 10, 256<<10 + 3960, 256<<10 + 4096, 1 << 20, 64 << 20} {
		body := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(body)
		for _, known := range []int64{int64(size), -1} {
			sum := md5.New()
			require.NoError(t, h.Transform(t.Context(), sum, bytes.NewReader(body), comm.Info{Name: "n", Size: known}))
			want := md5.Sum(body)
			require.Equal(t, want[:], sum.Sum(nil), "size %d", size)
		}
	}
}

func TestMaxBytes(t *testing.T) {
	h := start(t, python.Config{Workers: 1, MaxBytes: 1 << 20}, "def transform(b): return b'%d' % len(b)")
	body := strings.Repeat("x", 1<<20)
	_, err := transform(t, h, body+"x", comm.Info{Size: 1<<20 + 1})
	require.ErrorContains(t, err, "bigger than the limit: 1048577 bytes, limit 1048576")
	_, err = transform(t, h, body+"x", comm.Info{Size: -1})
	require.ErrorContains(t, err, "bigger than the limit")
	got, err := transform(t, h, body, comm.Info{Size: -1})
	require.NoError(t, err)
	require.Equal(t, "1048576", got)
}

func TestBrokenSourceOrDestinationCostsNoWorker(t *testing.T) {
	h := start(t, python.Config{Workers: 1}, "import os\npid = b'%d' % os.getpid()\ndef transform(b): return b if b else pid")
	pid, err := transform(t, h, "", comm.Info{})
	require.NoError(t, err)
	broken := errors.New("broken")
	for _, size := range []int{10, 1 << 20} {
		body := strings.Repeat("x", size)
		src := io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken))
		require.ErrorIs(t, h.Transform(t.Context(), io.Discard, src, comm.Info{}), broken)
		require.ErrorIs(t, h.Transform(t.Context(), errWriter{broken}, strings.NewReader(body), comm.Info{}), broken)
	}
	again, err := transform(t, h, "", comm.Info{})
	require.NoError(t, err)
	require.Equal(t, pid, again)
}

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

func TestConcurrentUse(t *testing.T) {
	h := start(t, python.Config{Workers: 3}, `
import os
def transform(b, context):
    if context["args"] == "die":
        os._exit(1)
    return context["name"].encode() + b
`)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprintf("%d/%d", g, n)
				if g == 0 && n%10 == 0 {
					err := h.Transform(t.Context(), io.Discard, strings.NewReader("x"), comm.Info{Args: "die"})
					if err == nil {
						t.Error("no error of a worker that died")
					}
					continue
				}
				var out strings.Builder
				body := strings.Repeat("x", n*1000)
				if err := h.Transform(t.Context(), &out, strings.NewReader(body), comm.Info{Name: name}); err != nil {
					t.Error(err)
				}
				if out.String() != name+body {
					t.Errorf("object %s got another's result", name)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, h.Err())
}

func TestEnv(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/dependency.py", []byte("value = b'here'"), 0o600))
	h := start(t, python.Config{Env: []string{"PYTHONPATH=" + dir}}, "import dependency\ndef transform(b): return dependency.value")
	got, err := transform(t, h, "", comm.Info{})
	require.NoError(t, err)
	require.Equal(t, "here", got)
}

// TestOldVersions runs where other Pythons than the newest are on PATH.
func TestOldVersions(t *testing.T) {
	for _, i := range python.Installed(t.Context()) {
		t.Run(fmt.Sprint(i.Major, ".", i.Minor), func(t *testing.T) {
			h := start(t, python.Config{Python: i.Path}, "def transform(b, context):\n  if not b: raise ValueError('bad')\n  print('ok')\n  return b + context['name'].encode('utf-8')")
			got, err := transform(t, h, strings.Repeat("x", 1<<20), comm.Info{Name: "n"})
			require.NoError(t, err)
			require.Len(t, got, 1<<20+1)
			_, err = transform(t, h, "", comm.Info{})
			require.EqualError(t, err, "ValueError: bad (code.py line 2)")
			_, err = transform(t, h, "x", comm.Info{})
			require.NoError(t, err)
		})
	}
}

func TestSamples(t *testing.T) {
	for _, name := range []string{"echo", "md5"} {
		source, ok := python.Sample(name)
		require.True(t, ok)
		h := start(t, python.Config{}, string(source))
		native, ok := transformers.Lookup(name)
		require.True(t, ok)
		for _, size := range []int{0, 1, 4096, 1 << 20} {
			body := strings.Repeat("e", size)
			var want strings.Builder
			require.NoError(t, native(t.Context(), &want, strings.NewReader(body), comm.Info{Size: -1}))
			got, err := transform(t, h, body, comm.Info{})
			require.NoError(t, err)
			require.Equal(t, want.String(), got)
		}
	}
	_, ok := python.Sample("../code")
	require.False(t, ok)
}

// withPillow finds an interpreter that has Pillow, or skips the test.
func withPillow(t *testing.T) string {
	installed := python.Installed(t.Context())
	for _, py := range installed {
		if py.Major == 3 && exec.CommandContext(t.Context(), py.Path, "-c", "import PIL").Run() == nil {
			return py.Path
		}
	}
	t.Skipf("none of the interpreters has Pillow: %v", installed)
	return ""
}

func TestSampleTarImages(t *testing.T) {
	source, ok := python.Sample("tar-images")
	require.True(t, ok)
	cfg := python.Config{Python: python3(t), Code: module(t, string(source)), Workers: 1}
	h, err := python.New(t.Context(), cfg)
	if err != nil {
		require.ErrorContains(t, err, "ImportError: tar_images.py needs Pillow")
		cfg.Python = withPillow(t)
		h, err = python.New(t.Context(), cfg)
	}
	require.NoError(t, err)
	defer h.Close()
	_, err = transform(t, h, "no TAR", comm.Info{})
	require.ErrorContains(t, err, "ReadError")

	var shard, picture, small bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 30, 20))))
	w := tar.NewWriter(&shard)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "a.png", Mode: 0o640, Size: int64(picture.Len())}))
	_, err = w.Write(picture.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, h.Transform(t.Context(), &small, &shard, comm.Info{}))
	r := tar.NewReader(&small)
	header, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "a.png", header.Name)
	require.Equal(t, int64(0o640), header.Mode)
	square, err := png.DecodeConfig(r)
	require.NoError(t, err)
	require.Equal(t, [2]int{224, 224}, [2]int{square.Width, square.Height})
}

func BenchmarkMD5(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 4096)
	run := func(b *testing.B, f comm.Transform) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f(b.Context(), io.Discard, bytes.NewReader(body), comm.Info{Name: "n", Size: 4096}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.Run("size=4KiB/code=go", func(b *testing.B) {
		native, _ := transformers.Lookup("md5")
		run(b, native)
	})
	b.Run("size=4KiB/code=python", func(b *testing.B) {
		source, _ := python.Sample("md5")
		run(b, start(b, python.Config{}, string(source)).Transform)
	})
}

func BenchmarkEcho(b *testing.B) {
	h := start(b, python.Config{}, "def transform(b): return b")
	for _, size := range []int{64 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			body := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := h.Transform(b.Context(), io.Discard, bytes.NewReader(body), comm.Info{Size: int64(size)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
