package main

import (
	"fmt"
	"strings"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

func scenariosCmd(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "scenarios", Short: "list, show, check, plan and import scenarios", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var sets []string
	check := &cobra.Command{
		Use: "check FILE|NAME", Short: "check a scenario and print it with all defaults", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := checkedScenario(args[0], sets)
			if err != nil {
				return err
			}
			return printScenario(e, s)
		},
	}
	check.Flags().StringArrayVar(&sets, "set", nil, "change the scenario: `KEY=VALUE`; may repeat")
	plan := &cobra.Command{
		Use: "plan FILE|NAME", Short: "say what a run would take: operations, bytes, memory and time", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := checkedScenario(args[0], sets)
			if err != nil {
				return err
			}
			data, err := dataset.New(s.Dataset, s.Seed, s.Arms.Size...)
			if err != nil {
				return fail(err)
			}
			estimate, err := loader.Plan(s, data)
			if err != nil {
				return fail(err)
			}
			printPlan(e, s, data, estimate)
			return nil
		},
	}
	plan.Flags().StringArrayVar(&sets, "set", nil, "change the scenario: `KEY=VALUE`; may repeat")
	cmd.AddCommand(check, plan, importCmd(e),
		&cobra.Command{
			Use: "ls", Short: "list the built-in scenarios", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return listScenarios(e) },
		},
		&cobra.Command{
			Use: "schema", Short: "print the JSON Schema of a scenario file, for editors", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := e.out.Write(scenarios.JSONSchema)
				return fail(err)
			},
		},
		&cobra.Command{
			Use: "show NAME", Short: "print a built-in scenario, to copy and change", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				data, err := scenarios.Source(args[0])
				if err != nil {
					return fmt.Errorf("there is no built-in scenario %q: have %s", args[0], strings.Join(scenarios.Names(), ", "))
				}
				_, err = e.out.Write(data)
				return fail(err)
			},
		})
	return cmd
}

// listScenarios prints what each built-in scenario is for, and what its run
// takes.
func listScenarios(e *env) error {
	t := table.NewWriter()
	t.SetOutputMirror(e.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"name", "question", "load"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: 68, WidthMaxEnforcer: text.WrapSoft}})
	for _, name := range scenarios.Names() {
		s, err := scenarios.LoadNamed(name)
		if err != nil {
			return fail(err)
		}
		takes, jobs, err := loader.PlannedTime(s)
		if err != nil {
			return fail(err)
		}
		load := []string{}
		if takes > 0 {
			load = append(load, takes.String())
		}
		if jobs > 0 {
			load = append(load, fmt.Sprintf("%d jobs", jobs))
		}
		t.AppendRow(table.Row{name, scenarios.Describe(name), strings.Join(load, ", ")})
	}
	t.Render()
	fmt.Fprintln(e.out, "load: time under load, and jobs or cold starts, which come on top, as filling and deploying do.")
	return nil
}

// printScenario prints a scenario with all its defaults.
func printScenario(e *env, s *scenarios.Scenario) error {
	data, err := s.YAML()
	if err != nil {
		return err
	}
	_, err = e.out.Write(data)
	return fail(err)
}

// checkedScenario reads a scenario whose transforms and types exist.
func checkedScenario(name string, sets []string) (*scenarios.Scenario, error) {
	s, err := loadScenario(name, sets)
	if err != nil {
		return nil, err
	}
	return s, checkNames(s)
}

// printPlan says what a run would take. A ~ stands before what is estimated.
func printPlan(e *env, s *scenarios.Scenario, data dataset.Set, p *loader.Estimate) {
	t := table.NewWriter()
	t.SetOutputMirror(e.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"arm", "mode", "objects", "bytes", "warm-up", "operations", "measured", "operations"})
	for _, a := range p.Arms {
		warmup, measure := a.Warmup.String(), a.Measure.String()
		if a.Mode == scenarios.ModeOffline {
			warmup, measure = "", "a job"
		} else if a.Mode == scenarios.ModeInit {
			warmup, measure = "", "a cold start"
		} else if a.Measure == 0 {
			measure = fmt.Sprintf("%d epochs", s.Load.Epochs)
		}
		t.AppendRow(table.Row{a.Name, a.Mode, humanize.Comma(int64(a.Objects)), humanize.IBytes(uint64(a.Bytes)),
			warmup, intended(a.WarmupOps), measure, intended(a.Ops)})
	}
	t.Render()
	line := func(name, format string, args ...any) {
		fmt.Fprintf(e.out, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("trials", "blocks: %d, %s; arms measured: %d; ETLs deployed: %d", p.Blocks, s.Trials.Order, p.Steps, p.Deploy)
	line("dataset", "%s; %s objects, %s", data.Describe(), humanize.Comma(int64(p.Objects)), humanize.IBytes(uint64(p.Bytes)))
	line("bytes", "%s put once, %s read to know the outputs, ~%s of results kept at a time", humanize.IBytes(uint64(p.Bytes)),
		humanize.IBytes(uint64(p.ExpectBytes)), humanize.IBytes(uint64(p.StoredBytes)))
	if p.Operations > 0 {
		line("load", "%s operations scheduled, in all blocks", humanize.Comma(p.Operations))
	}
	line("memory", "~%s of the load generator at most", humanize.IBytes(uint64(p.Memory)))
	line("time", "%s of load; jobs and cold starts (%d), filling and deploying come on top", p.Time, p.Jobs)
}

// intended is a number of operations.
func intended(n int64) string {
	if n < 0 {
		return "as many as fit"
	}
	return humanize.Comma(n)
}
