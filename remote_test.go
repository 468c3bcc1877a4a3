package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/loader"
)

// command runs a command line in this process, against a server that stands
// for a cluster.
func command(t *testing.T, ctx context.Context, answer http.HandlerFunc, change func(*env), args ...string) (code int, stdout, stderr string) {
	s := httptest.NewServer(answer)
	defer s.Close()
	var out, err bytes.Buffer
	e := &env{args: append(args, "--cluster", s.URL), in: strings.NewReader(""), out: &out, err: &err,
		lookup: func(string) (string, bool) { return "", false }}
	if change != nil {
		change(e)
	}
	code = run(ctx, e)
	return code, out.String(), err.String()
}

// TestWaitIsInterrupted: Ctrl-C ends the wait, and says that the job goes on.
func TestWaitIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var polls atomic.Int32
	code, stdout, stderr := command(t, ctx, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get(api.QparamWhat) == "status" {
			_, _ = io.WriteString(w, `{"kind":"etl-bck","uuid":"abcdefghi","end_time":0}`)
			return
		}
		if _, _ = io.WriteString(w, `{"t1":[{"id":"abcdefghi","kind":"etl-bck","stats":{}}]}`); polls.Add(1) == 3 {
			interrupt()
		}
	}, nil, "job", "wait", "abcdefghi")
	require.Equal(t, exitInterrupted, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "etlbench: interrupted: job abcdefghi goes on in the cluster\ntry: etlbench job wait abcdefghi --cluster http://")
}

// TestRealClusterTellsLess: a job without what only a reference cluster adds.
func TestRealClusterTellsLess(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get(api.QparamWhat) == "status" {
			_, _ = io.WriteString(w, `{"kind":"copy-bck","uuid":"abcdefghi","end_time":1}`)
			return
		}
		_, _ = io.WriteString(w, `{"t1":[{"ext":null,"id":"abcdefghi","kind":"copy-bck","start-time":"2026-11-22T07:26:05Z",
			"end-time":"2026-11-22T07:26:07Z","src-bck":{"name":"a","provider":"ais"},"dst-bck":{"name":"b","provider":"ais"},
			"stats":{"loc-objs":"4","loc-bytes":"4118","out-objs":"2","out-bytes":"0","in-objs":"0","in-bytes":"0"}}],"t2":null}`)
	}
	code, stdout, _ := command(t, t.Context(), answer, nil, "job", "wait", "abcdefghi", "-o", "json")
	require.Zero(t, code)
	require.JSONEq(t, `{"id":"abcdefghi","kind":"copy-bck","state":"finished","error":"","from":"ais://a","to":"ais://b",
		"start":"2026-11-22T07:26:05Z","end":"2026-11-22T07:26:07Z","objects":4,"bytes":4118,"source_bytes":null,"failed":null,
		"targets":[{"target":"t1","state":"finished","error":"","objects":4,"bytes":4118,"sent_objects":2,"sent_bytes":0,
		"received_objects":0,"received_bytes":0}]}`, stdout)
	code, stdout, _ = command(t, t.Context(), answer, nil, "job", "ls")
	require.Zero(t, code)
	require.Empty(t, stdout)
}

// TestBucketRmAsks at a terminal, and takes only a yes for one.
func TestBucketRmAsks(t *testing.T) {
	for answer, want := range map[string]int{"y\n": 0, "yes\n": 0, "n\n": exitRuntime, "\n": exitRuntime, "": exitRuntime} {
		removed := false
		code, _, stderr := command(t, t.Context(), func(w http.ResponseWriter, r *http.Request) {
			if removed = r.Method == http.MethodDelete; !removed {
				page := &api.ListPage{Entries: []*api.ListEntry{{Name: "o\x1b[2J"}}}
				_, _ = w.Write(page.AppendMsgpack(nil))
			}
		}, func(e *env) { e.inTTY, e.in = true, strings.NewReader(answer) }, "bucket", "rm", "b")
		require.Equal(t, want, code, answer)
		require.Equal(t, want == 0, removed, answer)
		require.Contains(t, stderr, `ais://b has objects, "o\x1b[2J" for one. Remove it`)
	}
}

// TestNotAStore: what is no AIStore is said to be none, in a line.
func TestNotAStore(t *testing.T) {
	code, stdout, stderr := command(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>welcome</html>")
	}, nil, "etl", "ls")
	require.Equal(t, exitRuntime, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "reply: invalid character '<'")
}

// TestProgressOffATerminal: a line when something new begins, and then one
// every five seconds.
func TestProgressOffATerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, last: time.Now()}
	p.line("", "not yet")
	require.Empty(t, out.String())
	p.last = p.last.Add(-plainEvery)
	p.line("", "now")
	p.line("", "not again")
	p.show(loader.Progress{Arm: 1, Arms: 2, Phase: "measure"})
	require.Equal(t, "now\n", out.String()[:4])
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
}

// TestPutNamesWhatFailed: one file that is refused does not keep the others
// back, and is named.
func TestPutNamesWhatFailed(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("d", 0o755))
	for _, name := range []string{"a", "bad", "c"} {
		require.NoError(t, os.WriteFile("d/"+name, []byte(name), 0o600))
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set(api.HdrBucketProps, "{}")
		case !r.URL.Query().Has(api.QparamProxyID):
			http.Redirect(w, r, "http://"+r.Host+r.URL.String()+"&"+api.QparamProxyID+"=p", http.StatusTemporaryRedirect)
		case strings.HasSuffix(r.URL.Path, "/bad"):
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = io.WriteString(w, `{"message":"no space left","status":507}`)
		}
	}
	code, stdout, stderr := command(t, t.Context(), answer, nil, "object", "put", "d", "b/x", "-o", "json")
	require.Equal(t, exitRuntime, code)
	require.JSONEq(t, `{"bucket":"ais://b","objects":2,"bytes":2,"failed":[{"file":"d/bad","error":"no space left"}]}`, stdout)
	require.Equal(t, "d/bad: no space left\netlbench: 1 of 3 files were not stored\n", stderr)

	code, _, stderr = command(t, t.Context(), answer, nil, "object", "put", "d/bad", "b")
	require.Equal(t, exitRuntime, code)
	require.Equal(t, "etlbench: d/bad: no space left\n", stderr)
}
