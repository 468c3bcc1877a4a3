package reports

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
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
