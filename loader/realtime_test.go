package loader_test

import (
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// tries is how often a machine that is busy with other things is given another
// chance.
const tries = 3

// TestStallIsSeenOnEveryPath: a cluster stalls for two of five seconds. The
// response times say so, through every communication type and of plain
// operations; the service times, of four workers, do not.
func TestStallIsSeenOnEveryPath(t *testing.T) {
	const (
		rate   = 100
		before = 1500 * time.Millisecond
		stall  = 2 * time.Second
		length = 5 * time.Second
	)
	// Of 500 operations, 200 are due in the stall and wait for what is left of
	// it; the 5 that wait longest are 1 %.
	theory := (stall.Seconds() - 5.0/rate) * 1000
	for name, op := range map[string]string{"hpush": "etl", "hpull": "etl", "hrev": "etl", "get": "get", "put": "put", "head": "get"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for try := 1; ; try++ {
				row, generator := stalled(t, name, op, rate, before, stall, length)
				require.EqualValues(t, rate*length.Seconds(), row.Intended)
				require.Zero(t, row.Shed)
				if row.Response.P99Ms == nil { // some were never sent
					require.Less(t, try, tries, "the machine never keeps up with %d/s", rate)
					continue
				}
				require.Less(t, *row.Service.P90Ms, theory/10)
				require.Greater(t, *row.Delay.P99Ms, theory/2, "what the workers were busy for")
				off := math.Abs(*row.Response.P99Ms/theory - 1)
				t.Logf("response p99 %.0f ms (theory %.0f), service p99 %.1f ms", *row.Response.P99Ms, theory, *row.Service.P99Ms)
				if off <= 0.02 {
					return
				}
				if try == tries {
					// A machine that is never quiet may add what it adds to a sleep.
					require.LessOrEqual(t, off, 0.02+min(0.2, *generator.HiccupMaxMs/theory))
					return
				}
			}
		})
	}
}

// stalled drives a cluster that stalls, once, some time after it was first asked.
func stalled(t *testing.T, name, op string, rate scenarios.Rate, before, stall, length time.Duration) (results.Row, results.Generator) {
	h := newHarness(t, some(8))
	h.Scenario.Load = scenarios.Load{Model: scenarios.ModelOpen, Arrival: scenarios.ArrivalConstant, Rate: rate, InFlight: 2000, Workers: 4,
		Timeout: scenarios.Duration(10 * time.Second), Mix: map[string]int{"get-etl": 1}, Keys: scenarios.Keys{Dist: scenarios.KeysUniform}}
	h.Scenario.Phases = scenarios.Phases{Measure: scenarios.Duration(length)}
	if op == "etl" {
		h.Scenario.Arms.Comm = []string{name}
	} else {
		h.Scenario.Load.Mix = map[string]int{name: 1}
	}
	var (
		mu    sync.Mutex
		begun time.Time
	)
	h.fault = func(kind, bucket, _ string) string {
		if kind != op || op == "put" && bucket == "src" {
			return ""
		}
		mu.Lock()
		if begun.IsZero() {
			begun = time.Now()
		}
		from := begun.Add(before)
		mu.Unlock()
		if now := time.Now(); now.After(from) && now.Before(from.Add(stall)) {
			time.Sleep(time.Until(from.Add(stall)))
		}
		return ""
	}
	s, r := h.run()
	require.Empty(t, r.Errors)
	return s.Rows[0], s.Blocks[0].Generator
}

// TestRealQueue drives one server of known service times over HTTP at half of
// what it can do. On a machine that is busy with other things the times are not
// the server's, which the generator's own noise tells.
func TestRealQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s; TestResponseTimesFollowQueueingTheory has the same in virtual time")
	}
	const mean, rate = 10 * time.Millisecond, 50
	const quiet = 2.0 // ms, of the p99 of the noise
	key := draw.Key(42, "real service")
	for try := 1; ; try++ {
		h := newHarness(t, some(8))
		h.Scenario.Load = scenarios.Load{Model: scenarios.ModelOpen, Arrival: scenarios.ArrivalPoisson, Rate: rate, InFlight: 500, Workers: 500,
			Timeout: scenarios.Duration(10 * time.Second), Mix: map[string]int{"get": 1}, Keys: scenarios.Keys{Dist: scenarios.KeysUniform}}
		h.Scenario.Phases = scenarios.Phases{Measure: scenarios.Duration(20 * time.Second)}
		h.Scenario.Seed = 84
		var (
			mu     sync.Mutex
			free   time.Time
			served uint64
		)
		for _, server := range h.targets {
			serve := server.Config.Handler
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					mu.Lock()
					free = latest(free, time.Now()).Add(time.Duration(draw.Exponential(draw.Word(key, served)) * float64(mean)))
					served++
					until := free
					mu.Unlock()
					time.Sleep(time.Until(until))
				}
				serve.ServeHTTP(w, r)
			})
		}
		s, _ := h.run()
		row := s.Rows[0]
		off := 0.0
		for q, got := range map[float64]float64{0.5: *row.Response.P50Ms, 0.99: *row.Response.P99Ms} {
			want := -math.Log(1-q) * float64(mean.Milliseconds()) / (1 - rate*mean.Seconds())
			off = max(off, math.Abs(got/want-1))
			t.Logf("p%v: %.2f ms, theory %.2f ms", 100*q, got, want)
		}
		if off <= 0.15 {
			return
		}
		if noise := *s.Blocks[0].Generator.HiccupP99Ms; noise > quiet {
			t.Skipf("this machine is too busy: of the sleeps of 1 ms, 1 %% took %.1f ms longer", noise)
		}
		require.Less(t, try, tries, "%.0f %% off", 100*off)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
