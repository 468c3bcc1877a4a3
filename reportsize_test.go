//go:build !race

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/runtest"
)

// maxReport is the most memory that a report may take, bytes.
const maxReport = 256 << 20

// TestReportIsSmall: all reports of a run take no more memory than they may, be it
// long or of many arms. With ETLBENCH_TEST_LARGE the long one has four hours. With
// the race detector it would take minutes to make them up: see make test-all.
func TestReportIsSmall(t *testing.T) {
	blocks := 10
	if os.Getenv(largeEnv) != "" {
		blocks = 60
	}
	for _, tt := range []struct {
		name         string
		arms, blocks int
		warmup, each int     // seconds of a block
		inside       float64 // see runtest.Arm
	}{
		{"long", 8, blocks, 2, 30, 0.5},
		{"many arms", 100, 20, 0, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arms := make([]runtest.Arm, tt.arms)
			for i := range arms {
				comm := []string{"hpush", "hpull", "hrev", "io"}[i%4]
				arms[i] = runtest.Arm{Arm: results.Arm{Name: fmt.Sprintf("%s:burn-%dms", comm, i/4), Comm: comm, Mode: "inline", Transform: fmt.Sprintf("burn-%dms", i/4)},
					Ms: 5 + float64(i), Inside: tt.inside}
			}
			dir := filepath.Join(t.TempDir(), "run")
			runtest.Write(t, dir, runtest.Plan{Seed: 1, Arms: arms, Blocks: tt.blocks, WarmupS: tt.warmup, ForS: tt.each, PerSecond: 10, Noise: 0.05, Own: 0.01,
				Generator: runtest.Healthy, Load: results.Load{Model: "closed", Workers: 8}})
			peak := peakOf(t, exec.CommandContext(t.Context(), program(t), "report", dir, "--all"))
			t.Logf("%d arms, %d blocks: %d MiB", tt.arms, tt.blocks, peak>>20)
			require.Less(t, peak, int64(maxReport))
		})
	}
}

// peakOf runs a process and gives the most resident memory that it had, in
// bytes, as of the last look. Its rusage will not do: that also counts what this
// process had when it forked, which under the race detector is a multiple.
func peakOf(t *testing.T, cmd *exec.Cmd) (peak int64) {
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			require.NoError(t, err, out.String())
			require.Positive(t, peak)
			return peak
		case <-look.C:
			status := fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)
			if kb, err := strconv.ParseInt(strings.TrimSuffix(procField(status, "VmHWM"), " kB"), 10, 64); err == nil {
				peak = max(peak, kb<<10)
			}
		}
	}
}
