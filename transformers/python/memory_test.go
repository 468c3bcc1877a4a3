package python_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers/python"
)

// TestWorkerThatGrowsIsReplaced: no object fails when one is, and none has much
// more memory than it may.
func TestWorkerThatGrowsIsReplaced(t *testing.T) {
	var log buffer
	h := start(t, python.Config{Workers: 1, MaxRSS: 256 << 20, Stderr: &log}, `
import os
kept = []
def transform(b):
    kept.append(b"x" * (16 << 20))
    return b"%d %d" % (os.getpid(), len(kept))
`)
	seen := map[string]bool{}
	for end := time.Now().Add(time.Minute); len(seen) < 3 && time.Now().Before(end); {
		text, err := transform(t, h, "", comm.Info{})
		require.NoError(t, err)
		pid, kept, _ := strings.Cut(text, " ")
		seen[pid] = true
		n, err := strconv.Atoi(kept)
		require.NoError(t, err)
		// 16 MiB each, and as many as it takes in the time between two looks.
		require.Less(t, n, 256)
	}
	require.Len(t, seen, 3)
	require.Contains(t, log.String(), "a worker is replaced: it has grown to ")
	require.Contains(t, log.String(), "the limit is 256 MiB")
	require.NoError(t, h.Err())
}

func TestWorkerMemoryThatIsTooLittle(t *testing.T) {
	_, err := python.New(t.Context(), python.Config{Python: python3(t), Workers: 1, MaxRSS: 1 << 20, Code: module(t, "def transform(b): return b")})
	require.ErrorContains(t, err, "a worker that is ready has ")
	require.ErrorContains(t, err, "and may have 1 MiB")
}
