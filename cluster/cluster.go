// Package cluster starts a whole reference cluster: Local in this process, for
// tests, and Spawn as child processes on this machine, for measuring. Nodes
// themselves are in cluster/node.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/node"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// Node IDs of a cluster that this package starts: the same ones each time, so
// that objects of the same names land on the same targets in every run.
func proxyID(i int) string  { return fmt.Sprintf("prx%05d", i+1) }
func targetID(i int) string { return fmt.Sprintf("tgt%05d", i+1) }

// localHeartbeat makes tests that lose a primary short.
const localHeartbeat = time.Second

// LocalConfig of a cluster within this process.
type LocalConfig struct {
	Proxies, Targets int
	Dir              string // a folder for each node below it
	Sync             store.Sync
	FS               store.FS // calls of the file system that tests replace
	// Pods makes a target's pod runtime in a folder.
	Pods func(dir string) (pod.Runtime, error)
	Log  *slog.Logger
}

// LocalCluster is a running cluster within this process.
type LocalCluster struct {
	cfg    LocalConfig
	secret string
	urls   map[string]string // by ID, also of nodes that are stopped
	mu     sync.Mutex
	nodes  map[string]*localNode // by ID; guarded by mu
	URL    string                // of the first proxy
	Client *api.Client           // of the first proxy
}

type localNode struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid after done
}

// Local starts a cluster whose nodes are goroutines, listening on loopback. It
// returns when all nodes have joined. The caller closes it.
func Local(ctx context.Context, cfg LocalConfig) (*LocalCluster, error) {
	c := &LocalCluster{cfg: cfg, secret: "local", urls: map[string]string{}, nodes: map[string]*localNode{}}
	for i := range max(1, cfg.Proxies) {
		if err := c.StartProxy(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	c.Client = api.NewClient(c.URL)
	for i := range cfg.Targets {
		if err := c.StartTarget(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := awaitNodes(ctx, c.Client, c.urls); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// awaitNodes waits until a cluster's map has all nodes, by ID, at the URLs that
// they have now: it may remember where they were before.
func awaitNodes(ctx context.Context, client *api.Client, urls map[string]string) error {
	for {
		joined := 0
		m, err := client.Map(ctx)
		for id, url := range urls {
			if err != nil {
				break
			}
			if n := m.Node(id); n != nil && n.PubNet.URL == url {
				joined++
			}
		}
		if joined == len(urls) && m.Primary != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%d of %d nodes have joined", joined, len(urls))
			}
			return fmt.Errorf("cluster at %s: %w: %w", client.URL(), context.Cause(ctx), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// nodeConfig of a node, which is told of all proxies but itself.
func (c *LocalCluster) nodeConfig(id string) node.Config {
	var urls []string
	for i := range max(1, c.cfg.Proxies) {
		if o := proxyID(i); o != id && c.urls[o] != "" {
			urls = append(urls, c.urls[o])
		}
	}
	return node.Config{ID: id, Primary: strings.Join(urls, ","), Secret: c.secret, Log: c.cfg.Log}
}

// targetURLs are where targets listen, with commas between.
func (c *LocalCluster) targetURLs() string {
	var urls []string
	for i := range c.cfg.Targets {
		if u := c.urls[targetID(i)]; u != "" {
			urls = append(urls, u)
		}
	}
	return strings.Join(urls, ",")
}

// StartProxy starts proxy i, also again after StopNode, and then at its old
// address.
func (c *LocalCluster) StartProxy(i int) error {
	id := proxyID(i)
	p, err := node.NewProxy(node.ProxyConfig{Config: c.nodeConfig(id), Dir: filepath.Join(c.cfg.Dir, id),
		Copies: c.targetURLs(), Heartbeat: localHeartbeat})
	if err != nil {
		return err
	}
	return c.serve(id, p.Serve, func() {})
}

// NodeURL is where a node listens, or did before it was stopped.
func (c *LocalCluster) NodeURL(id string) string { return c.urls[id] }

// StartTarget starts target i, also again after StopNode.
func (c *LocalCluster) StartTarget(i int) error {
	id := targetID(i)
	dir := filepath.Join(c.cfg.Dir, id)
	st, err := store.Open(store.Config{Dir: dir, Sync: c.cfg.Sync, FS: c.cfg.FS, Log: c.cfg.Log})
	if err != nil {
		return err
	}
	pods, err := c.cfg.Pods(filepath.Join(c.cfg.Dir, id+"-pods"))
	if err != nil {
		return errors.Join(err, st.Close())
	}
	t, err := node.NewTarget(node.TargetConfig{Config: c.nodeConfig(id), Dir: dir, Store: st, Pods: pods, Socket: pod.NewSocket()})
	if err != nil {
		return errors.Join(err, pods.Close(), st.Close())
	}
	return c.serve(id, t.Serve, func() { pods.Close(); st.Close() })
}

// serve runs a node until it is stopped; free runs after it.
func (c *LocalCluster) serve(id string, serve func(context.Context, net.Listener) error, free func()) error {
	addr := "127.0.0.1:0"
	if old := c.urls[id]; old != "" && strings.HasPrefix(id, "prx") {
		addr = strings.TrimPrefix(old, "http://")
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + ln.Addr().String()
	if c.URL == "" {
		c.URL = url
	}
	c.urls[id] = url
	ctx, cancel := context.WithCancel(context.Background())
	n := &localNode{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		defer free()
		n.err = serve(ctx, ln)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return nil
}

// StopNode stops a node and waits until it is gone.
func (c *LocalCluster) StopNode(id string) error {
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	if n == nil {
		return fmt.Errorf("no node %s", id)
	}
	n.cancel()
	<-n.done
	return n.err
}

// Close stops all nodes, targets first: they still tell the primary.
func (c *LocalCluster) Close() error {
	err := errors.Join(c.stopAll(c.cfg.Targets, targetID), c.stopAll(max(1, c.cfg.Proxies), proxyID))
	if c.Client != nil {
		c.Client.Close()
	}
	return err
}

// stopAll stops n nodes of a kind at once, those that run.
func (c *LocalCluster) stopAll(n int, id func(int) string) error {
	errs := make([]error, n)
	var stopping sync.WaitGroup
	for i := range n {
		if c.has(id(i)) {
			stopping.Go(func() { errs[i] = c.StopNode(id(i)) })
		}
	}
	stopping.Wait()
	return errors.Join(errs...)
}

func (c *LocalCluster) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id] != nil
}
