package stats_test

import "math/rand/v2"

// seeded is the randomness of tests.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// series are n values of a function of their index.
func series(n int, of func(i int) float64) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = of(i)
	}
	return xs
}
