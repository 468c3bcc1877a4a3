package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/transformers/python"
)

func demoCmd(e *env) *cobra.Command {
	var (
		f       runFlags
		measure time.Duration
		targets int
		dir     string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "compare the communication types on photographs, with nothing to prepare",
		Long: "Starts a cluster of child processes, fills it with TAR shards of photographs, and transforms them by\n" +
			"every communication type, inline and offline, with a Go and a Python transformer; then prints a\n" +
			"comparison, writes a run folder and cleans up.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if measure < 100*time.Millisecond {
				return fmt.Errorf("--for %s: must be at least 100ms", measure)
			}
			if targets < 1 || targets > maxNodes {
				return fmt.Errorf("--targets %d: must be 1 to %d", targets, maxNodes)
			}
			sets := []string{"phases.measure=" + measure.String(), fmt.Sprintf("target.targets=%d", targets)}
			s, notes, err := demoScenario(cmd.Context(), e, sets, dir, f.runtimes.choices)
			if err != nil {
				return err
			}
			f.own = true
			return f.run(cmd.Context(), e, s, notes)
		},
	}
	fl := cmd.Flags()
	fl.DurationVar(&measure, "for", 10*time.Second, "measured `TIME` of each inline arm")
	fl.IntVar(&targets, "targets", 3, "`N` targets")
	fl.StringVar(&dir, "dataset", "", "`FOLDER` of TAR files to transform in place of the built-in photographs")
	f.common(cmd)
	return cmd
}

// demoScenario is the built-in scenario on the user's objects, if any, and
// with what this machine has: without Python 3 the Go transform takes the place
// of the Python one, and the report says so.
func demoScenario(ctx context.Context, e *env, sets []string, dir string, choices python.Runtimes) (*scenarios.Scenario, []string, error) {
	source, err := scenarios.Source("demo")
	if err != nil {
		return nil, nil, err
	}
	s, err := scenarios.ParseWith("demo", source, sets)
	if err != nil {
		return nil, nil, err
	}
	if dir != "" {
		s.Dataset = scenarios.Dataset{Kind: scenarios.KindFolder, Dir: dir}
	}
	var notes []string
	if _, err := e.python3(ctx, choices); err != nil {
		notes = append(notes, fmt.Sprintf("No Python 3 was found (%v): the Go md5 was measured in place of the Python function.", err))
		for i, t := range s.Transforms {
			s.Transforms[i] = strings.TrimSuffix(t, pythonSuffix)
		}
		s.Transforms = slices.Compact(s.Transforms)
	}
	return s, notes, s.Validate()
}
