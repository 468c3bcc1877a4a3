package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// maxReport is the most memory that a report may take, bytes.
const maxReport = 256 << 20

// TestReportIsSmall: a report of a long run with many arms takes no more memory
// than it may, but for what the race detector takes. With ETLBENCH_TEST_LARGE the run has four hours.
func TestReportIsSmall(t *testing.T) {
	blocks := 10
	if os.Getenv("ETLBENCH_TEST_LARGE") != "" {
		blocks = 60
	}
	arms := make([]runtest.Arm, 8)
	for i := range arms {
		comm := []string{"hpush", "hpull", "hrev", "io"}[i%4]
		put := []string{"direct", "relay"}[i/4]
		arms[i] = runtest.Arm{Arm: results.Arm{Name: comm + ":" + put, Comm: comm, Put: put, Mode: "inline", Transform: "echo"}, Ms: 5 + float64(i), Inside: 0.5}
	}
	dir := filepath.Join(t.TempDir(), "run")
	runtest.Write(t, dir, runtest.Plan{Seed: 1, Arms: arms, Blocks: blocks, WarmupS: 2, ForS: 30, PerSecond: 10, Noise: 0.05, Own: 0.01, Generator: runtest.Healthy,
		Load: results.Load{Model: "closed", Workers: 8, ForS: 30, WarmupS: 2}})
	cmd := exec.CommandContext(t.Context(), program(t), "report", dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	t.Logf("%d blocks: %d MiB", blocks, peak>>20)
	if raceEnabled { // which takes a multiple
		return
	}
	require.Less(t, peak, int64(maxReport))
}
