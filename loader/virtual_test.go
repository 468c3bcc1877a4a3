package loader

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// queue is a server that takes one operation after the other, each for a time
// of its own, and is stalled for a while.
type queue struct {
	took    func(index uint64) time.Duration
	stalled func(at time.Time) time.Time // when an operation that comes at a moment is looked at
	wait    func(until time.Time)

	mu   sync.Mutex // guards free
	free time.Time
}

func (q *queue) serve(index uint64) {
	q.mu.Lock()
	start := time.Now()
	if q.stalled != nil {
		start = q.stalled(start)
	}
	if q.free.After(start) {
		start = q.free
	}
	q.free = start.Add(q.took(index))
	until := q.free
	q.mu.Unlock()
	q.wait(until)
}

// asking issues operations to a function.
type asking func(o op)

func (f asking) issue(o op, s *sample) (time.Time, error) {
	began := time.Now()
	f(o)
	s.service = time.Since(began)
	s.ttfb, s.headers, s.server = s.service, s.service, noShares()
	return began, nil
}

func (f asking) close() {}

func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }

// plainStream asks for nothing but GETs.
func plainStream() *stream {
	return newStream(&scenarios.Scenario{Load: scenarios.Load{Mix: map[string]int{"get": 1}, Keys: scenarios.Keys{Dist: "uniform"}},
		Verify: scenarios.Verify{Content: "off"}, Collect: scenarios.Collect{Phases: "off"}}, 10, 1)
}

// openLoad is an open loop of one measured phase, in virtual time.
func openLoad(s schedule, workers, inFlight int, ask func(o op)) *load {
	l := &load{phases: []phase{{name: results.PhaseMeasure, length: s.length(), due: s}}, stream: plainStream(), open: true,
		workers: workers, inFlight: inFlight, clock: clock{time.Sleep, func() func() { return func() {} }}, issuer: func(int) issuer { return asking(ask) }}
	l.sink = newCollector(l.phases, []string{"t1"})
	l.sink.kinds = []opKind{opGet}
	return l
}

func (l *load) mustRun(t *testing.T) *series {
	t.Helper()
	_, err := l.run(t.Context(), func(int) {})
	require.NoError(t, err)
	return l.sink.totals[len(l.phases)-1].all(opGet)
}

// mm1 and md1 are the quantiles of the time that a server takes for an
// operation, waiting included, whose operations come as a Poisson process.
// Times are in units of the mean service time.

func mm1(load, q float64) float64 { return -math.Log(1-q) / (1 - load) }

// md1 inverts P(wait ≤ t) = (1-ρ)·Σ (ρ(k-t))^k/k!·e^(-ρ(k-t)) over k = 0 … ⌊t⌋
// (Erlang 1909).
func md1(load, q float64) float64 {
	waits := func(t float64) float64 {
		sum, factorial := 0.0, 1.0
		for k := 0.0; k <= t; k++ {
			if k > 0 {
				factorial *= k
			}
			sum += math.Pow(load*(k-t), k) / factorial * math.Exp(-load*(k-t))
		}
		return (1 - load) * sum
	}
	low, high := 0.0, 25.0
	for range 60 {
		if mid := (low + high) / 2; waits(mid) < q {
			low = mid
		} else {
			high = mid
		}
	}
	return high + 1
}

// answered is when the server has answered each operation, from when it was
// due, computed one after the other (Lindley 1952).
func answered(s schedule, took func(index uint64) time.Duration) *series {
	all, free := &series{}, time.Duration(0)
	for i := range s.count() {
		at := s.at(i)
		free = max(free, at) + took(uint64(i))
		all.record(metricResponse, free-at)
	}
	return all
}

// TestResponseTimesFollowQueueingTheory: each operation's as computed, and so
// their quantiles as those of endless queues. At a load of 0.8, where 80,000
// operations are as good as a few hundred independent ones, a p99 that is 5 %
// off is no miracle; those of this seed are within 2 %.
func TestResponseTimesFollowQueueingTheory(t *testing.T) {
	const mean, seed = time.Millisecond, 42
	service := draw.Key(seed, "service")
	for name, server := range map[string]struct {
		theory func(load, q float64) float64
		took   func(index uint64) time.Duration
	}{
		"MM1": {mm1, func(i uint64) time.Duration {
			return time.Duration(draw.Exponential(draw.Word(service, i)) * float64(mean))
		}},
		"MD1": {md1, func(uint64) time.Duration { return mean }},
	} {
		for _, rho := range []float64{0.3, 0.5, 0.7, 0.8} {
			t.Run(fmt.Sprintf("%s at %v", name, rho), func(t *testing.T) {
				n := 80_000
				if raceEnabled {
					n = 5_000 // checks that there is no race; the numbers are checked without
				}
				synctest.Test(t, func(t *testing.T) {
					rate := scenarios.Rate(rho / mean.Seconds())
					q := &queue{took: server.took, wait: sleepUntil}
					s := newPoisson(steady(rate, time.Duration(float64(n)/float64(rate)*1e9)), draw.Key(seed, name))
					got := openLoad(s, 10_000, 10_000, func(o op) { q.serve(o.index) }).mustRun(t)
					require.EqualValues(t, s.count(), got.Ops)
					computed := answered(s, server.took)
					require.True(t, computed.hist[metricResponse].Equals(got.hist[metricResponse]), "operation by operation")
					for _, p := range []float64{50, 99} {
						want := server.theory(rho, p/100)
						have := float64(got.hist[metricResponse].ValueAtPercentile(p)) / float64(mean)
						t.Logf("p%v: %.3f, theory %.3f, %+.1f %%", p, have, want, 100*(have/want-1))
						if !raceEnabled {
							require.InEpsilon(t, want, have, 0.05, "p%v", p)
						}
					}
				})
			})
		}
	}
}

// TestStallShowsInTheResponseTime: of a minute of 1,000 operations a second
// over 10 connections, a server stalls for two seconds. The service time hides
// it: only the ten operations that were under way saw it.
func TestStallShowsInTheResponseTime(t *testing.T) {
	const stall = 2 * time.Second
	for name, model := range map[string]struct{ workers, inFlight int }{
		"waiting for ten workers": {10, 5000}, "as many workers as it takes": {5000, 5000}, "shed": {10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := time.Now().Add(20 * time.Second)
				ask := func(op) {
					if now := time.Now(); now.After(from) && now.Before(from.Add(stall)) {
						sleepUntil(from.Add(stall))
					}
					time.Sleep(time.Millisecond)
				}
				got := openLoad(evenly{steady(1000, time.Minute)}, model.workers, model.inFlight, ask).mustRun(t)
				require.EqualValues(t, 60_000, got.Accounted())
				response := results.NewQuantiles(got.hist[metricResponse], got.Late())
				service := results.NewQuantiles(got.hist[metricService], 0)
				t.Logf("response p99 %v, service p99 %v, shed %d", value(response.P99Ms), value(service.P99Ms), got.Shed)
				// Those that were due in the stall waited for what was left of it:
				// 2,000 of 60,000, of which the 600 that waited longest are 1 %.
				theory := float64(stall.Milliseconds()) * (1 - 600.0/2000)
				switch name {
				case "waiting for ten workers":
					// And then for those before them, ten at a time: number i is
					// answered i/10 ms after the stall, less 1 ms for each ms that it
					// came later.
					require.InEpsilon(t, theory+60, *response.P99Ms, 0.02)
					require.InEpsilon(t, 1, *service.P99Ms, 0.02, "which is why it is not enough")
				case "shed":
					require.InDelta(t, 1990, got.Shed, 2)
					require.Nil(t, response.P99Ms, "infinite")
					require.InEpsilon(t, 1, *service.P99Ms, 0.02)
				default:
					require.InEpsilon(t, theory, *response.P99Ms, 0.02)
					require.InEpsilon(t, theory, *service.P99Ms, 0.02, "all were sent in time, and the stall is the server's")
				}
				require.InEpsilon(t, 1, *response.P50Ms, 0.02)
			})
		})
	}
}

func value(v *float64) any {
	if v == nil {
		return "infinite"
	}
	return *v
}

// TestNoBurstsAboveTheSchedule: after a stall, operations go out at the rate of
// the schedule, as they do before. What was missed is shed.
func TestNoBurstsAboveTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Duration
		start := time.Now()
		ask := func(op) {
			at := time.Since(start)
			mu.Lock()
			sent = append(sent, at)
			mu.Unlock()
			if at > time.Second && at < 2*time.Second {
				time.Sleep(2*time.Second - at)
			}
		}
		got := openLoad(evenly{steady(1000, 3*time.Second)}, 10, 10, ask).mustRun(t)
		require.EqualValues(t, 3000, got.Accounted())
		require.InDelta(t, 990, got.Shed, 1)
		for i, at := range sent[10:] {
			require.GreaterOrEqual(t, at-sent[i], 9*time.Millisecond, "ten within 10 ms, and no more")
		}
	})
}

// TestEverythingIsAccountedFor: intended = done + errors + shed + unsent, of
// each operation and phase, in the totals and in what is written.
func TestEverythingIsAccountedFor(t *testing.T) {
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprintf("open %v", open), func(t *testing.T) {
			stream := newStream(&scenarios.Scenario{Load: scenarios.Load{Mix: map[string]int{"get-etl": 3, "get": 2, "put": 1}, Keys: scenarios.Keys{Dist: "zipf", S: 1}},
				Verify: scenarios.Verify{Content: "all"}, Collect: scenarios.Collect{Phases: "all"}}, 100, 1)
			warm, hot := steady(20_000, 100*time.Millisecond), staged(0, []scenarios.Stage{{To: 40_000, Over: seconds(0.2)}, {Hold: seconds(0.1)}})
			l := &load{phases: []phase{{name: results.PhaseWarmup, length: warm.took}, {name: results.PhaseMeasure, length: hot.took}},
				stream: stream, open: open, workers: 8, inFlight: 40, clock: sharp,
				failed: func(int, op, int32, error) {}, issuer: func(id int) issuer { return &flaky{key: uint64(id)} }}
			if open {
				l.phases[0].due, l.phases[1].due = newPoisson(warm, 1), newPoisson(hot, 2)
				l.phases[1].start, l.phases[1].first = warm.took, uint64(warm.operations())
			}
			l.sink = newCollector(l.phases, []string{"t1", "t2"})
			l.sink.every = 20 * time.Millisecond
			l.sink.kinds = []opKind{opGetETL, opGet, opPut}
			written := map[results.Key]*series{}
			l.sink.write = func(iv results.Interval) error {
				addInterval(written, iv)
				return nil
			}
			_, err := l.run(t.Context(), func(int) {})
			require.NoError(t, err)
			sums := [2]int64{}
			for p := range l.phases {
				for _, k := range l.sink.kinds {
					all := l.sink.totals[p].all(k)
					require.Equal(t, l.intended[p][k], all.Accounted(), "%s of %s", opNames[k], l.phases[p].name)
					requireSame(t, all, written[results.Key{Op: opNames[k], Phase: l.phases[p].name}])
					require.Equal(t, all.Ops, all.hist[metricResponse].TotalCount())
					sums[p] += all.Accounted()
				}
			}
			measured := l.sink.totals[1].all(opGetETL)
			require.Positive(t, measured.Ops)
			require.Positive(t, measured.Errors)
			require.Positive(t, measured.Timeouts)
			if open {
				require.Equal(t, [2]int64{2000, 8000}, sums, "exactly as many as the schedule has")
				require.Positive(t, measured.Shed)
				require.Positive(t, measured.Unsent+l.sink.totals[1].all(opGet).Unsent+l.sink.totals[1].all(opPut).Unsent)
			}
		})
	}
}

// flaky takes a while, and fails now and then.
type flaky struct{ key, n uint64 }

func (f *flaky) issue(o op, s *sample) (time.Time, error) {
	began := time.Now()
	f.n++
	w := draw.Word(f.key, f.n)
	time.Sleep(time.Duration(draw.Below(w, uint64(2*time.Millisecond))))
	s.service, s.target, s.in, s.out = time.Since(began), int32(w%2), 3, 5
	s.server = noShares()
	switch w >> 60 {
	case 0:
		return began, &failure{classDigest, fmt.Errorf("wrong")}
	case 1:
		return began, &failure{classTimeout, fmt.Errorf("too late")}
	}
	return began, nil
}

func (f *flaky) close() {}

// TestMemoryStaysFlat goes through an hour of 20,000 operations a second:
// schedule, stream, recorders and collector as a run has them, but for the
// waiting, into a run folder.
func TestMemoryStaysFlat(t *testing.T) {
	const rate, workers = 20_000, 64
	length := time.Hour
	switch {
	case raceEnabled:
		length = 30 * time.Second
	case os.Getenv("ETLBENCH_TEST_LARGE") == "":
		length = 4 * time.Minute // make test-all has the whole hour, without the race detector
	}
	w, err := results.Create(t.TempDir(), nil, results.Env{})
	require.NoError(t, err)
	defer w.Close()
	s, stream := newPoisson(steady(rate, length), 1), plainStream()
	c := newCollector([]phase{{name: results.PhaseMeasure, length: length, due: s}}, []string{"t1", "t2", "t3"})
	c.kinds, c.write, c.began = []opKind{opGet}, w.Interval, time.Unix(1e9, 0)
	recs := make([]recorder, workers)
	for i := range recs {
		recs[i].full = c.take
	}
	var heaps []uint64
	for i := range s.count() {
		at, o := s.at(i), stream.at(uint64(i))
		d := time.Duration(draw.Word(5, uint64(i)) % uint64(20*time.Millisecond))
		if i%10_000 == 0 {
			d += 30 * time.Second // long after its interval
		}
		recs[i%workers].record(&sample{due: at, service: d, ttfb: d / 2, proxy: d / 8, headers: d / 3, kind: o.kind, target: int32(i % 3),
			server: shares{d / 16, d / 4, d / 5}})
		if i%(rate/4) == 0 {
			for r := range recs {
				c.take(recs[r].swap())
			}
		}
		if i%(s.count()/8) == s.count()/8-1 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			heaps = append(heaps, m.HeapAlloc)
		}
	}
	for r := range recs {
		c.take(recs[r].swap())
	}
	require.NoError(t, c.finish(length))
	require.Equal(t, s.count(), c.totals[0].all(opGet).Ops)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap after each eighth: %d MiB; from the system: %d MiB", heaps[0]>>20, m.Sys>>20)
	require.Less(t, slices.Max(heaps), slices.Min(heaps)+16<<20, "%v", heaps)
	require.Less(t, m.Sys, uint64(256<<20))
}

// TestInterruptedOpenLoopIsAccountedFor: what was due until the end of the run
// counts, and what was waiting then was not sent.
func TestInterruptedOpenLoopIsAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		l := openLoad(evenly{steady(1000, time.Hour)}, 2, 100, func(op) { time.Sleep(10 * time.Millisecond) })
		end, err := l.run(ctx, func(int) {})
		require.NoError(t, err)
		require.Less(t, end, time.Second)
		got := l.sink.totals[0].all(opGet)
		require.Equal(t, l.intended[0][opGet], got.Accounted())
		require.InDelta(t, 500, got.Accounted(), 15)
		require.InDelta(t, 100, got.Ops, 5, "two workers, 10 ms each")
		require.InDelta(t, 98, got.Unsent, 3)
	})
}
