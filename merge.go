package main

import (
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

func mergeCmd(e *env) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "merge FOLDER... --out FOLDER",
		Short: "add up the run folders of several loaders",
		Long: "Adds up the folders of runs that issued one scenario's operations together, each its share (run --share),\n" +
			"into a new one. Nothing is lost: histograms and counts are those of one loader. All shares must be there;\n" +
			"runs of different scenarios, seeds or clusters, and overlapping shares, are refused.",
		Example: "  etlbench merge runs/1 runs/2 --out runs/both",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := results.Union(args, out); err != nil {
				return fail(err)
			}
			r, err := reports.Read(out, judge.Options{})
			if err != nil {
				return fail(err)
			}
			if err := writeOutputs(r); err != nil {
				return fail(err)
			}
			return fail(reports.WriteText(e.out, r))
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FOLDER` to write, new or empty")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}
