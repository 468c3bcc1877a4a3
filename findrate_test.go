package main

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/stats"
)

func TestFindRate(t *testing.T) {
	for _, truth := range []float64{11, 250, 1234, 90_000} {
		f := rateFinder{search: stats.SearchConfig{Low: 10, High: 1e5}, within: 0.05,
			try: func(rate float64) (bool, error) { return rate <= truth, nil }}
		found, err := f.find()
		require.NoError(t, err)
		require.LessOrEqual(t, found.Rate, truth)
		require.Greater(t, found.Above, truth)
		require.InEpsilon(t, found.Rate*1.05, found.Above, 1e-9)
		require.Equal(t, 3, found.HeldAt)
		require.Zero(t, found.HeldAbove)
		require.LessOrEqual(t, found.Interval.Low, truth)
		require.GreaterOrEqual(t, found.Interval.High, truth)
	}
}

// Of windows one in ten is wrong.
func TestFindRateOfWindowsThatErr(t *testing.T) {
	const truth = 700.0
	near := 0
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		f := rateFinder{search: stats.SearchConfig{Low: 10, High: 1e5}, within: 0.05,
			try: func(rate float64) (bool, error) { return (rate <= truth) != (random.Float64() < 0.1), nil }}
		found, err := f.find()
		if errors.Is(err, errNoRate) {
			continue
		}
		require.NoError(t, err)
		if found.Rate > truth/1.11 && found.Rate < truth*1.06 {
			near++
		}
	}
	require.Greater(t, near, 170, "of 200 searches")
}

func TestFindRateHasNone(t *testing.T) {
	search := stats.SearchConfig{Low: 10, High: 1000, Windows: 30}
	for name, tt := range map[string]struct {
		holds bool
		want  string
	}{
		"never":  {false, "the objective is not met at 10 a second, the lowest rate"},
		"always": {true, "the objective is met at 1000 a second, the highest rate"},
	} {
		t.Run(name, func(t *testing.T) {
			f := rateFinder{search: search, within: 0.05, try: func(float64) (bool, error) { return tt.holds, nil }}
			_, err := f.find()
			require.ErrorIs(t, err, errNoRate)
			require.ErrorContains(t, err, tt.want)
		})
	}
	// What fits the search is not confirmed once the cluster changes.
	n := 0
	f := rateFinder{search: search, within: 0.05, try: func(rate float64) (bool, error) { n++; return n < 12 && rate < 300, nil }}
	_, err := f.find()
	require.ErrorIs(t, err, errNoRate)
	broken := errors.New("broken")
	f.try = func(float64) (bool, error) { return false, broken }
	_, err = f.find()
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, errNoRate)
}
