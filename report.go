package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/results"
)

func reportCmd(e *env) *cobra.Command {
	formats := []string{"text", "md", "html", "json", "csv"}
	var output string
	cmd := &cobra.Command{
		Use:     "report FOLDER",
		Short:   "make a report from a run folder",
		Long:    "Prints a report of a run folder, from that folder alone. With -o all it writes report.md, report.html\nand report.csv into the folder anew.",
		Example: "  etlbench report runs/20261122-demo\n  etlbench report runs/20261122-demo -o html > page.html",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if output == "all" {
				return fail(reports.WriteFolder(args[0]))
			}
			if !slices.Contains(formats, output) {
				return fmt.Errorf("-o %q: must be %s or all", output, strings.Join(formats, ", "))
			}
			return fail(printReport(e.out, args[0], output))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`text|md|html|json|csv|all`")
	return cmd
}

func compareCmd(e *env) *cobra.Command {
	writers := map[string]func(*reports.Comparison, io.Writer) error{
		"text": (*reports.Comparison).WriteText,
		"md":   (*reports.Comparison).WriteMarkdown,
		"csv":  (*reports.Comparison).WriteCSV,
		"json": (*reports.Comparison).WriteJSON,
	}
	var output string
	cmd := &cobra.Command{
		Use:     "compare BASE OTHER...",
		Short:   "show the differences between run folders side by side",
		Example: "  etlbench compare runs/before runs/after",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			write := writers[output]
			if write == nil {
				return fmt.Errorf("-o %q: must be text, md, csv or json", output)
			}
			runs := make([]*results.Run, len(args))
			for i, dir := range args {
				var err error
				if runs[i], err = results.Read(dir); err != nil {
					return fail(err)
				}
			}
			return fail(write(reports.Compare(runs[0], runs[1:]...), e.out))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`text|md|csv|json`")
	return cmd
}
