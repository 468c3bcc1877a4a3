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

// runtimeName is a runtime that users may ask for. Minor -1 is the newest.
type runtimeName struct {
	name         string
	major, minor int
}

// runtimeNames is the table of runtimes. It is never written to.
var runtimeNames = []runtimeName{
	{"python2", 2, -1},
	{"python3", 3, -1},
	{"python3.6", 3, 6},
	{"python3.8", 3, 8},
	{"python3.10", 3, 10},
	{"python3.8v2", 3, 8},
	{"python3.10v2", 3, 10},
	{"python3.11v2", 3, 11},
}

// Runtimes returns the names that Find knows.
func Runtimes() []string {
	names := make([]string, len(runtimeNames))
	for i, r := range runtimeNames {
		names[i] = r.name
	}
	return names
}

// Find returns the interpreter on PATH for a runtime name: of "python2" and
// "python3" the newest, of a name with a version exactly that minor version.
// It starts every interpreter that it finds, so it takes up to a second; keep
// what it returns.
func Find(ctx context.Context, name string) (Interpreter, error) {
	at := slices.IndexFunc(runtimeNames, func(r runtimeName) bool { return r.name == name })
	if at < 0 {
		return Interpreter{}, fmt.Errorf("python: unknown runtime %q; known: %s", name, strings.Join(Runtimes(), ", "))
	}
	return choose(runtimeNames[at], Installed(ctx))
}

// choose takes the first that fits: installed is sorted, newest first.
func choose(r runtimeName, installed []Interpreter) (Interpreter, error) {
	for _, i := range installed {
		if i.Major == r.major && (r.minor < 0 || i.Minor == r.minor) {
			return i, nil
		}
	}
	wanted := strconv.Itoa(r.major)
	if r.minor >= 0 {
		wanted = fmt.Sprintf("%d.%d", r.major, r.minor)
	}
	found := "none"
	if len(installed) > 0 {
		texts := make([]string, len(installed))
		for n, i := range installed {
			texts[n] = i.String()
		}
		found = strings.Join(texts, ", ")
	}
	return Interpreter{}, fmt.Errorf("python: runtime %q needs Python %s, which is not on PATH; installed: %s",
		r.name, wanted, found)
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
