package reports

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// The files that Report.Write makes.
const (
	markdownFile = "report.md"
	htmlFile     = "report.html"
	csvFile      = "report.csv"
	jsonFile     = "report.json"
	benchFile    = "bench.txt"
	faultsFile   = "faults.csv" // of a run with faults
)

// Read reads a run folder and makes its report.
func Read(dir string, o judge.Options) (*Report, error) {
	e, err := judge.Read(dir)
	if err != nil {
		return nil, err
	}
	return Build(e, o)
}

type output struct {
	name  string
	write func(io.Writer, *Report) error
}

// Write writes report.md, report.html, report.csv, report.json and bench.txt
// into the run folder, of a run with faults also faults.csv, each at once, over
// those that are there.
func (r *Report) Write() error {
	outs := []output{
		{markdownFile, WriteMarkdown},
		{htmlFile, WriteHTML},
		{csvFile, WriteCSV},
		{jsonFile, WriteJSON},
		{benchFile, WriteBench},
	}
	if len(r.Run.Summary.Faults) > 0 {
		outs = append(outs, output{faultsFile, WriteFaultsCSV})
	}
	for _, out := range outs {
		var b bytes.Buffer
		if err := out.write(&b, r); err != nil {
			return fmt.Errorf("%s: %w", out.name, err)
		}
		if err := results.WriteFile(filepath.Join(r.Run.Dir, out.name), b.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", out.name, err)
		}
	}
	return nil
}
