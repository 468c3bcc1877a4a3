package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/child"
	"github.com/etlbench/etlbench/cluster/link"
	"github.com/etlbench/etlbench/cluster/store"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

type upFlags struct {
	name, listen, data, sync, images string
	control                          string // folder of link.Control, once spawn has made it; "" without faults
	runtimes                         runtimesFlag
	proxies, targets                 int
	detach, faults                   bool
	sweep                            bool // for a sweep alone
	cpu                              scenarios.Percent
	link                             scenarios.Bandwidth
	kubeFlags
}

func upCmd(e *env) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "start a reference cluster, on this machine or on Kubernetes",
		Long: "Starts proxies and targets as child processes on loopback and keeps them running until Ctrl-C.\n" +
			"With --detach it returns once the cluster is up; etlbench down stops it.\n\n" +
			"With --on kind it makes a Kubernetes of containers on this machine, a worker for each target, and puts the\n" +
			"cluster onto that; with --on kube it uses the Kubernetes that kubectl would, and makes a cluster that is there\n" +
			"already what the flags say. Both return once the cluster is up; etlbench down removes all that was made.",
		Example: "  etlbench up\n  etlbench up --targets 4 --data /var/tmp/ais --detach\n  etlbench up --on kind --targets 2\n" +
			"  etlbench up --on kube --image registry.example/etlbench:1 --storage-class standard",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.check(), f.checkKube(cmd)); err != nil {
				return err
			}
			start := f.foreground
			switch {
			case f.on == onKind:
				start = f.onKind
			case f.on == onKube:
				start = f.onKube
			case f.detach:
				start = f.detached
			}
			return fail(start(cmd.Context(), e))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.name, "name", "default", "`NAME` of the cluster, when several run")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` of the first proxy")
	fl.StringVar(&f.data, "data", "", "data `FOLDER`, kept when the cluster stops (default: a new one, removed at the end)")
	fl.StringVar(&f.sync, "sync", "data", syncUsage)
	fl.StringVar(&f.images, "images", "", imagesUsage)
	fl.Var(&f.runtimes, "runtime", runtimeUsage)
	fl.IntVar(&f.proxies, "proxies", 1, "`N` proxies")
	fl.IntVar(&f.targets, "targets", 3, "`N` targets")
	fl.TextVar(&f.cpu, "target-cpu", f.cpu, "CPU time of each target with its pods, in `PERCENT` of one CPU, such as 50%; on Kubernetes a half of it is for itself, the other for each pod (default: no limit)")
	fl.TextVar(&f.link, "target-link", f.link, "of each target: "+linkUsage+" (default: none)")
	f.add(e, cmd)
	fl.BoolVar(&f.faults, "faults", false, "let scenarios delay and drop what is sent to its nodes and pods")
	fl.BoolVar(&f.detach, "detach", false, "return once the cluster is up")
	return cmd
}

func (f *upFlags) limits() results.Limits {
	l := limitsOf(scenarios.Target{CPU: f.cpu, Link: f.link})
	if l.CPUs > 0 && f.on != "" && f.on != onLocal {
		cfg := f.kubeConfig("", "")
		l.PodCPUs, l.Reserved = cfg.PodCPUs(), !cfg.SharedCPUs
	}
	return l
}

// maxNodes keeps a typing error from starting thousands of processes.
const maxNodes = 256

func (f *upFlags) check() error {
	switch {
	case checkName(f.name) != nil:
		return checkName(f.name)
	case f.proxies < 1 || f.proxies > maxNodes:
		return fmt.Errorf("--proxies %d: must be 1 to %d", f.proxies, maxNodes)
	case f.cpu != 0 && !(f.cpu >= scenarios.MinTargetCPU && f.cpu <= scenarios.MaxTargetCPU):
		return fmt.Errorf("--target-cpu %s: must be %s to %s", f.cpu, scenarios.MinTargetCPU, scenarios.MaxTargetCPU)
	case f.link != 0 && f.link < scenarios.MinTargetLink:
		return fmt.Errorf("--target-link %s: must be %s or more", f.link, scenarios.MinTargetLink)
	case f.targets < 1 || f.targets > maxNodes:
		return fmt.Errorf("--targets %d: must be 1 to %d", f.targets, maxNodes)
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: must be HOST:PORT, such as 127.0.0.1:8080", f.listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("--listen %q: name the address that clients use: proxies send them to targets by it", f.listen)
	}
	_, err = store.ParseSync(f.sync)
	return err
}

// spawnTimeout bounds the start of a cluster.
const spawnTimeout = 60 * time.Second

// spawn starts the cluster. done stops it and removes data that was not asked
// to be kept.
func (f *upFlags) spawn(ctx context.Context, e *env) (s *cluster.Spawned, done func() error, err error) {
	dir, remove := f.data, func() error { return nil }
	if dir == "" {
		if dir, err = scratch(e); err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	f.data = dir
	if f.faults {
		if f.control, err = os.MkdirTemp("", "etlbench-link-"); err != nil { // short: the path of a socket has to be
			return nil, nil, errors.Join(err, remove())
		}
		data := remove
		remove = func() error { return errors.Join(data(), os.RemoveAll(f.control)) }
	}
	if err := f.runtimes.check(ctx); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	// What init code requires is installed once for all targets.
	args := append(f.runtimes.args(), "--sync", f.sync, "--environments", filepath.Join(dir, environmentsDir))
	if f.images != "" {
		file, err := filepath.Abs(f.images)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, "--images", file)
	}
	if f.link > 0 {
		args = append(args, "--link", f.link.String())
	}
	var vars []string
	if f.control != "" {
		vars = []string{link.EnvControl + "=" + f.control}
	}
	ctx, cancel := context.WithTimeout(ctx, spawnTimeout)
	defer cancel()
	s, err = cluster.Spawn(ctx, cluster.SpawnConfig{Exe: e.exe, Proxies: f.proxies, Targets: f.targets,
		Listen: f.listen, Dir: dir, NodeArgs: args, Env: vars, TargetCPUs: float64(f.cpu) / 100})
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return s, func() error { return errors.Join(s.Stop(), remove()) }, nil
}

// checkFree refuses a second cluster of a name.
func (f *upFlags) checkFree(e *env) error {
	running, err := loadState(e, f.name)
	if err != nil || running == nil {
		return err
	}
	return fmt.Errorf("cluster %s runs already at %s: stop it with: etlbench down --name %s; or choose another --name", f.name, cmp.Or(running.URL, "no address yet"), f.name)
}

func (f *upFlags) foreground(ctx context.Context, e *env) (err error) {
	if err := f.checkFree(e); err != nil {
		return err
	}
	unlock, err := lockName(e, f.name)
	if err != nil {
		return err
	}
	defer unlock()
	var python <-chan string
	if e.get(child.EnvAnnounce) == "" { // else nobody reads what is printed
		python = f.pythonStatus(ctx, e)
	}
	s, done, err := f.spawn(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	st := &clusterState{Name: f.name, URL: s.URL, PID: os.Getpid(), Born: born(os.Getpid()), Started: time.Now(),
		Sync: f.sync, Data: f.data, Nodes: s.Nodes, Limits: f.limits(), Control: f.control}
	if err := st.save(e); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.remove(e)) }()
	announced, err := child.Announce(e.get(child.EnvAnnounce), s.URL)
	if err != nil {
		return err
	}
	if !announced {
		printState(e, st)
		fmt.Fprintln(e.out, <-python)
		fmt.Fprintln(e.err, "Ctrl-C stops it.")
	}
	return f.supervise(ctx, e, s, st)
}

// A node that dies is started again, but one that keeps dying is not: that did
// not run for restartWell since.
const (
	restartWait = time.Second
	restartMost = 5
	restartWell = 5 * time.Second
)

// supervise waits for ctx to end, and restarts nodes that die meanwhile.
func (f *upFlags) supervise(ctx context.Context, e *env, s *cluster.Spawned, st *clusterState) error {
	restarts, since := map[string]int{}, map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(e.err, "stopping the cluster …")
			return nil
		case n := <-s.Died():
			if time.Since(since[n.ID]) > restartWell {
				restarts[n.ID] = 0
			}
			restarts[n.ID]++
			fmt.Fprintf(e.err, "%s %s has died (%v); its log: %s\n", n.Type, n.ID, n.Err(), n.Log)
			if restarts[n.ID] > restartMost {
				return fmt.Errorf("%s %s died %d times: giving up", n.Type, n.ID, restarts[n.ID])
			}
			select {
			case <-ctx.Done():
				continue
			case <-time.After(restartWait):
			}
			if err := s.Restart(ctx, n); err != nil {
				return fmt.Errorf("restart %s %s: %w", n.Type, n.ID, err)
			}
			since[n.ID] = time.Now()
			fmt.Fprintf(e.err, "%s %s runs again\n", n.Type, n.ID)
			if err := st.save(e); err != nil {
				return err
			}
		}
	}
}

// detached runs up in a session of its own and returns when it has announced
// its cluster.
func (f *upFlags) detached(ctx context.Context, e *env) error {
	dir, err := stateDir(e)
	if err != nil {
		return err
	}
	if err := f.checkFree(e); err != nil {
		return err
	}
	logPath := filepath.Join(dir, f.name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	defer pr.Close()
	cmd := exec.Command(e.exe, append([]string{"up"}, f.args()...)...)
	cmd.Env = append(os.Environ(), child.EnvAnnounce+"=3")
	cmd.ExtraFiles = []*os.File{pw}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	pw.Close()
	if err != nil {
		return err
	}
	python := f.pythonStatus(ctx, e)
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if n, _ := pr.Read(make([]byte, 256)); n == 0 {
		_ = cmd.Wait()
		return lastLine(logPath)
	}
	st, err := loadState(e, f.name)
	if err != nil || st == nil {
		return errors.Join(err, errors.New("the cluster ended as soon as it was up: see "+logPath))
	}
	printState(e, st)
	fmt.Fprintln(e.out, <-python)
	fmt.Fprintf(e.err, "etlbench down stops it. Its log: %s\n", logPath)
	return cmd.Process.Release()
}

func (f *upFlags) args() []string {
	args := []string{"--name", f.name, "--listen", f.listen, "--sync", f.sync,
		"--proxies", fmt.Sprint(f.proxies), "--targets", fmt.Sprint(f.targets)}
	if f.data != "" {
		args = append(args, "--data", f.data)
	}
	if f.images != "" {
		args = append(args, "--images", f.images)
	}
	if f.cpu > 0 {
		args = append(args, "--target-cpu", f.cpu.String())
	}
	if f.link > 0 {
		args = append(args, "--target-link", f.link.String())
	}
	if f.faults {
		args = append(args, "--faults")
	}
	return append(args, f.runtimes.args()...)
}

// pythonStatus asks while the cluster starts.
func (f *upFlags) pythonStatus(ctx context.Context, e *env) <-chan string {
	status := make(chan string, 1)
	go func() { status <- pythonStatus(ctx, e, f.runtimes.choices) }()
	return status
}
