package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
	"github.com/etlbench/etlbench/scenarios"
)

func reportCmd(e *env) *cobra.Command {
	var o judge.Options
	var arm string
	var schema bool
	var file string
	formats := []struct{ name, usage string }{
		{"text", "for the terminal (the default)"}, {"md", "Markdown, for a pull request"}, {"html", "one page"},
		{"json", "the summary and what follows from it"}, {"csv", "a line for each arm and block"},
		{"hgrm", "percentile spectrum of HdrHistogram"}, {"bench", "Go benchmark format, for benchstat"},
		{"prom", "Prometheus' text format"},
		{"all", "write those of the scenario's outputs into the folder anew"},
	}
	chosen := make([]bool, len(formats))
	cmd := &cobra.Command{
		Use:     "report FOLDER...",
		Short:   "make a report from a run folder",
		Long:    "Prints a report of each run folder, or folder of a sweep (scale), from that folder alone.",
		Example: "  etlbench report runs/20261122-demo\n  etlbench report runs/20261122-demo --html > page.html\n  etlbench report runs/20261122-demo --bench > new.txt && benchstat old.txt new.txt",
		Args: func(cmd *cobra.Command, args []string) error {
			if schema {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if schema {
				return fail(reports.WriteSchema(e.out))
			}
			format := "text"
			for i, f := range formats {
				if chosen[i] {
					format = f.name
				}
			}
			if arm != "" && format != "hgrm" {
				return errors.New("--arm goes with --hgrm")
			}
			if file != "" {
				if len(args) != 1 {
					return errors.New("--bundle: holds one run folder")
				}
				return fail(bundle(args[0], file))
			}
			frugal()
			for _, dir := range args {
				if err := printOne(e.out, dir, format, arm, o); err != nil {
					return fail(err)
				}
			}
			return nil
		},
	}
	fl := cmd.Flags()
	var names []string
	for i, f := range formats {
		fl.BoolVar(&chosen[i], f.name, false, f.usage)
		names = append(names, f.name)
	}
	fl.BoolVar(&schema, "schema", false, "print the JSON Schema of --json")
	fl.StringVar(&arm, "arm", "", "with --hgrm: the `ARM`, else all")
	compareFlags(cmd, &o)
	fl.StringVar(&o.Base, "base", "", "compare with this `ARM` (default: the first of those that differ in one factor)")
	fl.StringVar(&file, "bundle", "", "write the folder as one `FILE.tar.gz`, to send, and to replay elsewhere")
	cmd.MarkFlagsMutuallyExclusive(append(names, "schema", "bundle")...)
	return cmd
}

// compareFlags are those of verbs that compare.
func compareFlags(cmd *cobra.Command, o *judge.Options) {
	o.MinEffect = 0.05
	cmd.Flags().Var((*share)(&o.MinEffect), "min-effect", "the least `PERCENT` that matters, such as 5%")
}

// share is a flag in percent.
type share float64

func (s *share) String() string { return fmt.Sprintf("%g%%", 100*float64(*s)) }

func (s *share) Type() string { return "percent" }

func (s *share) Set(text string) error {
	var v float64
	number, ok := strings.CutSuffix(text, "%")
	if _, err := fmt.Sscanf(number+"\n", "%f\n", &v); err != nil || !ok || !(v > 0 && v < 100) {
		return fmt.Errorf("%q: want a percentage above 0%% and below 100%%, such as 5%%", text)
	}
	*s = share(v / 100)
	return nil
}

// frugal has the garbage collector keep memory well below the 256 MiB that a
// report may take: of many arms much is thrown away on the way.
func frugal() { debug.SetMemoryLimit(160 << 20) }

func printOne(w io.Writer, dir, format, arm string, o judge.Options) error {
	if reports.IsSweep(dir) {
		return printSweep(w, dir, format)
	}
	r, err := reports.Read(dir, o)
	if err != nil {
		return err
	}
	switch format {
	case "all":
		return writeOutputs(r)
	case "prom":
		return reports.WriteProm(w, r)
	case "hgrm":
		return reports.WriteHgrm(w, r, arm)
	case "bench":
		return reports.WriteBench(w, r)
	case "json":
		return reports.WriteJSON(w, r)
	}
	return printReport(w, r, format)
}

// printSweep is printOne of what scale leaves.
func printSweep(w io.Writer, dir, format string) error {
	s, err := reports.ReadSweep(dir)
	switch {
	case err != nil:
		return err
	case format == "all":
		return s.Write()
	}
	return s.Print(w, format)
}

// writeOutputs writes the reports that a run's scenario asks for.
func writeOutputs(r *reports.Report) error {
	s, err := scenarios.Parse(results.ScenarioFile, r.Run.Scenario)
	if err != nil {
		return err
	}
	return r.Write(s.Outputs...)
}

// printReport prints what run and report have in common. -o json of a run is
// its summary.json.
func printReport(w io.Writer, r *reports.Report, format string) error {
	write := map[string]func(io.Writer, *reports.Report) error{
		"json": reports.WriteSummary, "md": reports.WriteMarkdown, "csv": reports.WriteCSV, "html": reports.WriteHTML, "text": reports.WriteText,
	}[format]
	return write(w, r)
}

func compareCmd(e *env) *cobra.Command {
	writers := map[string]func(*reports.Comparison, io.Writer) error{
		"text": (*reports.Comparison).WriteText,
		"md":   (*reports.Comparison).WriteMarkdown,
		"csv":  (*reports.Comparison).WriteCSV,
		"json": (*reports.Comparison).WriteJSON,
	}
	var o judge.Options
	var output, gate string
	cmd := &cobra.Command{
		Use:   "compare BASE OTHER...",
		Short: "compare run folders: what is faster, slower, the same, or unsure",
		Long: "Compares every arm of OTHER with that of BASE, by their blocks. Exits with 0 when all are the same or\n" +
			"faster, 2 when any is slower, 6 when any is unsure or cannot be compared.",
		Example: "  etlbench compare runs/before runs/after --min-effect 3%",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			write := writers[output]
			if write == nil {
				return fmt.Errorf("-o %q: must be text, md, csv or json", output)
			}
			if gate != "unsure" && gate != "slower" {
				return fmt.Errorf("--gate %q: must be slower or unsure", gate)
			}
			frugal()
			var runs []*judge.Evidence
			for _, dir := range args {
				run, err := judge.Read(dir)
				if err != nil {
					return fail(err)
				}
				runs = append(runs, run)
			}
			c, err := reports.Compare(runs[0], runs[1:], o)
			if err != nil {
				return fail(err)
			}
			if err := write(c, e.out); err != nil {
				return fail(err)
			}
			switch {
			case c.Verdict == stats.Slower:
				return &exitError{exitFailed, errors.New("slower")}
			case c.Verdict == stats.Unsure && gate == "unsure":
				return &exitError{exitUnsure, errors.New("unsure: see the reasons above; --gate slower lets it pass")}
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&output, "output", "o", "text", "`text|md|csv|json`")
	fl.StringVar(&gate, "gate", "unsure", "what fails, `slower|unsure`: unsure is both")
	compareFlags(cmd, &o)
	return cmd
}

func explainCmd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain RUN [ARM.NUMBER]",
		Short: "walk from a number of a run to its evidence",
		Long: "Shows which blocks and which interval made a number, where the time went there, who used CPU, what failed\n" +
			"and what happened nearby. Without a number it shows what the verdict on the run rests on.",
		Example: "  etlbench explain runs/20261122-demo md5:hpush.p99",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			frugal()
			r, err := reports.Read(args[0], judge.Options{})
			if err != nil {
				return fail(err)
			}
			return fail(reports.Explain(e.out, r, strings.Join(args[1:], "")))
		},
	}
}
