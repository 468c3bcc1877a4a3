package loader

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
)

// What the numbers of a row, or of a sample, mean:
//
//	intended     operations that the schedule had; of a closed loop, those that
//	             were sent: always ops + errors + shed + unsent
//	ops          operations without error; offline: objects done less those
//	             whose stored result is wrong
//	errors       those that were sent and failed; offline: source objects
//	             without a result, wrong results, and one for a job that was
//	             aborted
//	seconds      inline: see window; offline: see offlineJob.span; of a row the
//	             sum of its samples'
//	latencies    of ops. In the percentiles of the response time, operations
//	             that were shed, not sent or timed out stand behind all others
//	mib_per_s    source bytes of ops / seconds / 2^20
//	verified_pct inline: 100 × ops whose whole output was compared and equal /
//	             (ops + outputs that came whole and were wrong); a truncated
//	             body or a status is an error, not an output. A put's output
//	             is the checksum that the cluster answers. Offline: 100 ×
//	             results read back and equal / source objects. 0 where nobody
//	             knows what to compare with, which a note says
//
// The errors of targets add up to those of the row, but for what befell no
// object: an ETL that could not be made, a job that was aborted.

// measured makes the numbers of an operation's outcome.
func (r *run) measured(o *opOutcome, window time.Duration) results.Measured {
	s := o.all()
	t := results.Totals{Intended: o.intended, Verified: s.verified, Comparable: o.comparable, Counts: s.Counts,
		Latency: map[string]*hdrhistogram.Histogram{}}
	for m, h := range s.hist {
		t.Latency[metricNames[m]] = h
	}
	for i, id := range r.targets {
		t.Targets = append(t.Targets, results.TargetTotals{ID: id, Counts: o.cells[i].Counts, Service: o.cells[i].hist[metricService]})
	}
	m := t.Measured(window)
	if o.op == opETLObject {
		m.Response = m.Service
	}
	return m
}

func empty(h *hdrhistogram.Histogram) bool { return h == nil || h.TotalCount() == 0 }

// quantile is a percentile in milliseconds, nil when there are no values.
func quantile(h *hdrhistogram.Histogram, percent float64) *float64 {
	if empty(h) {
		return nil
	}
	return ms(float64(h.ValueAtPercentile(percent)))
}

func ms(ns float64) *float64 {
	v := ns / float64(time.Millisecond)
	return &v
}

// ratio is a/b, 0 when b is: JSON has no infinity.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// differ says how got is not want, nil when it is; sizeOnly leaves the bytes
// out.
func differ(got, want Digest, sizeOnly bool) error {
	if got.Size != want.Size {
		return &failure{classSize, fmt.Errorf("%d bytes instead of %d", got.Size, want.Size)}
	}
	if got.Sum != want.Sum && !sizeOnly {
		return &failure{classDigest, fmt.Errorf("XXH64 %016x instead of %016x", got.Sum, want.Sum)}
	}
	return nil
}
