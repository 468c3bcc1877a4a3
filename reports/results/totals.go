package results

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Totals are what was counted of one operation, of which Measured are the
// numbers.
type Totals struct {
	Intended, Verified, Comparable int64
	Counts
	Latency map[string]*hdrhistogram.Histogram // by metric
	Targets []TargetTotals                     // sorted by ID
}

// TargetTotals are a target's share.
type TargetTotals struct {
	ID string
	Counts
	Service *hdrhistogram.Histogram // nil without a value
}

// Measured makes the numbers of what took so long. Resources are not its
// matter.
func (t *Totals) Measured(took time.Duration) Measured {
	const mib = 1 << 20
	sec := took.Seconds()
	m := Measured{
		Intended: t.Intended, Counts: t.Counts, Verified: t.Verified, Comparable: t.Comparable,
		VerifiedPct: 100 * ratio(float64(t.Verified), float64(t.Comparable)),
		Seconds:     sec,
		OpsPerS:     ratio(float64(t.Ops), sec),
		MiBPerS:     ratio(float64(t.BytesIn)/mib, sec),
		OutMiBPerS:  ratio(float64(t.BytesOut)/mib, sec),
		Service:     NewQuantiles(t.Latency[MetricService], 0),
		Response:    NewQuantiles(t.Latency[MetricResponse], t.Late()),
		Delay:       NewQuantiles(t.Latency[MetricDelay], 0),
		TTFB:        NewQuantiles(t.Latency[MetricTTFB], 0),
	}
	for _, name := range PhaseMetrics() {
		if h := t.Latency[name]; h != nil && h.TotalCount() > 0 {
			m.Phases = append(m.Phases, Phase{Name: name, Quantiles: NewQuantiles(h, 0)})
		}
	}
	for _, c := range t.Targets {
		q := NewQuantiles(c.Service, 0)
		m.Targets = append(m.Targets, Target{ID: c.ID, Ops: c.Ops, Errors: c.Errors,
			MiBPerS: ratio(float64(c.BytesIn)/mib, sec), P50Ms: q.P50Ms, P99Ms: q.P99Ms})
	}
	return m
}

// PerUnit fills in what resources are per operation and GiB.
func PerUnit(list []Resource, ops, bytes int64) {
	for i := range list {
		list[i].CPUUsPerOp, list[i].CPUSPerGiB = nil, nil
		if ops > 0 {
			v := list[i].CPUSeconds * 1e6 / float64(ops)
			list[i].CPUUsPerOp = &v
		}
		if bytes > 0 {
			v := list[i].CPUSeconds / (float64(bytes) / (1 << 30))
			list[i].CPUSPerGiB = &v
		}
	}
}

// AddResources adds b, of another time, to a, by component: CPU time, and the
// higher peak.
func AddResources(a, b []Resource) []Resource {
	for _, r := range b {
		i := slices.IndexFunc(a, func(o Resource) bool { return o.Component == r.Component })
		if i < 0 {
			a = append(a, r)
			continue
		}
		a[i].CPUSeconds += r.CPUSeconds
		a[i].PeakBytes = max(a[i].PeakBytes, r.PeakBytes)
		a[i].Processes = max(a[i].Processes, r.Processes)
		a[i].PeakLasting = a[i].PeakLasting || r.PeakLasting
	}
	return a
}

// ratio is a/b, 0 when b is: JSON has no infinity.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
