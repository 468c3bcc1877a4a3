package loader

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/etlbench/etlbench/reports/results"
)

// usage is what an arm's measured time took, and how the generator fared.
type usage struct {
	resources []results.Resource
	moved     *int64
	generator results.Generator
}

// watch looks at this machine while an arm is measured. Its zero value, once
// started, does so until it is stopped.
type watch struct {
	*run
	arm   *arm
	block int
	load  *load
	once  sync.Once
	quit  chan struct{}
	done  chan struct{}
	usage usage
}

// watch prepares one. Nothing runs yet. l may be nil: a job loads nothing.
func (r *run) watch(a *arm, block int, l *load) *watch {
	return &watch{run: r, arm: a, block: block, load: l, quit: make(chan struct{}), done: make(chan struct{})}
}

// start begins. It returns at once: reading /proc takes a while, and the
// caller may be a pacer.
func (w *watch) start() { w.once.Do(func() { go w.look() }) }

// stop returns what was seen; nothing when it was never started.
func (w *watch) stop() usage {
	w.once.Do(func() { close(w.done) })
	close(w.quit)
	<-w.done
	return w.usage
}

func (w *watch) look() {
	defer close(w.done)
	forgotten := w.forgetPeaks(w.arm)
	before, start := w.consumed(w.arm), readGenerator(w.cgroup)
	bytes, local := moved()
	var wg sync.WaitGroup
	wg.Go(w.series)
	defer wg.Wait()
	h := w.hiccups()
	end := readGenerator(w.cgroup)
	after := w.consumed(w.arm)
	for component, c := range before {
		c.lasting = !forgotten
		before[component] = c
	}
	w.usage.resources = between(before, after)
	if now, ok := moved(); ok && local && w.Loopback {
		delta := now - bytes
		w.usage.moved = &delta
	}
	w.usage.generator = start.until(end)
	w.usage.generator.HiccupP99Ms, w.usage.generator.HiccupMaxMs = quantile(h.over, 99), quantile(h.over, 100)
	if w.load != nil && h.took > 0 {
		mean := h.busy.Seconds() / h.took.Seconds()
		w.usage.generator.InFlightMean, w.usage.generator.InFlightMax = &mean, h.most
		w.usage.generator.Connections = h.connections
	}
}

// hiccups are what a goroutine sees that sleeps for a millisecond, over and
// over.
type hiccups struct {
	over        *hdrhistogram.Histogram // how much longer it slept
	took, busy  time.Duration           // until the last look, and what operations were under way of it together
	most        int64                   // of them at a look
	connections int64                   // open at most
}

func (w *watch) hiccups() hiccups {
	h := hiccups{over: results.NewHistogram()}
	began := time.Now()
	_, before := w.underWay(began)
	for {
		select {
		case <-w.quit:
			return h
		default:
		}
		from := time.Now()
		time.Sleep(time.Millisecond)
		_ = h.over.RecordValue(int64(max(0, time.Since(from)-time.Millisecond)))
		h.connections = max(h.connections, w.connections.Load())
		now := time.Now()
		n, sum := w.underWay(now)
		h.took, h.busy, h.most = now.Sub(began), sum-before, max(h.most, n)
	}
}

// underWay is that of the load, if there is one.
func (w *watch) underWay(now time.Time) (n int64, sum time.Duration) {
	if w.load == nil {
		return 0, 0
	}
	return w.load.busy.at(now)
}

// generator is a reading of this process's counters.
type generator struct {
	at        time.Time
	cpu       float64 // seconds
	gc, sched *metrics.Float64Histogram
	throttled *throttling
	runQueue  float64 // seconds; negative when nothing tells
	quota     *float64
}

func readGenerator(g *cgroup) generator {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/latencies:seconds"}}
	metrics.Read(s)
	r := generator{at: time.Now(), cpu: ownCPU(), gc: histogramOf(s[0]), sched: histogramOf(s[1]), runQueue: runQueue()}
	if g == nil {
		return r
	}
	if t, ok := g.throttled(); ok {
		r.throttled = &t
	}
	if q, ok := g.quota(); ok {
		r.quota = &q
	}
	return r
}

func histogramOf(s metrics.Sample) *metrics.Float64Histogram {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return s.Value.Float64Histogram()
}

// until is what happened from one reading to the next.
func (a generator) until(b generator) results.Generator {
	g := results.Generator{CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), CPUSeconds: b.cpu - a.cpu, CPUQuota: b.quota,
		GCPauseP99Ms: growthP99(a.gc, b.gc), SchedP99Ms: growthP99(a.sched, b.sched)}
	g.CPUShare = ratio(g.CPUSeconds, b.at.Sub(a.at).Seconds()*float64(g.GOMAXPROCS))
	if a.throttled != nil && b.throttled != nil {
		times, sec := b.throttled.times-a.throttled.times, b.throttled.seconds-a.throttled.seconds
		g.ThrottledTimes, g.ThrottledS = &times, &sec
	}
	if a.runQueue >= 0 && b.runQueue >= 0 {
		waited := max(0, b.runQueue-a.runQueue)
		g.RunQueueS = &waited
	}
	return g
}

// growthP99 is the 99th percentile of what came between two readings of a
// histogram, as the upper end of its bucket in milliseconds; nil when nothing
// came.
func growthP99(a, b *metrics.Float64Histogram) *float64 {
	if a == nil || b == nil || len(a.Counts) != len(b.Counts) {
		return nil
	}
	var total uint64
	for i := range b.Counts {
		total += b.Counts[i] - a.Counts[i]
	}
	if total == 0 {
		return nil
	}
	rank, seen := uint64(math.Ceil(0.99*float64(total))), uint64(0)
	for i := range b.Counts {
		if seen += b.Counts[i] - a.Counts[i]; seen >= rank {
			end := b.Buckets[i+1]
			if math.IsInf(end, 1) {
				end = b.Buckets[i]
			}
			return ms(end * 1e9)
		}
	}
	return nil
}

// runQueue is how long this process's threads have waited for a CPU, in
// seconds; -1 when nothing tells. Threads that have ended are forgotten.
func runQueue() float64 {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat")
	sum, told := 0.0, false
	for _, f := range files {
		data, err := os.ReadFile(f)
		fields := strings.Fields(string(data))
		if err != nil || len(fields) < 2 {
			continue
		}
		if ns, err := strconv.ParseFloat(fields[1], 64); err == nil {
			sum, told = sum+ns/1e9, true
		}
	}
	if !told {
		return -1
	}
	return sum
}
