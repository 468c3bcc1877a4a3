package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/transformers/python"
)

// environmentsDir is the folder, below the data, of what init code requires.
const environmentsDir = "python"

// runtimesFlag collects --runtime NAME=PATH.
type runtimesFlag struct{ choices python.Runtimes }

// Set adds a choice.
func (f *runtimesFlag) Set(choice string) error {
	if f.choices == nil {
		f.choices = python.Runtimes{}
	}
	return f.choices.Set(choice)
}

// Type is what help calls the value.
func (f *runtimesFlag) Type() string { return "NAME=PATH" }

// String lists the choices.
func (f *runtimesFlag) String() string { return strings.Join(f.list(), " ") }

func (f *runtimesFlag) list() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(f.choices)) {
		list = append(list, name+"="+f.choices[name])
	}
	return list
}

// args gives the choices on to another command.
func (f *runtimesFlag) args() []string {
	var args []string
	for _, choice := range f.list() {
		args = append(args, "--runtime", choice)
	}
	return args
}

// check has every chosen interpreter say what it is.
func (f *runtimesFlag) check(ctx context.Context) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(f.choices)) {
		if _, err := f.choices.Find(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("--runtime: %w", err))
		}
	}
	return errors.Join(errs...)
}

// python3 is what the runtime of that name is on this machine.
func (e *env) python3(ctx context.Context, choices python.Runtimes) (python.Interpreter, error) {
	if _, ok := choices["python3"]; ok {
		return choices.Find(ctx, "python3")
	}
	return e.python()
}

// pythonStatus is what up says of the Python that runs init code: whether there
// is one, and whether it can install what code requires.
func pythonStatus(ctx context.Context, e *env, choices python.Runtimes) string {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	py, err := e.python3(ctx, choices)
	if err != nil {
		return fmt.Sprintf("init code will not run: %v", err)
	}
	tools := py.Tools(ctx)
	if !tools.Usable() {
		return fmt.Sprintf("python3 is %s; init code with dependencies will not start, for it has %s: %s", py, tools, py.Advice())
	}
	return fmt.Sprintf("python3 is %s, with %s for dependencies", py, tools)
}
