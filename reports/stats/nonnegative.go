package stats

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// maxMisfit is the relative error at the worst point above which a model is
// not that of the data.
const maxMisfit = 0.3

// residue is the part of every value below which a term is what rounding left,
// and no part of the model.
const residue = 1e-9

// fit is a model of y from terms: Σ c_j x_j.
type fit struct {
	c              []float64 // no less than 0
	squares, worst float64   // of the relative errors: their squares' sum, and the largest
}

// fitRelative fits y > 0 from the terms x of each point by least squares of the
// relative errors, Σ (fit/y - 1)²: weights are 1/y², as noise grows with the
// value. It returns false when no set of terms has a solution.
//
// The terms are 3 at most, so all their sets are tried: the best solution
// without negative coefficients is that of the non-negative problem (Lawson
// and Hanson 1974).
func fitRelative(terms [][]float64, y []float64) (fit, bool) {
	best := fit{squares: math.Inf(1)}
	all := 1<<len(terms[0]) - 1
	for set := all; set > 0; set-- {
		f, ok := solve(terms, y, set)
		if ok && f.squares < best.squares {
			best = f
		}
		if ok && set == all {
			break // no smaller set is better
		}
	}
	return best, best.c != nil
}

// solve fits the terms of the set, a bit for each, and gives 0 to the others.
// It returns false when that has no solution, or one below 0.
func solve(terms [][]float64, y []float64, set int) (fit, bool) {
	var columns []int
	for j := range terms[0] {
		if set&(1<<j) != 0 {
			columns = append(columns, j)
		}
	}
	if len(terms) < len(columns) {
		return fit{}, false
	}
	a, scale := mat.NewDense(len(terms), len(columns), nil), make([]float64, len(columns))
	ones := mat.NewVecDense(len(terms), nil)
	for k, j := range columns {
		for i, x := range terms {
			scale[k] = max(scale[k], math.Abs(x[j]/y[i])) // so that small terms are not taken for none
		}
		if scale[k] == 0 {
			return fit{}, false
		}
		for i, x := range terms {
			a.Set(i, k, x[j]/y[i]/scale[k])
			ones.SetVec(i, 1)
		}
	}
	var qr mat.QR
	var solution mat.VecDense
	qr.Factorize(a)
	if err := qr.SolveVecTo(&solution, false, ones); err != nil {
		return fit{}, false
	}
	f := fit{c: make([]float64, len(terms[0]))}
	for k, j := range columns {
		if math.Abs(solution.AtVec(k)) < residue {
			continue
		}
		if f.c[j] = solution.AtVec(k) / scale[k]; !(f.c[j] >= 0 && f.c[j] <= math.MaxFloat64) {
			return fit{}, false
		}
	}
	for i, x := range terms {
		e := math.Abs(floats.Dot(x, f.c)/y[i] - 1)
		f.squares, f.worst = f.squares+e*e, max(f.worst, e)
	}
	return f, true
}
