package pod

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Image is what the process runtime starts in place of a container image.
type Image struct {
	Entrypoint []string          `json:"entrypoint"` // argv
	Env        map[string]string `json:"env,omitempty"`
	// Announces tells that the program says itself where it listens: see
	// child.EnvAnnounce. Others are expected at $(PORT).
	Announces bool `json:"announces,omitempty"`
	// Dir is the working directory, for a command line that a user typed
	// there; "" is the pod's own folder.
	Dir string `json:"-"`
	// Runs is Info.Runs.
	Runs string `json:"-"`
}

// Images maps image names to programs. A spec's tag or digest is ignored when
// the table has the name without it.
type Images map[string]Image

// Find looks an image up. An unknown one is refused by naming the table, also
// when the spec brings a command of its own: an image name is not a program on
// this machine.
func (t Images) Find(name string) (Image, error) {
	if img, ok := t[name]; ok {
		return img, nil
	}
	bare, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexByte(bare, ':'); i > strings.LastIndexByte(bare, '/') {
		bare = bare[:i]
	}
	if img, ok := t[bare]; ok {
		return img, nil
	}
	return Image{}, fmt.Errorf("%w: spec.containers[0].image: %q is not in the image table of the local-process runtime, which has: %s",
		ErrSpec, name, strings.Join(slices.Sorted(maps.Keys(t)), ", "))
}

// argv is the command line of a spec, the way Kubernetes puts it together:
// command replaces the entrypoint, args its arguments. $(NAME) is replaced
// from env, and no shell is involved that the spec does not name itself.
func (s *Spec) argv(img Image, env map[string]string) []string {
	argv := slices.Clone(img.Entrypoint)
	if len(s.Command) > 0 {
		argv = slices.Clone(s.Command)
	}
	argv = append(argv, s.Args...)
	for i, a := range argv {
		argv[i] = expand(a, env)
	}
	return argv
}

// expand replaces $(NAME) as Kubernetes does: unknown names stay, and $$ is
// one dollar sign.
func expand(s string, env map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch next := s[i+1]; next {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			name := s[i+2 : i+end]
			v, ok := env[name]
			if !ok {
				v = s[i : i+end+1]
			}
			b.WriteString(v)
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

// checkFileName lets only plain names into a pod's folder.
func checkFileName(name string) error {
	if name == "" || name == "." || name == ".." || path.Base(name) != name {
		return fmt.Errorf("%w: file %q is not a plain name", ErrSpec, name)
	}
	return nil
}

// LoadImages reads a table from a YAML file: image names with entrypoint (an
// argv) and env. Unknown keys are errors.
func LoadImages(file string) (Images, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("image table: %w", err)
	}
	var t Images
	if err := yaml.UnmarshalStrict(data, &t); err != nil {
		return nil, fmt.Errorf("image table %s: %s", file, oneLine(err))
	}
	for name, img := range t {
		if len(img.Entrypoint) == 0 {
			return nil, fmt.Errorf("image table %s: %s: entrypoint is required", file, name)
		}
	}
	return t, nil
}
