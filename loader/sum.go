package loader

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
)

// sum is one operation of an arm over its blocks.
type sum struct {
	op                   string
	samples              int
	intended, comparable int64
	window               time.Duration
	cells                []packed // by target, the last of all
	resources            []results.Resource
	moved                *int64
	allOps, allBytes     int64 // of all operations of the arm
}

// packed is a series whose histograms are encoded: kept for every arm, they
// would else take 180 KB each.
type packed struct {
	series
	hist [metricCount]string
}

// fail counts that the arm could not be set up, or its job not be run.
func (s *sum) fail() {
	s.intended++
	s.cells[len(s.cells)-1].Errors++
}

func (s *sum) add(o *opOutcome, out *outcomes) {
	s.samples++
	s.intended += o.intended
	s.comparable += o.comparable
	s.window += out.window
	for i := range o.cells {
		s.cells[i].add(&o.cells[i])
	}
	for i := range out.ops {
		s.allOps += out.ops[i].all().Ops
		s.allBytes += out.ops[i].all().BytesIn
	}
	s.resources = results.AddResources(s.resources, out.usage.resources)
	if out.usage.moved != nil {
		n := *out.usage.moved
		if s.moved != nil {
			n += *s.moved
		}
		s.moved = &n
	}
}

// unpack gives the operation's outcome over all blocks.
func (s *sum) unpack() *opOutcome {
	o := &opOutcome{op: s.op, intended: s.intended, comparable: s.comparable, cells: make([]series, len(s.cells))}
	for i := range s.cells {
		o.cells[i] = s.cells[i].unpack()
	}
	return o
}

func (p *packed) add(s *series) {
	all := p.unpack()
	all.merge(s)
	p.series = all
	p.series.hist = [metricCount]*hdrhistogram.Histogram{}
	for m, h := range all.hist {
		if !empty(h) {
			// It fails for values beyond the histogram's range, which it has not.
			p.hist[m], _ = results.EncodeHistogram(h)
		}
	}
}

func (p *packed) unpack() series {
	s := p.series
	for m, text := range p.hist {
		if text != "" {
			s.hist[m], _ = results.DecodeHistogram(text) // what EncodeHistogram gave
		}
	}
	return s
}
