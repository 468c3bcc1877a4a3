package main

import (
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
		"objects=1k,10k":         "objects 1k 10k",
		"connections=1,16":       "connections 1 16",
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

func TestScaleInterrupt(t *testing.T) {
	out := filepath.Join(t.TempDir(), "sweep")
	interrupted(t, "run 2 of", out, "scale", "scale-targets", "--over", "targets=1,2", "--repeats", "1000",
		"--set", "target.cpu=0%", "--set", "dataset.objects=20", "--set", "phases.measure=1s", "--set", "phases.warmup=100ms")
	s, err := reports.ReadSweep(out)
	require.NoError(t, err)
	require.True(t, s.Plan.Interrupted)
	require.NotEmpty(t, s.Points)
}
