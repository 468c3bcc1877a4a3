package loader

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

const mib = 1 << 20

// Phases and metrics as results call them.
const (
	phaseWarmup  = results.PhaseWarmup
	phaseMeasure = results.PhaseMeasure
	metricTTLB   = results.MetricService
	metricTTFB   = results.MetricTTFB
	metricObject = results.MetricObject
)

// What the numbers of a row mean:
//
//	ops          operations without error; offline: objects done less those
//	             whose stored result is wrong
//	errors       the others; offline: source objects without a result, wrong
//	             results, and one for a job that was aborted
//	seconds      inline: see run.phase; offline: see offlineJob.span
//	latencies    of ops, merged over the phase, nanoseconds shown as ms
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

// rows makes a row for every operation of the mix that was issued.
func (r *run) rows(a *arm, m *mix, t *tally, window time.Duration, interrupted bool) (rows []results.Row) {
	for k := range opKinds {
		s := t.all(k)
		issued := s.ops+s.errors > 0
		// The operation that the arm is about has a row, be it empty.
		about := m.has(k) && (k == opGetETL || !m.has(opGetETL))
		if !issued && (interrupted || !about) {
			continue
		}
		if s.clamped > 0 {
			r.note("%d latencies of %s over %s were above %s and are counted as that.",
				s.clamped, a.transform, a.comm, time.Duration(results.MaxLatency))
		}
		rows = append(rows, r.row(a, opNames[k], t.cells[k], window, s.ops+s.wrong))
	}
	return rows
}

// row makes a row of the series of all targets, and of all together behind
// them. comparable is what verified_pct is a share of.
func (r *run) row(a *arm, op string, cells []series, window time.Duration, comparable int64) results.Row {
	s, sec := &cells[len(r.targets)], window.Seconds()
	service := results.NewQuantiles(s.ttlb, 0)
	row := results.Row{Arm: a.told(), Op: op, Samples: 1, Measured: results.Measured{
		Intended:    s.ops + s.errors,
		Counts:      results.Counts{Ops: s.ops, Errors: s.errors, BytesIn: s.in, BytesOut: s.out},
		VerifiedPct: 100 * ratio(float64(s.verified), float64(comparable)),
		Seconds:     sec,
		OpsPerS:     ratio(float64(s.ops), sec),
		MiBPerS:     ratio(float64(s.in)/mib, sec),
		OutMiBPerS:  ratio(float64(s.out)/mib, sec),
		Response:    service, // of a closed loop
		Service:     service,
		TTFB:        results.NewQuantiles(s.ttfb, 0),
	}}
	for i, id := range r.targets {
		c := &cells[i]
		row.Targets = append(row.Targets, results.Target{ID: id, Ops: c.ops, Errors: c.errors,
			MiBPerS: ratio(float64(c.in)/mib, sec), P50Ms: quantile(c.ttlb, 50), P99Ms: quantile(c.ttlb, 99)})
	}
	return row
}

// failedRow is the row of an arm that could not be set up.
func (r *run) failedRow(a *arm) []results.Row {
	op := scenarios.OpGetETL
	if a.mode == scenarios.ModeOffline {
		op = opETLObject
	}
	cells := make([]series, len(r.targets)+1)
	cells[len(r.targets)].errors = 1
	return []results.Row{r.row(a, op, cells, 0, 0)}
}

// writeIntervals writes what series recorded between two moments, of every
// target and of all together. A target's is left out while it is empty; that
// of all is written even then, as a standstill is a result. The metrics have
// the same counts: whoever adds intervals up picks one.
func (r *run) writeIntervals(a *arm, op, phase string, cells []series, from time.Time, d time.Duration, metrics ...string) error {
	for i := range cells {
		c, id := &cells[i], ""
		if i < len(r.targets) {
			id = r.targets[i]
			if c.ops == 0 && c.errors == 0 {
				continue
			}
		}
		for _, metric := range metrics {
			h := c.ttlb
			if metric == metricTTFB {
				h = c.ttfb
			}
			err := r.Results.Interval(results.Interval{
				Key:   results.Key{Arm: a.told().Name, Op: op, Phase: phase, Metric: metric, Block: 1, Target: id},
				Start: from, Duration: d, Counts: results.Counts{Ops: c.ops, Errors: c.errors, BytesIn: c.in, BytesOut: c.out}, Latency: h,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
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

// differ says how got is not want, nil when it is.
func differ(got, want Digest) error {
	if got.Size != want.Size {
		return &failure{classSize, fmt.Errorf("%d bytes instead of %d", got.Size, want.Size)}
	}
	if got.Sum != want.Sum {
		return &failure{classDigest, fmt.Errorf("XXH64 %016x instead of %016x", got.Sum, want.Sum)}
	}
	return nil
}
