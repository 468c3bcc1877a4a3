package loader

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func files(m map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	for name, text := range m {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}

func TestCgroup(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		quota float64 // 0: none
		throttling
		told bool
	}{
		{"version 2, the tighter limit is around it", map[string]string{
			"proc/self/cgroup":          "0::/a/b\n",
			"sys/fs/cgroup/a/cpu.max":   "50000 100000\n",
			"sys/fs/cgroup/a/cpu.stat":  "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 1500000\n",
			"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 7\n",
		}, 0.5, throttling{3, 1.5}, true},
		{"version 2, no limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.stat": "usage_usec 1\n"}, 0, throttling{}, false},
		{"a container that sees the host's path", map[string]string{"proc/self/cgroup": "0::/system/docker-1\n",
			"sys/fs/cgroup/cpu.max": "200000 100000\n", "sys/fs/cgroup/cpu.stat": "nr_throttled 0\nthrottled_usec 0\n"}, 2, throttling{}, true},
		{"version 1", map[string]string{"proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/x\n0::/y\n",
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "25000\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu/x/cpu.stat":       "nr_periods 4\nnr_throttled 2\nthrottled_time 2000000000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.25, throttling{2, 2}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, ok := findCgroup(files(tt.files))
			require.True(t, ok)
			quota, limited := g.quota()
			require.Equal(t, tt.quota > 0, limited)
			require.Equal(t, tt.quota, quota)
			got, told := g.throttled()
			require.Equal(t, tt.told, told)
			require.Equal(t, tt.throttling, got)
		})
	}
	_, ok := findCgroup(files(nil))
	require.False(t, ok)
	_, ok = findCgroup(files(map[string]string{"proc/self/cgroup": "garbage\n\n:::"}))
	require.False(t, ok)
}
