package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func file(t *testing.T, dir, name, text string) string {
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestCgroups(t *testing.T) {
	const (
		v2     = "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		root   = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
		beside = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		most   = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
		huge  = "42 31 0:39 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb\n"
		known = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t3\t1\nhugetlb\t10\t3\t1\n"
	)
	for _, tt := range []struct{ name, mounts, known, status, do string }{
		{"version 2", v2, known, statusOK, ""},
		{"version 1", root + most + huge, known, statusOK, ""},
		{"both", root + beside + most + huge, known, statusOK, ""},
		{"both, and one is mounted nowhere", root + beside + most, known, statusFail, "mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb"},
		{"a kernel without it", root + most, "cpu\t1\t3\t1\n", statusOK, ""},
		{"switched off", root + most, "hugetlb\t0\t1\t0\n", statusOK, ""},
		{"none", "", known, statusFail, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f := checkCgroups(file(t, dir, "mountinfo", tt.mounts), file(t, dir, "cgroups", tt.known))
			require.Equal(t, tt.status, f.Status, f.Evidence)
			require.Equal(t, tt.do, f.Do)
		})
	}
}

func TestForward(t *testing.T) {
	for _, tt := range []struct{ name, rules, bridge, status, do string }{
		{"open", "-P FORWARD ACCEPT\n", "podman1", statusOK, ""},
		{"closed", "-P FORWARD DROP\n-A FORWARD -j DOCKER\n", "podman1", statusFail, "iptables -I FORWARD -i podman1 -o podman1 -j ACCEPT"},
		{"closed, with the rule", "-P FORWARD DROP\n-A FORWARD -i podman1 -o podman1 -j ACCEPT\n", "podman1", statusOK, ""},
		{"closed, with another bridge's", "-P FORWARD DROP\n-A FORWARD -i podman2 -o podman2 -j ACCEPT\n", "podman1", statusFail, "iptables -I FORWARD -i podman1 -o podman1 -j ACCEPT"},
		{"closed, without a network", "-P FORWARD DROP\n", "", statusWarn, "podman network create -d=bridge kind, and etlbench doctor again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := judgeForward(tt.rules, tt.bridge)
			require.Equal(t, tt.status, f.Status)
			require.Equal(t, tt.do, f.Do)
		})
	}
}

func TestInotifyAndMemory(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, statusOK, checkInotify(dir).Status, "not told")
	file(t, dir, "max_user_instances", "128\n")
	file(t, dir, "max_user_watches", "524288\n")
	require.Equal(t, statusWarn, checkInotify(dir).Status)
	file(t, dir, "max_user_instances", "512\n")
	require.Equal(t, statusOK, checkInotify(dir).Status)

	require.Equal(t, statusOK, checkKindMemory(0, false).Status)
	require.Equal(t, statusFail, checkKindMemory(1<<30, true).Status)
	require.Equal(t, statusWarn, checkKindMemory(2<<30, true).Status)
	require.Equal(t, statusOK, checkKindMemory(8<<30, true).Status)
}
