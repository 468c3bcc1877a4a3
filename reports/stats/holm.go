package stats

import (
	"cmp"
	"slices"
)

// Holm adjusts the p values of a family of tests (Holm 1979), so that the
// chance of one or more false positives among all stays at most that which an
// adjusted p is compared with, whatever their dependence. With p sorted,
//
//	adjusted p_k = max over j ≤ k of min(1, (m - j + 1) p_j)
//
// The result is in the order given; p are from 0 to 1.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted, most := make([]float64, len(p)), 0.0
	for k, i := range order {
		most = max(most, min(1, float64(len(p)-k)*p[i]))
		adjusted[i] = most
	}
	return adjusted
}
