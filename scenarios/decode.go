package scenarios

import (
	"encoding"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Parse reads one scenario, fills in the defaults and checks it. name is the
// file's name, for messages and for the default of name. The error is an
// [*Error] with all problems.
func Parse(name string, data []byte) (*Scenario, error) {
	return ParseWith(name, data, nil)
}

// ParseWith is Parse with overrides: each "dotted.path=value" replaces or
// adds that key before anything is checked, in order. The value is YAML, so
// a list is "arms.comm=[hpush, io]". Problems of overrides have "--set" in
// place of a position.
func ParseWith(name string, data []byte, sets []string) (*Scenario, error) {
	return Options{}.Parse(name, data, sets)
}

// Parse is ParseWith for a file that may extend another one, whose path counts
// from the folder of name, and takes from the environment. Overrides come after
// what it extends.
func (o Options) Parse(name string, data []byte, sets []string) (*Scenario, error) {
	r := &reader{file: name}
	root := r.read(data)
	if root == nil {
		return nil, asError(r.problems)
	}
	if root.kind == kindMap {
		before := len(r.problems)
		root = r.extend(root, o, path.Clean(name))
		if len(r.problems) > before {
			return nil, asError(r.problems) // what is missing would be in the base
		}
	}
	for _, s := range sets {
		r.set(root, s)
	}
	r.environment(root, "", o.Lookup)
	d := &decoder{reader: r, at: map[string]pos{"": root.pos}}
	s := defaults(strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".yaml"), ".yml"))
	d.schema = schema(s)
	d.section(d.schema, "", root)
	s.fill(d.has)
	if root.kind == kindMap {
		for _, p := range s.problems() {
			d.locate(p)
		}
	}
	if err := asError(d.problems); err != nil {
		return nil, err
	}
	return s, nil
}

// decoder fills a Scenario from nodes and remembers where each path stands.
type decoder struct {
	*reader
	schema []field
	at     map[string]pos
}

// field is a key of a section: a leaf with a read function, or a section with
// fields of its own.
type field struct {
	key  string
	read read
	sub  []field
}

// read puts the value of n, which stands at path, where it belongs.
type read func(d *decoder, path string, n *node)

// schema is the file's shape, with s as the place to put the values.
func schema(s *Scenario) []field {
	return []field{
		{key: "apiVersion", read: text(&s.APIVersion)},
		{key: "name", read: text(&s.Name)},
		{key: "seed", read: seed(&s.Seed)},
		{key: "target", sub: []field{
			{key: "proxies", read: list(&s.Target.Proxies)},
			{key: "bucket", read: text(&s.Target.Bucket)},
			{key: "targets", read: integer(&s.Target.Targets)},
			{key: "cpu", read: unit(&s.Target.CPU)},
			{key: "link", read: unit(&s.Target.Link)},
		}},
		{key: "dataset", sub: []field{
			{key: "kind", read: text(&s.Dataset.Kind)},
			{key: "dir", read: text(&s.Dataset.Dir)},
			{key: "objects", read: count(&s.Dataset.Objects)},
			{key: "size", read: size(&s.Dataset.Size)},
			{key: "max-bytes", read: unit(&s.Dataset.MaxBytes)},
			{key: "compressible", read: number(&s.Dataset.Compressible)},
		}},
		{key: "transforms", read: list(&s.Transforms)},
		{key: "arms", sub: []field{
			{key: "comm", read: list(&s.Arms.Comm)},
			{key: "mode", read: list(&s.Arms.Mode)},
			{key: "size", read: listOf(&s.Arms.Size, func(v *Bytes) read { return unit(v) })},
			{key: "put", read: list(&s.Arms.Put)},
			{key: "stream", read: list(&s.Arms.Stream)},
			{key: "workers", read: listOf(&s.Arms.Workers, integer)},
			{key: "endpoints", read: urls(&s.Arms.Endpoints)},
			{key: "replicas", read: integer(&s.Arms.Replicas)},
		}},
		{key: "load", sub: []field{
			{key: "model", read: text(&s.Load.Model)},
			{key: "arrival", read: text(&s.Load.Arrival)},
			{key: "rate", read: unit(&s.Load.Rate)},
			{key: "stages", read: listOf(&s.Load.Stages, stage)},
			{key: "trace", read: text(&s.Load.Trace)},
			{key: "in-flight", read: integer(&s.Load.InFlight)},
			{key: "pacer", read: text(&s.Load.Pacer)},
			{key: "workers", read: integer(&s.Load.Workers)},
			{key: "workers-per-target", read: integer(&s.Load.WorkersPerTarget)},
			{key: "timeout", read: unit(&s.Load.Timeout)},
			{key: "direct", read: scalar(&s.Load.Direct, strconv.ParseBool, "true or false", kindBool)},
			{key: "keys", sub: []field{
				{key: "dist", read: text(&s.Load.Keys.Dist)},
				{key: "s", read: number(&s.Load.Keys.S)},
				{key: "hot", read: unit(&s.Load.Keys.Hot)},
				{key: "ops", read: unit(&s.Load.Keys.Ops)},
			}},
			{key: "mix", read: weights(&s.Load.Mix)},
			{key: "think", read: unit(&s.Load.Think)},
			{key: "epochs", read: integer(&s.Load.Epochs)},
		}},
		{key: "phases", sub: []field{
			{key: "warmup", read: unit(&s.Phases.Warmup)},
			{key: "max", read: unit(&s.Phases.Max)},
			{key: "measure", read: unit(&s.Phases.Measure)},
		}},
		{key: "trials", sub: []field{
			{key: "blocks", read: integer(&s.Trials.Blocks)},
			{key: "order", read: text(&s.Trials.Order)},
			{key: "redeploy-every", read: integer(&s.Trials.RedeployEvery)},
			{key: "stop-at", sub: []field{
				{key: "metric", read: text(&s.Trials.StopAt.Metric)},
				{key: "half-width", read: unit(&s.Trials.StopAt.HalfWidth)},
			}},
		}},
		{key: "verify", sub: []field{
			{key: "content", read: text((*string)(&s.Verify.Content))},
		}},
		{key: "collect", sub: []field{
			{key: "cgroups", read: list(&s.Collect.Cgroups)},
			{key: "interval", read: unit(&s.Collect.Interval)},
			{key: "phases", read: text((*string)(&s.Collect.Phases))},
		}},
		{key: "faults", read: listOf(&s.Faults, fault)},
		{key: "gates", read: listOf(&s.Gates, gate)},
		{key: "outputs", read: list(&s.Outputs)},
	}
}

func (d *decoder) has(path string) bool {
	_, ok := d.at[path]
	return ok
}

// locate adds a problem of the finished value at the place of its path, or of
// the nearest section around it. What already has a problem gets no second.
func (d *decoder) locate(p Problem) {
	for _, q := range d.problems {
		if within(p.Path, q.Path) || within(q.Path, p.Path) {
			return
		}
	}
	parent := p.Path
	for !d.has(parent) {
		parent = parent[:max(0, strings.LastIndexAny(parent, ".["))]
	}
	d.problem(d.at[parent], p.Path, "%s", p.Text)
}

// within says whether path is outer or below it. Nothing is within "": a
// problem of the whole file hides no other.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && outer != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// section reads a map whose keys are fields.
func (d *decoder) section(fields []field, path string, n *node) {
	d.keys(path, n, func(e entry, at string) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		switch {
		case i < 0:
			d.unknown(fields, e, at)
		case fields[i].sub != nil:
			d.section(fields[i].sub, at, e.value)
		case d.filled(at, e.value):
			fields[i].read(d, at, e.value)
		}
	})
}

// keys calls visit for every key of a map but the repeated ones, which it
// reports.
func (d *decoder) keys(path string, n *node, visit func(e entry, at string)) {
	if !d.filled(path, n) || !d.want(path, n, "a map of keys and values", kindMap) {
		return
	}
	first := make(map[string]pos, len(n.entries))
	for _, e := range n.entries {
		at := join(path, e.key)
		if before, ok := first[e.key]; ok {
			d.problem(e.pos, at, "said before, at line %d (drop one)", before.line)
			continue
		}
		first[e.key], d.at[at] = e.pos, e.value.pos
		visit(e, at)
	}
}

func (d *decoder) unknown(fields []field, e entry, at string) {
	if home := find(d.schema, "", e.key); home != "" && len(e.key) > 3 {
		d.problem(e.pos, at, "unknown key (did you mean %q?)", home)
		return
	}
	d.problem(e.pos, at, "unknown key %s", suggest(e.key, keysOf(fields)))
}

// find is the path of the key called key, wherever in the schema it is.
func find(fields []field, path, key string) string {
	for _, f := range fields {
		if f.key == key {
			return join(path, key)
		}
		if home := find(f.sub, join(path, f.key), key); home != "" {
			return home
		}
	}
	return ""
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// filled reports a key without a value. An empty root is a map already.
func (d *decoder) filled(path string, n *node) bool {
	if n.kind == kindNull {
		d.problem(n.pos, path, "has no value (give it one or drop the key)")
		return false
	}
	return true
}

// want reports a value of none of the wanted kinds; what describes them.
func (d *decoder) want(path string, n *node, what string, kinds ...nodeKind) bool {
	for _, k := range kinds {
		if n.kind == k {
			return true
		}
	}
	d.problem(n.pos, path, "wants %s, not %s", what, n)
	return false
}

func text(to *string) read {
	return func(d *decoder, path string, n *node) {
		switch n.kind {
		case kindInt, kindFloat, kindBool:
			d.problem(n.pos, path, "wants text, not %s (put it in quotes)", n)
		case kindText:
			*to = n.text
		default:
			d.want(path, n, "text", kindText)
		}
	}
}

func list(to *[]string) read { return listOf(to, text) }

// listOf reads a list whose items are read by each.
func listOf[T any](to *[]T, each func(*T) read) read {
	return func(d *decoder, path string, n *node) {
		if !d.want(path, n, "a list, written [a, b]", kindList) {
			return
		}
		*to = nil
		for i, item := range n.items {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.at[at] = item.pos
			var v T
			if d.filled(at, item) {
				each(&v)(d, at, item)
			}
			*to = append(*to, v)
		}
	}
}

// section reads a map of the keys that fields makes.
func section(fields []field) read {
	return func(d *decoder, path string, n *node) { d.section(fields, path, n) }
}

func share(to *Share) read {
	return section([]field{{key: "size", read: unit(&to.Size)}, {key: "weight", read: integer(&to.Weight)}})
}

func stage(to *Stage) read {
	return func(d *decoder, path string, n *node) {
		d.section([]field{
			{key: "to", read: unit(&to.To)},
			{key: "over", read: unit(&to.Over)},
			{key: "hold", read: unit(&to.Hold)},
		}, path, n)
		ramp, hold := d.has(path+".to") && d.has(path+".over"), d.has(path+".hold")
		if ramp == hold || hold && (d.has(path+".to") || d.has(path+".over")) {
			d.problem(n.pos, path, "is no stage (write {to: 500/s, over: 10s} or {hold: 30s})")
		}
	}
}

func fault(to *Fault) read {
	return section([]field{
		{key: "at", read: unit(&to.At)},
		{key: "kill", read: text(&to.Kill)},
		{key: "throttle", read: text(&to.Throttle)},
		{key: "cpu", read: unit(&to.CPU)},
		{key: "delay", read: unit(&to.Delay)},
		{key: "drop", read: unit(&to.Drop)},
		{key: "on", read: text(&to.On)},
		{key: "for", read: unit(&to.For)},
		{key: "count", read: integer(&to.Count)},
	})
}

func gate(to *Gate) read {
	return section([]field{
		{key: "on", read: text(&to.On)},
		{key: "is", read: text(&to.Is)},
		{key: "abort-after", read: unit(&to.AbortAfter)},
	})
}

// scalar reads values of the given kinds, which what describes, with parse.
func scalar[T any](to *T, parse func(string) (T, error), what string, kinds ...nodeKind) read {
	return func(d *decoder, path string, n *node) {
		if !d.want(path, n, what, kinds...) {
			return
		}
		v, err := parse(n.text)
		d.failed(path, n, err)
		*to = v
	}
}

func integer(to *int) read {
	return scalar(to, parseInt, "a whole number", kindInt)
}

func seed(to *uint64) read {
	return scalar(to, parseSeed, "a whole number", kindInt)
}

func count(to *int) read {
	return scalar(to, parseCount, "a count, like 500, 20k or 1M", kindInt, kindText)
}

func number(to *float64) read {
	return scalar(to, parseNumber, "a number", kindInt, kindFloat)
}

// unit reads durations and sizes. Bare numbers get here too, so that the
// message is about the unit and not about the kind of value.
func unit(to encoding.TextUnmarshaler) read {
	return func(d *decoder, path string, n *node) {
		if d.want(path, n, "a value with its unit", kindText, kindInt, kindFloat) {
			d.failed(path, n, to.UnmarshalText([]byte(n.text)))
		}
	}
}

func size(to *Size) read {
	return func(d *decoder, path string, n *node) {
		if n.kind != kindMap {
			*to = Size{Dist: DistConst}
			unit(&to.Value)(d, path, n)
			return
		}
		*to = Size{}
		d.section([]field{
			{key: "dist", read: text(&to.Dist)},
			{key: "value", read: unit(&to.Value)},
			{key: "min", read: unit(&to.Min)},
			{key: "max", read: unit(&to.Max)},
			{key: "median", read: unit(&to.Median)},
			{key: "sigma", read: number(&to.Sigma)},
			{key: "alpha", read: number(&to.Alpha)},
			{key: "of", read: listOf(&to.Of, share)},
			{key: "file", read: text(&to.File)},
		}, path, n)
		for _, key := range sizeKeys(to.Dist) {
			if !d.has(join(path, key)) {
				d.problem(n.pos, join(path, key), "missing (dist %s needs it)", to.Dist)
			}
		}
	}
}

// sizeKeys are the keys that a size of this distribution must have.
func sizeKeys(dist string) []string {
	switch dist {
	case DistConst:
		return []string{"value"}
	case DistUniform:
		return []string{"min", "max"}
	case DistLognormal:
		return []string{"median", "sigma", "min", "max"}
	case DistPareto:
		return []string{"alpha", "min"}
	case DistWeighted:
		return []string{"of"}
	case DistTrace:
		return []string{"file"}
	}
	return nil
}

func weights(to *map[string]int) read {
	return func(d *decoder, path string, n *node) {
		*to = map[string]int{}
		d.keys(path, n, func(e entry, at string) {
			var w int
			if d.filled(at, e.value) {
				integer(&w)(d, at, e.value)
			}
			(*to)[e.key] = w
		})
	}
}

// urls reads a map of names and URLs.
func urls(to *map[string]string) read {
	return func(d *decoder, path string, n *node) {
		*to = map[string]string{}
		d.keys(path, n, func(e entry, at string) {
			var word string
			if d.filled(at, e.value) {
				text(&word)(d, at, e.value)
			}
			(*to)[e.key] = word
		})
	}
}

// failed reports err, if any, as the problem of n.
func (d *decoder) failed(path string, n *node, err error) {
	if err != nil {
		d.problem(n.pos, path, "%s", err)
	}
}
