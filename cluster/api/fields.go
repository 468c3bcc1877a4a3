package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Limits of a search for wrong fields, which foreign bytes may make long.
const (
	maxFieldsTried = 1024
	maxFieldDepth  = 24
	maxFieldErrors = 16
)

// FieldProblems finds what a decoder refuses of a JSON document: "path: rule"
// for each field that it does not take alone, such as
// `env[0].name: is a number, must be a string`. root is the path of the
// document itself. None when the document is no
// JSON, or when only the whole of it is refused.
func FieldProblems(root string, data []byte, decode func([]byte) error) []string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var doc any
	if d.Decode(&doc) != nil {
		return nil
	}
	f := fieldFinder{decode: decode}
	f.walk(root, 0, doc, func(v any) any { return v })
	return f.problems
}

// fieldFinder tries a document field by field.
type fieldFinder struct {
	decode   func([]byte) error
	tried    int
	problems []string
}

// walk tries a value at its path, and what is in it; around puts a value into
// the document at that place, with nothing else in it.
func (f *fieldFinder) walk(path string, depth int, value any, around func(any) any) {
	if depth++; depth > maxFieldDepth {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if f.refused(path, around(map[string]any{})) {
			return
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			f.walk(strings.TrimPrefix(path+"."+k, "."), depth, v[k], func(x any) any { return around(map[string]any{k: x}) })
		}
	case []any:
		if f.refused(path, around([]any{})) {
			return
		}
		for i, x := range v {
			f.walk(fmt.Sprintf("%s[%d]", path, i), depth, x, func(x any) any { return around([]any{x}) })
		}
	default:
		f.refused(path, around(v))
	}
}

// refused tells that a value is wrong, or that it is enough.
func (f *fieldFinder) refused(path string, doc any) bool {
	if f.tried++; f.tried > maxFieldsTried || len(f.problems) >= maxFieldErrors {
		return true
	}
	data, err := json.Marshal(doc)
	if err == nil {
		err = f.decode(data)
	}
	if err == nil {
		return false
	}
	f.problems = append(f.problems, strings.TrimPrefix(path+": ", ": ")+typeProblem(err))
	return true
}

// typeProblem says in our words that a value is of a wrong type.
func typeProblem(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		for inner := err; inner != nil; inner = errors.Unwrap(inner) {
			err = inner // without what each layer was doing
		}
		return strings.ReplaceAll(err.Error(), "\n", " ")
	}
	must := "an object"
	switch wrong.Type.Kind() {
	case reflect.String:
		must = "a string"
	case reflect.Bool:
		must = "true or false"
	case reflect.Slice, reflect.Array:
		must = "a list"
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float64:
		must = "a number"
	}
	is := "a " + wrong.Value
	switch wrong.Value {
	case "object":
		is = "an object"
	case "array":
		is = "a list"
	case "bool":
		is = "true or false"
	}
	return fmt.Sprintf("is %s, must be %s", is, must)
}
