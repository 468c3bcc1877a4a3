package results

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Union adds up the runs of loaders that issued one scenario's operations
// together, each its Share, into a new run folder. Nothing is lost: histograms
// and counts are those of one recorder. Runs of different scenarios or
// clusters, and shares that overlap or are missing, are refused with what
// differs.
//
// The loaders need not have begun together. What they recorded is told by the
// time since each began, and a measured time is from the first one's begin to
// the last one's end; a note says how far apart they were.
func Union(dirs []string, out string) (err error) {
	u := &union{totals: map[sampleKey]*unionTotals{}}
	for _, dir := range dirs {
		r, err := ReadDocuments(dir)
		if err != nil {
			return err
		}
		u.runs = append(u.runs, r)
	}
	if err := u.check(); err != nil {
		return err
	}
	if err := u.scan(); err != nil {
		return err
	}
	w, err := Create(out, u.runs[0].Scenario, u.runs[0].Env)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // what is there is a part, and it was empty before
			err = errors.Join(err, w.Close(), os.RemoveAll(out))
		}
	}()
	if err := u.write(w); err != nil {
		return err
	}
	s, err := u.summary()
	if err != nil {
		return err
	}
	return w.Finish(s, u.errors())
}

// union is runs that are added up.
type union struct {
	runs   []*Run
	order  []stepKey                       // in which blocks were measured
	begins []map[phaseKey]time.Time        // by run
	begin  map[phaseKey]time.Time          // of the first that began
	totals map[sampleKey]*unionTotals      // of the measured time
	at     stepKey                         // whose totals have live histograms
	hist   map[Key]*hdrhistogram.Histogram // of that step, by metric and target
}

type stepKey struct {
	arm   string
	block int
}

type phaseKey struct {
	stepKey
	phase string
}

type sampleKey struct {
	stepKey
	op string
}

// unionTotals are what the intervals of a sample add up to; histograms are
// encoded, as there may be many.
type unionTotals struct {
	counts  Counts
	targets map[string]*Counts
	hist    map[Key]string // by metric and target
}

// check refuses runs that are not shares of one.
func (u *union) check() error {
	first := u.runs[0]
	var errs []error
	shares := map[int]string{}
	for _, r := range u.runs {
		s := &r.Summary
		if !bytes.Equal(r.Scenario, first.Scenario) {
			errs = append(errs, fmt.Errorf("%s and %s are of different scenarios: %s", first.Dir, r.Dir, difference(first.Scenario, r.Scenario)))
		}
		if s.Seed != first.Summary.Seed {
			errs = append(errs, fmt.Errorf("%s and %s have different seeds: %d and %d", first.Dir, r.Dir, first.Summary.Seed, s.Seed))
		}
		if !slices.Equal(s.Cluster.Targets, first.Summary.Cluster.Targets) {
			errs = append(errs, fmt.Errorf("%s and %s loaded different clusters: targets %s and %s", first.Dir, r.Dir,
				strings.Join(first.Summary.Cluster.Targets, ", "), strings.Join(s.Cluster.Targets, ", ")))
		}
		switch {
		case s.Share == nil:
			errs = append(errs, fmt.Errorf("%s issued all operations, not a share of them (run --share): with any other its stream overlaps", r.Dir))
			continue
		case first.Summary.Share != nil && s.Share.Of != first.Summary.Share.Of:
			errs = append(errs, fmt.Errorf("%s is share %s and %s is share %s: their streams overlap", first.Dir, first.Summary.Share, r.Dir, s.Share))
			continue
		case shares[s.Share.Number] != "":
			errs = append(errs, fmt.Errorf("%s and %s are both share %s: their streams overlap", shares[s.Share.Number], r.Dir, s.Share))
		}
		shares[s.Share.Number] = r.Dir
	}
	if s := first.Summary.Share; s != nil && errs == nil {
		for n := 1; n <= s.Of; n++ {
			if shares[n] == "" {
				errs = append(errs, fmt.Errorf("share %s is missing", Share{n, s.Of}))
			}
		}
	}
	return errors.Join(errs...)
}

// difference is the first line in which two files differ.
func difference(a, b []byte) string {
	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range max(len(x), len(y)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return strings.TrimSpace(lines[i])
			}
			return ""
		}
		if line(x) != line(y) {
			return fmt.Sprintf("line %d is %q and %q", i+1, line(x), line(y))
		}
	}
	return "spaces"
}

// scan reads the order of blocks, and when each phase began for each run.
func (u *union) scan() error {
	u.begin = map[phaseKey]time.Time{}
	seen := map[stepKey]bool{}
	for _, r := range u.runs {
		begins := map[phaseKey]time.Time{}
		err := Each(r.Dir, func(iv Interval) error {
			k := phaseKey{stepOf(iv.Key), iv.Key.Phase}
			if t, ok := begins[k]; !ok || iv.Start.Before(t) {
				begins[k] = iv.Start
			}
			if !seen[k.stepKey] {
				seen[k.stepKey] = true
				u.order = append(u.order, k.stepKey)
			}
			return nil
		})
		if err != nil {
			return err
		}
		u.begins = append(u.begins, begins)
		for k, t := range begins {
			if first, ok := u.begin[k]; !ok || t.Before(first) {
				u.begin[k] = t
			}
		}
	}
	return nil
}

func stepOf(k Key) stepKey { return stepKey{k.Arm, k.Block} }

// write writes all intervals, block by block, and all events in the order of
// time.
func (u *union) write(w *Writer) error {
	var sources []*source
	for i, r := range u.runs {
		s := openSource(r.Dir, i)
		defer s.stop()
		sources = append(sources, s)
	}
	for _, at := range u.order {
		for _, s := range sources {
			if err := u.writeStep(w, s, at); err != nil {
				return err
			}
		}
		if err := u.pack(); err != nil {
			return err
		}
	}
	for _, s := range sources {
		if s.ok || s.err != nil {
			return errors.Join(s.err, fmt.Errorf("%s: blocks come in another order than in %s", u.runs[s.run].Dir, u.runs[0].Dir))
		}
	}
	var events []Event
	for _, r := range u.runs {
		events = append(events, r.Events...)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		if err := w.Event(e); err != nil {
			return err
		}
	}
	return nil
}

// source is a run's intervals, one at a time.
type source struct {
	run  int
	next func() (Interval, error, bool)
	stop func()
	head Interval
	err  error
	ok   bool
}

func openSource(dir string, run int) *source {
	s := &source{run: run}
	s.next, s.stop = iter.Pull2(func(yield func(Interval, error) bool) {
		enough := errors.New("enough")
		if err := Each(dir, func(iv Interval) error {
			if !yield(iv, nil) {
				return enough
			}
			return nil
		}); err != nil && !errors.Is(err, enough) {
			yield(Interval{}, err)
		}
	})
	s.advance()
	return s
}

func (s *source) advance() {
	s.head, s.err, s.ok = s.next()
	s.ok = s.ok && s.err == nil
}

// writeStep writes a run's intervals of a block, and adds them up.
func (u *union) writeStep(w *Writer, s *source, at stepKey) error {
	for ; s.ok && stepOf(s.head.Key) == at; s.advance() {
		iv := s.head
		k := phaseKey{at, iv.Key.Phase}
		iv.Start = iv.Start.Add(u.begin[k].Sub(u.begins[s.run][k]))
		if err := w.Interval(iv); err != nil {
			return err
		}
		if iv.Key.Phase == PhaseMeasure {
			if err := u.add(iv); err != nil {
				return err
			}
		}
	}
	return s.err
}

func (u *union) add(iv Interval) error {
	u.at = stepOf(iv.Key)
	at := sampleKey{u.at, iv.Key.Op}
	t := u.totals[at]
	if t == nil {
		t = &unionTotals{targets: map[string]*Counts{}, hist: map[Key]string{}}
		u.totals[at] = t
	}
	if iv.Key.Metric == MetricService {
		c := &t.counts
		if id := iv.Key.Target; id != "" {
			if t.targets[id] == nil {
				t.targets[id] = &Counts{}
			}
			c = t.targets[id]
		}
		c.Add(iv.Counts)
	}
	if u.hist == nil {
		u.hist = map[Key]*hdrhistogram.Histogram{}
	}
	return mergeInto(u.hist, iv.Key, iv.Latency)
}

// mergeInto adds h, which may be kept, to the histogram of a key.
func mergeInto(all map[Key]*hdrhistogram.Histogram, k Key, h *hdrhistogram.Histogram) error {
	switch {
	case h == nil || h.TotalCount() == 0:
	case all[k] == nil:
		all[k] = h
	default:
		if dropped := all[k].Merge(h); dropped > 0 {
			return fmt.Errorf("%d values are too many to add up", dropped)
		}
	}
	return nil
}

// pack encodes the histograms of the block that is complete.
func (u *union) pack() error {
	for k, h := range u.hist {
		text, err := EncodeHistogram(h)
		if err != nil {
			return err
		}
		t := u.totals[sampleKey{stepOf(k), k.Op}]
		t.hist[Key{Metric: k.Metric, Target: k.Target}] = text
	}
	u.hist = nil
	return nil
}

// into adds what was counted to totals and histograms by metric and target.
func (t *unionTotals) into(sum *Totals, targets map[string]*TargetTotals, hist map[Key]*hdrhistogram.Histogram) error {
	sum.Add(t.counts)
	for id, c := range t.targets {
		if targets[id] == nil {
			targets[id] = &TargetTotals{ID: id}
		}
		targets[id].Add(*c)
	}
	for k, text := range t.hist {
		h, err := DecodeHistogram(text)
		if err != nil {
			return err
		}
		if err := mergeInto(hist, k, h); err != nil {
			return err
		}
	}
	return nil
}

// total makes the totals of some samples, without what only summaries tell.
func (u *union) total(list []*unionTotals) (Totals, error) {
	sum, targets, hist := Totals{Latency: map[string]*hdrhistogram.Histogram{}}, map[string]*TargetTotals{}, map[Key]*hdrhistogram.Histogram{}
	for _, id := range u.runs[0].Summary.Cluster.Targets {
		targets[id] = &TargetTotals{ID: id}
	}
	for _, t := range list {
		if err := t.into(&sum, targets, hist); err != nil {
			return Totals{}, err
		}
	}
	for k, h := range hist {
		switch {
		case k.Target == "":
			sum.Latency[k.Metric] = h
		case k.Metric == MetricService:
			targets[k.Target].Service = h
		}
	}
	for _, id := range slices.Sorted(maps.Keys(targets)) {
		sum.Targets = append(sum.Targets, *targets[id])
	}
	return sum, nil
}

func (u *union) summary() (Summary, error) {
	s := u.runs[0].Summary
	s.Share, s.Samples, s.Blocks, s.Rows, s.Notes = nil, nil, nil, nil, nil
	s.Calibration = nil // of one of them, on its machine
	for _, r := range u.runs {
		o := &r.Summary
		if o.Started.Before(s.Started) {
			s.Started = o.Started
		}
		if o.Finished.After(s.Finished) {
			s.Finished = o.Finished
		}
		s.Interrupted = s.Interrupted || o.Interrupted
		s.Trials.Complete = min(s.Trials.Complete, o.Trials.Complete)
		loader := Loader{Name: filepath.Clean(r.Dir), Share: *o.Share}
		if len(o.Blocks) > 0 {
			loader.CPUs = o.Blocks[0].Generator.CPUs
		}
		s.Loaders = append(s.Loaders, loader)
		for _, n := range o.Notes {
			if !slices.Contains(s.Notes, n) {
				s.Notes = append(s.Notes, n)
			}
		}
	}
	if err := u.samples(&s); err != nil {
		return Summary{}, err
	}
	if err := u.rows(&s); err != nil {
		return Summary{}, err
	}
	for _, at := range u.order {
		for i, r := range u.runs {
			for _, b := range r.Summary.Blocks {
				if b.Arm == at.arm && b.Block == at.block {
					b.Loader = s.Loaders[i].Name
					s.Blocks = append(s.Blocks, b)
				}
			}
		}
	}
	s.Notes = append(s.Notes, u.notes(&s)...)
	return s, nil
}

// samples are those of all runs, in the order of blocks.
func (u *union) samples(s *Summary) error {
	for _, at := range u.order {
		var ops []string
		for _, r := range u.runs {
			for _, sample := range r.Summary.Samples {
				if sample.Arm == at.arm && sample.Block == at.block && !slices.Contains(ops, sample.Op) {
					ops = append(ops, sample.Op)
				}
			}
		}
		from := len(s.Samples)
		for _, op := range ops {
			sample, err := u.sample(sampleKey{at, op})
			if err != nil {
				return err
			}
			s.Samples = append(s.Samples, sample)
		}
		sharePerUnit(s.Samples[from:])
	}
	return nil
}

func (u *union) sample(k sampleKey) (Sample, error) {
	out := Sample{Arm: k.arm, Op: k.op, Block: k.block}
	var end time.Time
	var sum Totals
	var parts [][]Resource
	for _, r := range u.runs {
		i := slices.IndexFunc(r.Summary.Samples, func(s Sample) bool { return s.Arm == k.arm && s.Op == k.op && s.Block == k.block })
		if i < 0 {
			out.Partial = true // one of them did not get there
			continue
		}
		s := &r.Summary.Samples[i]
		out.Partial = out.Partial || s.Partial
		if out.Started.IsZero() || s.Started.Before(out.Started) {
			out.Started = s.Started
		}
		if e := s.Started.Add(seconds(s.Seconds)); e.After(end) {
			end = e
		}
		sum.Intended, sum.Verified, sum.Comparable = sum.Intended+s.Intended, sum.Verified+s.Verified, sum.Comparable+s.Comparable
		sum.Add(s.Counts)
		parts = append(parts, s.Resources)
	}
	all, err := u.total([]*unionTotals{u.totals[k]})
	if err != nil {
		return Sample{}, err
	}
	if all.Counts != sum.Counts {
		return Sample{}, fmt.Errorf("%s %s in block %d: the intervals add up to %+v, the summaries to %+v: a folder is damaged", k.arm, k.op, k.block, all.Counts, sum.Counts)
	}
	all.Intended, all.Verified, all.Comparable = sum.Intended, sum.Verified, sum.Comparable
	out.Measured = all.Measured(end.Sub(out.Started))
	out.Resources = addLoaders(parts)
	return out, nil
}

// rows are the sums of samples: those that are partial count when an arm has
// no other.
func (u *union) rows(s *Summary) error {
	for _, a := range s.Arms {
		from := len(s.Rows)
		var ops []string
		for _, r := range u.runs {
			for _, row := range r.Summary.Rows {
				if row.Name == a.Name && !slices.Contains(ops, row.Op) {
					ops = append(ops, row.Op)
				}
			}
		}
		for _, op := range ops {
			row, err := u.row(a, op, s.Samples)
			if err != nil {
				return err
			}
			s.Rows = append(s.Rows, row)
		}
		sharePerUnit(s.Rows[from:])
	}
	return nil
}

func (u *union) row(a Arm, op string, samples []Sample) (Row, error) {
	var mine []Sample
	for _, s := range samples {
		if s.Arm == a.Name && s.Op == op {
			mine = append(mine, s)
		}
	}
	if whole := slices.DeleteFunc(slices.Clone(mine), func(s Sample) bool { return s.Partial }); len(whole) > 0 {
		mine = whole
	}
	row := Row{Arm: a, Op: op, Samples: len(mine)}
	var list []*unionTotals
	var sum Totals
	took := time.Duration(0)
	for i := range mine {
		s := &mine[i]
		list = append(list, u.totals[sampleKey{stepKey{s.Arm, s.Block}, op}])
		sum.Intended, sum.Verified, sum.Comparable = sum.Intended+s.Intended, sum.Verified+s.Verified, sum.Comparable+s.Comparable
		took += seconds(s.Seconds)
		row.Resources = AddResources(row.Resources, s.Resources)
	}
	all, err := u.total(list)
	if err != nil {
		return Row{}, err
	}
	all.Intended, all.Verified, all.Comparable = sum.Intended, sum.Verified, sum.Comparable
	if len(mine) == 0 { // the arm could not be set up, by any of them
		for _, r := range u.runs {
			for _, o := range r.Summary.Rows {
				if o.Name == a.Name && o.Op == op {
					all.Intended += o.Intended
					all.Add(o.Counts)
				}
			}
		}
	}
	resources := row.Resources
	row.Measured = all.Measured(took)
	row.Resources = resources
	return row, nil
}

// errors are those of all runs, by arm and class.
func (u *union) errors() (list []ErrorClass) {
	const examples = 5
	for _, r := range u.runs {
		for _, e := range r.Errors {
			i := slices.IndexFunc(list, func(o ErrorClass) bool { return o.Arm == e.Arm && o.Class == e.Class })
			if i < 0 {
				list, i = append(list, ErrorClass{Arm: e.Arm, Class: e.Class, Examples: []string{}}), len(list)
			}
			list[i].Count += e.Count
			list[i].Examples = append(list[i].Examples, e.Examples[:min(len(e.Examples), examples-len(list[i].Examples))]...)
		}
	}
	return list
}

// notes say whose numbers these are, and how far apart the loaders were.
func (u *union) notes(s *Summary) []string {
	notes := []string{fmt.Sprintf("%d loaders issued the operations, each its share, and their run folders were merged. What a run moved over the network is not told.", len(u.runs))}
	least := 1.0
	for _, b := range s.Samples {
		var latest, earliest time.Time // begin of the last, end of the first
		for _, r := range u.runs {
			for _, o := range r.Summary.Samples {
				if o.Arm != b.Arm || o.Op != b.Op || o.Block != b.Block {
					continue
				}
				if o.Started.After(latest) {
					latest = o.Started
				}
				if end := o.Started.Add(seconds(o.Seconds)); earliest.IsZero() || end.Before(earliest) {
					earliest = end
				}
			}
		}
		least = min(least, ratio(max(0, earliest.Sub(latest).Seconds()), b.Seconds))
	}
	if least < 0.98 {
		notes = append(notes, fmt.Sprintf("In the worst block all loaders were measuring together for %.0f %% of the time only: the load was less than was asked for at its ends, "+
			"and rates are over the time from the first one's begin to the last one's end.", 100*least))
	}
	for _, r := range u.runs[1:] {
		if a, b := u.runs[0].Env, r.Env; a.Version != b.Version {
			notes = append(notes, fmt.Sprintf("%s was made by etlbench %s, %s by %s.", u.runs[0].Dir, a.Version, r.Dir, b.Version))
		}
	}
	return notes
}

// addLoaders adds up what loaders say was used meanwhile. Clients are their
// own, and so are the pods of each one's ETL; proxies and targets are the same
// ones, of which each has seen all that they did in its time: the most counts.
func addLoaders(parts [][]Resource) (sum []Resource) {
	for _, list := range parts {
		for _, r := range list {
			i := slices.IndexFunc(sum, func(o Resource) bool { return o.Component == r.Component })
			switch {
			case i < 0:
				sum = append(sum, r)
			case r.Component == ComponentClient || r.Component == ComponentTransformer:
				sum[i].CPUSeconds += r.CPUSeconds
				sum[i].PeakBytes += r.PeakBytes
				sum[i].Processes += r.Processes
				sum[i].PeakLasting = sum[i].PeakLasting || r.PeakLasting
			default:
				sum[i].CPUSeconds = max(sum[i].CPUSeconds, r.CPUSeconds)
				sum[i].PeakBytes = max(sum[i].PeakBytes, r.PeakBytes)
				sum[i].Processes = max(sum[i].Processes, r.Processes)
				sum[i].PeakLasting = sum[i].PeakLasting || r.PeakLasting
			}
		}
	}
	return sum
}

// sharePerUnit computes resources per operation and GiB of measured operations
// that have the same ones: those of an arm's mix.
func sharePerUnit[T Sample | Row](list []T) {
	var ops, bytes int64
	all := make([]*Measured, 0, len(list))
	for i := range list {
		switch v := any(&list[i]).(type) {
		case *Sample:
			all = append(all, &v.Measured)
		case *Row:
			all = append(all, &v.Measured)
		}
	}
	for _, m := range all {
		ops, bytes = ops+m.Ops, bytes+m.BytesIn
	}
	for _, m := range all {
		PerUnit(m.Resources, ops, bytes)
	}
}
