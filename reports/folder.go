package reports

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"github.com/etlbench/etlbench/reports/results"
)

// The files that WriteFolder makes.
const (
	markdownFile = "report.md"
	htmlFile     = "report.html"
	csvFile      = "report.csv"
)

// WriteFolder reads the run folder dir and writes report.md, report.html and
// report.csv into it, each at once, over those that are there.
func WriteFolder(dir string) error {
	run, err := results.Read(dir)
	if err != nil {
		return err
	}
	r := Build(run)
	for _, out := range []struct {
		name  string
		write func(io.Writer, *Report) error
	}{
		{markdownFile, WriteMarkdown},
		{htmlFile, WriteHTML},
		{csvFile, WriteCSV},
	} {
		var b bytes.Buffer
		if err := out.write(&b, r); err != nil {
			return fmt.Errorf("%s: %w", out.name, err)
		}
		if err := results.WriteFile(filepath.Join(dir, out.name), b.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", out.name, err)
		}
	}
	return nil
}
