package results

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// NewQuantiles are those of the values of h, in nanoseconds, with infinite
// more behind them. h may be nil.
func NewQuantiles(h *hdrhistogram.Histogram, infinite int64) Quantiles {
	var finite int64
	if h != nil {
		finite = h.TotalCount()
	}
	q := Quantiles{Count: finite + infinite, Infinite: infinite}
	if finite == 0 {
		return q
	}
	if infinite == 0 {
		q.MeanMs, q.MaxMs = ms(h.Mean()), ms(float64(h.Max()))
	}
	q.P50Ms, q.P90Ms = q.percentile(h, 50), q.percentile(h, 90)
	q.P99Ms, q.P999Ms = q.percentile(h, 99), q.percentile(h, 99.9)
	return q
}

// percentile is the value whose rank, rounded, is percent of Count; nil when
// it is infinite.
func (q *Quantiles) percentile(h *hdrhistogram.Histogram, percent float64) *float64 {
	rank := max(1, math.Floor(percent/100*float64(q.Count)+0.5))
	finite := float64(h.TotalCount())
	if rank > finite {
		return nil
	}
	return ms(float64(h.ValueAtPercentile(100 * rank / finite)))
}

func ms(ns float64) *float64 {
	v := ns / float64(time.Millisecond)
	return &v
}
