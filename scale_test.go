package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
)

func TestLevels(t *testing.T) {
	for over, want := range map[string]string{
		"targets=1..4":           "targets 1 2 3 4",
		"targets=1,2, 4..5":      "targets 1 2 4 5",
		"workers=8":              "workers 8",
		"rate=50/s,100.5/s,2k/s": "rate 50/s 100.5/s 2k/s",
	} {
		f := scaleFlags{over: over}
		kind, levels, err := f.levels()
		require.NoError(t, err, over)
		require.Equal(t, want, kind+" "+strings.Join(levels, " "))
	}
	for _, over := range []string{"", "targets", "nodes=1", "targets=1..", "targets=..2", "targets=3..2", "targets=0..2", "targets=1..1000", "targets=1,2,1..3"} {
		f := scaleFlags{over: over}
		_, _, err := f.levels()
		require.ErrorContains(t, err, "--over", over)
	}
}

// TestScaleInterrupt presses Ctrl-C in the middle of a sweep: the runs that were
// made are kept and reported, and nothing stays behind.
func TestScaleInterrupt(t *testing.T) {
	state, out := t.TempDir(), filepath.Join(t.TempDir(), "sweep")
	cmd := exec.Command(program(t), "scale", "scale-targets", "--over", "targets=1,2", "--repeats", "1000", "--out", out,
		"--set", "target.cpu=0%", "--set", "dataset.objects=20", "--set", "phases.measure=1s", "--set", "phases.warmup=100ms")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 4096)
	var log strings.Builder
	for !strings.Contains(log.String(), "run 2 of") {
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
	s, err := reports.ReadSweep(out)
	require.NoError(t, err)
	require.True(t, s.Plan.Interrupted)
	require.NotEmpty(t, s.Points)
	left, err := filepath.Glob(filepath.Join(state, "etlbench", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
