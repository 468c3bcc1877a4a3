package loader

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// A gate that holds again in between starts anew.
func TestGuard(t *testing.T) {
	gates := []scenarios.Gate{{On: "all.p99", Is: "< 1ms"}, {On: "all.errors", Is: "< 1%", AbortAfter: scenarios.Duration(2 * time.Second)}}
	rows := []results.Row{{Arm: results.Arm{Name: "hpush"}}}
	for _, c := range []struct {
		name  string
		holds string // of each second: y or n
		ends  int    // the look that ends the run, from 0; -1: none
	}{
		{"holds", "yyyyyyyy", -1},
		{"not for long enough", "ynnynnyn", -1},
		{"for long enough", "ynnnnnnn", 3},
		{"from the start", "nnn", 2},
		{"after a recovery", "nnynnn", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, ended := time.Now(), -1
			g := &guard{gates: gates, since: make([]time.Time, 2)}
			for i := range c.holds {
				g.check = func(n int, got []results.Row) (bool, string) {
					require.Equal(t, 1, n, "the other gate has no abort-after")
					require.Equal(t, rows, got)
					return c.holds[i] == 'y', "7% of 9 operations"
				}
				if err := g.look(rows, now.Add(time.Duration(i)*time.Second)); err != nil {
					require.EqualError(t, err, "aborted by a gate: all.errors < 1% has not held for 2s in hpush: 7% of 9 operations")
					ended = i
					break
				}
			}
			require.Equal(t, c.ends, ended)
		})
	}
}
