package loader

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

const listed = `apiVersion: etlbench/v1
name: listed
seed: 42
dataset: {objects: 50, size: {dist: lognormal, median: 8KiB, sigma: 1, min: 1KiB, max: 1MiB}}
transforms: [echo]
arms: {comm: [hpush, hrev], mode: [inline, offline]}
load: {model: open, arrival: poisson, rate: 100/s, stages: [{to: 400/s, over: 2s}, {hold: 1s}], keys: {dist: zipf, s: 0.9}, mix: {get-etl: 7, get: 2, put: 1}}
trials: {blocks: 2}
`

func listOf(t *testing.T, n int64, sets ...string) []byte {
	t.Helper()
	sc, err := scenarios.ParseWith("listed", []byte(listed), sets)
	require.NoError(t, err)
	data, err := dataset.New(sc.Dataset, sc.Seed)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, WriteStream(&b, sc, data, n))
	return b.Bytes()
}

// TestStreamIsTheSameOnAnyMachine: operations, objects, sizes and due times of a
// seed, byte for byte those that another machine had.
func TestStreamIsTheSameOnAnyMachine(t *testing.T) {
	for _, c := range []struct {
		name, want string
		sets       []string
	}{
		{name: "open", want: "d0db3e6ad2daa4000731efb6cc60355a651fe33dce87d2349ad8a51ccbb3245c"},
		{name: "closed", want: "11c3b2160f07663e801803337de68abafd11f642c703e5902b3071af0646bae0", sets: []string{"load={model: closed, workers: 4, mix: {get-etl: 1}}"}},
		{name: "epochs", want: "95da1c3d0e315e0b5b377f614e3720ba7ccd5c97d13e6e4640f1a8dfa8c2b5d0", sets: []string{"load={model: epoch, epochs: 3, mix: {get-etl: 1}}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := listOf(t, 1000, c.sets...)
			require.Equal(t, c.want, fmt.Sprintf("%x", sha256.Sum256(got)), "the stream of a seed has changed: a replay does something else")
			require.NotEqual(t, got, listOf(t, 1000, append(c.sets, "seed=43")...))
		})
	}
}

// TestListIsWhatIsIssued: the list of a block is what its load issues.
func TestListIsWhatIsIssued(t *testing.T) {
	sc, err := scenarios.ParseWith("listed", []byte(listed), []string{"arms.mode=[inline]", "arms.comm=[hpush]", "trials.blocks=1", "phases.warmup=500ms"})
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(listOf(t, 1<<40, "arms.mode=[inline]", "arms.comm=[hpush]", "trials.blocks=1", "phases.warmup=500ms"))).ReadAll()
	require.NoError(t, err)
	r := &run{Config: Config{Scenario: sc}, arms: arms(sc), objects: make([]object, 50)}
	phases, err := r.phases(r.arms[0], 1)
	require.NoError(t, err)
	require.Len(t, phases, 2)
	require.Len(t, rows[1:], 900, "100 to 400 a second for 2 s, and then 400")
	require.EqualValues(t, 900, phases[1].due.count())
	stream := newStream(sc, 50, 1)
	for i, row := range rows[1:] {
		o := stream.at(phases[1].first + uint64(i))
		require.Equal(t, []string{"hpush", "1", fmt.Sprint(phases[1].first + uint64(i)), opNames[o.kind]}, row[:4])
		require.Equal(t, fmt.Sprintf("%.9f", phases[1].due.at(int64(i)).Seconds()), row[6])
		due, err := time.ParseDuration(row[6] + "s")
		require.NoError(t, err)
		require.Equal(t, phases[1].due.at(int64(i)), due)
	}
}
