package stats

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFitRelativeIsTheBest: no other coefficients, from 0 up, have less
// squared relative error.
func TestFitRelativeIsTheBest(t *testing.T) {
	r, zeros := rand.New(rand.NewPCG(5, 1)), 0
	for range 100 {
		terms, y := make([][]float64, 6), make([]float64, 6)
		for i := range terms {
			n := float64(i + 1)
			terms[i], y[i] = []float64{1, n - 1, n * (n - 1)}, 1+r.Float64()*n
		}
		f, ok := fitRelative(terms, y)
		require.True(t, ok)
		for range 200 {
			squares := 0.0
			c := []float64{max(0, f.c[0]+r.NormFloat64()/50), max(0, f.c[1]+r.NormFloat64()/50), max(0, f.c[2]+r.NormFloat64()/50)}
			for i, x := range terms {
				e := (c[0]*x[0]+c[1]*x[1]+c[2]*x[2])/y[i] - 1
				squares += e * e
			}
			require.GreaterOrEqual(t, squares, f.squares-1e-12)
		}
		if slices.Contains(f.c, 0) {
			zeros++
		}
	}
	require.Greater(t, zeros, 20)
}
