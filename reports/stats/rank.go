package stats

import (
	"cmp"
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat/distuv"
)

// exactPairs is up to how many pairs the signed-rank test enumerates; beyond,
// the normal approximation differs by less than a thousandth.
const exactPairs = 200

// signedRank is the two-sided p of Wilcoxon's signed-rank test (1945) that
// differences lie symmetrically about 0. Zeros are left out, equal magnitudes
// share their mean rank, and p is exact for these ranks (Streitberg and Röhmel
// 1986): all 2^n signs are counted. It is 1 when all are zero.
func signedRank(differences []float64) float64 {
	var d []float64
	for _, x := range differences {
		if x != 0 {
			d = append(d, x)
		}
	}
	slices.SortFunc(d, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	doubled, positive := make([]int, len(d)), 0 // twice the ranks, which are whole also when shared
	for i := 0; i < len(d); {
		j := i
		for j < len(d) && math.Abs(d[j]) == math.Abs(d[i]) {
			j++
		}
		for k := i; k < j; k++ {
			doubled[k] = i + 1 + j
			if d[k] > 0 {
				positive += doubled[k]
			}
		}
		i = j
	}
	total := len(d) * (len(d) + 1)
	return signedRankP(doubled, min(positive, total-positive), total)
}

// signedRankP is twice the chance of a sum of at most few, when each of the
// doubled ranks counts or not with chance one half.
func signedRankP(doubled []int, few, total int) float64 {
	if len(doubled) > exactPairs {
		squares := 0.0
		for _, r := range doubled {
			squares += float64(r) * float64(r)
		}
		z := (float64(few) + 1 - float64(total)/2) / math.Sqrt(squares/4) // 1 is half a rank, for continuity
		return min(1, 2*distuv.UnitNormal.CDF(z))
	}
	chance := make([]float64, few+1) // of each sum
	chance[0] = 1
	for _, r := range doubled {
		for s := few; s >= 0; s-- {
			if chance[s] /= 2; s >= r {
				chance[s] += chance[s-r] / 2
			}
		}
	}
	p := 0.0
	for _, c := range chance {
		p += 2 * c
	}
	return min(1, p)
}

// mannWhitney is the two-sided p of the test of Mann and Whitney (1947) that
// neither of two samples tends to have the larger values: exact up to 50 values
// a side, 25 with ties. It is 1 when all are equal. Neither may be empty.
func mannWhitney(x, y []float64) float64 {
	res, err := stats.MannWhitneyUTest(x, y, stats.LocationDiffers)
	if err != nil { // all values are equal
		return 1
	}
	return min(1, res.P)
}
