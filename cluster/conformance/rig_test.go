package conformance

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/node"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// recordedCluster is a cluster that was recorded: its nodes' ids, which decide
// where objects are, and its host.
type recordedCluster struct {
	host                    string
	proxy, target1, target2 string
}

var (
	plain = recordedCluster{"127.0.0.1", "ASrp8080", "QFBt8081", "HJPt8082"}
	etl   = recordedCluster{"10.99.0.1", "xfi8um1c6btqv", "Dgvt8081", "Epit8082"}
	later = recordedCluster{"10.99.0.1", "xfi8um1c6btqv", "LuNt8081", "ekAt8082"}
)

// rig is our cluster in place of a recorded one.
type rig struct {
	*testing.T
	all    map[string]*recording
	client *api.Client
	urls   map[string]string // of the nodes, by what recordings call them
	pods   *standIns
	names  *names
	gate   *gate
	held   bool // by the gate: jobs do not end
	// locations are the recorded redirects and where ours led.
	locations map[string]string
}

// newRig starts a cluster with the ids of a recorded one.
func newRig(t *testing.T, all map[string]*recording, c recordedCluster) *rig {
	r := &rig{T: t, all: all, urls: map[string]string{}, gate: newGate(), pods: newStandIns(t), locations: map[string]string{}}
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	config := func(id string) node.Config {
		return node.Config{ID: id, Primary: r.urls["proxy"], Secret: "conformance", Log: log}
	}
	p, err := node.NewProxy(node.ProxyConfig{Config: config(c.proxy), Dir: dir + "/" + c.proxy})
	require.NoError(t, err)
	r.serve("proxy", p.Serve)
	for name, id := range map[string]string{"target1": c.target1, "target2": c.target2} {
		st, err := store.Open(store.Config{Dir: dir + "/" + id, Sync: store.SyncNone, FS: store.FS{Write: r.gate.write}, Log: log})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		tgt, err := node.NewTarget(node.TargetConfig{Config: config(id), Dir: dir + "/" + id, Store: st, Pods: r.pods})
		require.NoError(t, err)
		r.serve(name, tgt.Serve)
	}
	r.client = api.NewClient(r.urls["proxy"])
	t.Cleanup(func() { // before the nodes stop, which wait for idle connections
		r.client.Close()
		transport.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(r.gate.release) // before the nodes stop
	require.Eventually(t, func() bool {
		m, err := r.client.Map(t.Context())
		return err == nil && len(m.Targets) == 2
	}, 20*time.Second, 5*time.Millisecond, "the targets have not joined")
	r.names = newNames(t, c, r.urls, digests(t, all))
	return r
}

// serve runs a node until the test ends; targets are stopped before the proxy.
func (r *rig) serve(name string, serve func(context.Context, net.Listener) error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(r, err)
	r.urls[name] = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln) }()
	r.Cleanup(func() {
		cancel()
		require.NoError(r, <-done)
	})
}

// gate holds back what is written to objects, while it is closed.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed when what waits may go on; guarded by mu
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) write(f *os.File, p []byte) (int, error) {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	return f.Write(p)
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// standIns is the pod runtime of the recordings: small servers that were the
// pods of all targets.
type standIns struct {
	t    *testing.T
	mu   sync.Mutex
	pods map[string]*standIn // by name; guarded by mu
}

var _ pod.Runtime = (*standIns)(nil)

func newStandIns(t *testing.T) *standIns { return &standIns{t: t, pods: map[string]*standIn{}} }

// Start starts a pod of an image that the recordings had.
func (s *standIns) Start(_ context.Context, spec pod.Spec) (pod.Pod, error) {
	if spec.Runtime != "" { // code, which no recording ran
		spec.Image = "echo"
	}
	kind := strings.TrimSuffix(spec.Image[strings.LastIndexByte(spec.Image, '/')+1:], ":latest")
	transform := transforms[strings.TrimPrefix(kind, "transformer_")]
	if transform == nil {
		return nil, &pod.ExitError{Container: spec.Name[:strings.LastIndexByte(spec.Name, '-')], State: "Waiting", Reason: "ErrImagePull",
			Message: "failed to pull image " + spec.Image}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &standIn{spec: spec, url: "http://" + ln.Addr().String(), transform: transform, done: make(chan struct{})}
	for _, e := range spec.Env {
		if e.Name == api.EnvTargetURL {
			p.target = e.Value
		}
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	p.served.Go(func() { _ = p.server.Serve(ln) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods[spec.Name] = p
	return p, nil
}

// List is not asked in these tests.
func (s *standIns) List(context.Context) ([]pod.Info, error) { return nil, nil }

// Close does nothing: a target stops its pods.
func (s *standIns) Close() error { return nil }

func (s *standIns) get(name string) *standIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[name]
}
