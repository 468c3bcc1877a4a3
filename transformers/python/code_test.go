package python_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/transformers/python"
)

const selfDriven = "import sys\ndef transform():\n  sys.stdout.buffer.write(sys.stdin.buffer.read().upper())\n"

// ioCases are modules that transform "abc" under io://.
var ioCases = []struct {
	name, code string
	f          python.Functions
	want       string
	wantExit   int
	wantStderr string // its end
}{
	{name: "no parameters", code: selfDriven, want: "ABC"},
	{name: "calls itself", code: selfDriven + "transform()\n", want: "ABC"},
	{name: "calls itself under main", code: selfDriven + "if __name__ == '__main__':\n  transform()\n", want: "ABC"},
	{name: "calls itself through another function", code: selfDriven + "def main():\n  transform()\nif __name__ == '__main__':\n  main()\n", want: "ABC"},
	{name: "is called by a function that is not called", code: selfDriven + "def main():\n  transform()\n", want: "ABC"},
	{name: "recursive functions", code: selfDriven + "def f(n):\n  return n and g(n - 1)\ndef g(n):\n  return n and f(n - 1)\nf(3)\n", want: "ABC"},
	{name: "bytes", code: "def transform(b): return b.upper()", want: "ABC"},
	{name: "bytes, calls itself", code: "import sys\ndef transform(b): return b.upper()\nsys.stdout.buffer.write(transform(sys.stdin.buffer.read()))", want: "ABC"},
	{name: "bytes and context", code: "def transform(b, context): return b'%d' % context['size']", want: "3"},
	{name: "before and after", code: "def before(c): c['x'] = b'x'\ndef transform(b, c): return b\ndef after(c): return c['result'] + c['x']", want: "abcx"},
	{name: "named before and after", f: python.Functions{Before: "pre", After: "post"},
		code: "def pre(c): c['x'] = b'x'\ndef transform(b, c): return b\ndef post(c): return c['result'] + c['x']", want: "abcx"},
	{name: "no parameters, chunk size", f: python.Functions{ChunkSize: 2}, code: selfDriven, want: "ABC"},
	{name: "chunks", f: python.Functions{ChunkSize: 2}, code: "def transform(b, c): c['result'] = c.get('result', b'') + b + b'.'", want: "ab.c."},
	{name: "reader and writer", f: python.Functions{ChunkSize: 2}, code: "def transform(reader, writer):\n  for b in reader: writer.write(b + b'.')", want: "ab.c."},
	{name: "other name", f: python.Functions{Transform: "work"}, code: "def work(b): return b + b", want: "abcabc"},
	{name: "optional parameter", code: "import sys\ndef transform(f=None): sys.stdout.write(repr(f))", want: "None"},
	{name: "text output", code: "def transform():\n  print('x')", want: "x\n"},
	{name: "exit zero", code: "def transform():\n  print('x')\n  exit(0)", want: "x\n"},
	{name: "exit code", code: "import sys\ndef transform(): sys.exit(5)", wantExit: 5},
	{name: "raises", code: "def transform(b):\n  raise ValueError('bad input')", wantExit: 1, wantStderr: "ValueError: bad input (code.py line 2)\n"},
	{name: "str", code: "def transform(b): return 'x'", wantExit: 1, wantStderr: "transform must return bytes, not str\n"},
	{name: "no function", code: "x = 1", wantExit: 1, wantStderr: "code.py defines no function \"transform\"\n"},
	{name: "syntax", code: "x = (", wantExit: 1, wantStderr: "(code.py line 1)\n"},
	{name: "site-packages are found when asked for", code: "import sys\nassert 'site' not in sys.modules\ntry:\n  import not_there_at_all\nexcept ImportError: pass\nassert 'site' in sys.modules\ndef transform(b): return b", want: "abc"},
	{name: "working folder is not on the path", code: "import sys\nassert '' not in sys.path\ndef transform(b): return b", want: "abc"},
}

func TestIOCommand(t *testing.T) {
	for _, c := range ioCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			argv, err := python.IOCommand(python3(t), module(t, c.code), c.f)
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			var out, errs bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("abc"), &out, &errs
			_ = cmd.Run()
			require.Equal(t, c.wantExit, cmd.ProcessState.ExitCode(), errs.String())
			require.Equal(t, c.want, out.String())
			require.True(t, strings.HasSuffix(errs.String(), c.wantStderr), errs.String())
			require.NotContains(t, errs.String(), "<string>")
		})
	}
}

func TestIOCommandHonoursPythonPath(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dependency.py"), []byte("value = b'here'"), 0o600))
	argv, err := python.IOCommand(python3(t), module(t, "import dependency\ndef transform(b): return dependency.value"), python.Functions{})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PYTHONPATH=" + dir}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "here", string(out))
}

func TestIOCommandNeedsPaths(t *testing.T) {
	_, err := python.IOCommand("", "code.py", python.Functions{})
	require.Error(t, err)
	_, err = python.IOCommand("/usr/bin/python3", "", python.Functions{})
	require.Error(t, err)
}

func TestCheck(t *testing.T) {
	const noArgument = "code.py line 1: transform takes no argument: that form is for io:// only"
	const (
		oneWithChunks = "code.py line 1: transform takes 1 argument: with a chunk size it is called with the chunk and the context, or with a reader and a writer"
		oneWithHooks  = "code.py line 2: transform takes 1 argument: with before or after it is called with the bytes and the context"
	)
	for _, c := range []struct {
		name, code   string
		f            python.Functions
		want, wantIO string // first line of the error
	}{
		{name: "bytes", code: "def transform(b): return b"},
		{name: "nothing runs", code: "import nowhere_to_be_found\nraise SystemExit(9)\ndef transform(b): return b"},
		{name: "no argument", code: "def transform(): pass", want: noArgument},
		{name: "three arguments", code: "def transform(a, b, c): pass",
			want:   "code.py line 1: transform requires 3 arguments: it is called with the bytes and, if it takes two, the context",
			wantIO: "code.py line 1: transform requires 3 arguments: it is called with the bytes and, if it takes two, the context"},
		{name: "star", code: "def transform(*args): pass"},
		{name: "missing", code: "def other(b):\n  def transform(b): pass", want: `code.py defines no function "transform"`, wantIO: `code.py defines no function "transform"`},
		{name: "other name", f: python.Functions{Transform: "work"}, code: "def work(b): return b"},
		{name: "chunks", f: python.Functions{ChunkSize: 1}, code: "def transform(b): return b", want: oneWithChunks, wantIO: oneWithChunks},
		{name: "chunks and context", f: python.Functions{ChunkSize: 1}, code: "def transform(b, c): return b"},
		{name: "chunks, io", f: python.Functions{ChunkSize: 1}, code: "def transform(): pass", want: noArgument},
		{name: "before, no context", code: "def before(c): pass\ndef transform(b): return b", want: oneWithHooks, wantIO: oneWithHooks},
		{name: "missing after", f: python.Functions{After: "post"}, code: "def transform(b, c): return b",
			want: `code.py defines no function "post"`, wantIO: `code.py defines no function "post"`},
		{name: "assigned", code: "import pickle\ntransform = pickle.loads(b'')"},
		{name: "imported", code: "from somewhere import f as transform"},
		{name: "imported by star", code: "from somewhere import *"},
		{name: "in a branch", code: "import sys\nif sys.version_info > (3,):\n  def transform(b): return b\nelse:\n  def transform(b): return b"},
		{name: "made by exec", code: "exec('x')"},
		{name: "decorated", code: "@something\ndef transform(): pass"},
		{name: "syntax", code: "def transform(b):\n  return b\nx = = 1\n", want: "code.py line 3: SyntaxError: invalid syntax", wantIO: "code.py line 3: SyntaxError: invalid syntax"},
		{name: "return outside function", code: "def transform(b): return b\nreturn", want: "code.py line 2: SyntaxError: 'return' outside function", wantIO: "code.py line 2: SyntaxError: 'return' outside function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := module(t, c.code)
			requireSummary(t, c.want, python.Check(t.Context(), python3(t), path, c.f, false))
			requireSummary(t, c.wantIO, python.Check(t.Context(), python3(t), path, c.f, true))
		})
	}
}

func requireSummary(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	var failure *python.CodeError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, want, failure.Summary)
}

func TestCheckCannotRun(t *testing.T) {
	err := python.Check(t.Context(), "/nowhere/python3", "code.py", python.Functions{}, false)
	require.ErrorIs(t, err, os.ErrNotExist)

	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	err = python.Check(ctx, python3(t), module(t, "def transform(b): return b"), python.Functions{}, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
