package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/scenarios"
)

func scenariosCmd(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "scenarios", Short: "list, show and check scenarios", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var sets []string
	check := &cobra.Command{
		Use: "check FILE|NAME", Short: "check a scenario and print it with all defaults", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := loadScenario(args[0], sets)
			if err == nil {
				err = checkNames(s)
			}
			if err != nil {
				return err
			}
			data, err := s.YAML()
			if err != nil {
				return err
			}
			_, err = e.out.Write(data)
			return fail(err)
		},
	}
	check.Flags().StringArrayVar(&sets, "set", nil, "change the scenario: `KEY=VALUE`; may repeat")
	cmd.AddCommand(check,
		&cobra.Command{
			Use: "ls", Short: "list the built-in scenarios", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				t := table.NewWriter()
				t.SetOutputMirror(e.out)
				t.SetStyle(table.StyleLight)
				for _, name := range scenarios.Names() {
					t.AppendRow(table.Row{name, scenarios.Describe(name)})
				}
				t.Render()
				return nil
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
