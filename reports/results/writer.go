package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The files of a run folder.
const (
	ScenarioFile  = "scenario.yaml"
	EnvFile       = "env.json"
	LogFile       = "ops.hlog"
	IntervalsFile = "intervals.jsonl"
	EventsFile    = "events.jsonl"
	ResourcesFile = "resources.csv"
	ErrorsFile    = "errors.json"
	SummaryFile   = "summary.json"
)

// Writer makes one run folder. Every line is handed to the system as it
// comes, so a run that dies leaves what it measured. It may be used by several
// goroutines at once. The first error that Interval or Event meets is kept and returned
// by every later call: a folder with a hole in it never gets a summary.json.
type Writer struct {
	dir string

	mu     sync.Mutex // guards everything below
	hlog   *os.File
	jsonl  *os.File
	events *os.File
	usage  *os.File
	origin time.Time // of the first interval, in whole milliseconds
	closed bool
	done   bool  // Finish has succeeded
	err    error // the first one
}

// Create makes dir, with its parents, and opens a run in it. A folder that
// holds anything is refused with ErrNotEmpty. The caller ends the Writer with
// Finish, or with Close when the run is given up.
func Create(dir string, scenarioYAML []byte, env Env) (*Writer, error) {
	if err := makeEmpty(dir); err != nil {
		return nil, err
	}
	if err := WriteFile(filepath.Join(dir, ScenarioFile), scenarioYAML); err != nil {
		return nil, err
	}
	if err := writeJSON(dir, EnvFile, env); err != nil {
		return nil, err
	}
	w := &Writer{dir: dir}
	for _, f := range []struct {
		name string
		to   **os.File
	}{{LogFile, &w.hlog}, {IntervalsFile, &w.jsonl}, {EventsFile, &w.events}, {ResourcesFile, &w.usage}} {
		var err error
		if *f.to, err = createFile(dir, f.name); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	if err := writeUsage(w.usage, usageHeader); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("run folder %s: %w, it holds %s: choose another one", dir, ErrNotEmpty, entries[0].Name())
	}
	return nil
}

// createFile refuses a file that exists: another run has begun in the folder
// since it was found empty.
func createFile(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// Interval appends one interval to ops.hlog and intervals.jsonl. The histogram
// must have the bounds of NewHistogram; nil stands for an empty one.
func (w *Writer) Interval(iv Interval) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	if err := w.append(iv); err != nil {
		w.err = fmt.Errorf("run folder: write interval: %w", err)
		return w.err
	}
	return nil
}

// Event appends one event to events.jsonl.
func (w *Writer) Event(e Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = w.events.Write(append(line, '\n'))
	}
	if err != nil {
		w.err = fmt.Errorf("run folder: write event: %w", err)
	}
	return w.err
}

// Usage appends lines to resources.csv.
func (w *Writer) Usage(list []Usage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, u := range list {
		rows[i] = u.fields()
	}
	if err := writeUsage(w.usage, rows...); err != nil {
		w.err = fmt.Errorf("run folder: write resources: %w", err)
	}
	return w.err
}

func (w *Writer) usable() error {
	switch {
	case w.err != nil:
		return w.err
	case w.closed:
		return fmt.Errorf("%s: %w", w.dir, ErrClosed)
	}
	return nil
}

func (w *Writer) append(iv Interval) error {
	line, err := logLine(iv)
	if err != nil {
		return err
	}
	if w.origin.IsZero() {
		w.origin = iv.Start.Truncate(time.Millisecond)
		line = logHeader(w.origin) + line
	}
	r := newRecord(iv, w.origin)
	if err := r.check(); err != nil {
		return err
	}
	record, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := w.hlog.WriteString(line); err != nil {
		return err
	}
	_, err = w.jsonl.Write(append(record, '\n'))
	return err
}

// Finish writes errors.json and then, when everything before it is safely on
// disk, summary.json, whose Schema it sets and whose rows keep their order. It
// closes the Writer whatever it returns. Once it has succeeded, further calls
// do nothing.
func (w *Writer) Finish(s Summary, errs []ErrorClass) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	if err := w.usable(); err != nil {
		return errors.Join(err, w.close())
	}
	if err := w.finish(s, errs); err != nil {
		w.err = fmt.Errorf("run folder: finish: %w", err)
		return errors.Join(w.err, w.close())
	}
	w.done = true
	return nil
}

func (w *Writer) finish(s Summary, errs []ErrorClass) error {
	if errs == nil {
		errs = []ErrorClass{}
	}
	if err := writeJSON(w.dir, ErrorsFile, errs); err != nil {
		return err
	}
	if err := errors.Join(w.hlog.Sync(), w.jsonl.Sync(), w.events.Sync(), w.usage.Sync()); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	data, err := s.Encode()
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(w.dir, SummaryFile), data)
}

// Close gives the run up: the folder stays without summary.json, unless Finish
// came before. It may be called more than once.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.close()
}

func (w *Writer) close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	var errs []error
	for _, f := range []*os.File{w.hlog, w.jsonl, w.events, w.usage} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Encode returns s as summary.json has it: Schema set, targets sorted by ID,
// no list null. Numbers that JSON has no form for (NaN, infinity) are an error.
func (s Summary) Encode() ([]byte, error) {
	s.Schema = Schema
	s.Cluster.Targets = append([]string{}, s.Cluster.Targets...)
	s.Arms, s.Blocks = append([]Arm{}, s.Arms...), append([]Block{}, s.Blocks...)
	s.Rows, s.Samples = append([]Row{}, s.Rows...), append([]Sample{}, s.Samples...)
	for i := range s.Rows {
		s.Rows[i].Targets = sorted(s.Rows[i].Targets)
	}
	for i := range s.Samples {
		s.Samples[i].Targets = sorted(s.Samples[i].Targets)
	}
	return encode(SummaryFile, s)
}

func sorted(targets []Target) []Target {
	targets = append([]Target{}, targets...)
	slices.SortStableFunc(targets, func(a, b Target) int { return strings.Compare(a.ID, b.ID) })
	return targets
}

func encode(name string, v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return append(data, '\n'), nil
}

func writeJSON(dir, name string, v any) error {
	data, err := encode(name, v)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, name), data)
}

// WriteFile puts data into the file at path, replacing what was there, so that
// a reader sees the old content or the new, and a crash leaves one of them.
func WriteFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	// CreateTemp makes files that only their owner may read.
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// syncDir makes a rename outlive a power cut. Some file systems cannot, which
// is no reason to fail a run.
func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = d.Sync()
	_ = d.Close()
}
