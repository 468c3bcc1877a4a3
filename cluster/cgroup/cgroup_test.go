package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is a root folder with a process that is in a group.
func machine(t *testing.T, groups string, folders ...string) string {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "proc/self"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "proc/self/cgroup"), []byte(groups), 0o600))
	for _, f := range folders {
		require.NoError(t, os.MkdirAll(filepath.Join(root, f), 0o755))
	}
	return root
}

func TestOwnGroup(t *testing.T) {
	tests := map[string]struct {
		groups, folder string
		want           string
		v1             bool
	}{
		"version 1":             {"4:memory:/x\n1:cpu,cpuacct:/a/b\n0::/u\n", "sys/fs/cgroup/cpu/a/b", "sys/fs/cgroup/cpu/a/b", true},
		"version 2":             {"0::/user.slice/run-7.scope\n", "sys/fs/cgroup/user.slice/run-7.scope", "sys/fs/cgroup/user.slice/run-7.scope", false},
		"the path is of a host": {"0::/docker/0815\n", "sys/fs/cgroup", "sys/fs/cgroup", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := machine(t, test.groups, test.folder)
			dir, v1, err := ownGroup(root)
			require.NoError(t, err)
			require.Equal(t, filepath.Join(root, test.want), dir)
			require.Equal(t, test.v1, v1)
		})
	}
	_, _, err := ownGroup(machine(t, "4:memory:/x\n"))
	require.ErrorContains(t, err, "cpu controller")
	_, _, err = ownGroup(t.TempDir())
	require.ErrorContains(t, err, "no control groups")
}

// TestLimits writes what a kernel would find, into files as it has them.
func TestLimits(t *testing.T) {
	g := &Group{dir: t.TempDir()}
	for _, f := range []string{"cpu.max", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cgroup.procs"} {
		require.NoError(t, os.WriteFile(filepath.Join(g.dir, f), nil, 0o600))
	}
	require.NoError(t, g.limit1(0.5))
	require.NoError(t, g.limit2("", 0, 1.5))
	require.NoError(t, g.Add(7))
	for f, want := range map[string]string{"cpu.max": "30000 20000", "cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "10000", "cgroup.procs": "7"} {
		got, err := os.ReadFile(filepath.Join(g.dir, f))
		require.NoError(t, err)
		require.Equal(t, want, string(got), f)
	}
}

// TestNotAllowed: where groups cannot be made, the error says what to do.
func TestNotAllowed(t *testing.T) {
	root := machine(t, "0::/a\n", "sys/fs/cgroup/a")
	_, err := newGroup(root, 1, "tgt", 1)
	require.ErrorIs(t, err, os.ErrNotExist, "a folder that is no group")
	left, _ := filepath.Glob(filepath.Join(root, "sys/fs/cgroup/a/*"))
	require.Empty(t, left, "nothing is left of what failed")
}

// TestStale removes empty groups of programs that are gone, and no others.
func TestStale(t *testing.T) {
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	dir := t.TempDir()
	stale := fmt.Sprintf("%s%d-tgt-1", prefix, gone.ProcessState.Pid())
	keep := []string{fmt.Sprintf("%s%d-tgt-1", prefix, os.Getpid()), "etlbench", "etlbench-x", "other"}
	for _, name := range append([]string{stale}, keep...) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	removeStale(dir)
	require.NoDirExists(t, filepath.Join(dir, stale))
	for _, name := range keep {
		require.DirExists(t, filepath.Join(dir, name))
	}
}

// TestKernel holds a process to a limit, where this process may.
func TestKernel(t *testing.T) {
	g, err := New("test", 0.2)
	if err != nil {
		require.ErrorContains(t, err, "start etlbench as root")
		t.Skipf("needs the right to make control groups: %v", err)
	}
	cmd := exec.Command("sh", "-c", "read go; while :; do :; done")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, g.Add(cmd.Process.Pid))
	_, err = in.Write([]byte("go\n"))
	require.NoError(t, err)
	throttled := func() bool {
		data, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
		require.NoError(t, err)
		var periods, held int
		_, err = fmt.Sscanf(string(data[bytes.Index(data, []byte("nr_periods")):]), "nr_periods %d\nnr_throttled %d", &periods, &held)
		require.NoError(t, err, strconv.Quote(string(data)))
		return held >= 5
	}
	require.Eventually(t, throttled, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.NoError(t, g.Remove())
	require.NoDirExists(t, g.dir)
	require.NoError(t, g.Remove(), "twice")
}
