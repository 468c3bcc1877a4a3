package results_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

func TestUsageIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir, []byte("name: x\n"), results.Env{})
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	want := []results.Usage{
		{At: at, Seconds: 1, Arm: "md5:hpush", Block: 2, Component: results.ComponentClient, Processes: 1, CPUSeconds: 0.25, RSSBytes: 1 << 30},
		{At: at, Seconds: 1, Arm: `a,"b`, Block: 2, Component: results.ComponentTarget, Processes: 3, RSSBytes: 5},
		{At: at.Add(time.Second), Seconds: 0.5, Arm: "md5:hpush", Block: 2, Component: results.ComponentClient, Processes: 1},
	}
	require.NoError(t, w.Usage(want[:2]))
	require.NoError(t, w.Usage(want[2:]))
	require.NoError(t, w.Close())
	var got []results.Usage
	keep := func(u results.Usage) error { got = append(got, u); return nil }
	require.NoError(t, results.EachUsage(dir, keep))
	require.Equal(t, want, got)

	file := filepath.Join(dir, results.ResourcesFile)
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, bad := range map[string]string{"a field is missing": "x,1\n", "no number": "2026-01-02T03:04:05Z,1,a,1,client,x,1,1\n",
		"infinite": "2026-01-02T03:04:05Z,1,a,1,client,1,+Inf,1\n", "negative": "2026-01-02T03:04:05Z,1,a,1,client,1,1,-1\n"} {
		require.NoError(t, os.WriteFile(file, append(good, bad...), 0o644))
		var syntax *results.SyntaxError
		require.ErrorAs(t, results.EachUsage(dir, keep), &syntax, name)
		require.Equal(t, 5, syntax.Line, name)
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, results.EachUsage(dir, func(results.Usage) error { t.Error("called"); return nil }), "folders of before")
}
