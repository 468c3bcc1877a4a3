package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestWorkflowCallsWhatExists: every etlbench command of the GitHub workflow has
// its verb and flags here, every make target is there, and so is the scenario.
func TestWorkflowCallsWhatExists(t *testing.T) {
	data, err := os.ReadFile(".github/workflows/etlbench.yml")
	require.NoError(t, err)
	var flow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, If, Run string }
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &flow))
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	verbs, downAlways := map[string]int{}, false
	for _, job := range flow.Jobs {
		for _, step := range job.Steps {
			downAlways = downAlways || step.Run == "etlbench down" && step.If == "always()"
			for line := range strings.Lines(step.Run) {
				words := strings.Fields(line)
				if len(words) > 1 && words[0] == "make" {
					require.Contains(t, string(makefile), "\n"+words[len(words)-1]+":", line)
				}
				if len(words) < 2 || words[0] != "etlbench" {
					continue
				}
				verbs[words[1]]++
				args, _, _ := strings.Cut(strings.Join(words[1:], " "), " > ")
				args, _, _ = strings.Cut(args, " || ")
				var out, said bytes.Buffer
				e := &env{args: append(strings.Fields(args), "--help"), in: strings.NewReader(""), out: &out, err: &said, lookup: func(string) (string, bool) { return "", false }}
				require.Zero(t, run(t.Context(), e), "%s: %s", line, said.String())
			}
		}
	}
	require.True(t, downAlways, "what was made is removed whatever happens")
	for _, v := range []string{"up", "run", "compare", "doctor"} {
		require.Positive(t, verbs[v], v)
	}
	s, err := checkedScenario(".github/etlbench.yaml", nil)
	require.NoError(t, err)
	require.Len(t, s.Gates, 2)
	require.GreaterOrEqual(t, s.Trials.Blocks, 6, "a comparison needs them")
}
