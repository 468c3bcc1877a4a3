package node

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// TestPlanCode has the rows of the reference's tables of runtimes, and what else
// init code is checked for before a pod starts.
func TestPlanCode(t *testing.T) {
	code := func(runtime string) api.ETLSpec {
		return api.ETLSpec{Name: "etl-a1", Code: []byte("x"), Runtime: fmt.Appendf(nil, "%q", runtime)}
	}
	for _, runtime := range []string{"python2", "python3", "python3.6", "python3.8", "python3.10", "python3.8v2",
		"python3.10v2", "python3.11v2", "python3.12", "python3.13v2"} {
		p, err := planETL(code(runtime))
		require.NoError(t, err, runtime)
		require.Equal(t, runtime, p.pod.Runtime)
	}
	for _, runtime := range []string{"", "python", "python4", "python3.", "python3v2", "python3.8v3", "python3.8 ", "../python3", "python3.8\n"} {
		_, err := planETL(code(runtime))
		require.ErrorIs(t, err, pod.ErrSpec)
		require.ErrorContains(t, err, "must be python2 or python3, or one with a version", runtime)
	}
	s := code("python3")
	s.Funcs, s.ChunkSize, s.Dependencies = &api.Funcs{Before: "b"}, 1<<20, []byte("numpy==1.2\n")
	p, err := planETL(s)
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"code.py": []byte("x"), "requirements.txt": []byte("numpy==1.2\n")}, p.pod.Files)
	require.Subset(t, p.pod.Env, []api.EnvVar{{Name: "FUNC_TRANSFORM", Value: "transform"}, {Name: "FUNC_BEFORE", Value: "b"}, {Name: "CHUNK_SIZE", Value: "1048576"}})
	for _, size := range []int64{-1, 1<<20 + 1} {
		s.ChunkSize = size
		_, err = planETL(s)
		require.ErrorContains(t, err, fmt.Sprintf("chunk_size: %d, must be 0 to 1048576", size))
	}
}
