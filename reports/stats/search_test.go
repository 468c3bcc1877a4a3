package stats_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

// look runs a search whose votes are right with a chance, for a knee; it
// returns the rates tried.
func look(t *testing.T, c stats.SearchConfig, knee, right float64, seed uint64) (*stats.Search, []float64) {
	s, err := stats.NewSearch(c)
	require.NoError(t, err)
	r, tried := seeded(seed), []float64(nil)
	for {
		rate, more := s.Next()
		if !more {
			return s, tried
		}
		require.True(t, rate >= c.Low && rate <= c.High, "%v", rate)
		require.NoError(t, s.Observe(rate, (rate <= knee) == (r.Float64() < right)))
		tried = append(tried, rate)
	}
}

func TestSearchDoublesFirst(t *testing.T) {
	c := stats.SearchConfig{Low: 100, High: 5000}
	_, tried := look(t, c, 700, 1, 1)
	require.Equal(t, []float64{100, 200, 400, 800}, tried[:4])
	require.Less(t, tried[4], 800.0)
	_, tried = look(t, c, 6000, 1, 1)
	require.Equal(t, []float64{100, 200, 400, 800, 1600, 3200, 5000, 5000}, tried[:8])
}

func TestSearchFindsAKneeOfCertainVotes(t *testing.T) {
	r := seeded(13)
	for seed := range uint64(100) {
		knee := 100 * math.Pow(100, 0.05+0.9*r.Float64())
		s, tried := look(t, stats.SearchConfig{Low: 100, High: 10_000}, knee, 1, seed)
		found, err := s.Found()
		require.NoError(t, err)
		require.True(t, found.Low <= knee && knee <= found.High, "knee %v: %v", knee, found)
		require.Less(t, found.High/found.Low-1, 0.05)
		require.True(t, found.Low <= found.Estimate && found.Estimate <= found.High && found.Level == 0.9)
		require.LessOrEqual(t, len(tried), 30)
	}
}

// TestSearchOutvotesWrongVotes: one vote in five is wrong, and the interval of
// 90 % holds the knee in about 9 of 10 searches that ended.
func TestSearchOutvotesWrongVotes(t *testing.T) {
	r, ended, held, windows := seeded(14), 0, 0, 0
	for seed := range uint64(400) {
		knee := 100 * math.Pow(100, 0.1+0.8*r.Float64())
		s, tried := look(t, stats.SearchConfig{Low: 100, High: 10_000, Windows: 100}, knee, 0.8, seed)
		found, err := s.Found()
		if err != nil {
			continue
		}
		ended++
		windows += len(tried)
		if found.Low <= knee && knee <= found.High {
			held++
		}
	}
	require.Greater(t, ended, 390)
	require.InDelta(t, 0.9, float64(held)/float64(ended), 0.04)
	require.InDelta(t, 31, float64(windows)/float64(ended), 3, "mean windows")
}

func TestSearchSaysWhyItFoundNothing(t *testing.T) {
	c := stats.SearchConfig{Low: 100, High: 1000}
	s, tried := look(t, c, 50, 1, 1)
	require.Less(t, len(tried), 10)
	_, err := s.Found()
	require.EqualError(t, err, "the objective is not met at 100 a second, the lowest rate")
	s, tried = look(t, c, 2000, 1, 1)
	require.Less(t, len(tried), 10)
	_, err = s.Found()
	require.EqualError(t, err, "the objective is met at 1000 a second, the highest rate")

	c.Windows = 16
	s, tried = look(t, c, 300, 0.8, 1)
	require.Len(t, tried, 16)
	found, err := s.Found()
	require.EqualError(t, err, "windows ran out")
	require.True(t, found.Low < found.Estimate && found.Estimate < found.High)
	s, err = stats.NewSearch(c)
	require.NoError(t, err)
	_, err = s.Found()
	require.EqualError(t, err, "not found after 0 windows: it may be beyond 100 to 1000 a second")
}

func TestSearchRefuses(t *testing.T) {
	for _, c := range []stats.SearchConfig{{}, {Low: 10, High: 10}, {Low: -1, High: 5}, {Low: 1, High: 2e6}, {Low: 1, High: math.NaN()}, {Low: 1, High: math.Inf(1)}} {
		_, err := stats.NewSearch(c)
		require.ErrorContains(t, err, "want numbers above 0")
	}
	for _, c := range []stats.SearchConfig{{Width: 0.001}, {Width: 2}, {Correct: 0.5}, {Correct: 1}, {Windows: -1}} {
		c.Low, c.High = 1, 100
		_, err := stats.NewSearch(c)
		require.ErrorContains(t, err, "want 0.01 to 1, 0.5 to 1, and 1 or more")
	}
	s, err := stats.NewSearch(stats.SearchConfig{Low: 1, High: 100})
	require.NoError(t, err)
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		require.ErrorContains(t, s.Observe(rate, true), "want a number above 0")
	}
	rate, more := s.Next()
	require.True(t, more && rate == 1)
}
