// Package node is one node of the reference cluster: Proxy answers clients'
// control calls and redirects object calls, Target keeps objects and runs the
// pods beside them.
//
// Files are cut by who speaks: proxy*.go and target*.go, each with the calls
// named; node.go, http.go and peer.go are what both share. How bytes reach a
// pod is in cluster/comm, how objects reach the disk in cluster/store.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/meta"
)

// Keys of log records.
const (
	keyNode   = "node"
	keyETL    = "etl"
	keyJob    = "job"
	keyTarget = "target"
	keyObject = "object"
	keyErr    = "err"
)

// Config is what proxies and targets have in common.
type Config struct {
	// ID is the node's name in the cluster map: 8 or more of [A-Za-z0-9_-].
	ID string
	// Primary is the base URL of any proxy of the cluster, or of several,
	// separated by commas. It is "" on the proxy that begins a cluster.
	Primary string
	// PublicURL is where clients reach the node, ClusterURL where other nodes
	// and its pods do, if that is not where it listens: behind a Kubernetes
	// Service, say. A node that moves keeps its ClusterURL.
	// "" of PublicURL is ClusterURL, "" of that the listener's address.
	PublicURL, ClusterURL string
	// Secret authenticates the nodes of a cluster to each other. Calls between
	// nodes without it are refused.
	Secret string
	Log    *slog.Logger
}

func (c *Config) check() error {
	if len(c.ID) < 8 {
		return fmt.Errorf("node id %q: must have at least 8 characters", c.ID)
	}
	if strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("node id %q: may only contain letters, numbers, '-' and '_'", c.ID)
	}
	if c.Secret == "" {
		return errors.New("node: the cluster's secret is not set")
	}
	for _, u := range []string{c.PublicURL, c.ClusterURL} {
		if _, err := api.ParseNet(u); u != "" && err != nil {
			return err
		}
	}
	return nil
}

// entry is the node of the cluster map that listens at an address.
func (n *node) entry(addr string) (*api.NodeInfo, error) {
	self, err := api.NewNode(n.kind, n.cfg.ID, cmp.Or(n.cfg.ClusterURL, "http://"+addr))
	if err == nil && n.cfg.PublicURL != "" {
		self.PubNet, err = api.ParseNet(n.cfg.PublicURL)
	}
	return self, err
}

// node is the part that proxies and targets share.
type node struct {
	cfg     Config
	kind    string // api.TypeProxy or api.TypeTarget
	self    *api.NodeInfo
	data    string // a target's data folder; "" on a proxy
	meta    *meta.Store
	peers   *peers
	started time.Time
	log     *slog.Logger
	ctx     context.Context // the node's life, for work that no request owns
	tasks   sync.WaitGroup  // such work
	stateMu sync.Mutex      // held while a pushed state is taken
	// checkState may refuse a pushed state; nil takes all.
	checkState func(*meta.State) error
	// onState is called when the state was replaced; nil does nothing.
	onState func(*meta.State)
}

func newNode(kind string, cfg Config, m *meta.Store) *node {
	return &node{cfg: cfg, kind: kind, meta: m, peers: newPeers(cfg.Secret, api.NodeName(kind, cfg.ID)),
		log: cfg.Log.With(keyNode, api.NodeName(kind, cfg.ID))}
}

func (n *node) name() string { return api.NodeName(n.kind, n.cfg.ID) }

func (n *node) state() *meta.State { return n.meta.State() }

// Limits of a node's server.
const (
	// headerSize holds a request's line and headers: an object name of 1 KiB
	// is up to 3 KiB once escaped.
	headerSize = 32 << 10
	// writeSize lets header and a small body leave in one write.
	writeSize = 16 << 10
	// idleTime is how long an idle connection is kept.
	idleTime = 90 * time.Second
	// shutdownTime bounds how long a node waits for requests when it stops.
	shutdownTime = 5 * time.Second
)

// serve runs the server on all listeners, of which the first has the node's
// address, until ctx ends, and start as soon as it answers. When start fails the
// node stops.
func (n *node) serve(ctx context.Context, lns []net.Listener, h fasthttp.RequestHandler, expect func(*fasthttp.RequestCtx) int, start func(context.Context) error) error {
	self, err := n.entry(lns[0].Addr().String())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.self, n.ctx, n.started = self, ctx, time.Now()
	srv := &fasthttp.Server{
		Handler:                      n.finishing(n.timed(h)),
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               headerSize,
		WriteBufferSize:              writeSize,
		IdleTimeout:                  idleTime,
		CloseOnShutdown:              true,
		Logger:                       quiet{},
	}
	srv.ExpectHandler = expect
	tracked := make([]*comm.Listener, len(lns))
	served := make(chan error, len(lns))
	for i, ln := range lns {
		tracked[i] = comm.Track(ln)
		go func() { served <- srv.Serve(tracked[i]) }()
	}
	err = start(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-served:
			served <- nil
		}
	}
	cancel()
	// The server may not have taken a listener over yet, and then its shutdown
	// would not end Serve.
	for _, ln := range lns {
		_ = ln.Close()
	}
	end, done := context.WithTimeout(context.Background(), shutdownTime)
	defer done()
	// A shutdown that runs into its limit has cut what was left: not an error
	// of the node.
	if serr := srv.ShutdownWithContext(end); !errors.Is(serr, context.DeadlineExceeded) && !errors.Is(serr, net.ErrClosed) {
		err = errors.Join(err, serr)
	}
	for _, ln := range tracked {
		ln.CloseConns()
	}
	for range lns {
		if serr := <-served; !errors.Is(serr, net.ErrClosed) {
			err = errors.Join(err, serr)
		}
	}
	n.tasks.Wait()
	n.peers.close()
	return err
}

// quiet drops fasthttp's own messages, which tell of clients that hung up.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// task runs fn in the background; the node waits for it when it stops.
func (n *node) task(fn func(ctx context.Context)) {
	n.tasks.Go(func() { fn(n.ctx) })
}

// replaceState takes a pushed state.
func (n *node) replaceState(s *meta.State) error {
	n.stateMu.Lock()
	defer n.stateMu.Unlock()
	if n.checkState != nil {
		if err := n.checkState(s); err != nil {
			return err
		}
	}
	if n.meta.Replace(s) && n.onState != nil {
		n.onState(s)
	}
	return nil
}

// Times of joining and of keeping up with the primary.
const (
	joinWait = 50 * time.Millisecond // between two attempts, doubling
	joinMost = 2 * time.Second
	beat     = time.Second
)

// joinMsg is how a node comes to the cluster. A fresh proxy has no metadata of
// its own.
type joinMsg struct {
	api.NodeInfo
	Fresh bool `json:"fresh"`
}

// join tells the primary that this node is there, until it listens, and takes
// the state that it answers with.
func (n *node) join(ctx context.Context, fresh bool) error {
	for wait := joinWait; ; wait = min(2*wait, joinMost) {
		var s meta.State
		err := n.callPrimary(ctx, pathJoin, joinMsg{NodeInfo: *n.self, Fresh: fresh}, &s)
		if err == nil {
			return n.replaceState(&s)
		}
		var refused *api.Error
		if errors.As(err, &refused) && refused.Status != fasthttp.StatusServiceUnavailable {
			return fmt.Errorf("%s: the primary %s refuses this node: %w", n.name(), n.primaryURL(), err)
		}
		n.log.Debug("join", keyErr, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: join %s: %w", n.name(), n.primaryURL(), err)
		case <-time.After(wait):
		}
	}
}

// proxies are the URLs of the proxies that this node knows, the primary first.
func (n *node) proxies() []string {
	var urls []string
	add := func(u string) {
		if u != "" && !slices.Contains(urls, u) && (n.self == nil || u != n.self.ControlNet.URL) {
			urls = append(urls, u)
		}
	}
	m := &n.state().Map
	if m.Primary != nil {
		add(m.Primary.ControlNet.URL)
	}
	for _, id := range sortedKeys(m.Proxies) {
		add(m.Proxies[id].ControlNet.URL)
	}
	for u := range strings.SplitSeq(n.cfg.Primary, ",") {
		add(strings.TrimSpace(u))
	}
	return urls
}

// primaryURL is where the primary is, or was last.
func (n *node) primaryURL() string {
	if urls := n.proxies(); len(urls) > 0 {
		return urls[0]
	}
	return ""
}

// callPrimary is a call that the primary answers. Every proxy passes it on, so
// the first one that is there will do.
func (n *node) callPrimary(ctx context.Context, path string, in, out any) error {
	err := fmt.Errorf("%w: no proxy is known", errPeer)
	for _, url := range n.proxies() {
		one, cancel := context.WithTimeout(ctx, primaryTime)
		err = n.peers.call(one, url, path, in, out)
		cancel()
		var refused *api.Error
		if err == nil || errors.As(err, &refused) && refused.Status != fasthttp.StatusServiceUnavailable {
			return err
		}
	}
	return err
}

// primaryTime bounds how long one proxy may take to answer for the primary,
// an election included.
const primaryTime = 15 * time.Second

// keepUp asks the primary for its state when this node's has fallen behind,
// as after a push that did not reach it.
func (n *node) keepUp(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.pull(ctx); err != nil {
			n.log.Debug("keep up", keyErr, err)
		}
	}
}

// pull takes the primary's state if it is newer.
func (n *node) pull(ctx context.Context) error {
	var s meta.State
	err := n.callPrimary(ctx, pathBeat, beatMsg{ID: n.cfg.ID, Version: n.state().Version}, &s)
	if err != nil || s.Version == 0 {
		return err
	}
	return n.replaceState(&s)
}

// beatMsg is what keepUp sends; the answer is a state with version 0 when
// there is nothing new.
type beatMsg struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}
