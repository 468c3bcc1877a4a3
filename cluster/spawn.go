package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/cgroup"
	"github.com/etlbench/etlbench/cluster/child"
)

// EnvSecret hands a cluster's secret to its nodes: an argument could be read
// by everybody on the machine.
const EnvSecret = "ETLBENCH_CLUSTER_SECRET"

// SpawnConfig of a cluster of child processes.
type SpawnConfig struct {
	// Exe is the etlbench program; its arguments are those of "node".
	Exe              string
	Proxies, Targets int
	Listen           string   // of the first proxy, host:port; the others take free ports of the host
	Dir              string   // a folder and a log for each node below it
	NodeArgs         []string // more arguments of every target
	Env              []string // more of every node's environment
	// TargetCPUs is what every target may use together with its pods, in CPUs,
	// cgroup.MinCPUs or more; 0: no limit.
	TargetCPUs float64
}

// NodeProcess is one node of a spawned cluster.
type NodeProcess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	URL  string `json:"url"`
	PID  int    `json:"pid"`
	Dir  string `json:"dir"`
	Log  string `json:"log"` // file

	proc  *child.Process
	args  []string      // after "--listen ADDR"
	group *cgroup.Group // nil: no limit
}

// Spawned is a running cluster of child processes.
type Spawned struct {
	URL   string // of the first proxy
	Nodes []*NodeProcess
	mu    sync.Mutex // guards what changes of nodes: process, PID and URL
	cfg   SpawnConfig
	env   []string
	died  chan *NodeProcess
	stop  chan struct{} // closed when Stop begins
	wg    sync.WaitGroup
}

// Spawn starts a cluster and returns when all nodes have joined. When it
// fails it leaves nothing running, and says what the node that failed printed
// last. The caller stops it.
func Spawn(ctx context.Context, cfg SpawnConfig) (*Spawned, error) {
	s := &Spawned{cfg: cfg, died: make(chan *NodeProcess, cfg.Proxies+cfg.Targets), stop: make(chan struct{})}
	s.env = append(append(os.Environ(), EnvSecret+"="+rand.Text()), cfg.Env...)
	if err := s.startAll(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Spawned) startAll(ctx context.Context) error {
	if err := s.checkKept(); err != nil {
		return err
	}
	for i := range max(1, s.cfg.Proxies) {
		if err := s.start(ctx, api.TypeProxy, proxyID(i)); err != nil {
			return err
		}
	}
	for i := range s.cfg.Targets {
		if err := s.start(ctx, api.TypeTarget, targetID(i)); err != nil {
			return err
		}
	}
	client := api.NewClient(s.URL)
	defer client.Close()
	urls := map[string]string{}
	for _, n := range s.Nodes {
		urls[n.ID] = n.URL
	}
	return awaitNodes(ctx, client, urls)
}

// checkKept refuses to start fewer nodes than a data folder has: the objects
// of the other targets would be missing, and without the other proxies there
// may be no majority for any change.
func (s *Spawned) checkKept() error {
	for i := max(1, s.cfg.Proxies); i < maxKept; i++ {
		dir := filepath.Join(s.cfg.Dir, proxyID(i))
		if _, err := os.Stat(dir); err == nil {
			return fmt.Errorf("data folder %s has a proxy %s: start at least %d proxies, or use another folder", s.cfg.Dir, proxyID(i), i+1)
		}
	}
	for i := s.cfg.Targets; i < maxKept; i++ {
		dir := filepath.Join(s.cfg.Dir, targetID(i))
		if _, err := os.Stat(dir); err == nil {
			return fmt.Errorf("data folder %s has a target %s: start at least %d targets, or use another folder", s.cfg.Dir, targetID(i), i+1)
		}
	}
	return nil
}

// maxKept is how many nodes of a kind checkKept looks for.
const maxKept = 256

// start makes a node and runs it.
func (s *Spawned) start(ctx context.Context, kind, id string) error {
	n := &NodeProcess{ID: id, Type: kind, Dir: filepath.Join(s.cfg.Dir, id), Log: filepath.Join(s.cfg.Dir, id+".log")}
	n.args = []string{"--id", id, "--data", n.Dir}
	if urls := s.proxyURLs(); len(urls) > 0 {
		n.args = append(n.args, "--join", strings.Join(urls, ","))
	}
	if kind == api.TypeTarget {
		n.args = append(n.args, s.cfg.NodeArgs...)
		if s.cfg.TargetCPUs > 0 {
			var err error
			if n.group, err = cgroup.New(id, s.cfg.TargetCPUs); err != nil {
				return err
			}
		}
	}
	if err := s.run(ctx, n, s.listen()); err != nil {
		return errors.Join(err, n.unlimit())
	}
	if s.URL == "" {
		s.URL = n.URL
	}
	s.Nodes = append(s.Nodes, n)
	return nil
}

// proxyURLs are where the proxies are that were started so far.
func (s *Spawned) proxyURLs() []string {
	var urls []string
	for _, n := range s.Nodes {
		if n.Type == api.TypeProxy {
			urls = append(urls, n.URL)
		}
	}
	return urls
}

// Restart runs a node of Died again on its old data, at its old address or,
// for a target whose port is taken meanwhile, at another.
func (s *Spawned) Restart(ctx context.Context, n *NodeProcess) error {
	err := s.run(ctx, n, strings.TrimPrefix(n.URL, "http://"))
	if err != nil && n.Type == api.TypeTarget && ctx.Err() == nil {
		err = s.run(ctx, n, s.listen())
	}
	return err
}

// run starts a node's process and waits until it listens. When that fails the
// process is gone.
func (s *Spawned) run(ctx context.Context, n *NodeProcess, listen string) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	defer log.Close() // the child has its own
	argv := append([]string{s.cfg.Exe, "node", n.Type, "--listen", listen}, n.args...)
	proc, err := child.Start(child.Config{Argv: argv, Env: s.env, Output: log})
	if err != nil {
		return err
	}
	// It has no pods yet: they begin in its group.
	if n.group != nil {
		if err := n.group.Add(proc.PID()); err != nil {
			proc.Stop(context.Background(), 0)
			return fmt.Errorf("CPU limit of %s: %w", n.ID, err)
		}
	}
	var url string
	select {
	case url = <-proc.URL():
	case <-proc.Done():
		return n.lastWords(proc.Err())
	case <-ctx.Done():
		proc.Stop(context.Background(), 0)
		return fmt.Errorf("%s %s does not start: %w", n.Type, n.ID, context.Cause(ctx))
	}
	s.mu.Lock()
	n.proc, n.PID, n.URL = proc, proc.PID(), url
	s.mu.Unlock()
	s.wg.Go(func() { s.watch(n, proc) })
	return nil
}

// listen is the address for the next node.
func (s *Spawned) listen() string {
	if s.URL == "" && s.cfg.Listen != "" {
		return s.cfg.Listen
	}
	if host, _, err := net.SplitHostPort(s.cfg.Listen); err == nil {
		return net.JoinHostPort(host, "0")
	}
	return "127.0.0.1:0"
}

// lastWords is the error of a node that ended at once: the last line that it
// printed.
func (n *NodeProcess) lastWords(end error) error {
	data, err := os.ReadFile(n.Log)
	if err != nil {
		return err
	}
	data = bytes.TrimSpace(data)
	if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		data = data[i+1:]
	}
	if len(data) == 0 {
		return fmt.Errorf("%s %s ended at once: %w", n.Type, n.ID, end)
	}
	return errors.New(string(bytes.TrimPrefix(data, []byte("etlbench: "))))
}

func (s *Spawned) watch(n *NodeProcess, proc *child.Process) {
	select {
	case <-proc.Done():
		select {
		case <-s.stop: // wanted
		default:
			s.died <- n
		}
	case <-s.stop:
	}
}

// Now is a copy of the nodes as they are: PIDs and URLs change when one is
// started again.
func (s *Spawned) Now() []*NodeProcess {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*NodeProcess, len(s.Nodes))
	for i, n := range s.Nodes {
		list[i] = &NodeProcess{ID: n.ID, Type: n.Type, URL: n.URL, PID: n.PID, Dir: n.Dir, Log: n.Log}
	}
	return list
}

// Died gives every node that ended without being told to.
func (s *Spawned) Died() <-chan *NodeProcess { return s.died }

// Err says how a node of Died ended.
func (n *NodeProcess) Err() error { return n.proc.Err() }

// stopGrace is how long a node has to stop before it is killed: it stops its
// pods first.
const stopGrace = 10 * time.Second

// unlimit removes a node's group, once its processes are gone.
func (n *NodeProcess) unlimit() error {
	if n.group == nil {
		return nil
	}
	return n.group.Remove()
}

// Stop stops all nodes, targets first, since they still tell the primary, and
// returns when they are gone. The error is of CPU limits that are left.
func (s *Spawned) Stop() (err error) {
	close(s.stop)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []string{api.TypeTarget, api.TypeProxy} {
		var wg sync.WaitGroup
		for _, n := range s.Nodes {
			if n.Type == kind {
				wg.Go(func() { n.proc.Stop(context.Background(), stopGrace) })
			}
		}
		wg.Wait()
	}
	s.wg.Wait()
	for _, n := range s.Nodes {
		err = errors.Join(err, n.unlimit())
	}
	return err
}
