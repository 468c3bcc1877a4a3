package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Tools is what an interpreter has to install packages with.
type Tools struct {
	Pip  string // its version, "" when there is none
	Venv bool   // venv can make an environment with a pip of its own
}

// Usable tells whether packages can be installed.
func (t Tools) Usable() bool { return t.Pip != "" || t.Venv }

// String says what there is: "pip 23.2.1 and venv".
func (t Tools) String() string {
	switch {
	case t.Pip != "" && t.Venv:
		return "pip " + t.Pip + " and venv"
	case t.Pip != "":
		return "pip " + t.Pip + ", no venv"
	case t.Venv:
		return "no pip, but venv"
	}
	return "neither pip nor venv"
}

// Tools runs pip and looks for venv, which Debian has in a package of its own
// but for a part that cannot make environments. It takes up to a second.
func (i Interpreter) Tools(ctx context.Context) (t Tools) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		out, err := i.command(ctx, "-m", "pip", "--version").Output()
		if words := strings.Fields(string(out)); err == nil && len(words) > 1 {
			t.Pip = words[1]
		}
	})
	wg.Go(func() { t.Venv = i.command(ctx, "-c", "import venv, ensurepip").Run() == nil })
	wg.Wait()
	return t
}

// command runs the interpreter in a folder from which nothing is imported by
// accident.
func (i Interpreter) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, i.Path, args...)
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	return cmd
}

// Advice says how to make packages installable.
func (i Interpreter) Advice() string {
	if i.Major < 3 {
		return fmt.Sprintf("install pip for %s", i.Path)
	}
	return fmt.Sprintf("install pip for %s; on Debian and Ubuntu: apt-get install python3-pip, or python%d.%d-venv", i.Path, i.Major, i.Minor)
}

// installer installs packages for an interpreter.
type installer struct {
	Interpreter
	requirements []string
	env          []string // of pip
	output       *tail
}

// install puts the packages into the folder target, which must not exist, by
// way of the folder work, which must be empty. When ctx ends, pip is killed;
// what pip has started is of the caller's process group.
func (i *installer) install(ctx context.Context, work, target string) error {
	const file = "requirements.txt" // in work: pip repeats the name in what it says
	if err := os.WriteFile(filepath.Join(work, file), []byte(strings.Join(i.requirements, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	python, err := i.withPip(ctx, work)
	if err != nil {
		return err
	}
	return i.run(ctx, work, python, "-m", "pip", "install", "--target", target, "-r", file)
}

// withPip returns an interpreter whose "-m pip" works: its own, or one in a
// virtual environment, which is needed for nothing else.
func (i *installer) withPip(ctx context.Context, work string) (string, error) {
	t := i.Tools(ctx)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case t.Pip != "":
		return i.Path, nil
	case !t.Venv:
		return "", fmt.Errorf("%s has %s: %s", i, t, i.Advice())
	}
	dir := filepath.Join(work, "venv")
	err := i.run(ctx, work, i.Path, "-m", "venv", dir)
	return filepath.Join(dir, "bin", "python"), err
}

// pipEnv settles what pip would ask or decide by what it finds.
var pipEnv = []string{"PIP_NO_INPUT=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_COLOR=1", "PIP_PROGRESS_BAR=off",
	"PIP_ROOT_USER_ACTION=ignore", "PIP_USER=0"}

// run runs a module, argv[2], that installs something.
func (i *installer) run(ctx context.Context, work string, argv ...string) error {
	// The child dies with the thread that started it: see serverAttr.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = work // whatever is found there was put there by us
	cmd.Env = append(slices.Clone(i.env), pipEnv...)
	cmd.Stdout, cmd.Stderr = i.output, i.output
	cmd.SysProcAttr = serverAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what pip has started
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return fmt.Errorf("%s ended with %s: %s", argv[2], exit, lastWords(i.output.text()))
	}
	return err
}

// lastWords are the last lines of pip that say something, as one.
func lastWords(text string) string {
	const most = 400 // bytes
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line == "[end of output]" || strings.HasPrefix(line, "[notice]") || strings.HasPrefix(line, "note: ") {
			continue
		}
		lines = append(lines, line)
	}
	last := strings.Join(lines[max(0, len(lines)-5):], "; ")
	if last == "" {
		return "it printed nothing"
	}
	if cut := len(last) - most; cut > 0 {
		_, whole, _ := strings.Cut(last[cut:], " ") // words, not pieces of them
		last = "... " + strings.ToValidUTF8(whole, "")
	}
	return last
}
