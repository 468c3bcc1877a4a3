package loader

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/reports/results"
)

func TestRecordingDoesNotAllocate(t *testing.T) {
	m := newMix(map[string]int{"get-etl": 9, "put": 1}, 1, 100)
	want := make([]expected, 100)
	t1 := newTally(3)
	var rec recorder
	index := uint64(0)
	step := func() {
		o := m.at(2, index%500)
		index++
		rep := reply{target: int(index % 3), ttfb: time.Millisecond, ttlb: time.Second}
		s := sample{ttfb: rep.ttfb, ttlb: rep.ttlb, target: int32(rep.target), kind: o.kind}
		s.verified = check(&rep, want, o.object)
		rec.record(s)
		if index%100 == 0 {
			for _, s := range rec.swap() {
				t1.add(&s)
			}
		}
	}
	for range 500 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(1000, step))
}

func BenchmarkRecord(b *testing.B) {
	t1 := newTally(3)
	var rec recorder
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rec.record(sample{ttfb: time.Millisecond, ttlb: time.Duration(i), target: int32(i % 3)})
		if i%1000 == 999 {
			for _, s := range rec.swap() {
				t1.add(&s)
			}
		}
	}
}

func TestSamplesSurviveSwaps(t *testing.T) {
	var rec recorder
	done := make(chan struct{})
	const n = 20_000
	go func() {
		defer close(done)
		for i := range n {
			rec.record(sample{kind: opKind(i % 3), target: int32(i % 2), failed: i%10 == 0, ttlb: time.Millisecond, in: 2, out: 3})
		}
	}()
	tl := newTally(2)
	collect := func() {
		for _, s := range rec.swap() {
			tl.add(&s)
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		collect()
	}
	collect()
	var ops, errs, in int64
	for k := range opKinds {
		all, parts := tl.all(k), [3]int64{}
		for i := range 2 {
			c := &tl.cells[k][i]
			parts[0] += c.ops
			parts[1] += c.errors
			parts[2] += c.in
		}
		require.Equal(t, [3]int64{all.ops, all.errors, all.in}, parts, "targets add up to all")
		require.Equal(t, all.ops, all.ttlb.TotalCount())
		ops, errs, in = ops+all.ops, errs+all.errors, in+all.in
	}
	require.EqualValues(t, n, ops+errs)
	require.EqualValues(t, n/10, errs)
	require.Equal(t, 2*ops, in)
}

func TestLatenciesBeyondTheRangeAreClampedAndCounted(t *testing.T) {
	var c series
	c.add(&sample{ttfb: time.Second, ttlb: time.Hour})
	c.add(&sample{ttfb: time.Second, ttlb: time.Second})
	require.EqualValues(t, 1, c.clamped)
	require.EqualValues(t, 2, c.ttlb.TotalCount(), "the worst values do not vanish")
	require.InEpsilon(t, float64(results.MaxLatency), float64(c.ttlb.Max()), 0.001)
	c.reset()
	require.Zero(t, c.ttlb.TotalCount())
	require.Zero(t, c.ops)
}

func TestMixIsAPureFunctionOfSeedWorkerAndIndex(t *testing.T) {
	weights := map[string]int{"get-etl": 70, "get": 20, "put": 10}
	m := newMix(weights, 42, 10)
	again := newMix(weights, 42, 10)
	other := newMix(weights, 43, 10)
	const n = 30_000
	var (
		kinds          [opKinds]int
		objects        [10]int
		sameAsSeed     int
		sameAsNeighbor int
	)
	for i := range uint64(n) {
		o := m.at(1, i)
		require.Equal(t, o, again.at(1, i))
		kinds[o.kind]++
		objects[o.object]++
		if o == other.at(1, i) {
			sameAsSeed++
		}
		if o == m.at(2, i) {
			sameAsNeighbor++
		}
	}
	for k, share := range [...]float64{0.7, 0.2, 0.1} {
		require.InDelta(t, share, float64(kinds[k])/n, 0.015)
	}
	for _, hits := range objects {
		require.InDelta(t, 0.1, float64(hits)/n, 0.01)
	}
	// By chance: (0.7² + 0.2² + 0.1²) / 10 = 0.054.
	require.InDelta(t, 0.054, float64(sameAsSeed)/n, 0.01)
	require.InDelta(t, 0.054, float64(sameAsNeighbor)/n, 0.01)
	// The stream itself: a change of it makes old runs incomparable.
	got := []op{}
	for i := range uint64(6) {
		got = append(got, m.at(0, i))
	}
	require.Equal(t, []op{{opGet, 9}, {opGetETL, 5}, {opGetETL, 9}, {opGet, 9}, {opGetETL, 7}, {opGetETL, 2}}, got)
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
