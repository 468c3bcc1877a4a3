package results

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a reader holds at most. A run of a hundred arms keeps far below.
const (
	maxDocument = 64 << 20 // bytes of a file that is read whole
	maxLine     = 1 << 20  // bytes of a line of ops.hlog or intervals.jsonl
	maxSeries   = 1000     // merged histograms, 172 KB each
)

// Run is a run folder, read.
type Run struct {
	Dir      string
	Scenario []byte // scenario.yaml
	Env      Env
	Summary  Summary
	Errors   []ErrorClass
	Events   []Event // in the order they happened
	// Intervals are those of MetricService and MetricObject, in the order they
	// were first recorded, without their histograms: a run of minutes would
	// fill gigabytes with them. Each reads them one at a time.
	Intervals []Interval
	// Latency holds the histograms of MetricResponse, MetricService and
	// MetricObject of the measured phase, over all targets and blocks
	// (Key.Target is "", Key.Block 0). Merge gives others.
	Latency map[Key]*hdrhistogram.Histogram
}

// Read takes a run folder back. It fails with ErrUnfinished when the run did
// not end, with ErrSchema when another version's summary is in it, and with a
// SyntaxError where a file is damaged.
func Read(dir string) (*Run, error) {
	r, err := ReadDocuments(dir)
	if err != nil {
		return nil, err
	}
	var sums merger
	seen := map[seriesAt]int{}
	err = Each(dir, func(iv Interval) error {
		r.keep(iv, seen)
		return sums.add(iv, headline)
	})
	r.Latency = sums.merged
	return r, err
}

// ReadDocuments is Read without Intervals and Latency: Each has them, one at a
// time, for who must not hold them all.
func ReadDocuments(dir string) (*Run, error) {
	r := &Run{Dir: dir}
	if err := readSummary(dir, &r.Summary); err != nil {
		return nil, err
	}
	var err error
	if r.Scenario, err = readDocument(filepath.Join(dir, ScenarioFile)); err != nil {
		return nil, err
	}
	if err := readJSON(dir, EnvFile, &r.Env); err != nil {
		return nil, err
	}
	if err := readJSON(dir, ErrorsFile, &r.Errors); err != nil {
		return nil, err
	}
	r.Events, err = readEvents(dir)
	return r, err
}

// seriesAt is what intervals that add up have in common.
type seriesAt struct {
	key   Key
	start int64 // nanoseconds since the epoch
}

// keep folds an interval into those before it.
func (r *Run) keep(iv Interval, seen map[seriesAt]int) {
	if iv.Key.Metric != MetricService && iv.Key.Metric != MetricObject {
		return
	}
	iv.Latency = nil
	at := seriesAt{iv.Key, iv.Start.UnixNano()}
	if i, ok := seen[at]; ok {
		r.Intervals[i].Add(iv.Counts)
		r.Intervals[i].Duration = max(r.Intervals[i].Duration, iv.Duration)
		return
	}
	seen[at] = len(r.Intervals)
	r.Intervals = append(r.Intervals, iv)
}

// headline names the series of Run.Latency.
func headline(k Key) (Key, bool) {
	k.Block = 0
	wanted := k.Metric == MetricResponse || k.Metric == MetricService || k.Metric == MetricObject
	return k, wanted && k.Phase == PhaseMeasure && k.Target == ""
}

// Merge adds the histograms of a run folder up. as says which series one
// belongs to, such as its own key with Block 0, and whether it is wanted at
// all. A histogram takes 180 KB: ask for few.
func Merge(dir string, as func(Key) (Key, bool)) (map[Key]*hdrhistogram.Histogram, error) {
	var m merger
	err := Each(dir, func(iv Interval) error { return m.add(iv, as) })
	return m.merged, err
}

// merger merges histograms by key.
type merger struct {
	merged map[Key]*hdrhistogram.Histogram
}

func (m *merger) add(iv Interval, as func(Key) (Key, bool)) error {
	key, wanted := as(iv.Key)
	if !wanted {
		return nil
	}
	if m.merged == nil {
		m.merged = map[Key]*hdrhistogram.Histogram{}
	}
	sum := m.merged[key]
	if sum == nil {
		if len(m.merged) == maxSeries {
			return fmt.Errorf("more than %d series", maxSeries)
		}
		m.merged[key] = iv.Latency
		return nil
	}
	if dropped := sum.Merge(iv.Latency); dropped > 0 {
		return fmt.Errorf("%d values are too many to add up", dropped)
	}
	return nil
}

// Each calls fn with every interval of the folder, in the order they were
// recorded, each with its own histogram; those of the same key and start add
// up. It works on a run that did not end
// as well, as far as its files are whole. An error of fn ends it.
func Each(dir string, fn func(Interval) error) error {
	jsonl, err := os.Open(filepath.Join(dir, IntervalsFile))
	if err != nil {
		return err
	}
	defer jsonl.Close()
	hlog, err := os.Open(filepath.Join(dir, LogFile))
	if err != nil {
		return err
	}
	defer hlog.Close()
	j := join{jsonl: newLines(jsonl.Name(), jsonl), hlog: newLines(hlog.Name(), hlog)}
	return j.each(fn)
}

// join reads the two interval files side by side: line n of one belongs to
// histogram n of the other.
type join struct {
	jsonl, hlog *lines
	origin      time.Time
}

func (j *join) each(fn func(Interval) error) error {
	for {
		logged, err := j.nextLogged()
		if err != nil {
			return err
		}
		text, ok, err := j.jsonl.next()
		switch {
		case err != nil:
			return err
		case !ok && logged == "":
			return nil
		case !ok:
			return j.hlog.fail(fmt.Errorf("no line in %s belongs to this histogram", IntervalsFile))
		case logged == "":
			return j.jsonl.fail(fmt.Errorf("no histogram in %s belongs to this line", LogFile))
		}
		iv, err := j.pair(text, logged)
		if err != nil {
			return err
		}
		if err := fn(iv); err != nil {
			return j.jsonl.fail(err)
		}
	}
}

// nextLogged returns the next histogram line, "" at the end.
func (j *join) nextLogged() (string, error) {
	for {
		line, ok, err := j.hlog.next()
		if err != nil || !ok {
			return "", err
		}
		start, isStart, err := parseStartTime(line)
		switch {
		case err != nil:
			return "", j.hlog.fail(err)
		case isStart:
			j.origin = start
		case strings.HasPrefix(line, "#") || strings.HasPrefix(line, `"`):
		case line == "":
			return "", j.hlog.fail(errors.New("empty line"))
		default:
			return line, nil
		}
	}
}

func (j *join) pair(text, logged string) (Interval, error) {
	iv, err := parseRecord([]byte(text), j.origin)
	if err != nil {
		return Interval{}, j.jsonl.fail(err)
	}
	tag, start, h, err := parseLogLine(logged)
	if err != nil {
		return Interval{}, j.hlog.fail(err)
	}
	if tag != iv.Key.tag() || !start.Equal(iv.Start) {
		return Interval{}, j.hlog.fail(fmt.Errorf("histogram %s at %s, but %s:%d is %s at %s",
			tag, decimal(start), IntervalsFile, j.jsonl.line, iv.Key.tag(), decimal(iv.Start)))
	}
	iv.Latency = h
	return iv, nil
}

// lines reads a file line by line and knows which one it is at.
type lines struct {
	file string
	line int
	scan *bufio.Scanner
}

func newLines(file string, r io.Reader) *lines {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	return &lines{file: file, scan: s}
}

// next returns the next line, and false at the end.
func (l *lines) next() (string, bool, error) {
	l.line++
	if l.scan.Scan() {
		return l.scan.Text(), true, nil
	}
	if err := l.scan.Err(); err != nil {
		return "", false, l.fail(err)
	}
	return "", false, nil
}

func (l *lines) fail(err error) error {
	return &SyntaxError{File: l.file, Line: l.line, Err: err}
}

func readSummary(dir string, s *Summary) error {
	path := filepath.Join(dir, SummaryFile)
	data, err := readDocument(path)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(dir)
	}
	if err != nil {
		return err
	}
	return parseSummary(path, data, s)
}

// missing tells a run that did not end from a folder that is none.
func missing(dir string) error {
	scenario := filepath.Join(dir, ScenarioFile)
	if _, err := os.Stat(scenario); err != nil {
		return fmt.Errorf("%s is no run folder: %w", dir, err)
	}
	return fmt.Errorf("%s has no %s: %w; run it again: etlbench run %s", dir, SummaryFile, ErrUnfinished, scenario)
}

// parseSummary looks at the schema before anything else, because the rest of
// another version's summary may not fit.
func parseSummary(path string, data []byte, s *Summary) error {
	var head struct {
		Schema string `json:"schema"`
	}
	err := json.Unmarshal(data, &head)
	if err == nil && head.Schema != Schema {
		return &SyntaxError{File: path, Err: fmt.Errorf("%w %q, want %q", ErrSchema, head.Schema, Schema)}
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return &SyntaxError{File: path, Line: lineOf(data, err), Err: err}
	}
	return nil
}

// readEvents reads events.jsonl.
func readEvents(dir string) ([]Event, error) {
	f, err := os.Open(filepath.Join(dir, EventsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var events []Event
	for l := newLines(f.Name(), f); ; {
		line, ok, err := l.next()
		if err != nil || !ok {
			return events, err
		}
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, l.fail(err)
		}
		events = append(events, e)
	}
}

func readJSON(dir, name string, v any) error {
	path := filepath.Join(dir, name)
	data, err := readDocument(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return &SyntaxError{File: path, Line: lineOf(data, err), Err: err}
	}
	return nil
}

func readDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, &SyntaxError{File: path, Err: fmt.Errorf("larger than %d bytes", maxDocument)}
	}
	return data, nil
}
