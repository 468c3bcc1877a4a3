package api

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// hrwSeed seeds every digest that takes part in object placement.
const hrwSeed = 1103515245

// Digest is the 64-bit hash that placement is computed from: XXH64 with the
// cluster-wide seed. It applies to node IDs and to unames alike.
func Digest(s string) uint64 {
	d := xxhash.NewWithSeed(hrwSeed)
	_, _ = d.WriteString(s)
	return d.Sum64()
}

// score is the rendezvous weight of a target for an object, given the XOR of
// both digests. The first two rounds are splitmix64's finaliser, the last line
// is the output function of xoshiro256**; the constants are those of the
// published generators (Vigna and Blackman).
func score(s uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15
	z := s + golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z = (z ^ z>>31) + golden
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z = (z ^ z>>31) * 5
	return bits.RotateLeft64(z, 7) * 9
}
