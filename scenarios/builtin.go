package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var builtin embed.FS

// LoadFile reads, fills in and checks the scenario file at path of fsys, where
// those that it extends are as well. The environment is empty. The error is that of the file system, with the path, or an [*Error].
func LoadFile(fsys fs.FS, path string) (*Scenario, error) {
	data, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	open := func(path string) ([]byte, error) { return fs.ReadFile(fsys, path) }
	return Options{Open: open}.Parse(path, data, nil)
}

// LoadNamed gives the built-in scenario called name; fs.ErrNotExist when
// there is none.
func LoadNamed(name string) (*Scenario, error) {
	data, err := Source(name)
	if err != nil {
		return nil, err
	}
	return Parse(name+".yaml", data)
}

// Names are the built-in scenarios, sorted.
func Names() []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		panic(err) // the pattern is bad, which no input can cause
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// Source is the text of the built-in scenario called name, comments and all;
// fs.ErrNotExist when there is none.
func Source(name string) ([]byte, error) {
	if names := Names(); !slices.Contains(names, name) {
		return nil, fmt.Errorf("no built-in scenario %q %s: %w", name, suggest(name, names), fs.ErrNotExist)
	}
	return builtin.ReadFile(name + ".yaml")
}

// Describe says in one line what the built-in scenario called name is for:
// its file's first line, a comment. Empty when there is no such scenario.
func Describe(name string) string {
	data, err := Source(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimLeft(firstLine(string(data)), "#"))
}

// YAML is the resolved scenario with every default written out. Parse reads
// back an equal value if s is valid.
func (s *Scenario) YAML() ([]byte, error) {
	out, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	return out, nil
}
