package loader

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
)

// sample is one finished operation.
type sample struct {
	at       time.Duration // when its last byte came, from the start of the phase
	ttfb     time.Duration // from the first byte sent to the first byte of the body
	ttlb     time.Duration // to the last byte
	in, out  int64         // source bytes, bytes received or stored
	target   int32         // index into the cluster's targets
	kind     opKind
	failed   bool
	verified bool // the whole output was compared, and equal
	wrong    bool // the whole output was compared, and not equal
}

// recorder takes one worker's samples between two collections. Its mutex is
// the worker's own but for the moment of a swap, hence uncontended.
//
// Samples are kept rather than histograms of them: a histogram is 180 KB, and
// one per worker × operation × target × metric, doubled for swapping, would be
// gigabytes of a large scenario and most of a core to merge every second.
// Recorded once by the collector, they give the very same counts.
type recorder struct {
	mu     sync.Mutex // guards active
	active []sample
	spare  []sample // of the collector
}

// record keeps s. It allocates only when an interval holds more samples than
// any interval before it.
func (r *recorder) record(s sample) {
	r.mu.Lock()
	r.active = append(r.active, s)
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

// series adds up the samples of one operation at one target, or at all.
type series struct {
	ops, errors int64 // without and with an error
	in, out     int64 // bytes of ops
	verified    int64 // of ops
	wrong       int64 // of errors
	clamped     int64 // latencies beyond the histograms' range
	ttlb, ttfb  *hdrhistogram.Histogram
}

// add counts s. Failed operations have no latency: one that was refused at
// once would make the rest look good.
func (c *series) add(s *sample) {
	if s.failed {
		c.errors++
		if s.wrong {
			c.wrong++
		}
		return
	}
	c.ops++
	c.in += s.in
	c.out += s.out
	if s.verified {
		c.verified++
	}
	if c.ttlb == nil {
		c.ttlb, c.ttfb = results.NewHistogram(), results.NewHistogram()
	}
	c.clamped += recordClamped(c.ttlb, int64(s.ttlb)) + recordClamped(c.ttfb, int64(s.ttfb))
}

// recordClamped records v, or the largest value there is, and tells how many
// values it clamped. Refusing them would lose the worst ones.
func recordClamped(h *hdrhistogram.Histogram, v int64) (clamped int64) {
	if v > results.MaxLatency {
		v, clamped = results.MaxLatency, 1
	}
	// The only other error is a negative value, which no monotonic clock gives.
	_ = h.RecordValue(max(v, 0))
	return clamped
}

// reset empties the series and keeps its histograms.
func (c *series) reset() {
	if c.ops > 0 {
		c.ttlb.Reset()
		c.ttfb.Reset()
	}
	*c = series{ttlb: c.ttlb, ttfb: c.ttfb}
}

// tally is the series of a stretch of time: of every operation at every
// target, and, as the last "target", at all of them.
type tally struct {
	targets int
	cells   [opKinds][]series
	lastOK  time.Duration // when the last operation without error ended
}

func newTally(targets int) *tally {
	t := &tally{targets: targets}
	for k := range t.cells {
		t.cells[k] = make([]series, targets+1)
	}
	return t
}

// all is the series of an operation over all targets.
func (t *tally) all(k opKind) *series { return &t.cells[k][t.targets] }

func (t *tally) add(s *sample) {
	t.cells[s.kind][s.target].add(s)
	t.all(s.kind).add(s)
	if !s.failed {
		t.lastOK = max(t.lastOK, s.at)
	}
}

func (t *tally) reset() {
	for k := range t.cells {
		for i := range t.cells[k] {
			t.cells[k][i].reset()
		}
	}
}
