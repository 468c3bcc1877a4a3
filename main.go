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
	exitFailed      = 2 // a gate or a check does not hold; of compare, something is slower
	exitRuntime     = 3
	exitUnfit       = 4 // the run is not valid; doctor: this machine is not fit
	exitAborted     = 5 // a gate has ended the run
	exitUnsure      = 6 // of compare
	exitInterrupted = 130
)

// env is all of the process that verbs use.
type env struct {
	args     []string
	in       io.Reader
	out, err io.Writer // results; progress and errors
	inTTY    bool
	outTTY   bool // err is a terminal
	// size is that of the terminal behind err, in columns and rows.
	size   func() (width, height int)
	exe    string // this program, for child processes
	lookup func(string) (string, bool)
	// python finds the newest Python 3. It asks every candidate what it is,
	// which takes a while, and so does it once.
	python func() (python.Interpreter, error)
}

// get is an environment variable, "" when it is not set.
func (e *env) get(name string) string {
	v, _ := e.lookup(name)
	return v
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
	os.Exit(run(ctx, &env{args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: isTerminal(os.Stdin), outTTY: isTerminal(os.Stderr), size: terminalSize,
		exe: exe, lookup: os.LookupEnv, python: sync.OnceValues(func() (python.Interpreter, error) { return findPython(ctx) })}))
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

// misuse is a mistake in the command line.
func misuse(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// hintError is an error with what to do about it.
type hintError struct {
	err error
	try string // a command
}

func (e *hintError) Error() string { return e.err.Error() }

func (e *hintError) Unwrap() error { return e.err }

// hint adds what to try next to an error that has no such advice yet.
func hint(err error, try string) error {
	var h *hintError
	if err == nil || errors.As(err, &h) {
		return err
	}
	return &hintError{err, try}
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
	root.AddCommand(demoCmd(e), upCmd(e), downCmd(e), statusCmd(e), runCmd(e), agentCmd(e), findCmd(e), scaleCmd(e), compareCmd(e), mergeCmd(e), replayCmd(e), reportCmd(e), explainCmd(e),
		scenariosCmd(e), etlCmd(e), bucketCmd(e), objectCmd(e), jobCmd(e), transformCmd(e), doctorCmd(e), nodeCmd(e))
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
	if coded == nil {
		coded = &exitError{exitUsage, err}
	}
	var h *hintError
	switch {
	case errors.As(err, &h):
		fmt.Fprintf(e.err, "try: %s\n", h.try)
	case coded.code == exitUsage:
		fmt.Fprintf(e.err, "try: %s --help\n", cmd.CommandPath())
	}
	return coded.code
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
