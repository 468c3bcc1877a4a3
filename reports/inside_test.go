package reports

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 0.0001234: "0.000123", 0.12345: "0.123", 1.005: "1.00", 9.996: "10.0", 99.96: "100",
		999.6: "1,000", 1234.5: "1,235", 1e6: "1,000,000", 1.5e12: "1.5e+12", -3.14159: "-3.14", math.Inf(1): "+Inf",
	} {
		require.Equal(t, want, number(x), "%g", x)
	}
}

func TestPercentNeverRoundsUpToAll(t *testing.T) {
	for x, want := range map[float64]string{100: "100", 99.99999: "99.99", 0: "0", 50: "50", 1e300: "100"} {
		require.Equal(t, want, percent(x))
	}
}

func TestColorsStayWithTheirTypes(t *testing.T) {
	comms := []string{"ws", "io", "grpc", "hpush", "x", "y"}
	require.Equal(t, 0, colorOf("hpush", comms))
	require.Equal(t, 3, colorOf("io", comms))
	seen := map[int]string{}
	for _, c := range comms {
		n := colorOf(c, comms)
		require.Empty(t, seen[n], "%s and %s look alike", seen[n], c)
		require.Less(t, n, paletteSize)
		seen[n] = c
	}
}

func TestReproduceIsReadyToPaste(t *testing.T) {
	for dir, want := range map[string]string{
		"runs/a-1_b.2": "etlbench run runs/a-1_b.2/scenario.yaml",
		"my runs/it's": `etlbench run 'my runs/it'\''s/scenario.yaml'`,
		"$(x)":         "etlbench run '$(x)/scenario.yaml'",
		"a[1]":         "etlbench run 'a[1]/scenario.yaml'",
	} {
		r := &Report{Run: &results.Run{Dir: dir}}
		require.Equal(t, want, r.reproduce())
	}
}

// Between the blocks of an arm others were measured: no line may join them.
func TestStretchesEndWhereOthersWereMeasured(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(second, block int, warmup bool) judge.Point {
		return judge.Point{Start: begin.Add(time.Duration(second) * time.Second), Duration: time.Second, Block: block, Warmup: warmup}
	}
	l := Line{Series: &judge.Series{Points: []judge.Point{
		at(0, 1, true), at(1, 1, false), at(2, 1, false), at(3, 2, false), at(20, 2, false), at(21, 2, false)}}}
	var sizes []int
	for _, s := range stretches(l) {
		sizes = append(sizes, len(s))
	}
	require.Equal(t, []int{1, 2, 1, 2}, sizes, "warm-up, block 1, block 2, and block 2 after a gap")
}

func TestLongTablesAreCut(t *testing.T) {
	long := Table{Columns: []string{"x"}, Notes: []string{"note"}}
	for i := range maxPageRows + 10 {
		long.add(fmt.Sprint(i/100), fmt.Sprint(i))
	}
	cut := shown(long)
	n := 0
	for _, g := range cut.Groups {
		n += len(g.Rows)
	}
	require.Equal(t, maxPageRows, n)
	require.Equal(t, []string{"note", "10 rows more are in report.json."}, cut.Notes)
	require.Equal(t, []string{"note"}, long.Notes, "the report keeps its own")
}

func TestCrossoverInKiB(t *testing.T) {
	at := stats.Interval{Estimate: 96.0 / 1024, Low: 80.0 / 1024, High: 128.0 / 1024, Level: 0.95}
	require.Equal(t, "CPU time: below 96.0 [80.0, 128] KiB io costs less, above it hpull",
		crossing("hpull", "io", "CPU time", stats.Crossover{MiB: at}))
}
