package python

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// probeTimeout is how long an interpreter may take to say its version.
const probeTimeout = 10 * time.Second

// Interpreter is an installed Python.
type Interpreter struct {
	Path                string // of the executable itself, not of a shim that looks for it
	Major, Minor, Micro int    // its version
	prefix              string // folder of the installation; tells two paths of one from two
}

// String returns the version and the path.
func (i Interpreter) String() string {
	return fmt.Sprintf("%d.%d.%d (%s)", i.Major, i.Minor, i.Micro, i.Path)
}

// Runtimes are the interpreters that an operator has chosen for runtime names,
// by the name without "v2": paths. They need not be of the name's version.
type Runtimes map[string]string

// runtimePattern is "python3", "python3.8", "python3.8v2" and the like. The
// generation v2 of AIStore's images has the same interpreters as the first.
var runtimePattern = regexp.MustCompile(`^(python([23])(?:\.(\d{1,2}))?)(v2)?$`)

// parseRuntime takes a name apart. Minor -1 is the newest.
func parseRuntime(name string) (bare string, major, minor int, err error) {
	m := runtimePattern.FindStringSubmatch(name)
	if m == nil || m[3] == "" && m[4] != "" {
		return "", 0, 0, fmt.Errorf("python: unknown runtime %q: must be python2 or python3, or one with a version, such as python3.11 or python3.11v2", name)
	}
	major, _ = strconv.Atoi(m[2]) // the pattern has digits there
	minor = -1
	if m[3] != "" {
		minor, _ = strconv.Atoi(m[3])
	}
	return m[1], major, minor, nil
}

// Set adds a choice in the form "python3.8=/path/of/python".
func (r Runtimes) Set(choice string) error {
	name, path, ok := strings.Cut(choice, "=")
	if !ok || path == "" {
		return fmt.Errorf("%q: must be NAME=PATH, such as python3.8=/opt/python3.8/bin/python", choice)
	}
	bare, _, _, err := parseRuntime(name)
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if other, ok := r[bare]; ok && other != path {
		return fmt.Errorf("%s: is %s already", choice, other)
	}
	r[bare] = path
	return nil
}

// Find returns the interpreter for a runtime name: the one that was chosen for
// it, else, on PATH, of "python2" and "python3" the newest, and of a name with
// a version exactly that minor version. It may start every interpreter that it
// finds, which takes up to a second; keep what it returns.
func (r Runtimes) Find(ctx context.Context, name string) (Interpreter, error) {
	bare, major, minor, err := parseRuntime(name)
	if err != nil {
		return Interpreter{}, err
	}
	if path, ok := r[bare]; ok {
		i := probe(ctx, path)
		if i.Path == "" {
			return i, fmt.Errorf("python: runtime %q was mapped to %s, which does not run as a Python", name, path)
		}
		return i, nil
	}
	wanted := strings.TrimPrefix(bare, "python")
	return choose(name, wanted, major, minor, Installed(ctx))
}

// Find is Runtimes.Find without any choices.
func Find(ctx context.Context, name string) (Interpreter, error) { return Runtimes{}.Find(ctx, name) }

// choose takes the first that fits: installed is sorted, newest first.
func choose(name, wanted string, major, minor int, installed []Interpreter) (Interpreter, error) {
	for _, i := range installed {
		if i.Major == major && (minor < 0 || i.Minor == minor) {
			return i, nil
		}
	}
	return Interpreter{}, fmt.Errorf("python: runtime %q needs Python %s, which is not on PATH; installed: %s",
		name, wanted, List(installed))
}

// List is a text of interpreters, "none" if there are none.
func List(installed []Interpreter) string {
	if len(installed) == 0 {
		return "none"
	}
	texts := make([]string, len(installed))
	for n, i := range installed {
		texts[n] = i.String()
	}
	return strings.Join(texts, ", ")
}

// Installed returns the interpreters on PATH that start, newest first; those
// of one version in the order of PATH. It reads PATH as exec.LookPath does.
func Installed(ctx context.Context) []Interpreter {
	return installed(ctx, filepath.SplitList(os.Getenv("PATH")))
}

func installed(ctx context.Context, dirs []string) []Interpreter {
	paths := candidates(dirs)
	probed := make([]Interpreter, len(paths))
	limit := make(chan struct{}, 4) // shims are shell scripts, and slow: some at once, but not all
	var wg sync.WaitGroup
	for n, path := range paths {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			probed[n] = probe(ctx, path)
		})
	}
	wg.Wait()
	found := distinct(probed)
	slices.SortStableFunc(found, func(a, b Interpreter) int {
		return -cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Micro, b.Micro))
	})
	return found
}

// candidates returns the files in dirs that are named like an interpreter,
// each once even if reached by several links.
func candidates(dirs []string) []string {
	name := regexp.MustCompile(`^python([23](\.\d+)?)?$`)
	var paths []string
	seen := map[string]bool{}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // PATH may name what is not there
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if !name.MatchString(e.Name()) {
				continue
			}
			if real, err := filepath.EvalSymlinks(path); err == nil && !seen[real] {
				seen[real] = true
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// probe asks an interpreter for its own path and version. A zero Interpreter
// means that it does not start: a shim for a version that is not selected.
func probe(ctx context.Context, path string) Interpreter {
	const script = `import sys; print("\n".join([sys.executable, sys.prefix, "%d %d %d" % sys.version_info[:3]]))`
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", script)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 3 {
		return Interpreter{}
	}
	i := Interpreter{Path: lines[0], prefix: lines[1]}
	if _, err := fmt.Sscanf(lines[2], "%d %d %d", &i.Major, &i.Minor, &i.Micro); err != nil {
		return Interpreter{}
	}
	return i
}

func distinct(probed []Interpreter) []Interpreter {
	var found []Interpreter
	for _, i := range probed {
		known := slices.ContainsFunc(found, func(j Interpreter) bool {
			return i.prefix == j.prefix && i.Major == j.Major && i.Minor == j.Minor
		})
		if i.Path != "" && !known {
			found = append(found, i)
		}
	}
	return found
}
