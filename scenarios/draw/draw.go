// Package draw makes random numbers that are pure functions of a key and an
// index, and the same bits on every machine: any place of a sequence is
// reached in one step, and nobody keeps state. Sizes, contents, operations
// and arrival times are drawn from it; see scenarios/dataset and loader.
//
// Floating-point results that depend on the architecture (math.Log, products
// fused with sums) would make two machines disagree by a last bit, now and
// then. Hence logarithm and exponential of its own, in which every product is
// rounded by an explicit conversion.
package draw

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// gamma is SplitMix64's increment, 2^64 divided by the golden ratio.
const gamma = 0x9e3779b97f4a7c15

// Key is the key of a sequence: XXH64, seed 0, of seed as eight little-endian
// bytes followed by name.
func Key(seed uint64, name string) uint64 {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 64), seed)
	return xxhash.Sum64(append(b, name...))
}

// Word is number i of the sequence of key: the output function of SplitMix64
// at state key + (i+1)*gamma. A word may be the key of a further sequence.
func Word(key, i uint64) uint64 {
	z := key + (i+1)*gamma
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Below maps a word to 0 … n-1 by the upper half of their product. Its bias is
// below n/2^64.
func Below(word, n uint64) uint64 {
	hi, _ := bits.Mul64(word, n)
	return hi
}

// Unit maps a word to a number between 0 and 1, neither of which it gives.
func Unit(word uint64) float64 {
	return (float64(word>>12) + 0.5) * (1.0 / (1 << 52))
}

// Exponential maps a word to an exponential number of mean 1, at most 37.
func Exponential(word uint64) float64 { return -Log(Unit(word)) }

// Permutation is a random order of 0 … n-1.
type Permutation struct {
	key, n uint64
	half   uint // bits of each half of the Feistel network
}

// NewPermutation gives the order of 0 … n-1 that belongs to key. n is above 0.
func NewPermutation(key, n uint64) Permutation {
	return Permutation{key: key, n: n, half: uint(bits.Len64(n-1)+1) / 2}
}

// At is element i, below n, of the order. It enciphers i by a Feistel network
// over the next larger power of four, again and again until the result is
// below n: less than four times on the average.
func (p Permutation) At(i uint64) uint64 {
	mask := uint64(1)<<p.half - 1
	for {
		left, right := i>>p.half, i&mask
		for round := range uint64(4) {
			left, right = right, left^Word(p.key+round, right)&mask
		}
		if i = left<<p.half | right; i < p.n {
			return i
		}
	}
}
