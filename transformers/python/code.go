package python

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// The scripts that run user code. They are handed to the interpreter with -c,
// so that nothing has to be written to disk; call.py goes in front of each.
var (
	//go:embed call.py
	callScript string
	//go:embed worker.py
	workerScript string
	//go:embed io.py
	ioScript string
	//go:embed check.py
	checkScript string
)

//go:embed samples/*.py
var samples embed.FS

// Sample returns the source of a module that does what the transform of that
// name in package transformers does: "echo", "md5" or "tar-images". The last
// needs Pillow, and its pictures are alike but not the same bytes.
func Sample(name string) (source []byte, ok bool) {
	source, err := samples.ReadFile("samples/" + strings.ReplaceAll(name, "-", "_") + ".py")
	return source, err == nil
}

// CodeError says that the user's module cannot be used, or that its function
// failed on an object.
type CodeError struct {
	// Summary is one line: "code.py line 3: SyntaxError: invalid syntax" of a
	// module, "ValueError: bad input (code.py line 4)" of an object.
	Summary string
	// Traceback is the interpreter's own report, of a module only; that of an
	// object goes to Config.Stderr.
	Traceback string
}

// Error returns the summary and, on lines of their own, the last lines of the
// traceback.
func (e *CodeError) Error() string {
	if e.Traceback == "" {
		return e.Summary
	}
	return e.Summary + "\n" + lastLines(e.Traceback, 8)
}

// newCodeError takes apart what the scripts write: the summary's line, then
// the traceback.
func newCodeError(text string) *CodeError {
	summary, trace, _ := strings.Cut(strings.TrimRight(text, "\n"), "\n")
	return &CodeError{Summary: summary, Traceback: trace}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// IOCommand returns the argv that transforms one object, from its standard
// input to its standard output, with the user's module in the file code. The
// exit code is 1 and standard error ends in a line like "ValueError: bad input
// (code.py line 4)" when it fails. Transform names the function; "" means
// "transform".
//
// The module runs as __main__. If running it already calls the function, that
// was all. If not, the function is called: without arguments if it requires
// none, and otherwise as a Host calls it, with all of standard input.
//
// The interpreter starts with -S and the script does what that leaves out at
// the first import that needs it: start-up is most of what an object costs
// here. Not -I, which would ignore PYTHONPATH, where the user's dependencies
// are.
func IOCommand(python, code, transform string) (argv []string, err error) {
	if python == "" || code == "" {
		return nil, errors.New("python: io command needs an interpreter and the path of the code")
	}
	return []string{python, "-S", "-c", callScript + ioScript, code, transformName(transform)}, nil
}

// Check compiles the module in the file code and looks for the function named
// transform ("" means "transform") without running anything of it. With io, a
// function without parameters will do. What is wrong with the module is a
// *CodeError. A definition that only running the module would show, such as
// one made by exec, passes.
func Check(ctx context.Context, python, code, transform string, io bool) error {
	mode := "bytes"
	if io {
		mode = "io"
	}
	cmd := exec.CommandContext(ctx, python, "-S", "-c", callScript+checkScript, code, transformName(transform), mode)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("python: check %s: %w", code, context.Cause(ctx))
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 1 && stderr.Len() > 0:
		return newCodeError(stderr.String())
	default:
		return fmt.Errorf("python: check %s with %s: %w", code, python, err)
	}
}

func transformName(name string) string {
	if name == "" {
		return "transform"
	}
	return name
}
