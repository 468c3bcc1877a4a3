package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// diff is one field that is not what was recorded.
type diff struct{ want, got any }

// diffs are those of an exchange, by field: "status", "header.Name", or a path
// into the body such as "body.entries[0].name".
type diffs map[string]diff

// absent stands for a field that is not there.
const absent = "<absent>"

// comparison of one reply.
type comparison struct {
	names *names
	diffs diffs
	cut   bool // the recording's lists were cut
}

// compare compares our reply with the recorded one.
func (r *rig) compare(e *exchange, got *reply) diffs {
	c := &comparison{names: r.names, diffs: diffs{}, cut: strings.Contains(e.Response.Note, "cut")}
	want := &e.Response
	c.scalar("status", want.Status, got.status)
	c.body(r, e, got)
	c.headers(e, got)
	return c.diffs
}

func (c *comparison) scalar(field string, want, got any) {
	if !reflect.DeepEqual(want, got) {
		c.diffs[field] = diff{want, got}
	}
}

// uncompared are headers of the HTTP library rather than of the cluster. A
// length is there where one was recorded; it is the body's own, except in the
// reply to a HEAD.
var uncompared = map[string]bool{"Date": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true}

// jsonHeaders hold JSON.
var jsonHeaders = map[string]bool{"Hdr-Error": true, "Ais-Bucket-Props": true, "Ais-Bucket-Summ": true}

func (c *comparison) headers(e *exchange, got *reply) {
	keys := map[string]bool{}
	for k := range e.Response.Headers {
		keys[k] = true
	}
	for k := range got.header {
		keys[k] = true
	}
	for k := range keys {
		field := "header." + k
		want, ours := any(absent), any(absent)
		if v := e.Response.Headers[k]; v != nil {
			want = strings.Join(v, "|")
		}
		if v := got.header[http.CanonicalHeaderKey(k)]; v != nil {
			ours = c.names.recorded(strings.Join(v, "|"))
		}
		switch {
		case k == "Content-Length" && (e.Method == http.MethodHead || want != absent && ours == absent):
			c.walk(field, want, ours)
		case uncompared[k]:
		case jsonHeaders[k] && want != absent && ours != absent:
			c.walk(field, tree(want.(string)), tree(ours.(string)))
		default:
			c.walk(field, want, ours)
		}
	}
}

func (c *comparison) body(r *rig, e *exchange, got *reply) {
	want, ours := &e.Response, string(got.body)
	if utf8.ValidString(ours) && got.header.Get("Content-Type") != "application/octet-stream" {
		ours = c.names.recorded(ours)
	}
	switch want.Encoding {
	case encodingBase64:
		head := want.head(r.T)
		c.scalar("body.length", want.Length, len(got.body))
		c.scalar("body.head", fmt.Sprintf("%x", head), fmt.Sprintf("%x", got.body[:min(len(head), len(got.body))]))
	case encodingJSON:
		gotTree := tree(ours)
		c.walk("body", tree(string(want.Body)), gotTree)
		if len(c.diffs) == 0 { // AIStore ends most JSON with a newline
			if more := want.Length - compactLen(want.Body); more < 2 {
				c.scalar("body.newline", more == 1, strings.HasSuffix(ours, "\n"))
			}
		}
	case encodingMsgpack:
		c.msgpack(r, want, got)
	case encodingText:
		var text string
		require.NoError(r, json.Unmarshal(want.Body, &text))
		c.walk("body", text, bodyText(ours))
	default:
		c.walk("body", absent, bodyText(ours))
	}
}

func bodyText(s string) any {
	if s == "" {
		return absent
	}
	if t, isJSON := tree(s).(map[string]any); isJSON {
		return t
	}
	return s
}

func compactLen(data []byte) int {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return -1
	}
	return b.Len()
}

// tree is JSON as it stands, or the text if it is none.
func tree(s string) any {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return s
	}
	return v
}

// walk compares two trees.
func (c *comparison) walk(field string, want, got any) {
	want, got = c.normal(field, want), c.normal(field, got)
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok && isError(w) == isError(g) {
			c.walkMap(field, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			c.walkList(field, w, g)
			return
		}
	case string:
		if g, ok := got.(string); ok && ids.MatchString(field) && w != g && c.names.bind(w, g) {
			return
		}
	}
	if !reflect.DeepEqual(want, got) {
		c.diffs[field] = diff{want, c.canonical(field, got)}
	}
}

// canonical is a value of ours that has no counterpart: with the rules applied
// to all of it, and without what nobody could know.
func (c *comparison) canonical(field string, v any) any {
	v = c.normal(field, v)
	switch t := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k := range t {
			m[k] = c.canonical(field+"."+k, t[k])
		}
		delete(m, "remote_addr")
		return m
	case []any:
		list := slices.Clone(t)
		for i := range list {
			list[i] = c.canonical(fmt.Sprintf("%s[%d]", field, i), list[i])
		}
		return list
	case string:
		if ids.MatchString(field) && wellFormed.MatchString(t) && c.names.ours[t] == "" {
			return "<id>"
		}
	}
	return v
}

// normal applies the rules to a value.
func (c *comparison) normal(field string, v any) any {
	if s, ok := v.(string); ok && s != absent {
		v = normalText(s)
	}
	if n, ok := v.(json.Number); ok {
		v = decimal(n)
	}
	if v == absent {
		return v
	}
	if nets.MatchString(field) {
		return normalNet(v)
	}
	for _, r := range rules {
		if r.field.MatchString(field) {
			return r.rule(v)
		}
	}
	return v
}

func (c *comparison) walkMap(field string, want, got map[string]any) {
	if isError(want) && isError(got) {
		want, got = errorFields(want, got)
	}
	if want["aborted"] == true && got["aborted"] == true {
		want, got = howFar(want), howFar(got)
	}
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for k := range keys {
		w, inWant := want[k]
		g, inGot := got[k]
		f := field + "." + k
		if !inWant {
			w = absent
		}
		if !inGot {
			if optional.MatchString(f) {
				continue
			}
			g = absent
		}
		c.walk(f, w, g)
	}
}

func isError(m map[string]any) bool { return m["message"] != nil && m["status"] != nil }

var nodeName = regexp.MustCompile(`\b[pt]\[\w+\]`)

// errorFields are what counts of an error: kind, text and status, and who it
// came from. When a proxy passes on what a target has said, which one it is and
// by what internal call is their own affair.
func errorFields(want, got map[string]any) (w, g map[string]any) {
	w, g = maps.Clone(want), maps.Clone(got)
	delete(w, "remote_addr")
	delete(g, "remote_addr") // of this test
	if w["caller"] == "" && g["caller"] == "" {
		return w, g
	}
	for _, m := range []map[string]any{w, g} {
		for _, k := range []string{"caller", "node", "method", "url_path"} {
			delete(m, k)
		}
		m["message"] = nodeName.ReplaceAllString(fmt.Sprint(m["message"]), "<node>")
	}
	return w, g
}

func (c *comparison) walkList(field string, want, got []any) {
	if w, g := keyed(want), keyed(got); unordered.MatchString(field) && w != nil && g != nil {
		for k := range w {
			c.walk(field+"["+k+"]", w[k], element(g, k))
		}
		for k := range g {
			if _, ok := w[k]; !ok && !c.cut {
				c.walk(field+"["+k+"]", absent, g[k])
			}
		}
		return
	}
	for i := range max(len(want), len(got)) {
		w, g := any(absent), any(absent)
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) || !c.cut {
			c.walk(fmt.Sprintf("%s[%d]", field, i), w, g)
		}
	}
}

func element(m map[string]any, k string) any {
	if v, ok := m[k]; ok {
		return v
	}
	return absent
}

// keyed is a list by its elements' keys; nil when they have none, or the same.
func keyed(list []any) map[string]any {
	m := map[string]any{}
	for _, v := range list {
		k, _ := v.(string)
		if o, ok := v.(map[string]any); ok {
			for _, name := range unorderedKeys {
				if s, ok := o[name].(string); ok && k == "" {
					k = s
				}
			}
		}
		if _, double := m[k]; k == "" || double {
			return nil
		}
		m[k] = v
	}
	return m
}
