package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/stats"
)

// twoAlike is an arm and its copy, in 24 short blocks.
const twoAlike = `
apiVersion: etlbench/v1
transforms: [echo]
target: {targets: 1}
dataset: {objects: 64, size: 4KiB}
arms: {comm: [hpush], replicas: 2}
load: {workers: 4}
phases: {warmup: 200ms, measure: 1s}
trials: {blocks: 24}
`

// BenchmarkAA runs an arm against itself, for real: a difference that the report
// finds is one too many.
func BenchmarkAA(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		require.NoError(b, os.WriteFile(filepath.Join(dir, "aa.yaml"), []byte(twoAlike), 0o644))
		cmd := exec.CommandContext(b.Context(), program(b), "run", "aa.yaml", "--out", "run")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_STATE_HOME="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(b, err, string(out))
		data, err := os.ReadFile(filepath.Join(dir, "run", "report.json"))
		require.NoError(b, err)
		var r struct {
			Judgement judge.Judgement `json:"judgement"`
		}
		require.NoError(b, json.Unmarshal(data, &r))
		c := r.Judgement.Comparison
		require.NotNil(b, c.AA, "%s", out)
		require.Positive(b, c.AA.Compared)
		for _, x := range c.Contrasts {
			if x.AA {
				b.Logf("%s %s against %s: %s", x.Metric, x.Other, x.Base, x.Verdict)
				require.Contains(b, []stats.Verdict{stats.Same, stats.Unsure}, x.Verdict)
			}
		}
		b.ReportMetric(float64(c.AA.Different), "different")
	}
}
