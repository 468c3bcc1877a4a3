package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

func downCmd(e *env) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "stop a cluster that up started",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkName(name); err != nil {
				return err
			}
			return fail(down(cmd.Context(), e, name))
		},
	}
	cmd.Flags().StringVar(&name, "name", "default", "`NAME` of the cluster")
	return cmd
}

// downTimeout is how long a cluster has to stop before it is killed.
const downTimeout = 30 * time.Second

func down(ctx context.Context, e *env, name string) error {
	s, err := loadState(e, name)
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("no cluster %q runs here%s", name, otherClusters(e))
	}
	if s.Kube != nil {
		if err := removeKube(ctx, e, s); err != nil {
			return err
		}
		fmt.Fprintf(e.err, "cluster %s is removed\n", name)
		return nil
	}
	if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", s.PID, err)
	}
	deadline := time.After(downTimeout)
	for born(s.PID) == s.Born {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			// Its nodes die with it, and their pods with them.
			_ = syscall.Kill(s.PID, syscall.SIGKILL)
			return fmt.Errorf("cluster %s did not stop within %s and was killed", name, downTimeout)
		case <-time.After(10 * time.Millisecond):
		}
	}
	fmt.Fprintf(e.err, "cluster %s is stopped\n", name)
	return nil
}

func otherClusters(e *env) string {
	list, err := loadStates(e)
	if err != nil || len(list) == 0 {
		return ""
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return "; running: " + strings.Join(names, ", ") + " (choose with --name)"
}

func statusCmd(e *env) *cobra.Command {
	var name, output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show the cluster that up started",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkName(name); err != nil {
				return err
			}
			if output != "text" && output != "json" {
				return fmt.Errorf("-o %q: must be text or json", output)
			}
			return fail(status(cmd.Context(), e, name, output))
		},
	}
	cmd.Flags().StringVar(&name, "name", "default", "`NAME` of the cluster")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`text|json`")
	return cmd
}

func status(ctx context.Context, e *env, name, output string) error {
	s, err := loadState(e, name)
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("no cluster %q runs here%s: start one with: etlbench up --detach", name, otherClusters(e))
	}
	switch {
	case s.Kube != nil:
		if err := statusKube(ctx, e, s, output); err != nil || output == "json" || s.URL == "" {
			return err
		}
	case output == "json":
		return printJSON(e, s)
	default:
		printState(e, s)
	}
	return printETLs(ctx, e, s.URL)
}

// printState is the table of a cluster's nodes.
func printState(e *env, s *clusterState) {
	fmt.Fprintf(e.out, "cluster %s at %s, sync %s, data in %s%s\n", s.Name, s.URL, s.Sync, s.Data, heldTo(s.Limits))
	t := newTable(e.out, "node", "type", "url", "pid", "alive")
	for _, n := range s.Nodes {
		alive := "yes"
		if born(n.PID) == "" {
			alive = "no"
		}
		t.AppendRow(table.Row{n.ID, n.Type, n.URL, n.PID, alive})
	}
	t.Render()
}

func printJSON(e *env, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s\n", data)
	return err
}

func printETLs(ctx context.Context, e *env, url string) error {
	client := api.NewClient(url)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := client.ETLs(ctx)
	if err != nil {
		return fmt.Errorf("the cluster does not answer: %w", err)
	}
	if len(list) == 0 {
		fmt.Fprintln(e.out, "no ETLs")
		return nil
	}
	t := newTable(e.out, "etl", "stage", "objects", "bytes in", "bytes out")
	for _, l := range list {
		t.AppendRow(table.Row{l.ID, l.Stage, l.ObjCount, l.InBytes, l.OutBytes})
	}
	t.Render()
	return nil
}

// lastLine is the error that a log ends with.
func lastLine(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return errors.New(strings.TrimPrefix(string(lines[len(lines)-1]), "etlbench: "))
}
