// Command etlbench is a reference cluster for AIStore's ETL and a load harness
// that measures it. Each verb has a file of its own; what they do is in the
// packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/transformers/python"
)

// Exit codes; the README lists them.
const (
	exitUsage       = 1
	exitRuntime     = 3
	exitUnfit       = 4 // doctor: this machine is
	exitInterrupted = 130
)

// env is all of the process that verbs use.
type env struct {
	args     []string
	out, err io.Writer // results; progress and errors
	outTTY   bool
	exe      string // this program, for child processes
	get      func(string) string
	// python finds the newest Python 3. It asks every candidate what it is,
	// which takes a while, and so does it once.
	python func() (python.Interpreter, error)
}

func main() {
	// A file size limit is an error of the write that hits it.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains; after it the next one ends the process.
	context.AfterFunc(ctx, stop)
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	os.Exit(run(ctx, &env{args: os.Args[1:], out: os.Stdout, err: os.Stderr, outTTY: isTerminal(os.Stderr),
		exe: exe, get: os.Getenv, python: sync.OnceValues(func() (python.Interpreter, error) { return findPython(ctx) })}))
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// fail marks an error as one of running, not of usage.
func fail(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &exitError{exitRuntime, err}
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, e *env) int {
	root := &cobra.Command{
		Use:   "etlbench",
		Short: "measure how AIStore's ETL communication types compare",
		Long: "etlbench runs a reference cluster that speaks AIStore's ETL API, and loads it, or a real AIStore,\n" +
			"to compare the communication types between targets and transformers.",
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
	}
	root.SetArgs(e.args)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.AddCommand(demoCmd(e), upCmd(e), downCmd(e), statusCmd(e), runCmd(e), compareCmd(e), reportCmd(e),
		scenariosCmd(e), transformCmd(e), doctorCmd(e), nodeCmd(e))
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var coded *exitError
	if interrupted := errors.As(err, &coded) && coded.code == exitInterrupted; ctx.Err() != nil && !interrupted {
		coded = &exitError{exitInterrupted, fmt.Errorf("interrupted: %w", err)}
		err = coded
	}
	fmt.Fprintf(e.err, "etlbench: %s\n", strings.TrimSpace(err.Error()))
	if coded != nil {
		return coded.code
	}
	fmt.Fprintf(e.err, "try: %s --help\n", cmd.CommandPath())
	return exitUsage
}

func findPython(ctx context.Context) (python.Interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	return python.Find(ctx, "python3")
}

// version is what the build says: a tag, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}
