package loader

import (
	"sync"
	"time"
)

// outcome is how an operation ended.
type outcome uint8

const (
	done   outcome = iota
	broken         // with an error
	late           // with a timeout
	shed           // never sent: too many were under way
	unsent         // never sent: the load was over
)

// sample is one operation.
type sample struct {
	due      time.Duration // its intended start, from the start of the load
	delay    time.Duration // from there to the first byte sent
	service  time.Duration // from there to the last byte
	ttfb     time.Duration // from the first byte sent to the first byte of the body
	proxy    time.Duration // from the first byte sent to the proxy's redirect
	headers  time.Duration // from the first byte sent to the headers of the answer
	server   shares
	in, out  int64  // source bytes, bytes received or stored
	target   int32  // index into the cluster's targets
	phase    uint8  // index into the load's phases
	kind     opKind // of the operation
	outcome  outcome
	verified bool // the whole output was compared, and equal
	wrong    bool // the whole output was compared, and not equal
}

// chunk is how many samples a recorder holds at most.
const chunk = 256

// recorder takes one worker's samples between two collections. Its mutex is
// the worker's own but for the moment of a swap, hence uncontended.
//
// Samples are kept rather than histograms of them: a histogram is 180 KB, and
// one per worker × operation × target × metric, doubled for swapping, would be
// gigabytes of a large scenario and most of a core to merge every second.
// Recorded once by the collector, they give the very same counts. A recorder
// that is full hands its samples over by itself, so that memory does not grow
// when a collection comes late.
type recorder struct {
	mu     sync.Mutex // guards active
	active []sample
	spare  []sample       // of the collector
	full   func([]sample) // takes samples that are good until it returns
}

// record keeps s. It allocates only until its chunk has grown.
func (r *recorder) record(s *sample) {
	r.mu.Lock()
	r.active = append(r.active, *s)
	if len(r.active) == chunk {
		r.full(r.active)
		r.active = r.active[:0]
	}
	r.mu.Unlock()
}

// swap returns what was recorded since the last swap. It is good until the
// next one. Only one goroutine may swap.
func (r *recorder) swap() []sample {
	r.mu.Lock()
	r.active, r.spare = r.spare[:0], r.active
	r.mu.Unlock()
	return r.spare
}
