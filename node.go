package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/child"
	"github.com/etlbench/etlbench/cluster/link"
	"github.com/etlbench/etlbench/cluster/node"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/pod/kube"
	"github.com/etlbench/etlbench/cluster/store"
	"github.com/etlbench/etlbench/scenarios"
)

type nodeFlags struct {
	id, listen, data, join, sync, images string
	environments                         string
	link                                 scenarios.Bandwidth
	runtimes                             runtimesFlag
	verbose                              bool

	public, cluster, begins string // addresses, and who begins
	nodePort                bool
	pods, image, copies     string
	podCPUs                 float64
	sharedCPUs              bool
	pythons                 pythonImagesFlag
}

func nodeCmd(e *env) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{Use: "node", Short: "one node of a cluster; what up starts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	proxy := &cobra.Command{Use: "proxy", Short: "a proxy; it begins a cluster when it joins nobody", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return fail(f.proxy(cmd.Context(), e)) }}
	target := &cobra.Command{Use: "target", Short: "a target with its pods", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.checkPods(); err != nil {
				return err
			}
			return fail(f.target(cmd.Context(), e))
		}}
	for _, c := range []*cobra.Command{proxy, target} {
		fl := c.Flags()
		fl.StringVar(&f.id, "id", "", "the node's `NAME` in the cluster map, 8 or more characters")
		fl.StringVar(&f.listen, "listen", "127.0.0.1:0", "`HOST:PORT` to listen on")
		fl.StringVar(&f.data, "data", "", "data `FOLDER`")
		fl.StringVar(&f.join, "join", "", "`URL` of any proxy of the cluster, or several with commas between")
		fl.StringVar(&f.public, "public-url", "", "`URL` that clients are given (default: that of --cluster-url)")
		fl.StringVar(&f.cluster, "cluster-url", "", "`URL` for other nodes and for pods (default: where it listens)")
		fl.BoolVar(&f.nodePort, "node-port", false, "on Kubernetes: clients are given the node port of the Service of the pod's name, at $"+kube.EnvHostIP)
		c.MarkFlagsMutuallyExclusive("public-url", "node-port")
		fl.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
		_ = c.MarkFlagRequired("id")
		_ = c.MarkFlagRequired("data")
	}
	proxy.Flags().StringVar(&f.begins, "begins", "", "the proxy of this `NAME` begins a cluster when none of --join answers")
	proxy.Flags().StringVar(&f.copies, "copies", "", "a proxy that begins without metadata takes those of the targets at `URL`, whose host may stand for several")
	target.Flags().StringVar(&f.pods, "pods", podsProcess, "what pods are: `process|kube`, processes of this machine or pods of the Kubernetes that the target runs in")
	target.Flags().StringVar(&f.image, "image", "", "with --pods kube: container `IMAGE` with this program, for sample transformers")
	target.Flags().Var(&f.pythons, "python-image", "with --pods kube: "+pythonImageUsage)
	target.Flags().Float64Var(&f.podCPUs, "pod-cpus", 0, "with --pods kube: how many `CPUS` each pod may use (default: what its spec says)")
	target.Flags().BoolVar(&f.sharedCPUs, "shared-cpus", false, "with --pods kube: the nodes share the CPUs that they have, as those of kind do: limits are not reserved")
	target.Flags().StringVar(&f.sync, "sync", "data", syncUsage)
	target.Flags().StringVar(&f.images, "images", "", imagesUsage)
	target.Flags().Var(&f.runtimes, "runtime", runtimeUsage)
	target.Flags().StringVar(&f.environments, "environments", "", "`FOLDER` of what init code requires, which may be shared (default: python, below --data)")
	target.Flags().TextVar(&f.link, "link", f.link, linkUsage)
	_ = target.MarkFlagRequired("join")
	cmd.AddCommand(proxy, target)
	return cmd
}

const (
	syncUsage   = "what is on the disk before a PUT is answered: `none|data|full`"
	imagesUsage = "YAML `FILE` that says which programs stand for further container images"
	linkUsage   = "emulated link of bandwidth `RATE` each way, shared by all connections that the target accepts, such as 100MiB/s"
	// runtimeUsage ends with what may be done: a repeated flag.
	runtimeUsage = "interpreter of a runtime of init code: `NAME=PATH`, such as python3.8=/opt/python3.8/bin/python; may repeat"
)

func (f *nodeFlags) config(e *env) node.Config {
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	return node.Config{ID: f.id, Primary: f.join, PublicURL: f.public, ClusterURL: f.cluster, Secret: e.get(cluster.EnvSecret),
		Log: slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: level}))}
}

func (f *nodeFlags) proxy(ctx context.Context, e *env) error {
	if err := f.publish(ctx, e); err != nil {
		return err
	}
	if f.begins == f.id && !anyAnswers(ctx, f.join) {
		f.join = ""
	}
	p, err := node.NewProxy(node.ProxyConfig{Config: f.config(e), Dir: f.data, Copies: f.copies})
	if err != nil {
		return err
	}
	return f.serve(ctx, e, p.Serve)
}

func (f *nodeFlags) target(ctx context.Context, e *env) (err error) {
	sync, err := store.ParseSync(f.sync)
	if err != nil {
		return err
	}
	if err := f.publish(ctx, e); err != nil {
		return err
	}
	cfg := f.config(e)
	st, err := store.Open(store.Config{Dir: f.data, Sync: sync, Log: cfg.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	pods, err := f.runtime(ctx, e, cfg.Log)
	if err != nil {
		return err
	}
	// Pods stop before the store closes: they may still ask for objects.
	defer func() { err = errors.Join(err, pods.Close()) }()
	t, err := node.NewTarget(node.TargetConfig{Config: cfg, Dir: f.data, Store: st, Pods: pods, Socket: f.socket(e)})
	if err != nil {
		return err
	}
	return f.serve(ctx, e, t.Serve)
}

// socket is a target's for its own pods. There is no way past a link that is
// emulated, and none into a pod of Kubernetes.
func (f *nodeFlags) socket(e *env) string {
	if f.pods == podsKube || f.link != 0 || e.get(link.EnvControl) != "" {
		return ""
	}
	return pod.NewSocket()
}

// runtime is what runs the target's pods.
func (f *nodeFlags) runtime(ctx context.Context, e *env, log *slog.Logger) (pod.Runtime, error) {
	if f.pods == podsKube {
		return f.kubePods(ctx, e, log)
	}
	table, err := images(e.exe, f.images)
	if err != nil {
		return nil, err
	}
	if f.environments == "" {
		f.environments = filepath.Join(f.data, environmentsDir)
	}
	environments, err := filepath.Abs(f.environments) // pods run elsewhere
	if err != nil {
		return nil, err
	}
	return pod.NewProcess(pod.ProcessConfig{Dir: filepath.Join(f.data, "pods"), Images: table,
		Shim: shim(e.exe), Code: code(e.exe, f.runtimes.choices, environments), Node: "localhost",
		PassEnv: []string{link.EnvControl}, Log: log})
}

// askTime bounds the question whether a proxy is there.
const askTime = 2 * time.Second

// anyAnswers tells whether one of the nodes, with commas between, is there.
func anyAnswers(ctx context.Context, urls string) bool {
	for u := range strings.SplitSeq(urls, ",") {
		client := api.NewClient(strings.TrimSpace(u))
		one, cancel := context.WithTimeout(ctx, askTime)
		_, err := client.Node(one)
		cancel()
		client.Close()
		if err == nil {
			return true
		}
	}
	return false
}

func (f *nodeFlags) serve(ctx context.Context, e *env, serve func(context.Context, net.Listener) error) error {
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return portHint(err)
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && addr.IP.IsUnspecified() && f.cluster == "" {
		return errors.Join(fmt.Errorf("--listen %s: nobody can be told of that address: say with --cluster-url where other nodes find this one", f.listen), ln.Close())
	}
	if _, err := child.Announce(e.get(child.EnvAnnounce), "http://"+ln.Addr().String()); err != nil {
		return err
	}
	ln, done, err := linked(ctx, e, ln, int64(f.link))
	if err != nil {
		return err
	}
	defer done()
	return serve(ctx, ln)
}

// linked puts a listener on an emulated link, where there is to be one: of so
// many bytes a second, or one that faults can impair.
func linked(ctx context.Context, e *env, ln net.Listener, rate int64) (_ net.Listener, done func(), err error) {
	control := e.get(link.EnvControl)
	if rate == 0 && control == "" {
		return ln, func() {}, nil
	}
	l, done := link.New(rate), func() {}
	if control != "" {
		if done, err = l.Control(ctx, control); err != nil {
			return nil, nil, errors.Join(err, ln.Close())
		}
	}
	return l.Listener(ln), done, nil
}

// portHint says what to do about an address that is taken.
func portHint(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: choose another with --listen, or port 0 for any that is free", err)
	}
	return err
}
