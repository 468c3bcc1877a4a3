package reports

import (
	"io"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// promFamilies are those of WriteProm while they are made.
type promFamilies struct {
	list []*dto.MetricFamily
	run  []string // labels of all: name, value, …
}

// WriteProm writes the numbers of the rows in Prometheus' text format, for a
// node exporter's textfile collector or a Pushgateway. Times are in seconds, a
// percentile among operations that were never served is +Inf, and what nobody
// could tell is left out.
func WriteProm(w io.Writer, r *Report) error {
	f := &promFamilies{run: []string{"scenario", r.Run.Summary.Name}}
	f.gauge("etlbench_run_valid", "1 if the verdict on the run is VALID.", truth(r.Judgement.Validity.Verdict == judge.Valid))
	for _, g := range r.Judgement.Gates {
		f.gauge("etlbench_gate_holds", "1 if the gate holds.", truth(g.Holds), "on", g.On, "is", g.Is)
	}
	for i := range r.Run.Summary.Rows {
		f.row(&r.Run.Summary.Rows[i])
	}
	for _, family := range f.list {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (f *promFamilies) row(row *results.Row) {
	arm := []string{"arm", row.Name, "comm", row.Comm, "mode", row.Mode, "transform", row.Transform}
	op := append(arm[:len(arm):len(arm)], "op", row.Op)
	with := func(labels []string, more ...string) []string {
		return append(labels[:len(labels):len(labels)], more...)
	}
	for _, c := range []struct {
		outcome string
		n       int64
	}{{"ok", row.Ops}, {"error", row.Errors}, {"shed", row.Shed}, {"unsent", row.Unsent}} {
		f.counter("etlbench_operations_total", "Operations of the measured time by how they ended.", float64(c.n), with(op, "outcome", c.outcome)...)
	}
	f.counter("etlbench_timeouts_total", "Operations that ended with a timeout; they are among the errors.", float64(row.Timeouts), op...)
	f.counter("etlbench_bytes_total", "Bytes of operations without error.", float64(row.BytesIn), with(op, "of", "source")...)
	f.counter("etlbench_bytes_total", "", float64(row.BytesOut), with(op, "of", "output")...)
	f.gauge("etlbench_measured_seconds", "Measured time.", row.Seconds, op...)
	f.gauge("etlbench_verified_ratio", "Share of operations whose whole output was compared, and equal.", row.VerifiedPct/100, op...)
	f.summary("etlbench_response_seconds", "From when an operation was due to its last byte.", row.Response, op...)
	f.summary("etlbench_service_seconds", "From an operation's first byte sent to its last byte.", row.Service, op...)
	f.summary("etlbench_delay_seconds", "From when an operation was due to its first byte sent.", row.Delay, op...)
	for _, u := range row.Resources {
		f.counter("etlbench_cpu_seconds_total", "CPU time of a component while an arm was measured, all its operations.", u.CPUSeconds, with(op, "component", u.Component)...)
		f.gauge("etlbench_peak_memory_bytes", "Most resident memory of a component's processes.", float64(u.PeakBytes), with(op, "component", u.Component)...)
	}
}

// metric adds one to the family called name, which it makes if need be.
func (f *promFamilies) metric(name, help string, kind dto.MetricType, m *dto.Metric, labels []string) {
	labels = append(f.run[:len(f.run):len(f.run)], labels...)
	for i := 0; i < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	for _, family := range f.list {
		if *family.Name == name {
			family.Metric = append(family.Metric, m)
			return
		}
	}
	f.list = append(f.list, &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{m}})
}

func (f *promFamilies) gauge(name, help string, v float64, labels ...string) {
	f.metric(name, help, dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: &v}}, labels)
}

func (f *promFamilies) counter(name, help string, v float64, labels ...string) {
	f.metric(name, help, dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: &v}}, labels)
}

func (f *promFamilies) summary(name, help string, q results.Quantiles, labels ...string) {
	if q.Count == 0 {
		return
	}
	count, sum := uint64(q.Count), math.Inf(1) // of those that were never served
	if q.MeanMs != nil {
		sum = *q.MeanMs / 1000 * float64(q.Count)
	}
	s := &dto.Summary{SampleCount: &count, SampleSum: &sum}
	for _, p := range []struct {
		q  float64
		ms *float64
	}{{0.5, q.P50Ms}, {0.9, q.P90Ms}, {0.99, q.P99Ms}, {0.999, q.P999Ms}} {
		v := math.Inf(1)
		switch {
		case p.ms != nil:
			v = *p.ms / 1000
		case q.Infinite == 0:
			continue
		}
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: &p.q, Value: &v})
	}
	f.metric(name, help, dto.MetricType_SUMMARY, &dto.Metric{Summary: s}, labels)
}
