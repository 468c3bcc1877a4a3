package results

import (
	"slices"
	"strings"
)

// Numbers are the names that Value knows, for messages: a percentile of the
// response time in milliseconds ("p99"), or of another time when its metric
// stands before it ("service.p99"); and the rest in their own units.
func Numbers() []string {
	list := slices.Clone(times)
	for _, of := range []string{MetricService, MetricDelay, MetricTTFB} {
		for _, t := range times {
			list = append(list, of+"."+t)
		}
	}
	return append(list, "ops/s", "mib/s", "errors", "shed", "achieved", "cpu-us/op", "cpu-s/gib", "moved")
}

// times are the numbers of Quantiles.
var times = []string{"mean", "p50", "p90", "p99", "p99.9", "max"}

// Value is a number by the name that gates, comparisons and trials.stop-at use
// (see Numbers); false when there is no such number, nobody could tell it, or
// it is infinite. Shares ("errors", "shed", "achieved") are in percent of what
// was intended; "cpu-us/op" and "cpu-s/gib" add all components up; "moved" is
// bytes moved per byte delivered.
func (m *Measured) Value(name string) (float64, bool) {
	share := func(n int64) (float64, bool) { return 100 * float64(n) / float64(m.Intended), m.Intended > 0 }
	switch name {
	case "ops/s":
		return m.OpsPerS, m.Seconds > 0
	case "mib/s":
		return m.MiBPerS, m.Seconds > 0
	case "errors":
		return share(m.Errors)
	case "shed":
		return share(m.Shed)
	case "achieved":
		return share(m.Ops)
	case "moved":
		if m.MovedBytes == nil || m.BytesOut == 0 {
			return 0, false
		}
		return float64(*m.MovedBytes) / float64(m.BytesOut), true
	case "cpu-us/op":
		return m.cpu(func(r Resource) *float64 { return r.CPUUsPerOp })
	case "cpu-s/gib":
		return m.cpu(func(r Resource) *float64 { return r.CPUSPerGiB })
	}
	of, number, named := strings.Cut(name, ".")
	switch {
	case named && of == MetricService:
		return m.Service.value(number)
	case named && of == MetricDelay:
		return m.Delay.value(number)
	case named && of == MetricTTFB:
		return m.TTFB.value(number)
	}
	return m.Response.value(name)
}

// cpu adds a number of all components up.
func (m *Measured) cpu(of func(Resource) *float64) (sum float64, ok bool) {
	for _, r := range m.Resources {
		v := of(r)
		if v == nil {
			return 0, false
		}
		sum += *v
	}
	return sum, len(m.Resources) > 0
}

func (q *Quantiles) value(name string) (float64, bool) {
	var v *float64
	switch name {
	case "mean":
		v = q.MeanMs
	case "p50":
		v = q.P50Ms
	case "p90":
		v = q.P90Ms
	case "p99":
		v = q.P99Ms
	case "p99.9":
		v = q.P999Ms
	case "max":
		v = q.MaxMs
	}
	if v == nil {
		return 0, false
	}
	return *v, true
}
