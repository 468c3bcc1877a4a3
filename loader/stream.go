package loader

import (
	"math"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// opKind is what an operation does.
type opKind uint8

const (
	opGetETL opKind = iota // GET through the arm's ETL
	opGet                  // plain GET
	opPut                  // PUT under a name of its own
	opHead                 // HEAD
	opList                 // a page of the source bucket's list
	opKinds                // how many there are
)

// opNames are the kinds as scenarios and results call them.
var opNames = [opKinds]string{scenarios.OpGetETL, scenarios.OpGet, scenarios.OpPut, scenarios.OpHead, scenarios.OpList}

// op is one operation of the stream: what, and on which source object.
type op struct {
	index  uint64 // in the stream
	kind   opKind
	object int  // index into the arm's objects
	verify bool // the whole output is compared
	timed  bool // servers are asked for their shares of the time
}

// stream is the sequence of operations of a block: a pure function of seed,
// block and index, so that every arm, and every run of the same seed, is
// asked the same.
type stream struct {
	key     uint64 // of the operations
	upTo    [opKinds]uint64
	objects uint64
	object  func(word, index uint64) uint64 // which one
	verify  float64                         // share of operations
	timed   float64
}

func newStream(sc *scenarios.Scenario, objects, block int) *stream {
	s := &stream{key: draw.Word(draw.Key(sc.Seed, "operations"), uint64(block)), objects: uint64(objects)}
	var sum uint64
	for k, name := range opNames {
		sum += uint64(sc.Load.Mix[name])
		s.upTo[k] = sum
	}
	s.object = chooser(sc.Load.Keys, s.objects, sc.Seed, block)
	s.verify, _ = sc.Verify.Content.Share()
	s.timed, _ = sc.Collect.Phases.Share()
	return s
}

// chooser is how objects are chosen of n, by a random word and an operation's
// index. Which of them are popular does not change from block to block.
func chooser(k scenarios.Keys, n, seed uint64, block int) func(word, index uint64) uint64 {
	popular := draw.NewPermutation(draw.Key(seed, "popularity"), n)
	switch k.Dist {
	case scenarios.KeysZipf:
		z := draw.NewZipf(n, k.S)
		return func(word, _ uint64) uint64 { return popular.At(z.At(word)) }
	case scenarios.KeysHotspot:
		hot := min(max(uint64(math.Round(float64(n)*float64(k.Hot)/100)), 1), n)
		return func(word, _ uint64) uint64 {
			at := draw.Word(word, 1)
			if draw.Unit(draw.Word(word, 0)) < float64(k.Ops)/100 || hot == n {
				return popular.At(draw.Below(at, hot))
			}
			return popular.At(hot + draw.Below(at, n-hot))
		}
	case scenarios.KeysSequential:
		return func(_, index uint64) uint64 { return index % n }
	case scenarios.KeysPermutation:
		key := draw.Word(draw.Key(seed, "order"), uint64(block))
		return func(_, index uint64) uint64 { return draw.NewPermutation(draw.Word(key, index/n), n).At(index % n) }
	}
	return func(word, _ uint64) uint64 { return draw.Below(word, n) }
}

// has tells whether the mix holds operations of a kind.
func (s *stream) has(k opKind) bool {
	return s.upTo[k] > 0 && (k == 0 || s.upTo[k] > s.upTo[k-1])
}

// at is operation number index.
func (s *stream) at(index uint64) op {
	key := draw.Word(s.key, index)
	at := draw.Below(draw.Word(key, 0), s.upTo[opKinds-1])
	k := opKind(0)
	for at >= s.upTo[k] {
		k++
	}
	return op{
		index:  index,
		kind:   k,
		object: int(s.object(draw.Word(key, 1), index)),
		verify: draw.Unit(draw.Word(key, 2)) < s.verify,
		timed:  draw.Unit(draw.Word(key, 3)) < s.timed,
	}
}
