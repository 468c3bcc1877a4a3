package loader

import (
	"math/bits"
	"math/rand/v2"

	"github.com/etlbench/etlbench/scenarios"
)

// opKind is what an operation does.
type opKind uint8

const (
	opGetETL opKind = iota // GET through the arm's ETL
	opGet                  // plain GET
	opPut                  // PUT under a name of its own
	opKinds                // how many there are
)

// opNames are the kinds as scenarios and results call them.
var opNames = [opKinds]string{scenarios.OpGetETL, scenarios.OpGet, scenarios.OpPut}

// op is one operation of the stream: what, and on which source object.
type op struct {
	kind   opKind
	object int // index into the data set
}

// mix draws operations by weight, and their objects uniformly.
type mix struct {
	seed    uint64
	upTo    [opKinds]uint64 // cumulative weights
	objects uint64
}

func newMix(weights map[string]int, seed uint64, objects int) mix {
	m := mix{seed: seed, objects: uint64(objects)}
	var sum uint64
	for k, name := range opNames {
		sum += uint64(weights[name])
		m.upTo[k] = sum
	}
	return m
}

// has tells whether the mix holds operations of a kind.
func (m *mix) has(k opKind) bool {
	return m.upTo[k] > 0 && (k == 0 || m.upTo[k] > m.upTo[k-1])
}

// at is operation number index of a worker: a pure function, so that every
// arm, and every run of the same seed, is asked the same.
func (m *mix) at(worker, index uint64) op {
	var p rand.PCG // made anew for every operation: 128 bits of seed, no state
	p.Seed(m.seed+worker*0x9e3779b97f4a7c15, index)
	at := below(p.Uint64(), m.upTo[opKinds-1])
	k := opKind(0)
	for at >= m.upTo[k] {
		k++
	}
	return op{kind: k, object: int(below(p.Uint64(), m.objects))}
}

// below maps a random word to 0 … n-1. The bias is under n/2^64.
func below(word, n uint64) uint64 {
	hi, _ := bits.Mul64(word, n)
	return hi
}
