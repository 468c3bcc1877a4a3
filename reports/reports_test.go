package reports_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
)

// here is the package's folder: tests may change into another one.
var here, _ = os.Getwd()

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(here, "testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got), "run with -update if this is meant")
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"demo", "troubled", "empty", "many", "open"} {
		run := runs()[name]()
		golden(t, name+".txt", render(t, reports.WriteText, run))
		golden(t, name+".md", render(t, reports.WriteMarkdown, run))
	}
	golden(t, "demo.csv", render(t, reports.WriteCSV, demo()))
	golden(t, "troubled.csv", render(t, reports.WriteCSV, troubled()))
}

func TestTextFitsTheTerminal(t *testing.T) {
	for _, name := range []string{"demo", "troubled", "many"} {
		for line := range strings.Lines(render(t, reports.WriteText, runs()[name]())) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 100, line)
		}
	}
}

// allRowsOf reads a CSV back: column name to value, line by line.
func allRowsOf(t *testing.T, out string) (rows []map[string]string) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, column := range lines[0] {
			row[column] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// rowsOf are the lines of all blocks together.
func rowsOf(t *testing.T, out string) []map[string]string {
	t.Helper()
	return slices.DeleteFunc(allRowsOf(t, out), func(row map[string]string) bool { return row["block"] != "all" })
}

func TestOutputsAgree(t *testing.T) {
	for _, name := range []string{"demo", "troubled", "many", "one"} {
		run := runs()[name]()
		rows := rowsOf(t, render(t, reports.WriteCSV, run))
		require.Len(t, rows, len(run.Summary.Rows))
		text := strings.Join(strings.Fields(render(t, reports.WriteText, run)), " ")
		md, page := render(t, reports.WriteMarkdown, run), render(t, reports.WriteHTML, run)
		i := 0
		for _, g := range build(t, run).Groups {
			for _, l := range g.Lines {
				sameAsSummary(t, l.Row, rows[i])
				i++
				require.Contains(t, text, strings.Join(l.Cells, " "))
				require.Contains(t, md, "| "+strings.NewReplacer("[", `\[`, "]", `\]`).Replace(strings.Join(l.Cells, " | "))+" |")
				require.Contains(t, page, `<th scope="row">`+l.Cells[0]+"</th><td>"+strings.Join(l.Cells[1:], "</td><td>")+"</td>")
				for column, at := range map[string]int{"ops_per_s": 1, "mib_per_s": 2, "response_p50_ms": 3, "response_p99_ms": 4, "response_max_ms": 5} {
					sameAtPrecision(t, rows[i-1][column], l.Cells[at])
				}
			}
		}
	}
}

// sameAsSummary holds a CSV line against the JSON of its row.
func sameAsSummary(t *testing.T, row results.Row, line map[string]string) {
	data, err := json.Marshal(row)
	require.NoError(t, err)
	want := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	require.NoError(t, d.Decode(&want))
	for _, list := range []string{"targets", "phases", "resources"} {
		delete(want, list)
	}
	want["block"] = "all"
	for _, q := range []string{"response", "service", "delay", "ttfb"} {
		for n, v := range want[q].(map[string]any) {
			want[q+"_"+n] = v
		}
		delete(want, q)
	}
	require.GreaterOrEqual(t, len(line), len(want))
	for name, v := range line {
		if _, ok := want[name]; !ok {
			require.Contains(t, []string{"", "0", "false"}, v, "%s is left out of the JSON", name)
		}
	}
	for name, v := range want {
		switch v := v.(type) {
		case nil:
			require.Empty(t, line[name], name)
		case string:
			require.Equal(t, v, line[name], name)
		case json.Number:
			x, err := v.Float64()
			require.NoError(t, err)
			y, err := strconv.ParseFloat(line[name], 64)
			require.NoError(t, err, name)
			require.Equal(t, x, y, name)
		}
	}
}

// sameAtPrecision holds a printed cell against the exact number.
func sameAtPrecision(t *testing.T, exact, cell string) {
	if exact == "" || strings.HasPrefix(cell, "n/a (n=") {
		require.True(t, strings.HasPrefix(cell, "n/a"))
		return
	}
	cell, _, _ = strings.Cut(cell, " [")
	x, err := strconv.ParseFloat(exact, 64)
	require.NoError(t, err)
	y, err := strconv.ParseFloat(strings.NewReplacer(",", "", "*", "").Replace(cell), 64)
	require.NoError(t, err)
	require.InEpsilon(t, x, y, 0.005)
}

func TestSummaryIsTheFile(t *testing.T) {
	want, err := demo().Summary.Encode()
	require.NoError(t, err)
	require.Equal(t, string(want), render(t, reports.WriteSummary, demo()))
}

func TestNothingBreaks(t *testing.T) {
	for name, fabricate := range runs() {
		t.Run(name, func(t *testing.T) {
			run := fabricate()
			text, md, page := render(t, reports.WriteText, run), render(t, reports.WriteMarkdown, run), render(t, reports.WriteHTML, run)
			prose, _, _ := strings.Cut(md, "## Reproduce") // the rest is a code block
			require.NotContains(t, prose, "<script", "escaped")
			require.NotContains(t, page, "<script", "escaped")
			for _, s := range []string{text, md, page} {
				require.NotContains(t, s, "\x1b", "no control characters")
				require.NotContains(t, s, "\u202e", "no marks that turn the direction")
			}
			require.Less(t, len(page), 1<<20)
			var b bytes.Buffer
			c := compared(t, demo(), run)
			for _, write := range []func(io.Writer) error{c.WriteText, c.WriteMarkdown, c.WriteJSON, c.WriteCSV} {
				require.NoError(t, write(&b))
			}
		})
	}
}

func TestPage(t *testing.T) {
	for name, fabricate := range runs() {
		t.Run(name, func(t *testing.T) {
			run := fabricate()
			page := render(t, reports.WriteHTML, run)
			for _, foreign := range []string{"<link", "<script", "<img", "@import", "url(", "src=", "ZgotmplZ", "#000000"} {
				require.NotContains(t, page, foreign)
			}
			seen := map[string]bool{}
			for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
				require.False(t, seen[m[1]], "id %s is there twice", m[1])
				seen[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`(?:aria-labelledby="|href="#)([^"]*)"`).FindAllStringSubmatch(page, -1) {
				require.True(t, seen[m[1]], "%s is referred to", m[1])
			}
			for _, chart := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page, -1) {
				wellFormed(t, chart)
				require.Regexp(t, `<title id="chart-\d+-title">[^<]+</title>`, chart)
			}
		})
	}
	page := render(t, reports.WriteHTML, demo())
	require.Equal(t, 2+4+4+2+4+2*3, strings.Count(page, "<svg "), "overviews; intervals, targets and rates of all; latency and three percentiles of inline")
	require.Equal(t, strings.Count(page, "<svg "), strings.Count(page, "<details>"), "every chart has its data")
	require.Contains(t, page, "99.9%</text>")
	headings := regexp.MustCompile(`<h2 id="[a-z]+">([^<]+)</h2>`)
	for name, fabricate := range runs() {
		var got []string
		for _, m := range headings.FindAllStringSubmatch(render(t, reports.WriteHTML, fabricate()), -1) {
			got = append(got, m[1])
		}
		require.Equal(t, []string{"Verdict", "Communication types", "Latency", "Time", "Size", "Scaling", "Comparison", "Health of the tool", "Reproduce"}, got, name)
	}
	require.Equal(t, 2, strings.Count(page, `<p class="missing">Nothing to show: `), "no sizes, no workers")
	require.Equal(t, 7, strings.Count(render(t, reports.WriteHTML, &results.Run{}), `<p class="missing">`))
	require.Contains(t, page, "etlbench run runs/demo/scenario.yaml")
}

func wellFormed(t *testing.T, doc string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPageStaysSmall(t *testing.T) {
	run := demo()
	rows := run.Summary.Rows
	for i := range 60 {
		for _, row := range rows {
			row.Transform += strconv.Itoa(i)
			run.Summary.Rows = append(run.Summary.Rows, row)
		}
	}
	page := render(t, reports.WriteHTML, run)
	require.Less(t, len(page), 1<<20)
	require.Contains(t, page, "were left out")
}

// writeFolder does what "report --all" does.
func writeFolder(dir string) error {
	r, err := reports.Read(dir, judge.Options{})
	if err != nil {
		return err
	}
	return r.Write()
}

func TestWriteFolder(t *testing.T) {
	dir := t.TempDir()
	run := demo()
	w, err := results.Create(dir, run.Scenario, run.Env)
	require.NoError(t, err)
	for _, iv := range run.Intervals {
		require.NoError(t, w.Interval(iv))
		iv.Key.Metric = results.MetricResponse
		require.NoError(t, w.Interval(iv))
	}
	require.NoError(t, w.Finish(run.Summary, nil))
	run.Dir = dir
	for range 2 { // and over itself
		require.NoError(t, writeFolder(dir))
		for name, write := range map[string]func(io.Writer, *reports.Report) error{
			"report.md": reports.WriteMarkdown, "report.html": reports.WriteHTML,
			"report.csv": reports.WriteCSV, "report.json": reports.WriteJSON, "bench.txt": reports.WriteBench,
			"summary.json": reports.WriteSummary,
		} {
			got, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(render(t, write, run), string(got)), name)
		}
	}
	require.NoError(t, os.Remove(filepath.Join(dir, results.SummaryFile)))
	require.ErrorIs(t, writeFolder(dir), results.ErrUnfinished)
}

func TestCompare(t *testing.T) {
	base, other, third := demo(), demo(), demo()
	other.Dir, third.Dir = "runs/other", "runs/third"
	other.Summary.Seed, other.Summary.Load.Workers, other.Summary.Dataset.Objects = 7, 16, 241
	rows := other.Summary.Rows
	rows[0].Response.P50Ms, rows[0].MiBPerS = ptr(*rows[0].Response.P50Ms*1.5), rows[0].MiBPerS*0.5
	rows[1].Response.P99Ms = nil
	rows[2].Comm = "ws"
	rows[3].MiBPerS = 0
	third.Summary.Rows = third.Summary.Rows[:2]
	c := compared(t, base, other, third)
	for name, write := range map[string]func(io.Writer) error{
		"compare.txt": c.WriteText, "compare.md": c.WriteMarkdown, "compare.csv": c.WriteCSV, "compare.json": c.WriteJSON,
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		golden(t, name, b.String())
	}
	require.Empty(t, compared(t, base, demo()).Warnings)
	require.Equal(t, stats.Unsure, c.Verdict, "of single runs nothing is sure")
}

func compared(t testing.TB, base *results.Run, others ...*results.Run) *reports.Comparison {
	t.Helper()
	var list []*judge.Evidence
	for _, o := range others {
		list = append(list, judge.Of(o, o.Intervals))
	}
	c, err := reports.Compare(judge.Of(base, base.Intervals), list, judge.Options{})
	require.NoError(t, err)
	return c
}

func TestFailedWritesAreReported(t *testing.T) {
	r := build(t, demo())
	r.Run.Dir = "" // which has no intervals to look at
	c := compared(t, demo(), demo())
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return reports.WriteText(w, r) },
		func(w io.Writer) error { return reports.WriteMarkdown(w, r) },
		func(w io.Writer) error { return reports.WriteHTML(w, r) },
		func(w io.Writer) error { return reports.WriteCSV(w, r) },
		func(w io.Writer) error { return reports.WriteJSON(w, r) },
		func(w io.Writer) error { return reports.WriteSummary(w, r) },
		func(w io.Writer) error { return reports.WriteBench(w, r) },
		func(w io.Writer) error { return reports.WriteHgrm(w, r, "") },
		func(w io.Writer) error { return reports.WriteSchema(w) },
		func(w io.Writer) error { return reports.Explain(w, r, "tar-images:io:inline.p99") },
		func(w io.Writer) error { return reports.Explain(w, r, "") },
		c.WriteText, c.WriteMarkdown, c.WriteCSV, c.WriteJSON,
	} {
		require.ErrorIs(t, write(fullWriter{}), io.ErrShortWrite)
	}
}

// fullWriter is a pipe that nobody reads.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
