package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etlbench/etlbench/cluster/kind"
	"github.com/etlbench/etlbench/cluster/kube"
)

// kindName is the kind cluster that is made for a cluster of a name.
func kindName(name string) string { return "etlbench-" + name }

// onKind makes a Kubernetes of containers with a worker for every target, and
// more for loaders, and puts the cluster onto it.
func (f *upFlags) onKind(ctx context.Context, e *env) (err error) {
	if err := f.checkFree(e); err != nil {
		return err
	}
	unlock, err := lockName(e, f.name)
	if err != nil {
		return err
	}
	defer unlock()
	st, img, err := f.beginKind(ctx, e)
	if err != nil {
		return err
	}
	c, err := f.makeKind(ctx, e, st, img)
	if err == nil {
		err = f.deployKind(ctx, e, c, st)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, f.giveUpKind(ctx, e, c, st))
}

// beginKind looks whether kind can work here, and notes what is about to be
// made, so that down finds what is left of it.
func (f *upFlags) beginKind(ctx context.Context, e *env) (*clusterState, *kind.Image, error) {
	if err := kindFit(ctx, e); err != nil {
		return nil, nil, err
	}
	engine, err := kind.Engine(ctx, e.get(kind.EnvProvider))
	if err != nil {
		return nil, nil, err
	}
	img, err := kind.NewImage(e.exe)
	if err != nil {
		return nil, nil, err
	}
	kubeconfig, err := kubeconfigPath(e, f.name)
	if err != nil {
		return nil, nil, err
	}
	st := f.kubeState(&kubeState{Namespace: defaultNamespace, Kubeconfig: kubeconfig, Context: "kind-" + kindName(f.name), Image: img.Name,
		Kind: kindName(f.name), Engine: engine})
	return st, img, st.save(e)
}

// kindConfig is a cluster of a state, by which it is also opened and removed.
func kindConfig(k *kubeState) kind.Config {
	return kind.Config{Name: k.Kind, Provider: k.Engine, Kubeconfig: k.Kubeconfig}
}

// makeKind makes the kind cluster, and loads the images, which are saved
// meanwhile. The cluster is nil when nothing of it was made.
func (f *upFlags) makeKind(ctx context.Context, e *env, st *clusterState, img *kind.Image) (*kind.Cluster, error) {
	from := time.Now()
	fmt.Fprintf(e.err, "making the kind cluster %s of %d nodes with %s …\n", st.Kube.Kind, 1+f.targets+f.loaderNodes, st.Kube.Engine)
	dir, err := scratch(e)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var (
		c        *kind.Cluster
		archives map[string]string
	)
	var both errgroup.Group
	both.Go(func() (err error) {
		archives, err = f.savePythons(ctx, st.Kube.Engine, dir)
		return err
	})
	both.Go(func() (err error) {
		cfg := kindConfig(st.Kube)
		cfg.Workers, cfg.NodeImage, cfg.Keep = f.targets+f.loaderNodes, f.nodeImage, f.keep
		cfg.Log = slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelError}))
		c, err = kind.Create(ctx, cfg)
		return err
	})
	if err := both.Wait(); err != nil {
		return c, err
	}
	fmt.Fprintf(e.err, "it is there after %s; loading %s\n", time.Since(from).Round(100*time.Millisecond), strings.Join(append([]string{img.Name}, slices.Sorted(maps.Keys(archives))...), ", "))
	var loads errgroup.Group
	loads.Go(func() error {
		k, err := kubeOf(c, st)
		if err != nil {
			return err
		}
		return k.AwaitKubeNodes(ctx)
	})
	loads.Go(func() error { return c.Load(ctx, img) })
	for _, a := range archives {
		loads.Go(func() error { return c.LoadArchive(ctx, a) })
	}
	if err := loads.Wait(); ctx.Err() == nil {
		return c, err
	}
	return c, context.Cause(ctx)
}

// savePythons saves those chosen images of Python that the engine of this
// machine has, and gives the files by image. The nodes pull others.
func (f *upFlags) savePythons(ctx context.Context, engine, dir string) (map[string]string, error) {
	files := map[string]string{}
	for i, image := range f.pythons.images() {
		file := filepath.Join(dir, fmt.Sprintf("python-%d.tar", i))
		ok, err := kind.Archive(ctx, engine, image, file)
		if err != nil {
			return nil, err
		}
		if ok {
			files[image] = file
		}
	}
	return files, nil
}

func (f *upFlags) deployKind(ctx context.Context, e *env, c *kind.Cluster, st *clusterState) error {
	k, err := kubeOf(c, st)
	if err != nil {
		return err
	}
	return f.deploy(ctx, e, k, f.kubeConfig(st.Kube.Namespace, st.Kube.Image), st)
}

// kubeOf is the Kubernetes of a kind cluster.
func kubeOf(c *kind.Cluster, st *clusterState) (*kube.Cluster, error) {
	config, err := c.REST()
	if err != nil {
		return nil, err
	}
	return kube.New(config, st.Kube.Namespace)
}

// giveUpKind removes what did not come up, or keeps it with its logs. Without a
// cluster there is nothing of ours: not one that was there before either.
func (f *upFlags) giveUpKind(ctx context.Context, e *env, c *kind.Cluster, st *clusterState) error {
	if c == nil {
		return st.remove(e)
	}
	if !f.keep {
		fmt.Fprintln(e.err, "removing what did not come up …")
		return removeKube(ctx, e, st)
	}
	err := c.CollectLogs(st.Kube.logs())
	fmt.Fprintf(e.err, "kept: the kind cluster %s (KUBECONFIG=%s), its logs in %s; etlbench down%s removes both\n", st.Kube.Kind, st.Kube.Kubeconfig, st.Kube.logs(), nameFlag(f.name))
	return err
}

// logs is the folder of what the nodes of a kind cluster have said.
func (k *kubeState) logs() string { return strings.TrimSuffix(k.Kubeconfig, ".kubeconfig") + "-logs" }

// removeKind removes the kind cluster, if it is still there.
func removeKind(k *kubeState) error {
	c, ok, err := kind.Open(kindConfig(k))
	if err != nil || !ok {
		return err
	}
	return c.Delete()
}
