package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/kube"
)

// Values of --on.
const (
	onLocal = "local"
	onKind  = "kind"
	onKube  = "kube"
)

// kubeFlags are what up has for Kubernetes.
type kubeFlags struct {
	on, namespace, image, storageClass string
	kubeconfig, context                string
	output, nodeImage                  string
	pythons                            pythonImagesFlag
	loaderNodes                        int
	dryRun, keep                       bool
}

// kubeState is how a cluster on Kubernetes is found again.
type kubeState struct {
	Namespace  string `json:"namespace"`
	Kubeconfig string `json:"kubeconfig,omitempty"` // file, or several as in KUBECONFIG; "": kubectl's own
	Context    string `json:"context,omitempty"`
	Image      string `json:"image"`
	// Kind is the kind cluster that was made for it, Engine what its nodes are
	// containers of; "" of others.
	Kind   string `json:"kind,omitempty"`
	Engine string `json:"engine,omitempty"`
}

const defaultNamespace = "etlbench"

// flagsOf are the flags of up and scale that go with only some values of --on.
var flagsOf = map[string][]string{
	"listen": {onLocal}, "data": {onLocal}, "images": {onLocal}, "runtime": {onLocal}, "target-link": {onLocal}, "faults": {onLocal}, "detach": {onLocal},
	"namespace": {onKube}, "image": {onKube}, "kubeconfig": {onKube}, "context": {onKube}, "dry-run": {onKube},
	"node-image": {onKind}, "loader-nodes": {onKind}, "keep": {onKind, onKube}, "python-image": {onKind, onKube}, "storage-class": {onKind, onKube},
}

// addWhere adds the flags that say where clusters are to run.
func (f *kubeFlags) addWhere(e *env, cmd *cobra.Command, namespace string) {
	fl := cmd.Flags()
	fl.StringVar(&f.on, "on", onLocal, "where the cluster runs: `local|kind|kube`, processes of this machine, a Kubernetes made by kind for it, or the one that kubectl uses")
	fl.StringVar(&f.namespace, "namespace", namespace, "on kube: `NAME` of the namespace, which is made, and removed at the end, if it is not there")
	fl.StringVar(&f.image, "image", "", "on kube: container `IMAGE` of etlbench; hack/Dockerfile makes one")
	fl.StringVar(&f.kubeconfig, "kubeconfig", e.get("KUBECONFIG"), "on kube: `FILE` that says how Kubernetes is reached")
	fl.StringVar(&f.context, "context", "", "on kube: `NAME` of a context of that file (default: its current one)")
	fl.StringVar(&f.nodeImage, "node-image", e.get("KIND_NODE_IMAGE"), "on kind: container `IMAGE` of the Kubernetes nodes (default: kind's own)")
	if image := e.get("PY_IMAGE"); image != "" {
		_ = f.pythons.Set(image) // what is wrong with it fails when a pod wants it
	}
	fl.Var(&f.pythons, "python-image", "on Kubernetes: "+pythonImageUsage)
}

func (f *kubeFlags) add(e *env, cmd *cobra.Command) {
	f.addWhere(e, cmd, defaultNamespace)
	fl := cmd.Flags()
	fl.BoolVar(&f.dryRun, "dry-run", false, "on kube: print the manifests, for kubectl apply -f -, and do nothing")
	fl.StringVarP(&f.output, "output", "o", "yaml", "of --dry-run: `yaml`")
	fl.IntVar(&f.loaderNodes, "loader-nodes", 0, "on kind: `N` more Kubernetes nodes, without targets: for etlbench run --on kind --agents")
	fl.StringVar(&f.storageClass, "storage-class", "", "on Kubernetes: storage class, by `NAME`, of volumes that keep data when a pod goes (default: it goes too)")
	fl.BoolVar(&f.keep, "keep", false, "on Kubernetes: leave what does not come up, and say where its logs are")
}

// kubeName is what Kubernetes calls things.
var kubeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (f *kubeFlags) checkKube(cmd *cobra.Command) error {
	if err := f.checkWhere(cmd); err != nil {
		return err
	}
	switch {
	case f.loaderNodes < 0 || f.loaderNodes > maxNodes:
		return fmt.Errorf("--loader-nodes %d: must be 0 to %d", f.loaderNodes, maxNodes)
	case cmd.Flags().Changed("output") && f.on != onKube:
		return errors.New("-o: goes with --on kube --dry-run")
	case f.output != "yaml":
		return fmt.Errorf("-o %q: must be yaml", f.output)
	}
	return nil
}

// checkWhere refuses flags that do not go together.
func (f *kubeFlags) checkWhere(cmd *cobra.Command) error {
	if !slices.Contains([]string{onLocal, onKind, onKube}, f.on) {
		return fmt.Errorf("--on %q: must be local, kind or kube", f.on)
	}
	for _, name := range slices.Sorted(maps.Keys(flagsOf)) {
		if cmd.Flags().Changed(name) && !slices.Contains(flagsOf[name], f.on) {
			return fmt.Errorf("--%s: goes with --on %s, not with --on %s", name, strings.Join(flagsOf[name], " and "), f.on)
		}
	}
	switch {
	case f.on != onKube:
		return nil
	case f.image == "":
		return errors.New("--image: is required with --on kube: the nodes of Kubernetes pull it; make one of this program with hack/Dockerfile")
	case !kubeName.MatchString(f.namespace):
		return fmt.Errorf("--namespace %q: use lower-case letters, digits and '-', at most 63", f.namespace)
	}
	return nil
}

// kubeConfig is what the flags say of the cluster.
func (f *upFlags) kubeConfig(namespace, image string) kube.Config {
	return kube.Config{Namespace: namespace, Image: image, Proxies: f.proxies, Targets: f.targets, Sync: f.sync, StorageClass: f.storageClass,
		TargetCPUs: float64(f.cpu) / 100,
		SharedCPUs: f.on == onKind, TargetArgs: f.pythons.args}
}

func (f *upFlags) kubeState(k *kubeState) *clusterState {
	return &clusterState{Name: f.name, Started: time.Now(), Sync: f.sync, Limits: f.limits(), Kube: k, Sweep: f.sweep}
}

// onKube puts the cluster onto a Kubernetes that is there, or makes the one
// that is on it what the flags say.
func (f *upFlags) onKube(ctx context.Context, e *env) error {
	cfg := f.kubeConfig(f.namespace, f.image)
	if f.dryRun {
		data, err := kube.YAML(kube.Manifests(cfg, ""))
		if err == nil {
			_, err = e.out.Write(data)
		}
		return err
	}
	unlock, err := lockName(e, f.name)
	if err != nil {
		return err
	}
	defer unlock()
	k, err := kube.Open(f.kubeconfig, f.context, f.namespace)
	if err != nil {
		return err
	}
	old, err := loadState(e, f.name)
	if err != nil {
		return err
	}
	st := f.kubeState(&kubeState{Namespace: f.namespace, Kubeconfig: f.kubeconfig, Context: k.Context(), Image: f.image})
	if old != nil && (old.Kube == nil || old.Kube.Kind != "" || old.Kube.Namespace != f.namespace || old.Kube.Context != k.Context()) {
		return f.checkFree(e)
	}
	_, err = k.Status(ctx)
	fresh := errors.Is(err, kube.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	if err := st.save(e); err != nil {
		return err
	}
	if err = f.deploy(ctx, e, k, cfg, st); err == nil || !fresh {
		return err
	}
	if f.keep {
		fmt.Fprintf(e.err, "kept: namespace %s; kubectl logs -n %s NODE tells what its nodes have said; etlbench down%s removes it\n", f.namespace, f.namespace, nameFlag(f.name))
		return err
	}
	fmt.Fprintln(e.err, "removing what did not come up …")
	return errors.Join(err, removeKube(ctx, e, st))
}

// Times of clusters on Kubernetes.
const (
	deployTimeout = 5 * time.Minute // until all nodes are ready, those of Kubernetes among them
	reachTimeout  = 10 * time.Second
	goneTimeout   = 2 * time.Minute
)

// deploy puts the cluster onto a Kubernetes and tells of it.
func (f *upFlags) deploy(ctx context.Context, e *env, k *kube.Cluster, cfg kube.Config, st *clusterState) error {
	if err := f.apply(ctx, e, k, cfg, st); err != nil {
		return err
	}
	if err := statusKube(ctx, e, st, "text"); err != nil {
		return err
	}
	if err := allReachable(ctx, k); err != nil {
		fmt.Fprintf(e.err, "it cannot be reached from this machine: %v\n%s\n", err, st.Kube.inside())
		return nil
	}
	fmt.Fprintf(e.err, "next: etlbench run inline-by-comm; etlbench status%s shows where pods are; etlbench down%s removes it\n", nameFlag(f.name), nameFlag(f.name))
	return nil
}

// apply applies the manifests and waits until the cluster is up.
func (f *upFlags) apply(ctx context.Context, e *env, k *kube.Cluster, cfg kube.Config, st *clusterState) error {
	fmt.Fprintf(e.err, "starting the cluster in namespace %s, proxies: %d, targets: %d …\n", cfg.Namespace, f.proxies, f.targets)
	from := time.Now()
	if err := k.Apply(ctx, cfg); err != nil {
		return err
	}
	wait, cancel := context.WithTimeoutCause(ctx, deployTimeout, fmt.Errorf("waited %s", deployTimeout))
	defer cancel()
	if err := k.Wait(wait, cfg); err != nil {
		return err
	}
	var err error
	if st.URL, err = k.Endpoint(ctx); err != nil {
		return err
	}
	if err := st.save(e); err != nil {
		return err
	}
	fmt.Fprintf(e.err, "the cluster is ready after %s\n", time.Since(from).Round(100*time.Millisecond))
	return nil
}

// nameFlag is what chooses a cluster in a command line.
func nameFlag(name string) string {
	if name == "default" {
		return ""
	}
	return " --name " + name
}

// allReachable tells whether all nodes of a cluster answer where clients are sent.
func allReachable(ctx context.Context, k *kube.Cluster) error {
	st, err := k.Status(ctx)
	if err != nil {
		return err
	}
	var g errgroup.Group
	for _, n := range st.Nodes {
		g.Go(func() error { return reachable(ctx, n.URL) })
	}
	return g.Wait()
}

// reachable tells whether a node answers: the nodes of Kubernetes learn of a
// Service a moment after it was made.
func reachable(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	client := api.NewClient(url)
	defer client.Close()
	for {
		one, done := context.WithTimeout(ctx, time.Second)
		err := client.Healthy(one)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer within %s: %w", url, reachTimeout, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openKube is the Kubernetes of a cluster that runs.
func openKube(s *clusterState) (*kube.Cluster, error) {
	return kube.Open(s.Kube.Kubeconfig, s.Kube.Context, s.Kube.Namespace)
}

// removeKube removes a cluster, and what was made for it. An interrupt does not
// stop that.
func removeKube(ctx context.Context, e *env, s *clusterState) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), goneTimeout, fmt.Errorf("waited %s", goneTimeout))
	defer cancel()
	if s.Kube.Kind != "" {
		if err := removeKind(s.Kube); err != nil {
			return err
		}
		if err := os.Remove(s.Kube.Kubeconfig); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return errors.Join(os.RemoveAll(s.Kube.logs()), s.remove(e))
	}
	k, err := openKube(s)
	if err == nil {
		err = k.Delete(ctx)
	}
	if err != nil {
		return err
	}
	return s.remove(e)
}

// statusKube shows where Kubernetes has the nodes and the pods of ETLs.
func statusKube(ctx context.Context, e *env, s *clusterState, output string) error {
	k, err := openKube(s)
	if err != nil {
		return err
	}
	st, err := k.Status(ctx)
	if err != nil {
		return hint(err, "etlbench down"+nameFlag(s.Name))
	}
	if err := s.follow(ctx, e, k); err != nil {
		return err
	}
	if output == "json" {
		return printJSON(e, struct {
			*clusterState
			Nodes []kube.Node   `json:"nodes"` // in place of processes
			Pods  []kube.ETLPod `json:"pods"`
		}{s, st.Nodes, st.Pods})
	}
	where := "namespace " + s.Kube.Namespace
	if s.Kube.Kind != "" {
		where += " of kind cluster " + s.Kube.Kind
	}
	fmt.Fprintf(e.out, "cluster %s at %s, in %s, sync %s%s\n", s.Name, cmp.Or(s.URL, "no address yet"), where, s.Sync, heldTo(s.Limits))
	t := newTable(e.out, "node", "type", "url", "kubernetes node", "state", "restarts")
	for _, n := range st.Nodes {
		t.AppendRow([]any{n.ID, n.Type, n.URL, n.KubeNode, n.State, n.Restarts})
	}
	t.Render()
	if len(st.Pods) == 0 {
		return nil
	}
	t = newTable(e.out, "pod", "target", "kubernetes node", "its target's", "state")
	for _, p := range st.Pods {
		beside := p.TargetNode
		if !p.Beside() {
			beside += " (not the same)"
		}
		t.AppendRow([]any{p.Name, p.Target, p.KubeNode, beside, p.State})
	}
	t.Render()
	return nil
}

// chooseKube looks whether a cluster can be used from this machine.
func (s *clusterState) chooseKube(ctx context.Context, e *env) error {
	if healthy(ctx, s.URL) == nil {
		return nil
	}
	k, err := openKube(s)
	if err == nil {
		err = s.follow(ctx, e, k)
	}
	if err == nil {
		err = allReachable(ctx, k)
	}
	if err != nil {
		return fmt.Errorf("cluster %s cannot be used from this machine: %w\n%s", s.Name, err, s.Kube.inside())
	}
	return nil
}

// folderOfPod gives a pod that kubectl runs a folder to write into.
const folderOfPod = `--override-type=strategic --overrides='{"spec":{"volumes":[{"name":"tmp","emptyDir":{}}],"containers":[{"name":"client","volumeMounts":[{"name":"tmp","mountPath":"/tmp"}]}]}}'`

// inside says how a cluster is used whose nodes this machine does not reach.
func (k *kubeState) inside() string {
	return fmt.Sprintf("Proxies send clients to the node ports of targets, and hpull:// to those of pods, which kubectl port-forward does not stand for.\n"+
		"Where these cannot be reached, run etlbench in a pod:\n"+
		"  kubectl run client -n %s --rm -i --restart=Never --image %s %s \\\n"+
		"    -- run inline-by-comm --out /tmp/run --cluster %s", k.Namespace, k.Image, folderOfPod, kube.InsideURL(k.Namespace))
}

// follow notes where the first proxy is now: a pod that is replaced may come to
// another node of Kubernetes.
func (s *clusterState) follow(ctx context.Context, e *env, k *kube.Cluster) error {
	url, err := k.Endpoint(ctx)
	if err != nil || url == s.URL || s.URL == "" {
		return err
	}
	s.URL = url
	return s.save(e)
}

// kubeconfigPath is where the kubeconfig of a kind cluster is kept.
func kubeconfigPath(e *env, name string) (string, error) {
	dir, err := stateDir(e)
	return filepath.Join(dir, name+".kubeconfig"), err
}
