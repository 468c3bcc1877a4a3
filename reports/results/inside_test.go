package results

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullDisk takes the place of a file: every write to it fails for lack of
// space.
func fullDisk(t *testing.T) *os.File {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	return f
}

func TestFullDiskFailsTheRun(t *testing.T) {
	cases := map[string]func(w *Writer, f *os.File){
		"histograms": func(w *Writer, f *os.File) { w.hlog = f },
		"intervals":  func(w *Writer, f *os.File) { w.jsonl = f },
	}
	for name, fill := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := Create(dir, nil, Env{})
			require.NoError(t, err)
			iv := Interval{Start: time.Unix(1, 0)}
			require.NoError(t, w.Interval(iv))
			fill(w, fullDisk(t))
			require.ErrorContains(t, w.Interval(iv), "no space left")
			require.ErrorContains(t, w.Interval(iv), "no space left")
			require.ErrorContains(t, w.Finish(Summary{}, nil), "no space left")
			require.NoError(t, w.Close())
			_, err = Read(dir)
			require.ErrorIs(t, err, ErrUnfinished)
		})
	}
}

func TestWriteFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x"), 0o755))
	require.Error(t, WriteFile(filepath.Join(dir, "x"), []byte("data")), "a folder cannot be replaced")
	require.NoError(t, WriteFile(filepath.Join(dir, "y"), []byte("old")))
	require.NoError(t, WriteFile(filepath.Join(dir, "y"), []byte("new")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// sample is a pair of interval files as a Writer makes them.
func sample(tb testing.TB) (jsonl, hlog string) {
	dir := tb.TempDir()
	w, err := Create(dir, nil, Env{})
	require.NoError(tb, err)
	h := NewHistogram()
	require.NoError(tb, h.RecordValue(5e6))
	require.NoError(tb, w.Interval(Interval{Start: time.Unix(1700000000, 5), Counts: Counts{Ops: 1}, Latency: h}))
	require.NoError(tb, w.Interval(Interval{Start: time.Unix(1700000001, 5)}))
	require.NoError(tb, w.Close())
	a, err := os.ReadFile(filepath.Join(dir, IntervalsFile))
	require.NoError(tb, err)
	b, err := os.ReadFile(filepath.Join(dir, LogFile))
	require.NoError(tb, err)
	return string(a), string(b)
}

func FuzzIntervals(f *testing.F) {
	jsonl, hlog := sample(f)
	f.Add(jsonl, hlog)
	f.Add(jsonl[:len(jsonl)/2], hlog)
	f.Add(jsonl, hlog[:len(hlog)/2])
	f.Add("{}\n", "Tag=......,0,0,0,\n")
	f.Add("", "#[StartTime: 99999999999999999999 (")
	f.Add(`{"start_s":-1e9,"duration_s":1e9}`, strings.Repeat("Tag=,", 9))
	f.Fuzz(func(t *testing.T, jsonl, hlog string) {
		j := join{
			jsonl: newLines("a", strings.NewReader(jsonl)),
			hlog:  newLines("b", strings.NewReader(hlog)),
		}
		var n int
		err := j.each(func(iv Interval) error {
			n++
			if iv.Latency == nil || iv.Ops < 0 || iv.Duration < 0 {
				t.Errorf("accepted %+v", iv)
			}
			return nil
		})
		if err == nil && n > strings.Count(jsonl, "\n")+1 {
			t.Errorf("%d intervals from %q", n, jsonl)
		}
	})
}

func FuzzLogLine(f *testing.F) {
	_, hlog := sample(f)
	for line := range strings.Lines(hlog) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Add("Tag=a,1.1234567890,1,1,HISTFAAAAA==")
	f.Fuzz(func(t *testing.T, line string) {
		_, start, h, err := parseLogLine(line)
		if err == nil && (h == nil || start.Unix() < 0) {
			t.Errorf("accepted %q", line)
		}
	})
}

func FuzzSummary(f *testing.F) {
	data, err := Summary{Rows: []Row{{Measured: Measured{Targets: []Target{{ID: "t"}}}}}}.Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"schema":"etlbench/summary/v2","rows":[null,{"response":{"p50_ms":null},"targets":null}]}`))
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Summary
		if parseSummary("summary.json", data, &s) != nil {
			return
		}
		// What was read can be written, and is then read as the same.
		again, err := s.Encode()
		require.NoError(t, err)
		var s2 Summary
		require.NoError(t, parseSummary("summary.json", again, &s2))
		third, err := s2.Encode()
		require.NoError(t, err)
		require.Equal(t, string(again), string(third))
	})
}
