package python_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers/python"
)

func chunked(size int) python.Config {
	return python.Config{Workers: 1, Functions: python.Functions{ChunkSize: size}}
}

func TestChunks(t *testing.T) {
	const (
		gather = "def transform(b, context): context['result'] = context.get('result', b'') + b + b'|'"
		dup    = "def transform(reader, writer):\n  for b in reader: writer.write(b + b'|')"
	)
	for _, c := range []struct {
		name, code, body, want, wantErr string
		size                            int64 // that is announced; 0 is the body's
	}{
		{name: "context", code: gather, body: "abcdefg", want: "abc|def|g|"},
		{name: "full chunks", code: gather, body: "abcdef", want: "abc|def|"},
		{name: "empty", code: gather},
		{
			name: "lengths",
			code: "def transform(b, context): context['result'] = context.get('result', b'') + b'%d-%d ' % (context['transformed-length'], context['remaining-length'])",
			body: "abcdefg", want: "0-7 3-4 6-1 ",
		},
		{
			name: "unknown length", size: -1,
			code: "def transform(b, context): context['result'] = b'%d %d' % (context['transformed-length'], context['remaining-length'])",
			body: "abcdefg", want: "6 -1",
		},
		{
			name: "before and after",
			code: "def before(context): context['n'] = 0\ndef transform(b, c): c['n'] += len(b)\ndef after(context): return b'%d' % context['n']",
			body: "abcdefg", want: "7",
		},
		{
			name: "after, empty object",
			code: "def before(context): context['n'] = 0\ndef transform(b, c): c['n'] += len(b)\ndef after(context): return b'%d' % context['n']",
			want: "0",
		},
		{
			name: "before and after win over the names",
			code: "def before(context): context['result'] = b''\ndef transform(reader, writer): writer['result'] += reader + b'|'",
			body: "abcd", want: "abc|d|",
		},
		{name: "annotated context", code: "from typing import Dict\ndef transform(reader, d: Dict[str, object]): d['result'] = reader", body: "ab", want: "ab"},
		{name: "no result", code: "def transform(b, context): pass", body: "a", wantErr: `transform left no bytes in context["result"], and there is no after`},
		{name: "text result", code: "def transform(b, context): context['result'] = 'x'", body: "a", wantErr: "transform must return bytes, not str"},
		{name: "raises", code: "def transform(b, context):\n  if b == b'g': raise ValueError('bad')", body: "abcdefg", wantErr: "ValueError: bad (code.py line 2)"},
		{name: "reader and writer", code: dup, body: "abcdefg", want: "abc|def|g|"},
		{name: "empty, reader and writer", code: dup},
		{name: "annotated reader", code: "def transform(a: 'Reader', b: 'Writer'):\n  b.write(a.read())", body: "abcdefg", want: "abc"},
		{name: "other names", code: "def transform(rfile, wfile):\n  wfile.write(rfile.read_all())", body: "abcdefg", want: "abcdefg"},
		{
			name: "read and read_all",
			code: "def transform(reader, writer):\n  for b in (reader.read(), next(reader), reader.read(1), reader.read_all(), reader.read(), reader.read_all()):\n    writer.write(b + b'|')",
			body: "abcdefghij", want: "abc|def|g|hij|||",
		},
		{name: "what writer takes", code: "def transform(reader, writer):\n  for b in (b'a', bytearray(b'b'), memoryview(b'cxd')[::2]): assert writer.write(b) == len(b)\n  writer.flush()", body: "x", want: "abcd"},
		{name: "text written", code: "def transform(reader, writer): writer.write('x')", body: "a", wantErr: "writer.write takes bytes, not str"},
		{name: "raises, reader and writer", code: "def transform(reader, writer):\n  writer.write(b'x')\n  raise ValueError('bad')", body: "abcdefg", wantErr: "ValueError: bad (code.py line 3)"},
		{name: "exits", code: "import sys\ndef transform(reader, writer): sys.exit(4)", body: "abcdefg", wantErr: "SystemExit: 4 (code.py line 2)"},
		{name: "nothing read", code: "def transform(reader, writer): writer.write(b'x')", body: strings.Repeat("a", 1<<20), want: "x"},
		{name: "small pieces", code: "def transform(reader, writer):\n  for _ in range(200000): writer.write(b'x')", want: strings.Repeat("x", 200000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, chunked(3), c.code)
			if c.size == 0 {
				c.size = int64(len(c.body))
			}
			for range 2 { // the worker serves on, whatever became of an object
				got, err := transform(t, h, c.body, comm.Info{Size: c.size})
				if c.wantErr != "" {
					require.EqualError(t, err, c.wantErr)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, c.want, got)
			}
		})
	}
}

// TestStreamIsBounded has an echo of something endless, and looks for how much
// the worker may have read of it when nobody takes the result.
func TestStreamIsBounded(t *testing.T) {
	h := start(t, chunked(64<<10), "import os\nfirst = b'%-10d' % os.getpid()\ndef transform(reader, writer):\n  writer.write(first)\n  writer.flush()\n  for b in reader: writer.write(b)")
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	src := &counter{}
	result := make(chan error, 1)
	go func() { result <- h.Transform(ctx, pw, src, comm.Info{Size: -1}) }()

	pid := make([]byte, 10)
	_, err := io.ReadFull(pr, pid)
	require.NoError(t, err)
	const passed = 256 << 20
	_, err = io.CopyN(io.Discard, pr, passed)
	require.NoError(t, err)
	require.Less(t, src.n.Load()-passed, int64(4<<20), "read ahead")
	status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/status")
	require.NoError(t, err)
	_, peak, ok := strings.Cut(string(status), "VmHWM:")
	require.True(t, ok)
	kib, err := strconv.Atoi(strings.Fields(peak)[0])
	require.NoError(t, err)
	require.Less(t, kib, 64<<10, "KiB of a worker")

	pr.CloseWithError(errors.New("nobody reads")) // the transform waits for more of its source, or for this
	cancel()
	require.Error(t, <-result)
}

// counter is an endless source that counts what was read of it.
type counter struct{ n atomic.Int64 }

func (c *counter) Read(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestStreamIsOverWithItsObject has code that keeps the reader and the writer.
func TestStreamIsOverWithItsObject(t *testing.T) {
	h := start(t, chunked(4), `
kept = []
def transform(reader, writer):
    failed = 0
    for r, w in kept:
        for use in (r.read, w.flush, lambda: w.write(b"x" * 100000)):
            try:
                use()
            except Exception:
                failed += 1
    writer.write(b"%d" % failed)
    kept.append((reader, writer))
`)
	for _, want := range []string{"0", "2", "4"} { // with nothing left over a flush is none
		got, err := transform(t, h, "abcdefg", comm.Info{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestStreamOfABrokenSourceOrDestination(t *testing.T) {
	h := start(t, chunked(1000), "import os\npid = b'%d' % os.getpid()\ndef transform(reader, writer):\n  n = 0\n  for b in reader:\n    n += len(b)\n    writer.write(b)\n  if not n: writer.write(pid)")
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
	require.Equal(t, pid, again, "the worker lives on")
}

func TestStreamWhenTheWorkerDiesOrHangs(t *testing.T) {
	h := start(t, chunked(10), `
import os, time
def transform(reader, writer):
    what = reader.read()
    if what == b"exit......":
        os.write(2, b"going down\n")
        os._exit(3)
    if what == b"close.....":
        os.close(4)
    if what == b"hang......":
        time.sleep(3600)
    writer.write(what)
`)
	big := strings.Repeat("x", 4<<20)
	for _, c := range []struct{ what, want string }{
		{"exit......", "python: worker died: exit status 3; its last output: going down"},
		{"close.....", "python: worker died: exit status 1"},
		{"hang......", "deadline exceeded"},
	} {
		for _, rest := range []string{"", big} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			if c.what != "hang......" {
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
			}
			err := h.Transform(ctx, io.Discard, strings.NewReader(c.what+rest), comm.Info{})
			cancel()
			require.ErrorContains(t, err, c.want)
			got, err := transform(t, h, "fine", comm.Info{})
			require.NoError(t, err)
			require.Equal(t, "fine", got)
		}
	}
}

// TestChunksOfOldVersions runs where other Pythons than the newest are on PATH.
func TestChunksOfOldVersions(t *testing.T) {
	for _, i := range python.Installed(t.Context()) {
		t.Run(fmt.Sprint(i.Major, ".", i.Minor), func(t *testing.T) {
			cfg := chunked(1 << 20)
			cfg.Python = i.Path
			body := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
			h := start(t, cfg, "def transform(reader, writer):\n  for b in reader: writer.write(b)")
			got, err := transform(t, h, string(body), comm.Info{Size: -1})
			require.NoError(t, err)
			require.Equal(t, string(body), got)
			h = start(t, cfg, "def transform(b, context): context['result'] = context.get('result', b'') + b")
			got, err = transform(t, h, string(body), comm.Info{Size: -1})
			require.NoError(t, err)
			require.Equal(t, string(body), got)
		})
	}
}
