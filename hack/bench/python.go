package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/transformers/python"
)

// pythonScenario compares md5 in Go with md5 in Python, by one communication
// type, at as many connections as demands are for.
const pythonScenario = `apiVersion: etlbench/v1
name: bench-python
transforms: [md5, md5/python]
target: {targets: 1}
dataset: {objects: 64}
arms: {comm: [%s], size: [4KiB], workers: [%d]}
load: {direct: true}
phases: {warmup: 100ms, measure: %s}
trials: {blocks: %d}
verify: {content: sample 1%%}
collect: {phases: off}
`

// pythonRuns are runs of pythonScenario. Under io:// the arm md5 is not Go: it is
// the same Python, by an interpreter that is started for each object.
type pythonRuns struct{ io, code *results.Summary }

// python makes the runs; none where there is no Python 3.
func (o *options) python(ctx context.Context, work string) (*pythonRuns, error) {
	i, err := python.Find(ctx, "python3")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: Python is left out:", err)
		return nil, nil
	}
	images, err := startedTable(work, i.Path)
	if err != nil {
		return nil, err
	}
	scenario := func(comm string) string { return fmt.Sprintf(pythonScenario, comm, demandAt, o.measure, o.blocks) }
	r := &pythonRuns{}
	if r.io, err = o.run(ctx, work, o.out+"-io", scenario("io"), "--images", images); err != nil {
		return nil, err
	}
	r.code, err = o.run(ctx, work, o.out+"-python", scenario("hpush"))
	return r, err
}

// startedTable writes a table of images in which etlbench/md5 is Python's.
func startedTable(work, interpreter string) (file string, err error) {
	source, _ := python.Sample("md5")
	code := filepath.Join(work, "md5.py")
	if err := os.WriteFile(code, source, 0o644); err != nil {
		return "", err
	}
	argv, err := python.IOCommand(interpreter, code, python.Functions{})
	if err != nil {
		return "", err
	}
	table, err := json.Marshal(map[string]any{"etlbench/md5": map[string]any{"entrypoint": argv}}) // JSON is YAML
	if err != nil {
		return "", err
	}
	file = filepath.Join(work, "images.yaml")
	return file, os.WriteFile(file, table, 0o644)
}

// write adds the rows of what Python must reach. CPU counts for io://: how many
// objects a second there are is a matter of how many processes run at once.
func (r *pythonRuns) write(t table.Writer) (failed int) {
	const io, code = "exec of Python / io://, md5", "Python md5 / Go md5, hpush"
	if r == nil {
		t.AppendRow(table.Row{io, "4KiB", ">= 8", "n/a", "n/a", "", "n/a"})
		t.AppendRow(table.Row{code, "4KiB", ">= 0.5", "n/a", "n/a", "", "n/a"})
		return 0
	}
	const goArm, pythonArm = "md5", "md5/python"
	c := cell{"4KiB", demandAt}
	n := byTransform(r.io)
	ratios := n.ratios(goArm, pythonArm, c, served)
	verdict := "PASS"
	if i, ok := interval(ratios); !ok {
		verdict = "n/a"
	} else if i.High < 8 {
		verdict, failed = "FAIL", failed+1
	}
	t.AppendRow(table.Row{io, "4KiB", ">= 8", span(n.ratios(pythonArm, goArm, c, rate)), span(ratios), "CPU", verdict})
	n = byTransform(r.code)
	verdict, counts := n.verdict(demand{arm: pythonArm, other: goArm, least: 0.5}, c)
	if verdict == "FAIL" {
		failed++
	}
	t.AppendRow(table.Row{code, "4KiB", ">= 0.5", span(n.ratios(pythonArm, goArm, c, rate)),
		span(n.ratios(goArm, pythonArm, c, served)), counts, verdict})
	return failed
}

// byTransform are numbers by transform in place of communication type.
func byTransform(s *results.Summary) *numbers {
	t := *s
	t.Arms = nil
	for _, a := range s.Arms {
		a.Comm = a.Transform
		t.Arms = append(t.Arms, a)
	}
	return numbersOf(&t)
}
