package pod

import (
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// TestBelongs: what a pod's process forks is the pod's, whatever its group.
func TestBelongs(t *testing.T) {
	const pod = 10
	stats := map[int]procfs.ProcStat{
		1:  {PID: 1, PPID: 0, PGRP: 1},
		9:  {PID: 9, PPID: 1, PGRP: 9},
		10: {PID: 10, PPID: 9, PGRP: pod},
		11: {PID: 11, PPID: 10, PGRP: pod},
		12: {PID: 12, PPID: 11, PGRP: 12},
		13: {PID: 13, PPID: 12, PGRP: 13},
		14: {PID: 14, PPID: 1, PGRP: pod}, // whose parent has ended
		15: {PID: 15, PPID: 9, PGRP: 15},
	}
	for pid, want := range map[int]bool{1: false, 9: false, 10: true, 11: true, 12: true, 13: true, 14: true, 15: false} {
		require.Equal(t, want, belongs(stats, stats[pid], pod), "%d", pid)
	}
}
