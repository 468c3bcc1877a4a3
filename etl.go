package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

func etlCmd(e *env) *cobra.Command {
	cmd, r := groupCmd(e, "etl", "start, use, look at and stop ETLs",
		"An ETL is a transformer beside every target; objects pass through it on a GET (etl object) or from\n"+
			"bucket to bucket (etl bucket).", "etl ls")
	cmd.AddCommand(etlInitCmd(r), etlLsCmd(r), etlShowCmd(r), etlErrorsCmd(r), etlLogsCmd(r), etlHealthCmd(r), etlMetricsCmd(r),
		etlStartCmd(r), etlStopCmd(r), etlRmCmd(r), etlObjectCmd(r), etlBucketCmd(r), etlInspectCmd(r))
	return cmd
}

// etlLine is a line of "etl ls -o json".
type etlLine struct {
	Name     string `json:"name"`
	Stage    string `json:"stage"`
	XactID   string `json:"xaction_id"` // "" when it does not run
	Objects  int64  `json:"objects"`    // since it was started
	InBytes  int64  `json:"in_bytes"`
	OutBytes int64  `json:"out_bytes"`
}

func etlLsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "list ETLs, stopped ones too", Args: cobra.NoArgs,
		Long: "Lists ETLs. Objects and bytes are what passed through them since they were started.\n\n" +
			"-o json prints an array of {name, stage, xaction_id, objects, in_bytes, out_bytes}.",
		RunE: r.do(func(ctx context.Context, _ []string) error {
			return r.with(ctx, func(c *api.Client) error {
				list, err := c.ETLs(ctx)
				if err != nil {
					return err
				}
				return r.printETLs(list)
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

func (r *remote) printETLs(list []api.ETLInfo) error {
	lines := []etlLine{}
	for _, l := range list {
		lines = append(lines, etlLine{l.ID, l.Stage, l.XactID, l.ObjCount, l.InBytes, l.OutBytes})
	}
	return r.print(lines, func() {
		if len(lines) == 0 {
			fmt.Fprintln(r.e.err, "no ETLs")
			return
		}
		t := newTable(r.e.out, "etl", "stage", "objects", "in", "out", "job")
		for _, l := range lines {
			t.AppendRow([]any{shown(l.Name), l.Stage, l.Objects, size(l.InBytes), size(l.OutBytes), orDash(l.XactID)})
		}
		t.Render()
	})
}

func etlStartCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "start NAME...", Short: "start ETLs that are stopped", Args: count(1, -1),
		Long:              "Starts ETLs that were stopped or were aborted, and waits until they run. -o json prints an array of names.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.do(func(ctx context.Context, names []string) error {
			return r.eachETL(ctx, names, false, "runs", func(c *api.Client, name string) error {
				_, err := c.StartETL(ctx, name)
				return err
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

func etlStopCmd(r *remote) *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "stop NAME...|--all", Short: "stop ETLs and keep what they were made from", Args: count(0, -1),
		Long:              "Stops ETLs, with the jobs that use them; etl start starts them again. -o json prints an array of names.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.do(func(ctx context.Context, names []string) error {
			return r.eachETL(ctx, names, all, "is stopped", func(c *api.Client, name string) error { return c.StopETL(ctx, name) })
		})}
	cmd.Flags().BoolVar(&all, "all", false, "stop all ETLs")
	r.outputFlag(cmd)
	return cmd
}

func etlRmCmd(r *remote) *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "rm NAME...|--all", Short: "stop and forget ETLs", Args: count(0, -1),
		Long:              "Stops ETLs that run and forgets them. -o json prints an array of names.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.do(func(ctx context.Context, names []string) error {
			return r.eachETL(ctx, names, all, "is removed", func(c *api.Client, name string) error { return c.DeleteETL(ctx, name) })
		})}
	cmd.Flags().BoolVar(&all, "all", false, "remove all ETLs")
	r.outputFlag(cmd)
	return cmd
}

// eachETL does something with the ETLs that are named, or with all. It ends
// with the first that fails; what was done until then is printed.
func (r *remote) eachETL(ctx context.Context, names []string, all bool, done string, do func(*api.Client, string) error) error {
	switch {
	case all && len(names) > 0:
		return misuse("--all and %s: give one of them", names[0])
	case !all && len(names) == 0:
		return misuse("no ETL is named: give NAMEs, or --all")
	}
	if err := checkETLs(names...); err != nil {
		return err
	}
	return r.with(ctx, func(c *api.Client) (err error) {
		if all {
			if names, err = etlNames(ctx, c); err != nil {
				return err
			}
		}
		return r.each(names, done, func(name string) error { return do(c, name) })
	})
}
