package loader

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// samples are n of them that nobody would expect: of every outcome, at two
// targets, over three seconds and in no order.
func samples(n int) []sample {
	list := make([]sample, n)
	for i := range list {
		w := draw.Word(1, uint64(i))
		at := func(most time.Duration) time.Duration {
			return time.Duration(draw.Below(draw.Word(w, 1), uint64(most)))
		}
		list[i] = sample{due: time.Duration(draw.Below(w, 3e9)), delay: at(time.Millisecond), service: at(time.Second), ttfb: at(time.Second / 2),
			proxy: at(time.Second / 10), headers: at(time.Second / 3), server: shares{at(time.Microsecond), notTold, at(time.Millisecond)},
			in: 2, out: 3, target: int32(i % 2), kind: opKind(i % 3), outcome: outcome(i % 7 % 5), verified: i%2 == 0}
		if o := list[i].outcome; o == shed || o == unsent {
			list[i].target = noTarget
		}
	}
	return list
}

// testCollector is one of two targets.
func testCollector(phases ...phase) *collector {
	if phases == nil {
		phases = []phase{{name: results.PhaseMeasure, length: 3 * time.Second}}
	}
	c := newCollector(phases, []string{"t1", "t2"})
	c.kinds = []opKind{opGetETL, opGet, opPut}
	return c
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	c := testCollector()
	stream := newStream(&scenarios.Scenario{Load: scenarios.Load{Mix: map[string]int{"get-etl": 9, "put": 1}, Keys: scenarios.Keys{Dist: "zipf", S: 0.9}},
		Verify: scenarios.Verify{Content: "all"}, Collect: scenarios.Collect{Phases: "all"}}, 100, 1)
	schedule := newPoisson(steady(1000, time.Hour), 1)
	rec := recorder{full: c.take}
	list := samples(1000)
	i := 0
	step := func() {
		s := list[i%len(list)]
		s.due = min(s.due, time.Second/2) // no interval ends: that writes to a file
		s.kind = stream.at(uint64(i)).kind
		s.delay = schedule.at(int64(i)) % time.Millisecond
		rec.record(&s)
		if i++; i%100 == 0 {
			c.take(rec.swap())
		}
	}
	for range 2 * chunk {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(3000, step))
}

func BenchmarkRecord(b *testing.B) {
	c := testCollector()
	rec := recorder{full: c.take}
	list := samples(1000)
	for i := range list {
		list[i].outcome, list[i].target, list[i].due = done, 0, 0
	}
	for _, looked := range []bool{false, true} {
		b.Run(fmt.Sprintf("live-view=%t", looked), func(b *testing.B) {
			quit, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				tick := time.NewTicker(progressEvery)
				defer tick.Stop()
				for looked {
					select {
					case <-tick.C:
						c.look(0, &Live{})
					case <-quit:
						return
					}
				}
			}()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				rec.record(&list[i%1000])
			}
			close(quit)
			<-done
		})
	}
}

func BenchmarkStream(b *testing.B) {
	s := newStream(&scenarios.Scenario{Load: scenarios.Load{Mix: map[string]int{"get-etl": 9, "put": 1}, Keys: scenarios.Keys{Dist: "zipf", S: 0.9}},
		Verify: scenarios.Verify{Content: "all"}, Collect: scenarios.Collect{Phases: "all"}}, 1e6, 1)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		s.at(i)
	}
}

// TestRecordersAddUp: however many workers share the samples, and in whatever
// order they come, the result is the same, count for count.
func TestRecordersAddUp(t *testing.T) {
	list := samples(30_000)
	want := newTally(2)
	for i := range list {
		want.add(&list[i])
	}
	for _, n := range []int{1, 2, 8, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := testCollector()
			written := map[results.Key]*series{}
			c.write = func(iv results.Interval) error {
				addInterval(written, iv)
				return nil
			}
			recs := make([]recorder, n)
			var wg sync.WaitGroup
			for w := range recs {
				recs[w].full = c.take
				wg.Go(func() {
					for i := w; i < len(list); i += n {
						recs[w].record(&list[i])
					}
				})
			}
			quit, collected := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(collected)
				for running := true; running; {
					select {
					case <-quit:
						running = false
					default:
					}
					for w := range recs {
						c.take(recs[w].swap())
					}
				}
			}()
			wg.Wait()
			close(quit)
			<-collected
			require.NoError(t, c.finish(3*time.Second))
			for k := range opKinds {
				for i := range want.cells[k] {
					requireSame(t, &want.cells[k][i], &c.totals[0].cells[k][i])
				}
				if k < opKind(len(c.kinds)) {
					requireSame(t, want.all(k), written[results.Key{Op: opNames[k], Phase: results.PhaseMeasure}])
				}
			}
			require.Equal(t, want.lastOK, c.totals[0].lastOK)

			// Sums of blocks keep their histograms encoded.
			var p packed
			half := newTally(2)
			for i := range list {
				half.add(&list[i])
				if i == len(list)/3 || i == len(list)-1 {
					p.add(half.all(opGet))
					half.reset()
				}
			}
			got := p.unpack()
			requireSame(t, want.all(opGet), &got)
		})
	}
}

// addInterval adds up what was written, over all intervals.
func addInterval(sums map[results.Key]*series, iv results.Interval) {
	key := iv.Key
	key.Metric = ""
	s := sums[key]
	if s == nil {
		s = &series{}
		sums[key] = s
	}
	one := series{}
	m := slices.Index(metricNames[:], iv.Key.Metric)
	one.hist[m] = iv.Latency
	if iv.Key.Metric == results.MetricService {
		one.Counts = iv.Counts
	}
	s.merge(&one)
}

func requireSame(t *testing.T, want, got *series) {
	t.Helper()
	require.Equal(t, want.Counts, got.Counts)
	for m := range want.hist {
		if empty(want.hist[m]) {
			require.True(t, empty(got.hist[m]))
			continue
		}
		require.True(t, want.hist[m].Equals(got.hist[m]), metricNames[m])
	}
}

// TestOperationsCountWhereTheyWereDue: also those that end long after, in
// another phase.
func TestOperationsCountWhereTheyWereDue(t *testing.T) {
	const sec = time.Second
	c := testCollector(phase{name: results.PhaseWarmup, length: 1500 * time.Millisecond}, phase{name: results.PhaseMeasure, start: 1500 * time.Millisecond, length: 2 * sec})
	c.kinds = []opKind{opGet}
	c.began = time.Unix(1000, 0)
	type record struct {
		phase           string
		start, duration time.Duration
		ops             int64
	}
	var got []record
	c.write = func(iv results.Interval) error {
		if iv.Key.Target == "" && iv.Key.Metric == results.MetricService {
			got = append(got, record{iv.Key.Phase, iv.Start.Sub(c.began), iv.Duration, iv.Ops})
		}
		return nil
	}
	op := func(phase uint8, due, took time.Duration) sample {
		return sample{due: due, service: took, phase: phase, kind: opGet, server: noShares()}
	}
	c.take([]sample{op(0, 0, sec), op(0, sec/2, 1)})
	c.take([]sample{op(0, 1400*time.Millisecond, 1), op(0, sec/4, 5*sec)})
	c.take([]sample{op(1, 2600*time.Millisecond, 1), op(0, 1100*time.Millisecond, sec), op(0, sec/8, sec)})
	require.NoError(t, c.finish(4*sec))
	require.Equal(t, []record{
		{"warmup", 0, sec, 2},
		{"warmup", sec, sec / 2, 1},                  // cut where the phase ends
		{"measure", 1500 * time.Millisecond, sec, 0}, // a standstill
		{"warmup", 0, sec, 1},                        // late
		{"measure", 2500 * time.Millisecond, sec, 1},
		{"warmup", 0, sec, 1}, // later
		{"warmup", sec, sec / 2, 1},
	}, got)
	require.EqualValues(t, 1, c.totals[1].all(opGet).Ops)
	require.EqualValues(t, 6, c.totals[0].all(opGet).Ops)
}

func TestTimesBeyondTheRangeAreClampedAndCounted(t *testing.T) {
	var c series
	c.add(&sample{service: time.Hour, server: noShares()})
	c.add(&sample{service: time.Second, server: noShares()})
	require.EqualValues(t, 3, c.clamped, "service, response and body")
	require.EqualValues(t, 2, c.hist[metricService].TotalCount(), "the worst values do not vanish")
	require.InEpsilon(t, float64(results.MaxLatency), float64(c.hist[metricService].Max()), 0.001)
	c.reset()
	require.Zero(t, c.hist[metricService].TotalCount())
	require.Zero(t, c.Ops)
}

func TestJobSpan(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	snap := func(from, to int) api.Snap { return api.Snap{Start: at(from), End: at(to)} }
	tests := []struct {
		name  string
		job   offlineJob
		start time.Time
		took  time.Duration
	}{
		{"targets tell", offlineJob{posted: at(0), seen: at(20), snaps: map[string]api.Snap{"a": snap(1, 7), "b": snap(2, 9)}}, at(1), 8 * time.Second},
		{"one is still at it", offlineJob{posted: at(0), seen: at(20), snaps: map[string]api.Snap{"a": snap(1, 7), "b": {Start: at(1)}}}, at(0), 20 * time.Second},
		{"only the status", offlineJob{posted: at(0), seen: at(20), status: api.JobStatus{EndTime: at(12).UnixNano()}}, at(0), 12 * time.Second},
		{"another clock", offlineJob{posted: at(0), seen: at(20), status: api.JobStatus{EndTime: at(-5).UnixNano()}}, at(0), 20 * time.Second},
		{"nothing", offlineJob{posted: at(0), seen: at(20)}, at(0), 20 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start, took := tt.job.span()
			require.Equal(t, tt.start, start)
			require.Equal(t, tt.took, took)
		})
	}
}
