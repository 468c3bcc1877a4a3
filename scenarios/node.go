package scenarios

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits on what is handed to the YAML parser, whose time and stack grow
// with the square of the nesting.
const (
	maxFileBytes = 64 << 10
	maxNesting   = 32
)

// setFile stands for the file's name in problems of overrides.
const setFile = "--set"

// pos is where something stands: a line and column of a file, or --set.
type pos struct {
	file      string
	line, col int
}

// nodeKind is what a YAML value is, in words for error messages.
type nodeKind string

const (
	kindNull  nodeKind = "empty"
	kindText  nodeKind = "text"
	kindInt   nodeKind = "a whole number"
	kindFloat nodeKind = "a number"
	kindBool  nodeKind = "true or false"
	kindList  nodeKind = "a list"
	kindMap   nodeKind = "a map"
	kindRef   nodeKind = "an anchor, alias or tag (write the value out)"
)

// node is a YAML value, reduced to what scenarios use. The AST is copied
// rather than walked because overrides have to be put in and its own editing
// loses positions.
type node struct {
	kind    nodeKind
	pos     pos
	text    string // of scalars, as written but for quotes
	items   []*node
	entries []entry // of maps, duplicates included
}

// entry is one key of a map.
type entry struct {
	key   string
	pos   pos
	value *node
}

// String describes a value for error messages.
func (n *node) String() string {
	switch n.kind {
	case kindInt, kindFloat:
		return "the number " + n.text
	case kindText:
		return fmt.Sprintf("the text %q", n.text)
	case kindBool:
		return "the word " + n.text
	}
	return string(n.kind)
}

// reader turns the AST into nodes and notes what cannot be turned.
type reader struct {
	file     string // or setFile
	problems []Problem
}

// read parses one document; nil after a syntax error. An empty document is
// an empty map.
func (r *reader) read(data []byte) *node {
	start := pos{r.file, 1, 1}
	if r.file == setFile {
		start = pos{file: setFile}
	}
	file, err := parseYAML(data)
	if err != nil {
		r.syntax(start, err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body == nil || directive {
			continue
		}
		if body != nil {
			r.problem(r.node(doc.Body).pos, "", "a second document (one scenario a file)")
			break
		}
		body = doc.Body
	}
	if body == nil {
		return &node{kind: kindMap, pos: start}
	}
	return r.node(body)
}

// parseYAML is goccy's parser behind the limits. Duplicate keys pass, as
// they are reported later with everything else.
func parseYAML(data []byte) (file *ast.File, err error) {
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("larger than %s, the most a scenario may have", Bytes(maxFileBytes))
	}
	// A panic of the parser on malformed input must not end the program.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML reader cannot make sense of this (%v)", r)
		}
	}()
	const byteOrderMark = "\uFEFF" // some editors begin files with it
	tokens := lexer.Tokenize(strings.TrimPrefix(string(data), byteOrderMark))
	if err := checkNesting(tokens); err != nil {
		return nil, err
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// checkNesting refuses brackets in brackets, or "- - -" on one line, beyond
// maxNesting. Nesting by indentation is bounded by the file's size.
func checkNesting(tokens token.Tokens) error {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		}
		if brackets > maxNesting || dashes > maxNesting {
			return &yaml.SyntaxError{Message: fmt.Sprintf("nested more than %d deep", maxNesting), Token: t}
		}
	}
	return nil
}

func (r *reader) syntax(at pos, err error) {
	var se *yaml.SyntaxError
	if !errors.As(err, &se) {
		r.problem(at, "", "not YAML: %s", firstLine(err.Error()))
		return
	}
	if r.file != setFile && se.Token != nil && se.Token.Position != nil {
		at.line, at.col = se.Token.Position.Line, se.Token.Position.Column
	}
	r.problem(at, "", "not YAML: %s", firstLine(se.Message))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (r *reader) problem(at pos, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: at.file, Line: at.line, Column: at.col, Path: path, Text: fmt.Sprintf(format, args...),
	})
}

func (r *reader) posOf(n ast.Node) pos {
	if t := n.GetToken(); r.file != setFile && t != nil && t.Position != nil {
		return pos{r.file, t.Position.Line, t.Position.Column}
	}
	return pos{file: r.file}
}

// node copies n. Anchors, aliases and tags become kindRef, which nothing
// takes: a scenario that says every value in its place is what error messages
// can point at.
func (r *reader) node(n ast.Node) *node {
	out := &node{pos: r.posOf(n)}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = kindNull
	case *ast.StringNode:
		out.kind, out.text = kindText, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = kindText, n.Value.Value
	case *ast.IntegerNode:
		out.kind, out.text = kindInt, n.Token.Value
	case *ast.FloatNode:
		out.kind, out.text = kindFloat, n.Token.Value
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = kindFloat, n.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.text = kindBool, n.Token.Value
	case *ast.SequenceNode:
		out.kind = kindList
		for _, v := range n.Values {
			out.items = append(out.items, r.node(v))
		}
	case *ast.MappingNode:
		out.kind = kindMap
		for _, v := range n.Values {
			r.entry(out, v)
		}
		if !n.IsFlowStyle && len(out.entries) > 0 {
			out.pos = out.entries[0].pos // the map's own token is its first ':'
		}
	case *ast.MappingValueNode:
		out.kind = kindMap
		out.pos = r.posOf(n.Key)
		r.entry(out, n)
	default:
		out.kind = kindRef
	}
	return out
}

func (r *reader) entry(m *node, n *ast.MappingValueNode) {
	at := r.posOf(n.Key)
	key, ok := n.Key.(ast.ScalarNode)
	if !ok || n.Key.IsMergeKey() {
		r.problem(at, "", "not a plain key (write key: value)")
		return
	}
	e := entry{key: key.GetToken().Value, pos: at}
	if n.Value == nil {
		e.value = &node{kind: kindNull, pos: at}
	} else {
		e.value = r.node(n.Value)
	}
	m.entries = append(m.entries, e)
}

// set puts one override "dotted.path=value" into root, replacing what is
// there. The value is YAML, so lists are written [a, b].
func (r *reader) set(root *node, override string) {
	at := pos{file: setFile}
	path, value, ok := strings.Cut(override, "=")
	keys := strings.Split(path, ".")
	for _, k := range keys {
		ok = ok && k != ""
	}
	if !ok {
		r.problem(at, "", "%q is not an override (write it like load.workers=16)", override)
		return
	}
	v := &reader{file: setFile}
	leaf := v.read([]byte(value))
	if strings.TrimSpace(value) == "" {
		leaf = &node{kind: kindNull, pos: at}
	}
	for _, p := range v.problems {
		r.problem(at, path, "%s", p.Text)
	}
	if leaf == nil {
		return
	}
	for _, k := range keys[:len(keys)-1] {
		root = root.child(k, at)
	}
	root.put(keys[len(keys)-1], leaf, at)
}

// child is the map under key, made anew unless there is one.
func (n *node) child(key string, at pos) *node {
	for _, e := range n.entries {
		if e.key == key && e.value.kind == kindMap {
			return e.value
		}
	}
	m := &node{kind: kindMap, pos: at}
	n.put(key, m, at)
	return m
}

// put replaces key's value, and its position, or adds the key.
func (n *node) put(key string, value *node, at pos) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries[i] = entry{key, at, value}
			return
		}
	}
	n.entries = append(n.entries, entry{key, at, value})
}
