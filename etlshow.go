package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
)

// etlView is "etl show -o json". Of code, spec and image an ETL has one.
type etlView struct {
	Name         string       `json:"name"`
	Stage        string       `json:"stage"`
	Reason       string       `json:"reason"` // why it is aborted, when nobody stopped it
	Comm         string       `json:"communication"`
	Argument     string       `json:"argument"`
	DirectPut    bool         `json:"support_direct_put"`
	InitTimeout  string       `json:"init_timeout"`
	ObjTimeout   string       `json:"obj_timeout"`
	Image        string       `json:"image"`
	Command      []string     `json:"command"`
	Env          []api.EnvVar `json:"env"`
	Spec         string       `json:"spec"` // a Pod, in YAML
	Runtime      string       `json:"runtime"`
	Code         string       `json:"code"`
	Dependencies string       `json:"dependencies"`
	Transform    string       `json:"transform"` // names of functions
	Before       string       `json:"before"`
	After        string       `json:"after"`
	ChunkSize    int64        `json:"chunk_size"`
	Errors       int          `json:"errors"` // inline ones that are remembered
	// Interpreters are what the runtime really is, by target: version and path.
	Interpreters map[string]string `json:"interpreters"`
}

func viewETL(d *api.ETLDetails) *etlView {
	s := d.Init
	if s.ETLName() == "" { // clusters before 1.3.30 have it at the top
		s = d.ETLSpec
	}
	v := &etlView{Name: s.ETLName(), Stage: d.Stage, Reason: d.Reason, Comm: s.Communication, Argument: s.Argument,
		DirectPut: s.DirectPut, InitTimeout: timeText(s.InitTimeout), ObjTimeout: timeText(s.ObjTimeout),
		Command: []string{}, Env: append([]api.EnvVar{}, s.Env...), Errors: len(d.Errors), Interpreters: map[string]string{}}
	maps.Copy(v.Interpreters, d.Interpreters)
	var image api.RuntimeSpec
	switch {
	case len(s.Code) > 0:
		_ = json.Unmarshal(s.Runtime, &v.Runtime) // a name, whoever sent it
		v.Code, v.Dependencies, v.ChunkSize = string(s.Code), string(s.Dependencies), s.ChunkSize
		if s.Funcs != nil {
			v.Transform, v.Before, v.After = s.Funcs.Transform, s.Funcs.Before, s.Funcs.After
		}
	case json.Unmarshal(s.Runtime, &image) == nil && image.Image != "":
		v.Image, v.Command, v.Env = image.Image, append(v.Command, image.Command...), append(v.Env, image.Env...)
	default:
		v.Spec = string(s.Spec)
	}
	return v
}

// timeText is a timeout, "" for the cluster's own.
func timeText(d api.Duration) string {
	if d == 0 {
		return ""
	}
	return time.Duration(d).String()
}

// onETL is the RunE of a verb whose first argument is an ETL.
func (r *remote) onETL(f func(context.Context, *api.Client, []string) error) func(*cobra.Command, []string) error {
	return r.do(func(ctx context.Context, args []string) error {
		if err := checkETLs(args[0]); err != nil {
			return err
		}
		return r.with(ctx, func(c *api.Client) error { return f(ctx, c, args) })
	})
}

func etlShowCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "show how an ETL was made, and how it is", Args: count(1, 1),
		Long: "Shows an ETL with its code or its spec.\n\n" +
			"-o json prints an object of name, stage, reason, communication, argument, support_direct_put, init_timeout,\n" +
			"obj_timeout, env, errors (how many inline ones there are), and of what it was made from: spec; or image and\n" +
			"command; or runtime, interpreters (by target), code, dependencies, transform, before, after and chunk_size.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.onETL(func(ctx context.Context, c *api.Client, args []string) error {
			d, err := c.ETL(ctx, args[0])
			if err != nil {
				return err
			}
			v := viewETL(d)
			return r.print(v, func() { r.textETL(v) })
		})}
	r.outputFlag(cmd)
	// Users of AIStore's command line look for it here.
	cmd.AddCommand(etlErrorsCmd(r))
	return cmd
}

func (r *remote) textETL(v *etlView) {
	t := newDetails(r.e.out)
	row := func(name, value string) {
		if value != "" {
			t.AppendRow([]any{name, shown(value)})
		}
	}
	row("etl", v.Name)
	row("stage", v.Stage)
	row("reason", v.Reason)
	row("communication", v.Comm)
	row("argument", v.Argument)
	row("direct put", map[bool]string{true: "yes", false: "no"}[v.DirectPut])
	row("init timeout", v.InitTimeout)
	row("object timeout", v.ObjTimeout)
	row("image", v.Image)
	row("command", strings.Join(v.Command, " "))
	row("runtime", v.Runtime)
	for _, target := range slices.Sorted(maps.Keys(v.Interpreters)) {
		row("runs on "+target, v.Interpreters[target])
	}
	row("transform", v.Transform)
	row("before", v.Before)
	row("after", v.After)
	if v.ChunkSize > 0 {
		row("chunk size", size(v.ChunkSize))
	}
	for _, kv := range v.Env {
		row("env "+kv.Name, kv.Value)
	}
	if v.Errors > 0 {
		row("errors", fmt.Sprintf("%d inline; see: etlbench etl errors %s", v.Errors, v.Name))
	}
	t.Render()
	for _, text := range []struct{ title, body string }{{"spec", v.Spec}, {"code", v.Code}, {"dependencies", v.Dependencies}} {
		if text.body != "" {
			fmt.Fprintf(r.e.out, "%s:\n%s\n", text.title, strings.TrimSpace(text.body))
		}
	}
}

// etlError is a line of "etl errors -o json".
type etlError struct {
	Object  string `json:"object"`
	Status  int    `json:"status"`
	Message string `json:"message"`
}

func etlErrors(list []api.ObjError) []etlError {
	errs := []etlError{}
	for _, e := range list {
		errs = append(errs, etlError{e.Object, e.Code, e.Msg})
	}
	return errs
}

func (r *remote) textErrors(list []etlError) {
	if len(list) == 0 {
		fmt.Fprintln(r.e.err, "no errors")
		return
	}
	t := wrapped(newTable(r.e.out, "object", "status", "error"), 3)
	for _, e := range list {
		t.AppendRow([]any{shown(e.Object), e.Status, shown(strings.TrimSpace(e.Message))})
	}
	t.Render()
}

func etlErrorsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "errors NAME [JOB]", Short: "list the objects that an ETL failed on", Args: count(1, 2),
		Long: "Lists the objects that an ETL failed on: in GETs, or in a job. A cluster remembers the last ones.\n\n" +
			"-o json prints an array of {object, status, message}.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.onETL(func(ctx context.Context, c *api.Client, args []string) error {
			job := ""
			if len(args) > 1 {
				job = args[1]
				// An unknown job has no errors, either.
				_, err := oneJob(ctx, c, job)
				if errors.Is(err, api.ErrNotFound) {
					err = hint(err, r.try("job ls --all"))
				}
				if err != nil {
					return err
				}
			}
			list, err := c.ETLErrors(ctx, args[0], job)
			if err != nil {
				return err
			}
			errs := etlErrors(list)
			return r.print(errs, func() { r.textErrors(errs) })
		})}
	r.outputFlag(cmd)
	return cmd
}

// podLog is a line of "etl logs -o json".
type podLog struct {
	Target string `json:"target"`
	Log    string `json:"log"`
}

func etlLogsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "logs NAME [TARGET]", Short: "print what an ETL's pods have logged", Args: count(1, 2),
		Long: "Prints the end of the log of each pod, or of the one on TARGET.\n\n" +
			"-o json prints an array of {target, log}.",
		ValidArgsFunction: r.complete(etlNames),
		RunE: r.onETL(func(ctx context.Context, c *api.Client, args []string) error {
			list, err := podLogs(ctx, c, args)
			if err != nil {
				return err
			}
			return r.print(list, func() {
				for _, l := range list {
					if len(args) == 1 {
						fmt.Fprintf(r.e.out, "==> %s <==\n", shown(l.Target))
					}
					fmt.Fprintln(r.e.out, strings.TrimRight(l.Log, "\n"))
				}
			})
		})}
	r.outputFlag(cmd)
	return cmd
}

func podLogs(ctx context.Context, c *api.Client, args []string) ([]podLog, error) {
	var (
		list []api.ETLLogs
		err  error
	)
	if len(args) > 1 {
		list, err = c.ETLLogsOf(ctx, args[0], args[1])
	} else {
		list, err = c.ETLLogs(ctx, args[0])
	}
	logs := []podLog{}
	for _, l := range list {
		logs = append(logs, podLog{l.TargetID, string(l.Logs)})
	}
	return logs, err
}

// podHealth is a line of "etl health -o json".
type podHealth struct {
	Target string `json:"target"`
	Status string `json:"status"`
}

func etlHealthCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "health NAME", Short: "tell how each pod of an ETL is",
		Long: "Tells how each pod of an ETL is.\n\n-o json prints an array of {target, status}."}
	return eachPod(r, cmd, (*api.Client).ETLHealth, []any{"target", "status"}, func(l api.ETLHealth) (podHealth, []any) {
		return podHealth{l.TargetID, l.Status}, []any{shown(l.TargetID), shown(l.Status)}
	})
}

// podMetrics is a line of "etl metrics -o json".
type podMetrics struct {
	Target string  `json:"target"`
	Cores  float64 `json:"cpu_cores"`
	Memory int64   `json:"memory_bytes"`
}

func etlMetricsCmd(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "metrics NAME", Short: "tell what each pod of an ETL takes of its machine",
		Long: "Tells what each pod of an ETL takes of its machine.\n\n-o json prints an array of {target, cpu_cores, memory_bytes}."}
	return eachPod(r, cmd, (*api.Client).ETLMetrics, []any{"target", "CPU cores", "memory"}, func(l api.ETLMetrics) (podMetrics, []any) {
		return podMetrics{l.TargetID, l.CPU, l.Memory}, []any{shown(l.TargetID), fmt.Sprintf("%.3f", l.CPU), size(l.Memory)}
	})
}

// eachPod makes cmd show something of each pod of an ETL: ask gets it, and line
// gives its form in JSON and in a table.
func eachPod[T, J any](r *remote, cmd *cobra.Command, ask func(*api.Client, context.Context, string) ([]T, error), columns []any, line func(T) (J, []any)) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = count(1, 1), r.complete(etlNames)
	cmd.RunE = r.onETL(func(ctx context.Context, c *api.Client, args []string) error {
		list, err := ask(c, ctx, args[0])
		if err != nil {
			return err
		}
		pods := []J{}
		t := newTable(r.e.out, columns...)
		for _, l := range list {
			pod, row := line(l)
			pods = append(pods, pod)
			t.AppendRow(row)
		}
		return r.print(pods, func() { t.Render() })
	})
	r.outputFlag(cmd)
	return cmd
}
