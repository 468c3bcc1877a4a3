package judge

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

const (
	maxPoints = 480 // of a Series: neighbours are joined beyond it
	maxOpen   = 64  // intervals of a block that may still grow
	// Slices of a Series, even numbers, and of all together: each may have
	// some thousand bars.
	minSlices, maxSlices, allSlices = 24, 64, 1920
)

// Evidence is what a run folder tells beyond its summary.
type Evidence struct {
	Run    *results.Run // without Intervals and Latency
	Series []*Series    // one for each row of the summary, in their order
	uses   []*uses      // memory, by arm and component
}

// Series is what the intervals of one operation of an arm tell, over all
// blocks but the partial ones, which count when there is no other.
type Series struct {
	Row *results.Row
	// Response and Service are of the measured time, nil without a value.
	Response, Service *hdrhistogram.Histogram
	Late              int64   // operations that are infinitely late, of the measured time
	Points            []Point // in the order of time, at most maxPoints
	// Warmup is what was counted of the warm-up, with its response times.
	Warmup  results.Measured
	slices  [][]stats.Bar // of equal numbers of intervals, in order
	most    int           // slices
	perEach int           // intervals of each slice but the last
	filled  int           // intervals of the last slice
	offsets []offset
	drifts  map[string][]float64 // by name of the series: of each block
	width   time.Duration        // of the longest interval
	warmed  time.Duration        // warm-up time of the longest block
	warm    *hdrhistogram.Histogram

	// Of arms with faults only.
	Parts     map[string]*results.Measured // by phase around faults, as Warmup
	parts     map[string]*hdrhistogram.Histogram
	recovered map[faultKey]Recovery
	steady    results.Counts // of the intervals that are steady
}

// Point is an interval, or several together when there are very many.
type Point struct {
	Start    time.Time
	Duration time.Duration
	Block    int
	Warmup   bool
	results.Counts
	// MeanMs is of the response time, NaN without a value; P50Ms, P99Ms and
	// P999Ms are those of the worst interval, and +Inf where they lie among
	// operations that are infinitely late.
	MeanMs, P50Ms, P99Ms, P999Ms float64
	Intervals                    int
}

// offset adds up, over blocks, what was measured at the same distance from the
// block's begin.
type offset struct {
	blocks          int
	rate, mean, p99 float64 // sums over blocks
	asked           float64 // sum of the offered rates
	ops             int64
	p99s            int // blocks that have one
}

// Read takes the evidence from a folder. Its errors are those of results.Read;
// a run without intervals is no error.
func Read(dir string) (*Evidence, error) {
	run, err := results.ReadDocuments(dir)
	if err != nil {
		return nil, err
	}
	r := newReader(run)
	if err := results.Each(dir, r.add); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := results.EachUsage(dir, r.addUsage); err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// Of is the evidence of a run whose intervals are given, not read, for runs that no
// disk holds.
func Of(run *results.Run, intervals []results.Interval) *Evidence {
	r := newReader(run)
	for _, iv := range intervals {
		_ = r.add(iv) // never fails
	}
	return r.finish()
}

// Find is the series of an arm's operation, nil without one.
func (e *Evidence) Find(arm, op string) *Series {
	for _, s := range e.Series {
		if s.Row.Name == arm && s.Row.Op == op {
			return s
		}
	}
	return nil
}

// reader takes intervals as they come. Counts are those of the service time, or
// of a job's objects: the response time is told beside it only where there are
// values, and not at all by who has it equal to the service time.
type reader struct {
	e       *Evidence
	at      map[armOp]*Series
	partial map[armOp]map[int]bool // blocks that do not count
	open    map[armOp]*openBlock
}

type armOp struct{ arm, op string }

func newReader(run *results.Run) *reader {
	r := &reader{e: &Evidence{Run: run}, at: map[armOp]*Series{}, partial: map[armOp]map[int]bool{}, open: map[armOp]*openBlock{}}
	for i := range run.Summary.Rows {
		row := &run.Summary.Rows[i]
		s := &Series{Row: row, drifts: map[string][]float64{}, perEach: 1, Parts: map[string]*results.Measured{},
			parts: map[string]*hdrhistogram.Histogram{}, recovered: map[faultKey]Recovery{},
			most: max(minSlices, min(maxSlices, allSlices/len(run.Summary.Rows)/2*2))}
		r.e.Series = append(r.e.Series, s)
		r.at[armOp{row.Name, row.Op}] = s
	}
	whole := map[armOp]bool{}
	for _, s := range run.Summary.Samples {
		whole[armOp{s.Arm, s.Op}] = whole[armOp{s.Arm, s.Op}] || !s.Partial
	}
	for _, s := range run.Summary.Samples {
		k := armOp{s.Arm, s.Op}
		if s.Partial && whole[k] {
			if r.partial[k] == nil {
				r.partial[k] = map[int]bool{}
			}
			r.partial[k][s.Block] = true
		}
	}
	return r
}

func (r *reader) add(iv results.Interval) error {
	k := armOp{iv.Key.Arm, iv.Key.Op}
	s := r.at[k]
	if s == nil || iv.Key.Target != "" || r.partial[k][iv.Key.Block] {
		return nil
	}
	if !slices.Contains([]string{results.MetricResponse, results.MetricService, results.MetricObject}, iv.Key.Metric) {
		return nil
	}
	if iv.Key.Metric != results.MetricResponse && iv.Key.Phase == results.PhaseMeasure {
		s.Service = merge(s.Service, iv.Latency)
	}
	b := r.open[k]
	if b == nil || b.number != iv.Key.Block {
		r.closeOthers(iv.Key)
		b = &openBlock{series: s, number: iv.Key.Block, faults: faultsOf(&r.e.Run.Summary, iv.Key.Arm, iv.Key.Block)}
		r.open[k] = b
	}
	b.add(iv)
	return nil
}

// closeOthers closes the blocks that are over when another one begins: arms are
// measured one after the other.
func (r *reader) closeOthers(now results.Key) {
	for k, b := range r.open {
		if k.arm != now.Arm || b.number != now.Block {
			b.close()
			delete(r.open, k)
		}
	}
}

func (r *reader) finish() *Evidence {
	for _, b := range r.open {
		b.close()
	}
	for _, s := range r.e.Series {
		if s.warm != nil || s.Warmup.Accounted() > 0 {
			s.Warmup.Intended = s.Warmup.Accounted()
			s.Warmup.Response = results.NewQuantiles(s.warm, s.Warmup.Late())
		}
		s.warm = nil
		for phase, m := range s.Parts {
			m.Intended = m.Accounted()
			m.Response = results.NewQuantiles(s.parts[phase], m.Late())
		}
		s.parts = nil
	}
	return r.e
}

func merge(into, h *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if h == nil {
		return into
	}
	if into == nil {
		into = results.NewHistogram()
	}
	into.Merge(h)
	return into
}

// openBlock is a block of a series while its intervals come in.
type openBlock struct {
	series   *Series
	number   int
	begin    time.Time
	open     []openInterval // that may still grow, in the order they came
	measured []point        // closed ones of the measured time
	warm     time.Duration
	faults   []results.Fault // in the order of time
	moments  []moment        // of a block with faults: closed ones
}

// openInterval holds bars in place of histograms, which take ten times as much.
type openInterval struct {
	start    time.Time
	duration time.Duration
	warmup   bool
	counted  bool // Counts are those of the service time
	results.Counts
	response, service []stats.Bar // in nanoseconds, sorted; response is nil when it is not told
}

// point is what steadiness looks at.
type point struct {
	seconds, rate, asked, mean, p99 float64
	ops                             int64
}

func (b *openBlock) add(iv results.Interval) {
	o := b.at(iv)
	o.duration = max(o.duration, iv.Duration)
	if iv.Key.Metric == results.MetricResponse {
		o.response = join(o.response, barsOf(iv.Latency))
		if !o.counted {
			o.Counts = iv.Counts
		}
		return
	}
	if !o.counted {
		o.counted, o.Counts = true, results.Counts{}
	}
	o.Add(iv.Counts)
	o.service = join(o.service, barsOf(iv.Latency))
}

// at is the open interval that a record belongs to.
func (b *openBlock) at(iv results.Interval) *openInterval {
	warmup := iv.Key.Phase == results.PhaseWarmup
	for i := len(b.open) - 1; i >= 0; i-- {
		if o := &b.open[i]; o.start.Equal(iv.Start) && o.warmup == warmup {
			return o
		}
	}
	if len(b.open) == maxOpen {
		b.settle(b.open[0])
		b.open = slices.Delete(b.open, 0, 1)
	}
	b.open = append(b.open, openInterval{start: iv.Start, warmup: warmup})
	return &b.open[len(b.open)-1]
}

// close settles what is open and looks at the block's steadiness.
func (b *openBlock) close() {
	slices.SortStableFunc(b.open, func(x, y openInterval) int { return x.start.Compare(y.start) })
	for _, o := range b.open {
		b.settle(o)
	}
	b.series.warmed = max(b.series.warmed, b.warm)
	b.keepSteady()
	b.series.judgeBlock(b.measured)
}

// keepSteady leaves to the judgement of steadiness what was not disturbed on
// purpose.
func (b *openBlock) keepSteady() {
	if len(b.faults) == 0 {
		return
	}
	s := b.series
	b.moments = slices.DeleteFunc(b.moments, func(m moment) bool { return s.short(m.point) })
	found, steady := recoveries(b.moments, b.faults)
	for i, r := range found {
		s.recovered[faultKey{b.faults[i].Number, b.number}] = r
	}
	for i, m := range b.moments {
		if m.warmup || steady[i] {
			s.offset(m.offset, m.point)
		}
		if steady[i] {
			b.measured = append(b.measured, m.point)
			s.steady.Add(m.counts)
		}
	}
}

// part adds an interval to its phase around faults.
func (s *Series) part(phase string, c results.Counts, h *hdrhistogram.Histogram) {
	if s.Parts[phase] == nil {
		s.Parts[phase] = &results.Measured{}
	}
	s.Parts[phase].Add(c)
	s.parts[phase] = merge(s.parts[phase], h)
}

// settle takes an interval that is complete.
func (b *openBlock) settle(iv openInterval) {
	s := b.series
	bars := iv.response
	if bars == nil {
		bars = iv.service
	}
	h := histogram(bars)
	if b.begin.IsZero() {
		b.begin = iv.start
	}
	if iv.warmup {
		b.warm += iv.duration
		s.Warmup.Add(iv.Counts)
		s.warm = merge(s.warm, h)
	} else {
		s.Late += iv.Late()
		s.Response = merge(s.Response, h)
		s.slice(bars, iv.Late())
		if len(b.faults) > 0 {
			s.part(phaseOf(iv.start, iv.start.Add(iv.duration), b.faults), iv.Counts, h)
		}
	}
	q := results.NewQuantiles(h, iv.Late())
	seconds := iv.duration.Seconds()
	s.point(Point{Start: iv.start, Duration: iv.duration, Block: b.number, Warmup: iv.warmup, Counts: iv.Counts, Intervals: 1,
		MeanMs: orNaN(q.MeanMs, q), P50Ms: orNaN(q.P50Ms, q), P99Ms: orNaN(q.P99Ms, q), P999Ms: orNaN(q.P999Ms, q)})
	s.width = max(s.width, iv.duration)
	if seconds <= 0 {
		return
	}
	p := point{seconds: seconds, rate: float64(iv.Ops) / seconds, asked: float64(iv.Accounted()) / seconds,
		mean: orNaN(q.MeanMs, q), p99: orNaN(q.P99Ms, q), ops: iv.Ops}
	at := iv.start.Sub(b.begin)
	if len(b.faults) > 0 {
		b.moments = append(b.moments, moment{point: p, begin: iv.start, end: iv.start.Add(iv.duration), offset: at, warmup: iv.warmup, counts: iv.Counts})
		return
	}
	if !iv.warmup {
		b.measured = append(b.measured, p)
	}
	s.offset(at, p)
}

// barsOf are a histogram's bars that are not empty, each at its largest value.
func barsOf(h *hdrhistogram.Histogram) []stats.Bar {
	if h == nil {
		return nil
	}
	var bars []stats.Bar
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			bars = append(bars, stats.Bar{Value: float64(b.To), Count: b.Count})
		}
	}
	return bars
}

// histogram undoes barsOf; nil without any.
func histogram(bars []stats.Bar) *hdrhistogram.Histogram {
	if len(bars) == 0 {
		return nil
	}
	h := results.NewHistogram()
	for _, b := range bars {
		_ = h.RecordValues(min(int64(b.Value), results.MaxLatency), b.Count)
	}
	return h
}

// orNaN is +Inf for a number among the infinite ones, and NaN for none.
func orNaN(v *float64, q results.Quantiles) float64 {
	switch {
	case v != nil:
		return *v
	case q.Infinite > 0:
		return math.Inf(1)
	}
	return math.NaN()
}

// slice adds an interval to the slices. When there are too many, neighbours
// are joined.
func (s *Series) slice(bars []stats.Bar, late int64) {
	bars = slices.Clone(bars)
	for i := range bars {
		bars[i].Value /= float64(time.Millisecond)
	}
	if late > 0 {
		bars = append(bars, stats.Bar{Value: math.Inf(1), Count: late})
	}
	if s.filled == s.perEach || len(s.slices) == 0 {
		if half := s.most / 2; len(s.slices) == s.most {
			for i := range half {
				s.slices[i] = join(s.slices[2*i], s.slices[2*i+1])
			}
			clear(s.slices[half:])
			s.slices = s.slices[:half]
			s.perEach *= 2
		}
		s.slices, s.filled = append(s.slices, nil), 0
	}
	last := len(s.slices) - 1
	s.slices[last] = join(s.slices[last], bars)
	s.filled++
}

// join adds bars up, both sorted by value.
func join(a, b []stats.Bar) []stats.Bar {
	out := make([]stats.Bar, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Value < b[0].Value:
			out, a = append(out, a[0]), a[1:]
		case a[0].Value > b[0].Value:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, stats.Bar{Value: a[0].Value, Count: a[0].Count + b[0].Count})
			a, b = a[1:], b[1:]
		}
	}
	return slices.Clip(append(append(out, a...), b...))
}

// point keeps an interval; beyond maxPoints neighbours are joined.
func (s *Series) point(p Point) {
	if len(s.Points) == maxPoints {
		kept := s.Points[:0]
		for i := 0; i < len(s.Points); i++ {
			q := s.Points[i]
			if i+1 < len(s.Points) && s.Points[i+1].Block == q.Block && s.Points[i+1].Warmup == q.Warmup {
				q = q.with(s.Points[i+1])
				i++
			}
			kept = append(kept, q)
		}
		if len(kept) == maxPoints { // of as many blocks: the oldest are left out
			kept = kept[1:]
		}
		s.Points = kept
	}
	s.Points = append(s.Points, p)
}

// with joins a point and the one after it.
func (p Point) with(next Point) Point {
	n, m := float64(p.Ops), float64(next.Ops)
	switch {
	case math.IsNaN(p.MeanMs):
		p.MeanMs = next.MeanMs
	case !math.IsNaN(next.MeanMs) && n+m > 0:
		p.MeanMs = (p.MeanMs*n + next.MeanMs*m) / (n + m)
	}
	worst := func(a, b float64) float64 {
		if math.IsNaN(a) || b > a {
			return b
		}
		return a
	}
	p.P50Ms, p.P99Ms, p.P999Ms = worst(p.P50Ms, next.P50Ms), worst(p.P99Ms, next.P99Ms), worst(p.P999Ms, next.P999Ms)
	p.Add(next.Counts)
	p.Duration += next.Duration
	p.Intervals += next.Intervals
	return p
}

// Quantile is a percentile of the response time with its interval, in
// milliseconds: of all requests, as they came over time. Its error is a
// *stats.TooFewError, or that there is nothing.
func (s *Series) Quantile(q float64) (stats.Interval, error) {
	return stats.QuantileOverTime(s.slices, q, stats.Options{Resamples: 1000})
}

// interval is the number of the row with the interval of Quantile, nil
// where either is not told.
func (s *Series) interval(value *float64, q float64) *Interval {
	i, err := s.Quantile(q)
	if err != nil || value == nil || math.IsInf(i.High, 0) {
		return nil
	}
	i.Estimate = *value
	out := told(i, 1)
	return &out
}

// P50 and P99 are percentiles of the response time with their intervals, nil
// where they rest on too little or are infinite.
func (s *Series) P50() *Interval { return s.interval(s.Row.Response.P50Ms, 0.5) }

// P99 is described at P50.
func (s *Series) P99() *Interval { return s.interval(s.Row.Response.P99Ms, 0.99) }
