package reports

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// output is a file that Write makes.
type output struct {
	name, file string
	write      func(io.Writer, *Report) error
}

// Files of a run folder, and of a sweep's.
const (
	markdownFile = "report.md"
	htmlFile     = "report.html"
	csvFile      = "report.csv"
	jsonFile     = "report.json"
	faultsFile   = "faults.csv" // of a run with faults
)

func outputs() []output {
	return []output{
		{"text", "report.txt", WriteText},
		{"md", markdownFile, WriteMarkdown},
		{"html", htmlFile, WriteHTML},
		{"csv", csvFile, WriteCSV},
		{"csv", faultsFile, WriteFaultsCSV},
		{"json", jsonFile, WriteJSON},
		{"bench", "bench.txt", WriteBench},
		{"hgrm", "report.hgrm", func(w io.Writer, r *Report) error { return WriteHgrm(w, r, "") }},
		{"prom", "report.prom", WriteProm},
	}
}

// Read reads a run folder and makes its report.
func Read(dir string, o judge.Options) (*Report, error) {
	e, err := judge.Read(dir)
	if err != nil {
		return nil, err
	}
	r, err := Build(e, o)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(r.htmlPath())
	r.noPage = err != nil
	return r, nil
}

// Write writes reports into the run folder, each at once, over those that are
// there: "text" (report.txt), "md" (report.md), "html", "csv", "json", "hgrm",
// "prom" likewise, and "bench" (bench.txt). With csv, a run with faults has
// faults.csv as well. No names: text, md, html, csv, json
// and bench. "hlog" is there already: it is what the others are made from.
func (r *Report) Write(names ...string) error {
	if len(names) == 0 {
		names = []string{"text", "md", "html", "csv", "json", "bench"}
	}
	r.noPage = !slices.Contains(names, "html")
	for _, out := range outputs() {
		if !slices.Contains(names, out.name) || out.file == faultsFile && len(r.Run.Summary.Faults) == 0 {
			continue
		}
		var b bytes.Buffer
		if err := out.write(&b, r); err != nil {
			return fmt.Errorf("%s: %w", out.file, err)
		}
		if err := results.WriteFile(filepath.Join(r.Run.Dir, out.file), b.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", out.file, err)
		}
	}
	return nil
}
