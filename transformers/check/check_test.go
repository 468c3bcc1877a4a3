package check_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers"
	"github.com/etlbench/etlbench/transformers/check"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one clock for the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A stopped worker pool sleeps out its 10 s once more before it looks.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func newTarget(t *testing.T) *check.Target {
	target, err := check.NewTarget("")
	require.NoError(t, err)
	require.NoError(t, target.Listen())
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	return target
}

func types(t *testing.T, names ...string) (list []comm.Type) {
	for _, name := range names {
		typ, err := comm.Lookup(name)
		require.NoError(t, err)
		list = append(list, typ)
	}
	return list
}

func lookup(t *testing.T, name string) comm.Transform {
	tr, ok := transformers.Lookup(name)
	require.True(t, ok)
	return tr
}

// sample serves a transform as pods do, and returns its URL.
func sample(t *testing.T, target *check.Target, fqnDir string, tr comm.Transform) string {
	srv, err := comm.NewServer(comm.ServerConfig{Transform: tr, TargetURL: target.URL(), DirectPut: true, FQNRoot: fqnDir,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ctx, ln)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return "http://" + ln.Addr().String()
}

// config is a run that fails soon. No check that passes waits.
func config(t *testing.T, target *check.Target) check.Config {
	cfg := check.Default()
	cfg.Target, cfg.Timeout, cfg.Wait, cfg.Large = target, 3*time.Second, 20*time.Second, 256<<10
	return cfg
}

// outcome lists the checks with a verdict as "check type", and the details.
func outcome(r *check.Report, verdict string) (list []string) {
	for _, res := range r.Results {
		if res.Verdict == verdict {
			list = append(list, strings.TrimSpace(res.Check+" "+strings.TrimSuffix(res.Type, "://")))
		}
	}
	return list
}

func details(r *check.Report) string {
	var b strings.Builder
	for _, res := range r.Results {
		if res.Verdict != check.Passed {
			fmt.Fprintf(&b, "%s %s: %s: %s\n", res.Check, res.Type, res.Verdict, res.Detail)
		}
	}
	return b.String()
}

func TestSamplesPass(t *testing.T) {
	shard := tarShard(t)
	tests := []struct {
		name   string
		change func(*check.Config)
	}{
		{"echo", func(*check.Config) {}},
		{"md5", func(*check.Config) {}},
		{"gzip", func(*check.Config) {}},
		{"tar-images", func(c *check.Config) { c.Input, c.Args, c.Bad = shard, "32", []byte("no TAR") }},
	}
	for _, tt := range tests {
		for _, how := range []string{"probed", "io"} { // the shim of io is the same server
			if how == "io" && tt.name != "echo" {
				continue
			}
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				target, dir := newTarget(t), t.TempDir()
				cfg := config(t, target)
				cfg.Timeout = 20 * time.Second // a loaded machine must not make it fail
				cfg.FQNDir, cfg.Expect = dir, lookup(t, tt.name)
				tt.change(&cfg)
				cfg.URL = sample(t, target, dir, lookup(t, tt.name))
				if how == "io" {
					cfg.Types = types(t, "io")
				}
				r, err := check.Run(t.Context(), cfg)
				require.NoError(t, err)
				require.Empty(t, outcome(r, check.Failed), details(r))
				for _, res := range r.Results {
					if res.Verdict == check.NotApplicable {
						require.Contains(t, []string{"POST", "length", "error"}, res.Check, details(r))
					}
				}
				if how == "probed" {
					var claimed []string
					for _, c := range r.Claims {
						if c.Claimed {
							claimed = append(claimed, c.Type)
						}
					}
					require.Equal(t, []string{"hpull://", "hpush://", "hrev://", "ws://"}, claimed)
				}
			})
		}
	}
}

// tarShard is an archive with a picture.
func tarShard(t *testing.T) []byte {
	var picture, b bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 48))))
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "a.png", Mode: 0o644, Size: int64(picture.Len())}))
	_, err := w.Write(picture.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}
