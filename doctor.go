package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/transformers/python"
)

// test is one thing that doctor looks at. It takes what time it needs, at most
// until ctx ends.
type test struct {
	name string
	run  func(ctx context.Context) finding
}

// finding is what a check has found.
type finding struct {
	Check    string   `json:"check"`
	Status   string   `json:"status"`       // ok, warn, or fail: etlbench cannot do without
	Evidence []string `json:"evidence"`     // what was seen
	Do       string   `json:"do,omitempty"` // what to do about it
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

func doctorCmd(e *env) *cobra.Command {
	var (
		output   string
		runtimes runtimesFlag
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "check what this machine has for etlbench",
		Long: "Checks what etlbench needs, and what only some of it needs: interpreters, limits of this machine, how well\n" +
			"time is kept, and what the load generator can do against a server that does nothing. It takes about two\n" +
			"seconds. The exit code is 4 when something is wrong that etlbench cannot do without.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("-o %q: must be text or json", output)
			}
			return fail(doctor(cmd.Context(), e, output, runtimes.choices))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`text|json`")
	cmd.Flags().Var(&runtimes, "runtime", runtimeUsage)
	return cmd
}

func doctor(ctx context.Context, e *env, output string, choices python.Runtimes) error {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	found := append(together(ctx, append(checks(e, choices), kindDoctor(e)...)), alone(ctx, timings())...)
	if err := printFindings(e, output, found); err != nil {
		return err
	}
	var failed []string
	for _, f := range found {
		if f.Status == statusFail {
			failed = append(failed, f.Check)
		}
	}
	if len(failed) > 0 {
		return &exitError{exitUnfit, errors.New("etlbench does not work here: " + strings.Join(failed, ", "))}
	}
	return nil
}

// together runs checks at the same time.
func together(ctx context.Context, list []test) []finding {
	found := make([]finding, len(list))
	var wg sync.WaitGroup
	for n, c := range list {
		wg.Go(func() {
			found[n] = c.run(ctx)
			found[n].Check = c.name
		})
	}
	wg.Wait()
	return found
}

// alone runs checks that nothing may disturb.
func alone(ctx context.Context, list []test) (found []finding) {
	for _, c := range list {
		found = append(found, together(ctx, []test{c})...)
	}
	return found
}

// timings are the checks that take the time of something.
func timings() []test { return []test{{"clock", checkClock}, {"generator", checkGenerator}} }

// checks are all else that doctor looks at.
func checks(e *env, choices python.Runtimes) []test {
	var (
		once  sync.Once
		found pythons
	)
	find := func(ctx context.Context) pythons {
		once.Do(func() { found = findPythons(ctx, choices) })
		return found
	}
	return []test{
		{"state folder", func(context.Context) finding { return checkState(e) }},
		{"CPUs", checkCPUs},
		{"memory", checkMemory},
		{"open files", checkFiles},
		{"local ports", checkPorts},
		{"python", func(ctx context.Context) finding { return find(ctx).interpreters() }},
		{"python dependencies", func(ctx context.Context) finding { return find(ctx).dependencies(ctx) }},
	}
}

// checkState looks for the folder of running clusters and throw-away data.
func checkState(e *env) finding {
	dir, err := stateDir(e)
	if err != nil {
		what, do, _ := strings.Cut(err.Error(), ": set ")
		return finding{Status: statusFail, Evidence: []string{what}, Do: "set " + do}
	}
	probe, err := os.MkdirTemp(dir, "doctor-*")
	if err == nil {
		err = os.Remove(probe)
	}
	if err != nil {
		return finding{Status: statusFail, Evidence: []string{err.Error()}, Do: "make " + dir + " writable, or set XDG_STATE_HOME"}
	}
	return finding{Status: statusOK, Evidence: []string{dir + " can be written"}}
}

// pythons are the interpreters of this machine: those on PATH, newest first,
// and those that the operator has chosen.
type pythons struct {
	all   []python.Interpreter
	three *python.Interpreter // what the runtime python3 is; nil when there is none
	wrong []string            // what is wrong with the operator's choices
}

func findPythons(ctx context.Context, choices python.Runtimes) (p pythons) {
	p.all = python.Installed(ctx)
	for _, i := range p.all {
		if i.Major == 3 {
			p.three = &i
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		i, err := choices.Find(ctx, name)
		if err != nil {
			p.wrong = append(p.wrong, err.Error())
			continue
		}
		p.all = append(p.all, i)
		if name == "python3" {
			p.three = &i
		}
	}
	return p
}

func (p pythons) interpreters() finding {
	f := finding{Status: statusOK, Evidence: p.wrong}
	for _, i := range p.all {
		f.Evidence = append(f.Evidence, i.String())
	}
	switch {
	case p.three == nil:
		f.Status, f.Do = statusWarn, "install Python 3, or name one with --runtime python3=PATH: init code needs it"
		f.Evidence = append(f.Evidence, "no Python 3")
	case len(p.wrong) > 0:
		f.Status, f.Do = statusWarn, "correct --runtime"
	}
	return f
}

// dependencies tells of pip and venv. The runtime python3 is what decides.
func (p pythons) dependencies(ctx context.Context) finding {
	f := finding{Status: statusWarn, Evidence: make([]string, len(p.all))}
	tools := make([]python.Tools, len(p.all))
	var wg sync.WaitGroup
	for n, i := range p.all {
		wg.Go(func() { tools[n] = i.Tools(ctx) })
	}
	wg.Wait()
	for n, i := range p.all {
		f.Evidence[n] = fmt.Sprintf("%d.%d.%d: %s", i.Major, i.Minor, i.Micro, tools[n])
		if p.three != nil && i == *p.three && tools[n].Usable() {
			f.Status = statusOK
		}
	}
	switch {
	case p.three == nil:
		f.Evidence = append(f.Evidence, "no Python 3")
	case f.Status == statusWarn:
		f.Do = p.three.Advice()
	}
	return f
}

func printFindings(e *env, output string, found []finding) error {
	if output == "json" {
		data, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", data)
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(e.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"check", "status", "evidence", "what to do"})
	for _, f := range found {
		t.AppendRow(table.Row{f.Check, f.Status, strings.Join(f.Evidence, "\n"), f.Do})
	}
	t.Render()
	return nil
}
