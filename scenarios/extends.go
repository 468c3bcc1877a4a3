package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Options are what a scenario may reach beyond its own file.
type Options struct {
	// Open gives the content of another file, for extends. nil: extends is
	// refused.
	Open func(path string) ([]byte, error)
	// Lookup is the environment. nil: an empty one.
	Lookup func(name string) (value string, ok bool)
}

// keyExtends names the scenario that a file changes. It is gone once that was
// read.
const keyExtends = "extends"

// maxExtends is how many files may stand on each other.
const maxExtends = 16

// extend puts root, of the last file of chain, onto the scenario that it
// extends, if any: maps are merged, key by key, anything else replaces what is
// there, and a key without a value drops the one there. A name is not handed
// down.
func (r *reader) extend(root *node, o Options, chain ...string) *node {
	i := slices.IndexFunc(root.entries, func(e entry) bool { return e.key == keyExtends })
	if i < 0 {
		return root
	}
	e := root.entries[i]
	root.entries = slices.Delete(root.entries, i, i+1)
	base := r.base(e, o, chain)
	if base == nil {
		return root
	}
	base.entries = slices.DeleteFunc(base.entries, func(e entry) bool { return e.key == "name" })
	base.merge(root)
	base.pos = root.pos
	return base
}

// base reads the scenario that e, of the last file of chain, names: a file, by
// its path from there, or, when there is no such file, one that is built in.
// nil after a problem.
func (r *reader) base(e entry, o Options, chain []string) *node {
	name := e.value.text
	fail := func(format string, args ...any) *node {
		r.problem(e.value.pos, keyExtends, format, args...)
		return nil
	}
	switch {
	case e.value.kind != kindText || name == "":
		return fail("wants the name of a file, not %s", e.value)
	case o.Open == nil:
		return fail("is not possible here (write the keys out)")
	case len(chain) == maxExtends:
		return fail("%d files stand on each other (merge some)", maxExtends)
	}
	at := path.Join(path.Dir(chain[len(chain)-1]), name)
	if path.IsAbs(name) {
		at = name
	}
	data, err := o.Open(at)
	if errors.Is(err, fs.ErrNotExist) && slices.Contains(Names(), name) {
		at = name
		data, err = Source(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no file %s, and no built-in scenario of that name", at)
	case err != nil:
		return fail("%s", err)
	case slices.Contains(chain, at):
		return fail("goes in a circle: %s", strings.Join(append(chain, at), " -> "))
	}
	other := &reader{file: at}
	root := other.read(data)
	if root != nil {
		if root.kind != kindMap {
			other.problem(root.pos, "", "wants a map of keys and values, not %s", root)
			root = nil
		} else {
			root = other.extend(root, o, append(slices.Clone(chain), at)...)
		}
	}
	r.problems = append(r.problems, other.problems...)
	return root
}

// merge puts the entries of over into n. A map of another distribution replaces
// the one there: its keys would have no meaning. Repeated keys stay repeated,
// for who reports them.
func (n *node) merge(over *node) {
	seen := map[string]bool{}
	for _, e := range over.entries {
		i := slices.IndexFunc(n.entries, func(b entry) bool { return b.key == e.key })
		switch {
		case seen[e.key] || i < 0:
			n.entries = append(n.entries, e)
		case e.value.kind == kindNull:
			n.entries = slices.Delete(n.entries, i, i+1)
		case e.value.kind == kindMap && n.entries[i].value.kind == kindMap && n.entries[i].value.alike(e.value):
			n.entries[i].value.merge(e.value)
			n.entries[i].pos = e.pos
		default:
			n.entries[i] = e
		}
		seen[e.key] = true
	}
}

// alike tells whether two maps are not of different distributions.
func (n *node) alike(o *node) bool {
	dist := func(m *node) string {
		for _, e := range m.entries {
			if e.key == "dist" {
				return e.value.text
			}
		}
		return ""
	}
	a, b := dist(n), dist(o)
	return a == b || a == "" || b == ""
}

var (
	variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)
	digits   = regexp.MustCompile(`^[0-9]+$`)
)

// environment puts the values of variables, written ${NAME} or ${NAME:-DEFAULT},
// into the texts below target, and reports them elsewhere: the same file has to
// mean the same load everywhere.
func (r *reader) environment(n *node, at string, lookup func(string) (string, bool)) {
	for _, e := range n.entries {
		r.environment(e.value, join(at, e.key), lookup)
	}
	for i, item := range n.items {
		r.environment(item, fmt.Sprintf("%s[%d]", at, i), lookup)
	}
	if n.kind != kindText || !strings.Contains(n.text, "${") {
		return
	}
	if !strings.HasPrefix(at, "target.") {
		r.problem(n.pos, at, "%q takes from the environment, which only target may (use --set)", n.text)
		return
	}
	n.text = variable.ReplaceAllStringFunc(n.text, func(m string) string {
		parts := variable.FindStringSubmatch(m)
		value, ok := "", false
		if lookup != nil {
			value, ok = lookup(parts[1])
		}
		switch {
		case value != "":
			return value
		case parts[2] != "":
			return parts[3]
		case !ok:
			r.problem(n.pos, at, "%s is not set in the environment (set it, or write ${%s:-DEFAULT})", parts[1], parts[1])
		}
		return value
	})
	if strings.Contains(n.text, "${") {
		r.problem(n.pos, at, "%q is no variable (write ${NAME} or ${NAME:-DEFAULT})", n.text)
	}
	if digits.MatchString(n.text) {
		n.kind = kindInt
	}
}
