package loader

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
)

// metric is what the values of a histogram are.
type metric uint8

const (
	metricService metric = iota // also of single targets
	metricResponse
	metricDelay
	metricTTFB
	metricProxy
	metricTarget
	metricBody
	metricServer // the first of len(shares{})
	metricInit   = metricServer + metric(len(shares{}))
	metricObject = metricService // of jobs
)

// Stages of a cold start.
const (
	metricInitControl = metricInit + iota
	metricInitPull
	metricInitLaunch
	metricInitReady
	metricInitFirst
	metricCount
)

// metricNames are the metrics as results call them.
var metricNames = [metricCount]string{results.MetricService, results.MetricResponse, results.MetricDelay, results.MetricTTFB,
	results.MetricProxy, results.MetricTarget, results.MetricBody,
	results.MetricServerProxy, results.MetricServerTarget, results.MetricServerPod,
	results.MetricInitControl, results.MetricInitPull, results.MetricInitLaunch, results.MetricInitReady, results.MetricInitFirst}

// series adds up the samples of one operation at one target, or at all.
type series struct {
	results.Counts
	verified int64                                // of Ops
	wrong    int64                                // of Errors
	clamped  int64                                // values beyond the histograms' range
	hist     [metricCount]*hdrhistogram.Histogram // nil until there is a value
}

// count counts s. Failed operations have no latency: one that was refused at
// once would make the rest look good.
func (c *series) count(s *sample) {
	switch s.outcome {
	case done:
		c.Ops++
		c.BytesIn += s.in
		c.BytesOut += s.out
		if s.verified {
			c.verified++
		}
	case late:
		c.Timeouts++
		fallthrough
	case broken:
		c.Errors++
		if s.wrong {
			c.wrong++
		}
	case shed:
		c.Shed++
	case unsent:
		c.Unsent++
	}
}

// add counts s with all its times.
func (c *series) add(s *sample) {
	c.count(s)
	if s.outcome != done {
		return
	}
	c.record(metricService, s.service)
	c.record(metricResponse, s.delay+s.service)
	c.record(metricDelay, s.delay)
	c.record(metricTTFB, s.ttfb)
	c.record(metricProxy, s.proxy)
	c.record(metricTarget, s.headers-s.proxy)
	c.record(metricBody, s.service-s.headers)
	for i, d := range s.server {
		if d != notTold {
			c.record(metricServer+metric(i), d)
		}
	}
}

// record records v, or the largest value there is. Refusing the others would
// lose the worst ones.
func (c *series) record(m metric, v time.Duration) {
	h := c.hist[m]
	if h == nil {
		h = results.NewHistogram()
		c.hist[m] = h
	}
	if int64(v) > results.MaxLatency {
		v = time.Duration(results.MaxLatency)
		c.clamped++
	}
	// The only other error is a negative value, which no monotonic clock gives.
	_ = h.RecordValue(max(int64(v), 0))
}

// reset empties the series and keeps its histograms.
func (c *series) reset() {
	for _, h := range c.hist {
		if h != nil && h.TotalCount() > 0 {
			h.Reset()
		}
	}
	*c = series{hist: c.hist}
}

// merge adds o, which stays as it is.
func (c *series) merge(o *series) {
	c.Add(o.Counts)
	c.verified += o.verified
	c.wrong += o.wrong
	c.clamped += o.clamped
	for m, h := range o.hist {
		if h == nil || h.TotalCount() == 0 {
			continue
		}
		if c.hist[m] == nil {
			c.hist[m] = results.NewHistogram()
		}
		c.hist[m].Merge(h)
	}
}

// tally is the series of a stretch of time: of every operation at every
// target, and, as the last "target", at all of them. Single targets have the
// service time only. Operations that were never sent are no target's.
type tally struct {
	targets int
	cells   [opKinds][]series
	lastOK  time.Duration // when the last operation without error ended, from the start of the load
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
	t.all(s.kind).add(s)
	if s.outcome == shed || s.outcome == unsent {
		return
	}
	c := &t.cells[s.kind][s.target]
	c.count(s)
	if s.outcome == done {
		c.record(metricService, s.service)
		t.lastOK = max(t.lastOK, s.due+s.delay+s.service)
	}
}

func (t *tally) reset() {
	for k := range t.cells {
		for i := range t.cells[k] {
			t.cells[k][i].reset()
		}
	}
	t.lastOK = 0
}
