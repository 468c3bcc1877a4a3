package stats

import "math"

// mostBlocks bounds answers to how many blocks are needed.
const mostBlocks = 1_000_000

// blocksToReject is the fewest blocks with which the largest difference, by
// rank, passes Holm as the smallest p of m: 2/2^n of pairs, 2/C(2n, n) of
// unpaired arms.
func blocksToReject(alpha float64, m int, unpaired bool) int {
	for n, least := 1, 1.0; n < mostBlocks; n++ {
		if least*float64(m) <= alpha && n >= MinBlocks {
			return n
		}
		least /= 2
		if unpaired {
			least /= float64(2*n+1) / float64(n+1) // C(2n+2, n+1) is C(2n, n) times twice this
		}
	}
	return mostBlocks
}

// blocksToDecide is how many blocks give, with a chance of 0.8, a verdict on a
// log ratio, were its estimate and its noise those of now, from n blocks: the
// fewer of those that prove a difference (of m, by Holm's first step), and of
// those whose interval is inside the threshold. The error of an estimate e,
// taken from the interval, falls as 1/√n, so that a power of 0.8 wants
//
//	n' = n ((z + z_power) e / distance)²
func blocksToDecide(log Interval, n, m int, o CompareOptions) int {
	z := normal((1 + o.Level) / 2)
	e := (log.High - log.Low) / 2 / widened(o.Level, n)
	need := func(z, distance float64) float64 {
		if distance <= 0 {
			return mostBlocks
		}
		return float64(n) * math.Pow(z*e/distance, 2)
	}
	toDiffer := need(normal(1-(1-o.Level)/2/float64(m))+normal(0.8), math.Abs(log.Estimate))
	room := min(math.Log1p(o.Threshold)-log.Estimate, log.Estimate-math.Log1p(-o.Threshold))
	toBeSame := need(z+normal(0.9), room) // 0.9, as both ends have to be inside
	return int(math.Ceil(min(toDiffer, toBeSame, mostBlocks)))
}
