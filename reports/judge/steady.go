package judge

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

const (
	maxOffsets   = 100_000 // intervals of a block that are looked at
	enoughForP99 = 100     // operations of an interval, for its p99 to be part of a series
)

// The series whose steadiness is looked at.
func seriesNames() []string { return []string{"throughput", "mean response", "p99 response"} }

// value is an interval's value of a series, NaN without one.
func (p point) value(name string) float64 {
	switch {
	case name == "throughput":
		return p.rate
	case name == "mean response":
		return p.mean
	case p.ops < enoughForP99:
		return math.NaN()
	}
	return p.p99
}

// offset adds a block's interval to those at the same distance from the begin.
func (s *Series) offset(at time.Duration, p point) {
	i := int(math.Round(at.Seconds() / s.width.Seconds()))
	if i < 0 || i >= maxOffsets || s.short(p) {
		return
	}
	for len(s.offsets) <= i {
		s.offsets = append(s.offsets, offset{})
	}
	o := &s.offsets[i]
	o.blocks++
	o.rate += p.rate
	o.asked += p.asked
	o.ops += p.ops
	if !math.IsNaN(p.mean) {
		o.mean += p.mean
	}
	if v := p.value("p99 response"); !math.IsNaN(v) {
		o.p99 += v
		o.p99s++
	}
}

// short is true of the rest of an interval at the end of a phase: it says
// little of the rate and much of chance.
func (s *Series) short(p point) bool { return p.seconds < 0.9*s.width.Seconds() }

// judgeBlock notes by how much each series changed over a block's measured
// time.
func (s *Series) judgeBlock(measured []point) {
	measured = slices.DeleteFunc(measured, s.short)
	for _, name := range seriesNames() {
		values := make([]float64, len(measured))
		for i, p := range measured {
			values[i] = p.value(name)
		}
		if slices.ContainsFunc(values, unusable) {
			continue
		}
		if st, err := stats.Steady(values); err == nil {
			s.drifts[name] = append(s.drifts[name], st.Drift)
		}
	}
}

func unusable(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// drift is by how much a series changes from the begin of the measured time to
// its end, as a share of its mean, with an interval of the level. With enough
// blocks it is their middle; with fewer, that of their mean course. False when
// there is too little to tell.
func (s *Series) drift(name string, level float64) (stats.Interval, bool) {
	if ds := s.drifts[name]; len(ds) >= stats.MinBlocks {
		c, err := stats.Center(ds, stats.Options{Level: level, Resamples: 2000})
		return c, err == nil
	}
	values := s.course(name, true)
	st, err := stats.Steady(values)
	if err != nil {
		return stats.Interval{}, false
	}
	scale := float64(len(values)) / stat.Mean(values, nil)
	// Steady's interval is one of 95 %: that of another level is as much wider
	// as the normal distribution's.
	half := (st.Slope.High - st.Slope.Estimate) * distuv.UnitNormal.Quantile((1+level)/2) / distuv.UnitNormal.Quantile(0.975)
	half *= math.Abs(scale)
	return stats.Interval{Estimate: st.Drift, Low: st.Drift - half, High: st.Drift + half, Level: level}, true
}

// course is the mean over blocks of a series, by the distance from the block's
// begin, where all blocks have a value; of the measured time only, or with the
// warm-up.
func (s *Series) course(name string, measured bool) []float64 {
	var values []float64
	most := 0
	for _, o := range s.offsets {
		most = max(most, o.blocks)
	}
	for i, o := range s.offsets {
		if measured && time.Duration(i)*s.width < s.warmed {
			continue
		}
		n, v := o.blocks, o.rate
		switch name {
		case "mean response":
			v = o.mean
		case "p99 response":
			n, v = o.p99s, o.p99
		}
		if n < most || n == 0 {
			if len(values) > 0 && len(s.recovered) == 0 { // faults leave gaps
				break
			}
			continue
		}
		values = append(values, v/float64(n))
	}
	if slices.ContainsFunc(values, unusable) {
		return nil
	}
	return values
}

// warmupEnd is where MSER-5 cuts the response times' course over warm-up and
// measured time: a time from the block's begin.
func (s *Series) warmupEnd() (time.Duration, error) {
	cut, err := stats.Warmup(s.course("mean response", false))
	return time.Duration(cut) * s.width, err
}

// planned tells whether the offered rate changes more than chance has it, as
// with stages or a trace: such a load is not to be steady.
func (s *Series) planned(l results.Load) bool {
	if l.Model != "open" {
		return false
	}
	var counts []float64
	for i, o := range s.offsets {
		if time.Duration(i)*s.width >= s.warmed && o.blocks > 0 {
			counts = append(counts, o.asked*s.width.Seconds())
		}
	}
	if len(counts) < 3 {
		return false
	}
	mean, variance := stat.MeanVariance(counts, nil)
	return variance > 4*mean+math.Pow(stats.MaxDrift*mean, 2)
}
