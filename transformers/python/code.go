package python

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
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
	//go:embed fork.py
	forkScript string
	//go:embed check.py
	checkScript string
)

// What the scripts of io:// end in: they share io.py.
const (
	runMain  = "\nsys.exit(main(*sys.argv[1:]))\n"
	runServe = "\nsys.exit(serve(*sys.argv[1:]))\n"
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

// Functions says which functions of a module are called, and how.
type Functions struct {
	// Transform is the name of the function that transforms; "" means
	// "transform". It is called with the object's bytes and, when it takes two
	// or more positional parameters, with a context: a dict of the object's
	// bucket, name, args and size (-1 when unknown). It returns bytes, a
	// bytearray or a memoryview.
	Transform string
	// Before and After name functions that must be there; "" means those that
	// the module happens to call "before" and "after". Before gets the context
	// first, transform's result becomes context["result"], unless it is None,
	// and then what after makes of the context is the result, unless it
	// returns None. With either of them transform must take the context.
	Before, After string
	// ChunkSize is how many bytes transform gets at a time, 0 for the whole
	// object. It must then take two parameters. If these are called or
	// annotated like a reader and a writer, and there is no before or after,
	// it is called once, with the two: iterating the reader gives chunks, as
	// does read(), read_all() gives the rest, and what is written to the
	// writer is the result, on its way while more is read. Otherwise it is
	// called once a chunk with the context, in which "remaining-length" (-1
	// when unknown) and "transformed-length" count, and the result is what
	// after makes of the context, or stands in context["result"].
	ChunkSize int
}

// argv is what the scripts take of it.
func (f Functions) argv() []string {
	return []string{transformName(f.Transform), f.Before, f.After, strconv.Itoa(f.ChunkSize)}
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
// (code.py line 4)" when it fails.
//
// The module runs as __main__. If running it already calls transform, that was
// all. If not, it is called: without arguments if it requires none, and
// otherwise as a Host calls it.
//
// The interpreter starts with -S and the script does what that leaves out at
// the first import that needs it: start-up is most of what an object costs
// here. Not -I, which would ignore PYTHONPATH, where the user's dependencies
// are.
func IOCommand(python, code string, f Functions) (argv []string, err error) {
	if python == "" || code == "" {
		return nil, errors.New("python: io command needs an interpreter and the path of the code")
	}
	return append([]string{python, "-S", "-c", callScript + ioScript + runMain, code}, f.argv()...), nil
}

// Check compiles the module in the file code and looks for its functions
// without running anything of it. With io, a transform without parameters will
// do. What is wrong with the module is a *CodeError. A definition that only
// running the module would show, such as one made by exec, passes.
func Check(ctx context.Context, python, code string, f Functions, io bool) error {
	mode := "bytes"
	if io {
		mode = "io"
	}
	argv := append([]string{"-S", "-c", callScript + checkScript, code}, f.argv()...)
	cmd := exec.CommandContext(ctx, python, append(argv, mode)...)
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
