package loader

import (
	"os"
	"slices"
	"time"
)

// CPUQuota is how many CPUs the control groups around this process let it use;
// false when they do not limit it, or nothing tells. version is that of the
// control groups, 1 or 2, and 0 where there are none.
func CPUQuota() (cpus float64, limited bool, version int) {
	g, ok := findCgroup(os.DirFS("/"))
	if !ok {
		return 0, false, 0
	}
	version = 2
	if g.v1 {
		version = 1
	}
	cpus, limited = g.quota()
	return cpus, limited, version
}

// PacerError is by how much sleeps of the length d end late, as the pacer of an
// open loop sleeps: the median and the 99th percentile of n.
func PacerError(n int, d time.Duration) (p50, p99 time.Duration) {
	unpin := sharp.pin()
	defer unpin()
	late := make([]time.Duration, n)
	for i := range late {
		began := time.Now()
		sharp.sleep(d)
		late[i] = time.Since(began) - d
	}
	slices.Sort(late)
	return late[n/2], late[n*99/100]
}
