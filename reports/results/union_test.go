package results_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

type hist = hdrhistogram.Histogram

// shared is what loaders of a scenario did, all of it or one's share.
type shared struct {
	share *results.Share
	begin time.Time
	last  int // blocks that were measured in full; one more is partial
	// change is made to the summary.
	change func(*results.Summary)
	yaml   string
}

const (
	unionBlocks = 3
	perSecond   = 400
)

// write makes the run folder: in every block two seconds of operations whose
// outcome and times are functions of their index.
func (s shared) write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir, []byte(s.yaml), results.Env{Version: "v1"})
	require.NoError(t, err)
	sum := results.Summary{Name: "s", Seed: 7, Started: s.begin, Finished: s.begin.Add(time.Minute), Share: s.share,
		Cluster: results.Cluster{Targets: []string{"t1", "t2"}}, Trials: results.Trials{Planned: unionBlocks, Complete: s.last},
		Arms: []results.Arm{{Name: "hpush", Mode: "inline"}}, Notes: []string{"a note"}}
	var errs results.ErrorClass
	row := results.Totals{Latency: histograms()}
	for block := 1; block <= min(s.last+1, unionBlocks); block++ {
		began := s.begin.Add(time.Duration(block) * 10 * time.Second)
		all := results.Totals{Latency: histograms()}
		for sec := range 2 {
			one := s.interval(block, sec, &errs)
			s.put(t, w, block, began.Add(time.Duration(sec)*time.Second), one)
			all.Add(one.Counts)
			merge(all.Latency, one.Latency)
		}
		all.Intended, all.Verified, all.Comparable = all.Accounted(), all.Ops-1, all.Ops
		m := all.Measured(2 * time.Second)
		m.Resources = []results.Resource{{Component: results.ComponentClient, Processes: 1, CPUSeconds: 1, PeakBytes: 10},
			{Component: results.ComponentTarget, Processes: 2, CPUSeconds: 3, PeakBytes: 20}}
		partial := block > s.last
		sum.Samples = append(sum.Samples, results.Sample{Arm: "hpush", Op: "get", Block: block, Partial: partial, Started: began, Measured: m})
		sum.Blocks = append(sum.Blocks, results.Block{Arm: "hpush", Block: block, Started: began, Seconds: 2, Generator: results.Generator{CPUs: 4}})
		if !partial {
			row.Add(all.Counts)
			merge(row.Latency, all.Latency)
			row.Intended, row.Verified, row.Comparable = row.Intended+all.Intended, row.Verified+all.Verified, row.Comparable+all.Comparable
		}
	}
	sum.Rows = []results.Row{{Arm: sum.Arms[0], Op: "get", Samples: s.last, Measured: row.Measured(time.Duration(2*s.last) * time.Second)}}
	if s.change != nil {
		s.change(&sum)
	}
	errs.Arm, errs.Class = "hpush", "status 500"
	require.NoError(t, w.Event(results.Event{At: s.begin, Kind: results.EventPhase, Arm: "hpush", Block: 1, Text: "measure"}))
	require.NoError(t, w.Finish(sum, []results.ErrorClass{errs}))
	return dir
}

func histograms() map[string]*hist {
	m := map[string]*hist{}
	for _, name := range []string{results.MetricService, results.MetricResponse, results.MetricDelay, results.MetricTTFB} {
		m[name] = results.NewHistogram()
	}
	return m
}

func merge(a, b map[string]*hist) {
	for name, h := range b {
		a[name].Merge(h)
	}
}

// interval are the operations of a second, those of the share.
func (s shared) interval(block, sec int, errs *results.ErrorClass) results.Totals {
	out := results.Totals{Latency: histograms()}
	for i := range perSecond {
		index := (block*2+sec)*perSecond + i
		if s.share != nil && index%s.share.Of != s.share.Number-1 {
			continue
		}
		switch {
		case index%50 == 3:
			out.Errors++
			errs.Count++
			if len(errs.Examples) < 5 {
				errs.Examples = append(errs.Examples, fmt.Sprint("operation ", index))
			}
		case index%50 == 4:
			out.Shed++
		default:
			out.Ops++
			out.BytesIn += int64(index)
			for k, name := range []string{results.MetricService, results.MetricResponse, results.MetricDelay, results.MetricTTFB} {
				_ = out.Latency[name].RecordValue(int64(k+1) * int64(index%977) * 12345)
			}
		}
	}
	return out
}

func (s shared) put(t *testing.T, w *results.Writer, block int, at time.Time, o results.Totals) {
	t.Helper()
	for _, target := range []string{"", "t1"} {
		for name, h := range o.Latency {
			if target != "" && name != results.MetricService {
				continue
			}
			require.NoError(t, w.Interval(results.Interval{Key: results.Key{Arm: "hpush", Op: "get", Phase: results.PhaseMeasure, Metric: name, Block: block, Target: target},
				Start: at, Duration: time.Second, Counts: o.Counts, Latency: h}))
		}
	}
}

// TestUnionIsOneLoader: folders of shares, added up, tell what the folder of one
// loader does, value by value.
func TestUnionIsOneLoader(t *testing.T) {
	one, err := results.Read(shared{begin: start, last: unionBlocks}.write(t))
	require.NoError(t, err)
	for _, of := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(of), func(t *testing.T) {
			var dirs []string
			for n := 1; n <= of; n++ {
				dirs = append(dirs, shared{share: &results.Share{Number: n, Of: of}, begin: start.Add(time.Duration(n-1) * 100 * time.Millisecond), last: unionBlocks}.write(t))
			}
			out := filepath.Join(t.TempDir(), "out")
			require.NoError(t, results.Union(dirs, out))
			sum, err := results.Read(out)
			require.NoError(t, err)
			require.Equal(t, one.Latency, sum.Latency, "count for count")
			require.Equal(t, len(one.Intervals), len(sum.Intervals), "those of the same second add up")
			for i := range one.Intervals {
				require.Equal(t, one.Intervals[i], sum.Intervals[i])
			}
			late := time.Duration(of-1) * 100 * time.Millisecond
			for i, s := range sum.Summary.Samples {
				w := one.Summary.Samples[i]
				require.Equal(t, w.Counts, s.Counts)
				require.Equal(t, w.Response, s.Response)
				require.Equal(t, w.Service, s.Service)
				require.Equal(t, w.Intended, s.Accounted())
				require.EqualValues(t, of, w.Comparable-s.Verified, "each has one that it did not verify")
				require.InDelta(t, w.Seconds+late.Seconds(), s.Seconds, 1e-9, "from the first one's begin to the last one's end")
				require.Equal(t, of, s.Resources[0].Processes)
				require.EqualValues(t, of, s.Resources[0].CPUSeconds, "each has a client of its own")
				require.EqualValues(t, 3, s.Resources[1].CPUSeconds, "and all had the same targets")
			}
			row, w := sum.Summary.Rows[0], one.Summary.Rows[0]
			require.Equal(t, w.Counts, row.Counts)
			require.Equal(t, w.Response, row.Response)
			require.Equal(t, unionBlocks, row.Samples)
			require.Equal(t, one.Errors[0].Count, sum.Errors[0].Count)
			require.Len(t, sum.Errors[0].Examples, 5)
			require.Len(t, sum.Summary.Blocks, of*unionBlocks)
			require.Len(t, sum.Summary.Loaders, of)
			require.Len(t, sum.Events, of)
			require.Nil(t, sum.Summary.Share)
			require.Contains(t, sum.Summary.Notes, "a note")
		})
	}
}

// TestUnionOfARunThatWasCutShort: what one of them did not get to is partial.
func TestUnionOfARunThatWasCutShort(t *testing.T) {
	dirs := []string{
		shared{share: &results.Share{Number: 1, Of: 2}, begin: start, last: 3}.write(t),
		shared{share: &results.Share{Number: 2, Of: 2}, begin: start, last: 1, change: func(s *results.Summary) { s.Interrupted = true }}.write(t),
	}
	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, results.Union(dirs, out))
	r, err := results.Read(out)
	require.NoError(t, err)
	s := r.Summary
	require.True(t, s.Interrupted)
	require.Equal(t, 1, s.Trials.Complete)
	require.Equal(t, []bool{false, true, true}, []bool{s.Samples[0].Partial, s.Samples[1].Partial, s.Samples[2].Partial})
	require.Equal(t, 1, s.Rows[0].Samples)
	require.Equal(t, s.Samples[0].Counts, s.Rows[0].Counts)
}

func TestUnionRefuses(t *testing.T) {
	share := func(n, of int) *results.Share { return &results.Share{Number: n, Of: of} }
	first := shared{share: share(1, 2), begin: start, last: 1, yaml: "a: 1\nseed: 7\n"}
	for _, c := range []struct {
		name   string
		second shared
		want   string
	}{
		{"another scenario", shared{share: share(2, 2), begin: start, last: 1, yaml: "a: 1\nseed: 8\n"}, `line 2 is "seed: 7" and "seed: 8"`},
		{"a shorter scenario", shared{share: share(2, 2), begin: start, last: 1, yaml: "a: 1"}, `line 2 is "seed: 7" and ""`},
		{"another seed", shared{share: share(2, 2), begin: start, last: 1, yaml: first.yaml, change: func(s *results.Summary) { s.Seed = 9 }}, "have different seeds: 7 and 9"},
		{"another cluster", shared{share: share(2, 2), begin: start, last: 1, yaml: first.yaml, change: func(s *results.Summary) { s.Cluster.Targets = []string{"t9"} }}, "targets t1, t2 and t9"},
		{"all of it", shared{begin: start, last: 1, yaml: first.yaml}, "issued all operations"},
		{"the same share", shared{share: share(1, 2), begin: start, last: 1, yaml: first.yaml}, "are both share 1/2: their streams overlap"},
		{"a share of others", shared{share: share(2, 3), begin: start, last: 1, yaml: first.yaml}, "share 2/3: their streams overlap"},
		{"wrong sums", shared{share: share(2, 2), begin: start, last: 1, yaml: first.yaml, change: func(s *results.Summary) { s.Samples[0].Ops++ }}, "a folder is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			require.ErrorContains(t, results.Union([]string{first.write(t), c.second.write(t)}, out), c.want)
			require.NoDirExists(t, out)
		})
	}
	out := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(out, "mine"), nil, 0o600))
	second := first
	second.share = share(2, 2)
	require.ErrorIs(t, results.Union([]string{first.write(t), second.write(t)}, out), results.ErrNotEmpty)
	require.FileExists(t, filepath.Join(out, "mine"))
}
