package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// light is a load that this machine makes with ease.
const light = `
apiVersion: etlbench/v1
transforms: [echo]
dataset: {objects: 16, size: 4KiB}
arms: {comm: [hpush]}
load: {model: open, rate: %s, in-flight: %d, workers: %[2]d}
phases: {warmup: 500ms, measure: 4s}
`

// verdictOf runs a scenario as a process of its own, with a load on a cluster
// that is not its own, and gives what it said in the end.
func verdictOf(t *testing.T, url, scenario string, start func(*exec.Cmd) (stop func())) string {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "s.yaml"), []byte(scenario), 0o644))
	cmd := exec.CommandContext(t.Context(), program(t), "run", "s.yaml", "--cluster", url, "--out", "run")
	cmd.Dir = dir
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	stop := start(cmd)
	err := cmd.Wait()
	stop()
	var exit *exec.ExitError
	require.True(t, err == nil || errors.As(err, &exit), err)
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "VERDICT") {
			return line
		}
	}
	t.Fatalf("no verdict: %s", out.String())
	return ""
}

// freely starts a process as it is.
func freely(t *testing.T) func(*exec.Cmd) func() {
	return func(cmd *exec.Cmd) func() {
		require.NoError(t, cmd.Start())
		return func() {}
	}
}

// starved starts a process that gets a twentieth of a CPU: by a quota of its
// control group, and where none can be made, by being stopped for most of the
// time.
func starved(t *testing.T) func(*exec.Cmd) func() {
	group, err := quotaGroup(t.Name())
	if err != nil {
		t.Logf("no control group (%v): the process is stopped for 95 ms of 100", err)
		return stopAndGo(t)
	}
	return func(cmd *exec.Cmd) func() {
		cmd.Args = append([]string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(group, "cgroup.procs"), cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		require.NoError(t, cmd.Start())
		return func() { require.NoError(t, os.Remove(group)) }
	}
}

// quotaGroup makes a control group with 5 ms of CPU time in 100.
func quotaGroup(name string) (dir string, err error) {
	name = fmt.Sprintf("etlbench-%s-%d", strings.ReplaceAll(name, "/", "-"), os.Getpid())
	for _, v := range []struct {
		root  string
		files map[string]string
	}{
		{"/sys/fs/cgroup/cpu", map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "5000"}},
		{"/sys/fs/cgroup", map[string]string{"cpu.max": "5000 100000"}},
	} {
		dir = filepath.Join(v.root, name)
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		for file, value := range v.files {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, file), []byte(value), 0))
		}
		if err == nil {
			return dir, nil
		}
		_ = os.Remove(dir)
	}
	return "", err
}

func stopAndGo(t *testing.T) func(*exec.Cmd) func() {
	return func(cmd *exec.Cmd) func() {
		require.NoError(t, cmd.Start())
		quit, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				for _, step := range []struct {
					signal syscall.Signal
					length time.Duration
				}{{syscall.SIGSTOP, 95 * time.Millisecond}, {syscall.SIGCONT, 5 * time.Millisecond}} {
					if cmd.Process.Signal(step.signal) != nil {
						return
					}
					select {
					case <-quit:
						_ = cmd.Process.Signal(syscall.SIGCONT)
						return
					case <-time.After(step.length):
					}
				}
			}
		}()
		return func() { close(quit); <-done }
	}
}

// TestStarvedGenerator: a generator that cannot do what is asked of it is called
// that, whatever the numbers look like, and a healthy one is not.
func TestStarvedGenerator(t *testing.T) {
	s, _ := spawn(t, 1)
	for _, tt := range []struct {
		name, rate string
		inFlight   int
		start      func(*testing.T) func(*exec.Cmd) func()
		bound      bool
	}{
		{"healthy", "100/s", 256, freely, false},
		{"little CPU", "1500/s", 256, starved, true},
		{"one connection", "3000/s", 1, freely, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said string
			for range 3 { // a busy machine may starve anything for a while
				said = verdictOf(t, s.URL, fmt.Sprintf(light, tt.rate, tt.inFlight), tt.start(t))
				if strings.Contains(said, "GENERATOR-BOUND") == tt.bound {
					return
				}
			}
			t.Fatal(said)
		})
	}
}

// TestStopAndGo: where there are no control groups, a stopped process is starved
// as well.
func TestStopAndGo(t *testing.T) {
	s, _ := spawn(t, 1)
	require.Contains(t, verdictOf(t, s.URL, fmt.Sprintf(light, "1500/s", 256), stopAndGo(t)), "GENERATOR-BOUND")
}
