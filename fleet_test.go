package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// process is etlbench in a process of its own.
type process struct {
	*exec.Cmd
	t   *testing.T
	out bytes.Buffer
	mu  sync.Mutex // guards log
	log strings.Builder
	eof chan struct{}
}

func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startAt(t, dir, t.TempDir(), args...)
}

// startAt has a folder for its state.
func startAt(t *testing.T, dir, state string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program(t), args...), t: t, eof: make(chan struct{})}
	p.Dir, p.Stdout = dir, &p.out
	p.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	stderr, err := p.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	go func() {
		defer close(p.eof)
		for r := bufio.NewReader(stderr); ; {
			line, err := r.ReadString('\n')
			p.mu.Lock()
			p.log.WriteString(line)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			p.code()
		}
	})
	return p
}

// says waits until the process has written something like pattern to standard
// error, and returns the match.
func (p *process) says(pattern string) []string {
	p.t.Helper()
	var m []string
	require.Eventually(p.t, func() bool {
		m = regexp.MustCompile(pattern).FindStringSubmatch(p.stderr())
		return m != nil
	}, time.Minute, 10*time.Millisecond, "%s", pattern)
	return m
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// code waits for the exit code, -1 after a signal.
func (p *process) code() int {
	<-p.eof
	_ = p.Wait() // what it says is the code
	return p.ProcessState.ExitCode()
}

// agents starts n of them, and returns them and their addresses with commas.
func agents(t *testing.T, n int, args ...string) (list []*process, names string) {
	for range n {
		a := start(t, t.TempDir(), append([]string{"agent", "--listen", "127.0.0.1:0"}, args...)...)
		list = append(list, a)
		names += "," + a.says(`waiting for a coordinator on (\S+);`)[1]
	}
	return list, names[1:]
}

const fleetScenario = `apiVersion: etlbench/v1
name: fleet
seed: 7
dataset: {objects: 20, size: 2KiB}
transforms: [echo]
arms: {comm: [hpush]}
load: {model: open, arrival: poisson, rate: 100/s, mix: {get-etl: 3, get: 1}}
phases: {warmup: 300ms, measure: 1s}
`

// fleetRun starts a run of fleetScenario, into the folder that it returns.
func fleetRun(t *testing.T, url string, args ...string) (p *process, dir string) {
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(fleetScenario), 0o600))
	return start(t, dir, append([]string{"run", "fleet.yaml", "--cluster", url, "--out", "run"}, args...)...), filepath.Join(dir, "run")
}

func summaryOf(t *testing.T, dir string) (s results.Summary) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, results.SummaryFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &s))
	return s
}

// TestFleetIsOneLoader: one loader, and 2 and 4 agents, all processes, make the
// same of a seed: operation by operation at every target.
func TestFleetIsOneLoader(t *testing.T) {
	s, _ := spawn(t, 2)
	type row struct {
		intended int64
		results.Counts
		targets [2]int64
	}
	rows := func(args ...string) map[string]row {
		p, dir := fleetRun(t, s.URL, args...)
		require.Contains(t, []int{0, 4}, p.code(), "a busy machine may be GENERATOR-BOUND: %s", p.stderr())
		out := map[string]row{}
		for _, r := range summaryOf(t, dir).Rows {
			require.Equal(t, r.Intended, r.Accounted())
			require.EqualValues(t, 100, r.VerifiedPct)
			out[r.Op] = row{r.Intended, r.Counts, [2]int64{r.Targets[0].Ops, r.Targets[1].Ops}}
		}
		return out
	}
	one := rows()
	require.Len(t, one, 2)
	_, names := agents(t, 4)
	require.Equal(t, one, rows("--agents", names))
	two := strings.Join(strings.Split(names, ",")[:2], ",")
	require.Equal(t, one, rows("--agents", two), "agents take one run after the other")
}

// TestKilledAgentIsNamed: what the others did is kept, and the run is not valid.
func TestKilledAgentIsNamed(t *testing.T) {
	s, _ := spawn(t, 1)
	list, names := agents(t, 2)
	p, dir := fleetRun(t, s.URL, "--agents", names, "--set", "phases.measure=10m")
	p.says(`measure \d+ ops`)
	require.NoError(t, list[1].Process.Kill())
	require.Equal(t, exitRuntime, p.code(), "%s", p.stderr())
	first, second, _ := strings.Cut(names, ",")
	require.Regexp(t, "etlbench: agent "+second+": ", p.stderr())
	require.NotContains(t, p.stderr(), "agent "+first)

	sum := summaryOf(t, dir)
	require.Empty(t, sum.Loaders[0].Lost)
	require.Contains(t, sum.Loaders[1].Lost, second)
	require.Positive(t, sum.Rows[0].Ops)
	require.Equal(t, sum.Rows[0].Intended, sum.Rows[0].Accounted())
	r, err := reports.Read(dir, judge.Options{})
	require.NoError(t, err)
	require.Equal(t, judge.GeneratorBound, r.Judgement.Validity.Verdict)
	require.Contains(t, strings.Join(r.Reasons, "\n"), "loader "+second+" was lost")
	require.Contains(t, p.out.String(), second, "the printed report says so")

	p, _ = fleetRun(t, s.URL, "--agents", first)
	require.Contains(t, []int{0, 4}, p.code(), "the other one is free: %s", p.stderr())
}

func TestInterruptedFleet(t *testing.T) {
	s, _ := spawn(t, 1)
	_, names := agents(t, 2)
	p, dir := fleetRun(t, s.URL, "--agents", names, "--set", "phases.measure=10m")
	p.says(`measure \d+ ops`)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.Equal(t, exitInterrupted, p.code(), "%s", p.stderr())
	require.Contains(t, p.stderr(), "interrupted: what was measured until then is kept")
	sum := summaryOf(t, dir)
	require.True(t, sum.Interrupted)
	require.Positive(t, sum.Rows[0].Ops)
	require.Zero(t, sum.Rows[0].Errors)
	require.Empty(t, sum.Loaders[0].Lost+sum.Loaders[1].Lost)

	p, _ = fleetRun(t, s.URL, "--agents", names)
	require.Contains(t, []int{0, 4}, p.code(), "both are free: %s", p.stderr())
}

// TestAgentsOutliveTheirCoordinator, killed or held, and become free.
func TestAgentsOutliveTheirCoordinator(t *testing.T) {
	s, _ := spawn(t, 1)
	list, names := agents(t, 1)
	for how, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "held": syscall.SIGSTOP} {
		p, _ := fleetRun(t, s.URL, "--agents", names, "--set", "phases.measure=10m", "--set", "target.bucket=ais://"+how)
		p.says(`measure \d+ ops`)
		before := strings.Count(list[0].stderr(), "a run ends")
		require.NoError(t, p.Process.Signal(sig))
		require.Eventually(t, func() bool { return strings.Count(list[0].stderr(), "a run ends") > before }, time.Minute, 10*time.Millisecond)
		require.NoError(t, p.Process.Kill())
		p.code()
		next, _ := fleetRun(t, s.URL, "--agents", names, "--set", "target.bucket=ais://after-"+how)
		require.Contains(t, []int{0, 4}, next.code(), "%s", next.stderr())
	}
}

func TestAgentWithAnotherToken(t *testing.T) {
	s, _ := spawn(t, 1)
	_, names := agents(t, 1, "--token", "secret")
	p, dir := fleetRun(t, s.URL, "--agents", names, "--token", "guess")
	require.Equal(t, exitRuntime, p.code())
	require.Contains(t, p.stderr(), "etlbench: agent "+names+" refuses: wrong token")
	require.NoDirExists(t, dir, "nothing was measured")
	p, _ = fleetRun(t, s.URL, "--agents", names, "--token", "secret")
	require.Contains(t, []int{0, 4}, p.code(), "%s", p.stderr())
}
