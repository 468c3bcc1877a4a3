// Package kind makes Kubernetes clusters of containers on this machine, by the
// library of the tool of that name, and puts this program into their nodes as
// an image that no registry has to serve.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/constants"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
)

// EnvProvider chooses the container engine, as for the tool kind: "docker",
// "podman" or "nerdctl". Without it the first that answers is taken.
const EnvProvider = "KIND_EXPERIMENTAL_PROVIDER"

// Config of a cluster.
type Config struct {
	Name     string // lower case
	Provider string // of EnvProvider; "" takes the first engine that answers
	// Workers is how many nodes there are beside the control plane, 0 or more.
	// Without any, pods run on the control plane.
	Workers int
	// NodeImage is the image of the nodes; "" is the one that this version of
	// kind publishes.
	NodeImage string
	// Kubeconfig is the file to write how the cluster is reached into.
	Kubeconfig string
	// Keep leaves the nodes of a cluster that does not come up, so that one
	// can look into them.
	Keep bool
	Log  *slog.Logger // nil: nothing is logged
}

// Cluster is a cluster of this machine.
type Cluster struct {
	cfg      Config
	provider *cluster.Provider
}

// ErrExists is a cluster whose name is taken.
var ErrExists = errors.New("there is a kind cluster of this name")

// Create makes a cluster and returns when its API server answers; its nodes
// need not be ready yet. It takes about a minute. What does not come up, or is
// interrupted, is removed, unless it is to be kept; the cluster is nil when
// nothing of it was made.
func Create(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := open(cfg)
	if err != nil {
		return nil, err
	}
	names, err := c.provider.List()
	if err != nil {
		return nil, fmt.Errorf("kind clusters: %w", err)
	}
	if slices.Contains(names, cfg.Name) {
		return nil, fmt.Errorf("%w: %s", ErrExists, cfg.Name)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- c.provider.Create(cfg.Name, cluster.CreateWithV1Alpha4Config(layout(cfg.Workers)), cluster.CreateWithNodeImage(cfg.NodeImage),
			cluster.CreateWithKubeconfigPath(cfg.Kubeconfig), cluster.CreateWithRetain(cfg.Keep))
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = errors.Join(context.Cause(ctx), c.abandon(ended))
	}
	if err != nil {
		return c, fmt.Errorf("create kind cluster %s: %w", cfg.Name, err)
	}
	return c, nil
}

// Of a cluster that is abandoned while it is made.
const (
	abandonTime  = 30 * time.Second // kind has to notice: what it makes at the moment is still to be removed
	abandonEvery = time.Second
)

// abandon stops kind, which knows of no interrupt: without its nodes it fails.
func (c *Cluster) abandon(ended <-chan error) error {
	if c.cfg.Keep {
		return nil // as it is
	}
	end := time.After(abandonTime)
	for {
		_ = c.provider.Delete(c.cfg.Name, c.cfg.Kubeconfig) // the last one counts
		select {
		case <-ended:
			return c.Delete()
		case <-end:
			return c.Delete()
		case <-time.After(abandonEvery):
		}
	}
}

// layout is a control plane and workers.
func layout(workers int) *v1alpha4.Cluster {
	l := &v1alpha4.Cluster{Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}}
	for range workers {
		l.Nodes = append(l.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole})
	}
	return l
}

// Open finds a cluster that runs; Name and Provider of the config say which.
// ok is false when there is none.
func Open(cfg Config) (c *Cluster, ok bool, err error) {
	if c, err = open(cfg); err != nil {
		return nil, false, err
	}
	names, err := c.provider.List()
	if err != nil {
		return nil, false, fmt.Errorf("kind clusters: %w", err)
	}
	return c, slices.Contains(names, cfg.Name), nil
}

func open(cfg Config) (*Cluster, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	name := cfg.Provider
	if !slices.Contains(engines, name) { // else what is done next tells whether it works
		var err error
		if name, err = Engine(context.Background(), name); err != nil {
			return nil, err
		}
	}
	return &Cluster{cfg: cfg, provider: cluster.NewProvider(option(name), cluster.ProviderWithLogger(logger{cfg.Log}))}, nil
}

// REST is how the API server is reached from this machine.
func (c *Cluster) REST() (*rest.Config, error) {
	text, err := c.provider.KubeConfig(c.cfg.Name, false)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of kind cluster %s: %w", c.cfg.Name, err)
	}
	return clientcmd.RESTConfigFromKubeConfig([]byte(text))
}

// Load puts an image into every node that pods run on.
func (c *Cluster) Load(ctx context.Context, img *Image) error {
	return c.loadAll(ctx, img.Name, func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(img.Write(w)) }()
		return r, nil
	})
}

// LoadArchive puts the images of an archive into every node that pods run on.
func (c *Cluster) LoadArchive(ctx context.Context, file string) error {
	return c.loadAll(ctx, file, func() (io.ReadCloser, error) { return os.Open(file) })
}

// loadAll puts an archive into all nodes at once. Where there are workers the
// control plane runs no pods of ours.
func (c *Cluster) loadAll(ctx context.Context, what string, open func() (io.ReadCloser, error)) error {
	list, err := c.provider.ListInternalNodes(c.cfg.Name)
	if err != nil {
		return fmt.Errorf("nodes of kind cluster %s: %w", c.cfg.Name, err)
	}
	workers, err := nodeutils.SelectNodesByRole(list, constants.WorkerNodeRoleValue)
	if err != nil {
		return fmt.Errorf("nodes of kind cluster %s: %w", c.cfg.Name, err)
	}
	if len(workers) > 0 {
		list = workers
	}
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, n := range list {
		wg.Go(func() { errs[i] = load(ctx, n, what, open) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func load(ctx context.Context, n nodes.Node, what string, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := nodeutils.LoadImageArchive(n, &reader{ctx, r}); err != nil {
		return fmt.Errorf("load %s into node %s: %w", what, n.String(), err)
	}
	return nil
}

// reader ends with its context, and with it who reads.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// CollectLogs writes the logs of all nodes below a folder.
func (c *Cluster) CollectLogs(dir string) error {
	if err := c.provider.CollectLogs(c.cfg.Name, dir); err != nil {
		return fmt.Errorf("logs of kind cluster %s: %w", c.cfg.Name, err)
	}
	return nil
}

// deleteTries is how often an engine is asked to remove the nodes: a busy one
// may give up on a container once.
const deleteTries = 3

// Delete removes the cluster, if there is one.
func (c *Cluster) Delete() (err error) {
	for range deleteTries {
		if err = c.provider.Delete(c.cfg.Name, c.cfg.Kubeconfig); err == nil {
			return nil
		}
	}
	return fmt.Errorf("delete kind cluster %s: %w", c.cfg.Name, err)
}
