package loader

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

func TestSharesAddUp(t *testing.T) {
	for of := 1; of <= 7; of++ {
		for all := of; all < 30; all++ {
			sum, parts := 0, []int{}
			for i := range of {
				part := share{i, of}.part(all)
				require.Positive(t, part)
				sum, parts = sum+part, append(parts, part)
			}
			require.Equal(t, all, sum)
			require.LessOrEqual(t, slices.Max(parts)-slices.Min(parts), 1)
		}
		for first := range uint64(20) {
			seen := map[uint64]int{}
			for i := range of {
				s := share{i, of}
				for at := s.from(first); at < first+50; at += s.step() {
					require.Equal(t, uint64(i), at%s.step(), "whose an operation is does not depend on where a phase begins")
					seen[at]++
				}
			}
			for at := first; at < first+50; at++ {
				require.Equal(t, 1, seen[at], "operation %d from %d, %d shares", at, first, of)
			}
		}
	}
	require.Equal(t, 5, share{}.part(5))
	require.EqualValues(t, 5, share{}.from(5))
}

// asked is an operation as a loader was asked for it.
type asked struct {
	phase  int
	index  uint64
	kind   opKind
	object int
	due    time.Duration // of an open loop
}

// streamOf runs a share of a scenario's only arm in virtual time, and returns
// what it issued.
func streamOf(t *testing.T, sc *scenarios.Scenario, s share) (list []asked) {
	synctest.Test(t, func(t *testing.T) {
		phases, err := phasesOf(sc, 99)
		require.NoError(t, err)
		last := &phases[len(phases)-1]
		if last.most < 0 {
			last.most = 3 * 10
			phases[0].first = epochLap * uint64(len(phases)-1)
		}
		var mu sync.Mutex
		l := &load{phases: phases, stream: newStream(sc, 10, 1), share: s, open: sc.Load.Model == scenarios.ModelOpen,
			workers: s.part(sc.Load.Workers), inFlight: s.part(sc.Load.InFlight), clock: clock{time.Sleep, func() func() { return func() {} }}}
		l.issuer = func(int) issuer {
			return asking(func(o op) {
				mu.Lock()
				at := asked{int(l.current.Load()), o.index, o.kind, o.object, 0}
				if l.open {
					at.due = time.Since(l.began)
				}
				list = append(list, at)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			})
		}
		l.sink = newCollector(l.phases, []string{"t1"})
		_, err = l.run(t.Context(), func(int) {})
		require.NoError(t, err)
	})
	return list
}

// TestSharesAreTheStream: the operations of all shares together are those of
// one loader, each once: what, on which object, and when it is due.
func TestSharesAreTheStream(t *testing.T) {
	sc := mixed(scenarios.Keys{Dist: scenarios.KeysZipf, S: 1})
	sc.Phases.Warmup = scenarios.Warmup(500 * time.Millisecond)
	sc.Phases.Measure = scenarios.Duration(2 * time.Second)
	for _, c := range []struct {
		name   string
		change func(l *scenarios.Load)
	}{
		{"constant", func(l *scenarios.Load) { l.Model, l.Rate = scenarios.ModelOpen, 333 }},
		{"poisson", func(l *scenarios.Load) {
			l.Model, l.Arrival, l.Rate = scenarios.ModelOpen, scenarios.ArrivalPoisson, 333
		}},
		{"stages", func(l *scenarios.Load) {
			l.Model, l.Rate, l.Stages = scenarios.ModelOpen, 100, []scenarios.Stage{{To: 400, Over: 1e9}, {Hold: 1e9}}
		}},
		{"epochs", func(l *scenarios.Load) {
			l.Model, l.Epochs, l.Keys = scenarios.ModelEpoch, 3, scenarios.Keys{Dist: scenarios.KeysPermutation}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := *sc
			one.Load.Workers, one.Load.InFlight = 100, 100
			c.change(&one.Load)
			measured := func(list []asked) []asked {
				if one.Load.Model == scenarios.ModelEpoch { // its warm-up issues as many as there is time for
					list = slices.DeleteFunc(list, func(a asked) bool { return a.phase == 0 })
				}
				slices.SortFunc(list, func(a, b asked) int { return int(a.index) - int(b.index) })
				return list
			}
			whole := measured(streamOf(t, &one, share{}))
			require.NotEmpty(t, whole)
			for _, of := range []int{1, 2, 4, 7} {
				var all []asked
				for i := range of {
					all = append(all, streamOf(t, &one, share{i, of})...)
				}
				require.Equal(t, whole, measured(all), "%d shares", of)
			}
		})
	}
}

// TestSlicesLoseNothing: recorders whose samples went over the wire, added up,
// are one recorder that had all of them.
func TestSlicesLoseNothing(t *testing.T) {
	for _, of := range []int{1, 2, 8, 64} {
		t.Run(fmt.Sprint(of), func(t *testing.T) {
			whole, shares := &series{}, make([]series, of)
			for i := range 20_000 {
				s := sample{service: time.Duration(i*i) * 31, ttfb: time.Duration(i), delay: time.Duration(i%7) * time.Millisecond,
					in: 3, out: int64(i), verified: i%3 == 0, server: noShares()}
				switch i % 97 {
				case 1:
					s.outcome, s.wrong = broken, true
				case 2:
					s.outcome = late
				case 3:
					s.outcome = shed
				case 4:
					s.service = 2 * time.Duration(results.MaxLatency)
				}
				whole.add(&s)
				shares[i%of].add(&s)
			}
			sum := &series{}
			for i := range shares {
				out, err := shares[i].slice()
				require.NoError(t, err)
				line, err := json.Marshal(out)
				require.NoError(t, err)
				var in Slice
				require.NoError(t, json.Unmarshal(line, &in))
				one, err := in.series()
				require.NoError(t, err)
				sum.merge(one)
			}
			requireSame(t, whole, sum)
			require.Equal(t, whole.Counts, sum.Counts)
			require.Equal(t, []int64{whole.verified, whole.wrong, whole.clamped}, []int64{sum.verified, sum.wrong, sum.clamped})
		})
	}
}

func TestSlicesThatCannotBeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		s    Slice
		want string
	}{
		"negative":  {Slice{Counts: results.Counts{Ops: -1}}, "negative"},
		"verified":  {Slice{Verified: -1}, "negative"},
		"metric":    {Slice{Latency: map[string]string{"nosuch": ""}}, `unknown metric "nosuch"`},
		"histogram": {Slice{Latency: map[string]string{results.MetricService: "AAAA"}}, "histogram"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.s.series()
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestCheckShare(t *testing.T) {
	sc := mixed(scenarios.Keys{})
	sc.Transforms, sc.Arms = []string{"echo"}, scenarios.Arms{Comm: []string{"hpush"}, Mode: []string{scenarios.ModeInline}}
	sc.Load.Workers = 3
	require.NoError(t, CheckShare(sc, 3))
	require.EqualError(t, CheckShare(sc, 4), "load.workers: 3 cannot be shared by 4 loaders, which need one each")
	sc.Faults = []scenarios.Fault{{Kill: "proxy"}}
	require.ErrorContains(t, CheckShare(sc, 3), "faults: of several loaders none knows")
	gates := *sc
	gates.Faults, gates.Gates = nil, []scenarios.Gate{{On: "all.errors", Is: "< 1%"}}
	require.NoError(t, CheckShare(&gates, 3))
	gates.Gates[0].AbortAfter = 1
	require.ErrorContains(t, CheckShare(&gates, 3), "gates: of several loaders none knows")
	sc.Faults = nil
	sc.Arms.Workers = []int{8, 2}
	require.EqualError(t, CheckShare(sc, 4), "arms.workers: 2 cannot be shared by 4 loaders, which need one each")
	sc.Arms.Mode = []string{scenarios.ModeOffline}
	require.NoError(t, CheckShare(sc, 4), "jobs are shared by nobody")
	sc.Load.Model, sc.Load.InFlight = scenarios.ModelOpen, 2
	require.EqualError(t, CheckShare(sc, 4), "load.in-flight: 2 cannot be shared by 4 loaders, which need one each")
}
