package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

// clusterState is the file by which other commands find a cluster that up
// started.
type clusterState struct {
	Name    string                 `json:"name"`
	URL     string                 `json:"url"`
	PID     int                    `json:"pid"`     // of up
	Born    string                 `json:"born"`    // when that process started, in clock ticks: a pid may be used again
	Started time.Time              `json:"started"` // the cluster
	Sync    string                 `json:"sync"`
	Data    string                 `json:"data"`
	Nodes   []*cluster.NodeProcess `json:"nodes"`
	Limits  results.Limits         `json:"target_limits"`
	Kube    *kubeState             `json:"kube,omitempty"`         // nil of processes of this machine
	Control string                 `json:"link_control,omitempty"` // folder of link.Control
	// Sweep is a cluster of a sweep, which other commands do not choose.
	Sweep bool `json:"sweep,omitempty"`
}

// stateDir is where state files and throw-away data live: $XDG_STATE_HOME, or
// what it defaults to.
func stateDir(e *env) (string, error) {
	base := e.get("XDG_STATE_HOME")
	if base == "" {
		home := e.get("HOME")
		if home == "" {
			return "", errors.New("neither XDG_STATE_HOME nor HOME is set: set one, to a folder for the state of running clusters")
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "etlbench")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state folder: %w: set XDG_STATE_HOME to a folder that can be written", err)
	}
	return dir, nil
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// checkName checks the --name of a cluster.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("--name %q: use lower-case letters, digits and '-', at most 32", name)
	}
	return nil
}

func statePath(e *env, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	dir, err := stateDir(e)
	return filepath.Join(dir, name+".json"), err
}

func (s *clusterState) save(e *env) error {
	path, err := statePath(e, s.Name)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// lockName makes this process the only one that starts a cluster of a name.
// unlock gives the name free; so does the end of the process.
func lockName(e *env, name string) (unlock func(), err error) {
	path, err := statePath(e, name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(strings.TrimSuffix(path, ".json")+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another command starts cluster %s at this moment, or runs it: choose another --name", name)
	}
	return func() { f.Close() }, nil
}

// remove removes the file, unless it is another cluster's by now.
func (s *clusterState) remove(e *env) error {
	now, err := loadState(e, s.Name)
	if err != nil || now == nil || now.PID != s.PID {
		return err
	}
	path, err := statePath(e, s.Name)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// loadState reads a cluster's state; nil when there is none. A file whose
// cluster has gone is removed.
func loadState(e *env, name string) (*clusterState, error) {
	path, err := statePath(e, name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &clusterState{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it if no cluster of that name runs", path, err)
	}
	if s.Kube == nil && born(s.PID) != s.Born {
		return nil, os.Remove(path)
	}
	return s, nil
}

// loadStates reads all of them, by name.
func loadStates(e *env) ([]*clusterState, error) {
	dir, err := stateDir(e)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var list []*clusterState
	for _, f := range files {
		s, err := loadState(e, strings.TrimSuffix(filepath.Base(f), ".json"))
		if err != nil {
			return nil, err
		}
		if s != nil {
			list = append(list, s)
		}
	}
	return list, nil
}

// born is when a process started, in clock ticks since boot; "" when there is
// no such process. It is field 22 of /proc/PID/stat, counted behind the name,
// which may hold anything.
func born(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	fields := strings.Fields(rest)
	const startTime = 22 - 3 // state, the first field here, is the third
	if !ok || len(fields) <= startTime || fields[0] == "Z" {
		return ""
	}
	return fields[startTime]
}

// scratch makes a folder for data that is thrown away, and removes those whose
// process has gone. It is not in the temporary folder, which may be memory and
// may lack extended attributes.
func scratch(e *env) (string, error) {
	dir, err := stateDir(e)
	if err != nil {
		return "", err
	}
	old, err := filepath.Glob(filepath.Join(dir, "data-*"))
	if err != nil {
		return "", err
	}
	for _, d := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), "data-"), "-")
		if n, err := strconv.Atoi(pid); err == nil && born(n) == "" {
			_ = os.RemoveAll(d)
		}
	}
	return os.MkdirTemp(dir, fmt.Sprintf("data-%d-*", os.Getpid()))
}

// chosen is the cluster that a command uses.
type chosen struct {
	urls []string
	kind string // "running" or "external"
	sync string // "" when not known
	data string // folder, "" when not known
	// limits of its targets; nil when not known
	limits *results.Limits
	why    string
	// nodes are those of the cluster at the moment; nil when it is elsewhere.
	nodes func() []*cluster.NodeProcess
	kills *kills // of a cluster that was started for the run
	// control is the folder of link.Control, "" when nothing can be delayed or dropped.
	control string
	kube    *clusterState // of a cluster on Kubernetes that up started; else nil
}

// chooseCluster decides which cluster a command uses: --cluster, AIS_ENDPOINT,
// the scenario's own, the one that runs here. nil means none, and the caller
// starts one.
func chooseCluster(ctx context.Context, e *env, flag string, scenario []string) (*chosen, error) {
	switch {
	case flag != "":
		return &chosen{urls: []string{flag}, kind: "external", why: "--cluster"}, nil
	case e.get("AIS_ENDPOINT") != "":
		return &chosen{urls: []string{e.get("AIS_ENDPOINT")}, kind: "external", why: "AIS_ENDPOINT"}, nil
	case len(scenario) > 0:
		return &chosen{urls: scenario, kind: "external", why: "the scenario's target.proxies"}, nil
	}
	list, err := loadStates(e)
	list = slices.DeleteFunc(list, func(s *clusterState) bool { return s.Sweep })
	if err != nil || len(list) == 0 {
		return nil, fail(err)
	}
	s, err := only(list)
	if err != nil {
		return nil, err
	}
	return s.choose(ctx, e)
}

// only is the single cluster of a list.
func only(list []*clusterState) (*clusterState, error) {
	if len(list) == 1 {
		return list[0], nil
	}
	var names []string
	for _, s := range list {
		names = append(names, fmt.Sprintf("%s at %s", s.Name, s.URL))
	}
	return nil, misuse("%d clusters run (%s): choose one with --cluster URL", len(list), strings.Join(names, ", "))
}

// choose is a cluster that up started, if it answers.
func (s *clusterState) choose(ctx context.Context, e *env) (*chosen, error) {
	if s.URL == "" {
		return nil, fail(fmt.Errorf("cluster %s is not up: see etlbench status%s; remove it with: etlbench down%s", s.Name, nameFlag(s.Name), nameFlag(s.Name)))
	}
	if s.Kube != nil {
		if err := s.chooseKube(ctx, e); err != nil {
			return nil, fail(err)
		}
		return &chosen{urls: []string{s.URL}, kind: "running", sync: s.Sync, limits: &s.Limits, why: "cluster " + s.Name + " on Kubernetes", kube: s}, nil
	}
	if err := healthy(ctx, s.URL); err != nil {
		return nil, fail(fmt.Errorf("cluster %s at %s does not answer: %w: stop it with: etlbench down --name %s", s.Name, s.URL, err, s.Name))
	}
	return &chosen{urls: []string{s.URL}, kind: "running", sync: s.Sync, data: s.Data, limits: &s.Limits, why: "cluster " + s.Name + " runs here",
		nodes: s.nodes(e), control: s.Control}, nil
}

func healthy(ctx context.Context, url string) error {
	client := api.NewClient(url)
	defer client.Close()
	return client.Healthy(ctx)
}
