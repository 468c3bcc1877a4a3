package api

import (
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
)

// MaxTemplateNames is the most names that a template may stand for.
const MaxTemplateNames = 10_000_000

// maxDigits bounds the zeros in front of a number.
const maxDigits = 32

// Template stands for many object names: text with numeric ranges in it,
// "shard-{001..100}.tar", "{0..10..2}/x" or, from 0 on, "shard-@100". Without
// a range it is a prefix, and stands for the objects that begin with it.
type Template struct {
	prefix string
	ranges []templateRange
}

// templateRange is one range and the text behind it.
type templateRange struct {
	first, last, step int64 // last is part of the range
	digits            int   // at least, with zeros in front
	gap               string
}

var (
	braceRange = regexp.MustCompile(`^\{(\d+)\.\.(\d+)(?:\.\.(\d+))?\}`)
	atRange    = regexp.MustCompile(`^@(\d+)`)
	hasAt      = regexp.MustCompile(`@\d`)
	fmtRange   = regexp.MustCompile(`^[^%]*%(0\d+)?d[^%]*$`)
)

// ParseTemplate reads a template. "" and "*" are a prefix of every name.
func ParseTemplate(s string) (*Template, error) {
	t := &Template{}
	if s == "*" {
		return t, nil
	}
	if fmtRange.MatchString(s) {
		return nil, fmt.Errorf("template %q: %%d has no end: write a range, such as {0000..0100}", s)
	}
	opening, pattern := "{", braceRange
	if !strings.Contains(s, "{") && hasAt.MatchString(s) {
		opening, pattern = "@", atRange
	}
	rest := s
	for {
		text, from, ok := cutBefore(rest, opening)
		t.text(text)
		if !ok {
			break
		}
		m := pattern.FindStringSubmatch(from)
		if m == nil && opening == "@" { // an @ without a number is text
			t.text(opening)
			rest = from[1:]
			continue
		}
		if m == nil {
			return nil, fmt.Errorf("template %q: %q is no range: write {FIRST..LAST} or {FIRST..LAST..STEP}", s, from)
		}
		r, err := newRange(m)
		if err != nil {
			return nil, fmt.Errorf("template %q: %w", s, err)
		}
		t.ranges = append(t.ranges, r)
		rest = from[len(m[0]):]
	}
	if _, err := t.Count(); err != nil {
		return nil, fmt.Errorf("template %q: %w", s, err)
	}
	return t, nil
}

// cutBefore is strings.Cut that leaves sep with what follows it.
func cutBefore(s, sep string) (before, from string, ok bool) {
	if i := strings.Index(s, sep); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

// text appends text that is in every name.
func (t *Template) text(s string) {
	if n := len(t.ranges); n > 0 {
		t.ranges[n-1].gap += s
	} else {
		t.prefix += s
	}
}

// newRange makes a range of the numbers of a match: first, last and step, or
// only the last.
func newRange(m []string) (r templateRange, err error) {
	first, last, step := "0", m[len(m)-1], "1"
	if len(m) == 4 {
		first, last = m[1], m[2]
		if m[3] != "" {
			step = m[3]
		}
	}
	for _, n := range []struct {
		to   *int64
		text string
	}{{&r.first, first}, {&r.last, last}, {&r.step, step}} {
		if *n.to, err = strconv.ParseInt(n.text, 10, 64); err != nil {
			return r, fmt.Errorf("%s is too large", n.text)
		}
	}
	r.digits = len(last)
	if len(m) == 4 {
		r.digits = min(len(first), len(last))
	}
	switch {
	case r.first > r.last:
		return r, fmt.Errorf("the range %s begins behind its end", m[0])
	case r.step < 1:
		return r, fmt.Errorf("the step of %s must be at least 1", m[0])
	case r.digits > maxDigits:
		return r, fmt.Errorf("%s has too many digits", m[0])
	}
	return r, nil
}

// Prefix is what all names begin with, and whether that is all there is.
func (t *Template) Prefix() (prefix string, only bool) { return t.prefix, len(t.ranges) == 0 }

// Count is how many names a template with ranges stands for, or an error when
// there are more than MaxTemplateNames.
func (t *Template) Count() (int64, error) {
	n := int64(1)
	for _, r := range t.ranges {
		// Without + 1, which could overflow; more than the limit either way.
		steps := (r.last - r.first) / r.step
		if steps >= MaxTemplateNames || n > MaxTemplateNames/(steps+1) {
			return 0, fmt.Errorf("stands for more than %d names", MaxTemplateNames)
		}
		n *= steps + 1
	}
	return n, nil
}

// Names lists the names of a template with ranges, in order; none of a prefix.
func (t *Template) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(t.ranges) > 0 {
			t.names([]byte(t.prefix), 0, yield)
		}
	}
}

func (t *Template) names(begin []byte, i int, yield func(string) bool) bool {
	if i == len(t.ranges) {
		return yield(string(begin))
	}
	r := t.ranges[i]
	for v := r.first; ; v += r.step {
		name := fmt.Appendf(begin[:len(begin):len(begin)], "%0*d%s", r.digits, v, r.gap)
		if !t.names(name, i+1, yield) {
			return false
		}
		if r.last-v < r.step {
			return true
		}
	}
}
