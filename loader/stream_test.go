package loader

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func mixed(k scenarios.Keys) *scenarios.Scenario {
	return &scenarios.Scenario{Seed: 42, Verify: scenarios.Verify{Content: "sample 25%"}, Collect: scenarios.Collect{Phases: "sample 10%"},
		Load: scenarios.Load{Keys: k, Mix: map[string]int{"get-etl": 70, "get": 20, "put": 10}}}
}

func TestStreamIsAPureFunctionOfSeedBlockAndIndex(t *testing.T) {
	sc := mixed(scenarios.Keys{Dist: scenarios.KeysUniform})
	s, again, next := newStream(sc, 10, 1), newStream(sc, 10, 1), newStream(sc, 10, 2)
	other := *sc
	other.Seed = 43
	o := newStream(&other, 10, 1)
	const n = 30_000
	var (
		kinds                [opKinds]float64
		objects              [10]float64
		verified, timed      float64
		sameAsBlock, sameAsO float64
	)
	for i := range uint64(n) {
		at := s.at(i)
		require.Equal(t, at, again.at(i))
		require.Equal(t, i, at.index)
		kinds[at.kind]++
		objects[at.object]++
		if at.verify {
			verified++
		}
		if at.timed {
			timed++
		}
		if b := next.at(i); b.kind == at.kind && b.object == at.object {
			sameAsBlock++
		}
		if b := o.at(i); b.kind == at.kind && b.object == at.object {
			sameAsO++
		}
	}
	for k, share := range [opKinds]float64{0.7, 0.2, 0.1, 0, 0} {
		require.InDelta(t, share, kinds[k]/n, 0.015)
		require.Equal(t, share > 0, s.has(opKind(k)))
	}
	for _, hits := range objects {
		require.InDelta(t, 0.1, hits/n, 0.01)
	}
	require.InDelta(t, 0.25, verified/n, 0.01)
	require.InDelta(t, 0.1, timed/n, 0.01)
	// By chance: (0.7² + 0.2² + 0.1²) / 10 = 0.054.
	require.InDelta(t, 0.054, sameAsBlock/n, 0.01)
	require.InDelta(t, 0.054, sameAsO/n, 0.01)
}

// TestStreamGolden pins the first operations of every distribution: a change of
// them makes old runs incomparable, and so does a machine that has others.
func TestStreamGolden(t *testing.T) {
	for _, tt := range []struct {
		keys scenarios.Keys
		want string
	}{
		{scenarios.Keys{Dist: scenarios.KeysUniform}, "put 5 get-etl 17 get-etl 35 get-etl 28 get 45 get 55 get 38 put 43 "},
		{scenarios.Keys{Dist: scenarios.KeysZipf, S: 0.9}, "put 46 get-etl 10 get-etl 96 get-etl 14 get 38 get 7 get 66 put 74 "},
		{scenarios.Keys{Dist: scenarios.KeysZipf, S: 1.3}, "put 7 get-etl 66 get-etl 74 get-etl 96 get 84 get 54 get 74 put 54 "},
		{scenarios.Keys{Dist: scenarios.KeysHotspot, Hot: 5, Ops: 80}, "put 96 get-etl 84 get-etl 84 get-etl 7 get 74 get 74 get 84 put 84 "},
		{scenarios.Keys{Dist: scenarios.KeysSequential}, "put 98 get-etl 99 get-etl 0 get-etl 1 get 2 get 3 get 4 put 5 "},
		{scenarios.Keys{Dist: scenarios.KeysPermutation}, "put 21 get-etl 47 get-etl 27 get-etl 6 get 96 get 67 get 17 put 90 "},
	} {
		s := newStream(mixed(tt.keys), 100, 3)
		got := ""
		for i := range uint64(8) {
			o := s.at(98 + i)
			got += fmt.Sprintf("%s %d ", opNames[o.kind], o.object)
		}
		require.Equal(t, tt.want, got, "%+v", tt.keys)
	}
}

// TestPopularity: how often the objects are asked for, the most popular first.
func TestPopularity(t *testing.T) {
	const n, ops = 100, 100_000
	weight := 0.0
	for k := 1; k <= n; k++ {
		weight += math.Pow(float64(k), -0.9)
	}
	zipf := func(k int) float64 { return math.Pow(float64(k), -0.9) / weight }
	hotspot := func(k int) float64 {
		if k <= 10 {
			return 0.9 / 10
		}
		return 0.1 / 90
	}
	even := func(int) float64 { return 1.0 / n }
	for _, tt := range []struct {
		keys  scenarios.Keys
		share func(rank int) float64
	}{
		{scenarios.Keys{Dist: scenarios.KeysUniform}, even},
		{scenarios.Keys{Dist: scenarios.KeysZipf, S: 0.9}, zipf},
		{scenarios.Keys{Dist: scenarios.KeysHotspot, Hot: 10, Ops: 90}, hotspot},
		{scenarios.Keys{Dist: scenarios.KeysSequential}, even},
		{scenarios.Keys{Dist: scenarios.KeysPermutation}, even},
	} {
		t.Run(tt.keys.Dist, func(t *testing.T) {
			counts := func(block int) []float64 {
				s, list := newStream(mixed(tt.keys), n, block), make([]float64, n)
				for i := range uint64(ops) {
					list[s.at(i).object]++
				}
				return list
			}
			first, second := counts(1), counts(2)
			if tt.share(1) != tt.share(n) {
				hot := slices.Index(first, slices.Max(first))
				require.InDelta(t, first[hot], second[hot], 6*math.Sqrt(first[hot]), "popular ones stay so")
				require.NotZero(t, hot, "and are not the first by name")
			}
			slices.SortFunc(first, func(a, b float64) int { return int(b - a) })
			for _, rank := range []int{1, 2, 10, 11, 50, n} {
				want := ops * tt.share(rank)
				require.InDelta(t, want, first[rank-1], 5*math.Sqrt(want), "rank %d", rank)
			}
		})
	}
	one := newStream(mixed(scenarios.Keys{Dist: scenarios.KeysHotspot, Hot: 10, Ops: 90}), 1, 1)
	for i := range uint64(100) {
		require.Zero(t, one.at(i).object)
	}
}

func TestPassesVisitEachObjectOnce(t *testing.T) {
	orders := map[string]bool{}
	s := newStream(mixed(scenarios.Keys{Dist: scenarios.KeysPermutation}), 50, 1)
	for pass := range uint64(4) {
		var order []int
		for i := range uint64(50) {
			order = append(order, s.at(pass*50+i).object)
		}
		orders[fmt.Sprint(order)] = true
		slices.Sort(order)
		for i, o := range order {
			require.Equal(t, i, o)
		}
	}
	require.Len(t, orders, 4)
}

// BenchmarkPacer reports by how much operations are released late.
func BenchmarkPacer(b *testing.B) {
	for _, rate := range []scenarios.Rate{1000, 20_000} {
		b.Run(fmt.Sprintf("rate=%.0f", float64(rate)), func(b *testing.B) {
			for b.Loop() {
				l := openLoad(newPoisson(steady(rate, 2e9), 1), 64, 64, func(op) {})
				l.clock = sharp
				if _, err := l.run(b.Context(), func(int) {}); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(l.pacing.ValueAtPercentile(50))/1e3, "p50-µs")
				b.ReportMetric(float64(l.pacing.ValueAtPercentile(99))/1e3, "p99-µs")
			}
		})
	}
}
