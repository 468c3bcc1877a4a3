package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// spawn starts a cluster of real child processes.
func spawn(t *testing.T, targets int, change ...func(*cluster.SpawnConfig)) (*cluster.Spawned, *api.Client) {
	cfg := cluster.SpawnConfig{Exe: program(t), Proxies: 1, Targets: targets, Dir: t.TempDir()}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := cluster.Spawn(ctx, cfg)
	require.NoError(t, err)
	client := api.NewClient(s.URL)
	t.Cleanup(func() {
		client.Close()
		s.Stop()
	})
	return s, client
}

func content(name string, size int64) io.Reader { return dataset.Content(7, name, size, 0) }

// TestKilledPrimaryLosesNothing kills the primary of three proxies while
// buckets are made through the others, starts it again, and so on: what was
// acknowledged is there, on every proxy and after a restart of the whole.
func TestKilledPrimaryLosesNothing(t *testing.T) {
	s, _ := spawn(t, 1, func(c *cluster.SpawnConfig) { c.Proxies = 3 })
	proxies := s.Nodes[:3]
	clients := map[string]*api.Client{}
	for _, n := range proxies {
		require.Equal(t, api.TypeProxy, n.Type)
		clients[n.ID] = api.NewClient(n.URL)
		defer clients[n.ID].Close()
	}
	var acked []string
	for round := range 3 {
		var victim *cluster.NodeProcess
		require.Eventually(t, func() bool {
			for _, n := range proxies {
				m, err := clients[n.ID].Map(t.Context())
				if err != nil {
					return false
				}
				for _, v := range proxies {
					if m.Primary.ID == v.ID {
						victim = v
					}
				}
			}
			return victim != nil
		}, 30*time.Second, 10*time.Millisecond)
		before := len(acked)
		for i := 0; len(acked) < before+20; i++ {
			if i == 5 {
				require.NoError(t, syscall.Kill(victim.PID, syscall.SIGKILL))
			}
			require.Less(t, i, 200, "changes are never taken again")
			name := fmt.Sprintf("b-%d-%d", round, i)
			for _, n := range proxies {
				if n != victim && clients[n.ID].CreateBucket(t.Context(), api.AIS(name)) == nil {
					acked = append(acked, name)
					break
				}
			}
		}
		require.Same(t, victim, <-s.Died())
		require.NoError(t, s.Restart(t.Context(), victim))
	}
	for id, c := range clients {
		var have []string
		require.Eventually(t, func() bool {
			list, err := c.Buckets(t.Context())
			have = nil
			for _, b := range list {
				have = append(have, b.Name)
			}
			return err == nil && len(have) >= len(acked)
		}, 30*time.Second, 10*time.Millisecond, id)
		require.Subset(t, have, acked, id)
	}
}

// TestKilledTargetLosesNothing kills a target with SIGKILL while objects are
// put, starts it again, and checks every acknowledged object byte for byte.
func TestKilledTargetLosesNothing(t *testing.T) {
	s, client := spawn(t, 2)
	b := api.AIS("b")
	require.NoError(t, client.CreateBucket(t.Context(), b))
	victim := s.Nodes[1]
	require.Equal(t, api.TypeTarget, victim.Type)

	const size = 300_000
	var (
		mu    sync.Mutex
		acked []string
		wg    sync.WaitGroup
	)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("w%d/o%05d", w, i)
				if err := client.Put(ctx, b, name, content(name, size), size); err != nil {
					continue // the target is dead, or the test over
				}
				mu.Lock()
				acked = append(acked, name)
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acked) }
	for range 2 {
		before := count()
		require.Eventually(t, func() bool { return count() > before+40 }, 30*time.Second, time.Millisecond)
		require.NoError(t, syscall.Kill(victim.PID, syscall.SIGKILL))
		select {
		case n := <-s.Died():
			require.Same(t, victim, n)
		case <-time.After(10 * time.Second):
			t.Fatal("nobody noticed")
		}
		require.NoError(t, s.Restart(t.Context(), victim))
	}
	before := count()
	require.Eventually(t, func() bool { return count() > before+40 }, 30*time.Second, time.Millisecond)
	stop()
	wg.Wait()

	sizes := map[string]int64{}
	require.NoError(t, client.ListAll(t.Context(), b, func(e *api.ListEntry) error { sizes[e.Name] = e.Size; return nil }))
	for name, got := range sizes {
		require.EqualValues(t, size, got, "a partial %s is visible", name)
	}
	for _, name := range acked {
		require.Contains(t, sizes, name)
		body, _, err := client.Get(t.Context(), b, name, nil)
		require.NoError(t, err)
		data, err := io.ReadAll(body)
		body.Close()
		require.NoError(t, err)
		want, err := io.ReadAll(content(name, size))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, data), name)
	}
}

// largeEnv makes TestLargeObjectsStream use the full 4 GiB.
const largeEnv = "ETLBENCH_TEST_LARGE"

// peakRSS is a process's largest resident memory, bytes.
func peakRSS(t *testing.T, pid int) int64 {
	kb := strings.TrimSuffix(procField(fmt.Sprintf("/proc/%d/status", pid), "VmHWM"), " kB")
	n, err := strconv.ParseInt(kb, 10, 64)
	require.NoError(t, err)
	return n << 10
}

// TestLargeObjectsStream puts and gets an object that is much larger than a
// target may use of memory, plain and through every communication type.
func TestLargeObjectsStream(t *testing.T) {
	size := int64(512 << 20)
	if os.Getenv(largeEnv) != "" {
		size = 4 << 30
	}
	s, client := spawn(t, 1, func(c *cluster.SpawnConfig) { c.NodeArgs = []string{"--sync", "none"} })
	b := api.AIS("b")
	ctx := t.Context()
	require.NoError(t, client.CreateBucket(ctx, b))
	require.NoError(t, client.Put(ctx, b, "big", content("big", size), size))
	require.NoError(t, client.Put(ctx, b, "chunked", content("big", size), -1))
	queries := map[string]url.Values{"plain": nil}
	for _, comm := range []string{"hpush", "hpull", "hrev", "io", "shm", "ws"} {
		spec, _, err := sampleETL("echo", comm)
		require.NoError(t, err)
		spec.Name = "echo-" + comm
		_, err = client.InitETL(ctx, spec)
		require.NoError(t, err)
		queries[comm] = url.Values{api.QparamETLName: {spec.Name}}
	}
	for how, q := range queries {
		body, _, err := client.Get(ctx, b, "big", q)
		require.NoError(t, err, how)
		n, err := io.Copy(io.Discard, body)
		body.Close()
		require.NoError(t, err, how)
		require.Equal(t, size, n, how)
	}
	for _, n := range s.Nodes {
		require.Less(t, peakRSS(t, n.PID), int64(128<<20), "%s %s", n.Type, n.ID)
	}
}

// limited is etlbench under a limit of the shell's ulimit.
func limited(t *testing.T, limit string) func(*cluster.SpawnConfig) {
	return func(c *cluster.SpawnConfig) {
		script := filepath.Join(t.TempDir(), "etlbench")
		text := fmt.Sprintf("#!/bin/sh\nulimit %s\nexec %q \"$@\"\n", limit, c.Exe)
		require.NoError(t, os.WriteFile(script, []byte(text), 0o755))
		c.Exe = script
	}
}

// fullDisk checks that an object which does not fit is refused in one line,
// and that what is there stays and the next object that fits is taken.
func fullDisk(t *testing.T, client *api.Client) {
	b := api.AIS("b")
	ctx := t.Context()
	require.NoError(t, client.CreateBucket(ctx, b))
	require.NoError(t, client.Put(ctx, b, "o", strings.NewReader("old"), 3))
	err := client.Put(ctx, b, "o", content("new", 64<<20), 64<<20)
	var e *api.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 507, e.Status, e.Message)
	require.NotContains(t, e.Message, "\n")
	require.Contains(t, e.Message, "no space left")
	body, _, err := client.Get(ctx, b, "o", nil)
	require.NoError(t, err)
	defer body.Close()
	data, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, "old", string(data))
	require.NoError(t, client.Put(ctx, b, "o2", strings.NewReader("new"), 3))
}

func TestFileSizeLimit(t *testing.T) {
	// 4096 blocks are 2 or 4 MiB, as the shell counts them.
	_, client := spawn(t, 1, limited(t, "-f 4096"))
	fullDisk(t, client)
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() != 0 || syscall.Mount("etlbench", dir, "tmpfs", 0, "size=16m") != nil {
		t.Skip("no right to mount a small tmpfs: TestFileSizeLimit and the injected ENOSPC of package cluster are what is left")
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	_, client := spawn(t, 1, func(c *cluster.SpawnConfig) { c.Dir = dir })
	fullDisk(t, client)
}

// TestPortTaken: the error names the address and what to do, and nothing is
// left running.
func TestPortTaken(t *testing.T) {
	s, _ := spawn(t, 1)
	_, err := cluster.Spawn(t.Context(), cluster.SpawnConfig{Exe: program(t), Proxies: 1, Targets: 1, Dir: t.TempDir(),
		Listen: strings.TrimPrefix(s.URL, "http://")})
	require.ErrorContains(t, err, "address already in use: choose another with --listen")
}

// interrupted runs the program with a run or sweep into the folder out, and
// presses Ctrl-C when it has said until: what was measured is kept and reported,
// the exit code says so, and nothing stays behind.
func interrupted(t *testing.T, until, out string, args ...string) {
	t.Helper()
	state := t.TempDir()
	cmd := exec.Command(program(t), append(args, "--out", out)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 4096)
	var log strings.Builder
	for !strings.Contains(log.String(), until) {
		n, err := stderr.Read(buf)
		log.Write(buf[:n])
		require.NoError(t, err, log.String())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit))
	require.Equal(t, exitInterrupted, exit.ExitCode(), string(rest))
	require.Contains(t, string(rest), "interrupted: what was measured until then is kept")
	require.FileExists(t, filepath.Join(out, "report.html"))
	left, err := filepath.Glob(filepath.Join(state, "etlbench", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestInterrupt(t *testing.T) {
	interrupted(t, "measure", filepath.Join(t.TempDir(), "run"), "run", "inline-by-comm", "--set", "phases.measure=20s", "--set", "phases.warmup=100ms")
}

// TestPodsAreAskedOnTheirSocket: a target's connection to one of our pods is the
// unix socket's, which /proc knows by its name.
func TestPodsAreAskedOnTheirSocket(t *testing.T) {
	before := podConns(t)
	_, client := spawn(t, 1)
	b := api.AIS("b")
	require.NoError(t, client.CreateBucket(t.Context(), b))
	require.NoError(t, client.Put(t.Context(), b, "o", strings.NewReader("data"), 4))
	spec, _, err := sampleETL("echo", "hpush")
	require.NoError(t, err)
	spec.Name = "etl-echo"
	_, err = client.InitETL(t.Context(), spec)
	require.NoError(t, err)
	body, _, err := client.Get(t.Context(), b, "o", url.Values{api.QparamETLName: {spec.Name}})
	require.NoError(t, err)
	body.Close()
	require.NotSubset(t, before, podConns(t))
}

// podConns are the sockets of pods that have connections, of all pods of this
// machine.
func podConns(t *testing.T) (names []string) {
	data, err := os.ReadFile("/proc/net/unix")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		const connected = "03"
		if len(f) == 8 && f[5] == connected && strings.HasPrefix(f[7], "@etlbench-") {
			names = append(names, f[7])
		}
	}
	return names
}
