package scenarios

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validate "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// words are what values may be that are one of a few.
func words() map[string][]string {
	models := []string{ModelClosed, ModelOpen, ModelEpoch, ModelOffline}
	return map[string][]string{
		"Scenario.apiVersion": {APIVersion}, "Dataset.kind": {KindGenerated, KindPictures, KindAudio, KindFolder},
		"Load.model": models, "Load.arrival": {ArrivalConstant, ArrivalPoisson, ArrivalTrace}, "Load.pacer": {PacerSleep, PacerSpin},
		"Keys.dist":    {KeysUniform, KeysZipf, KeysHotspot, KeysSequential, KeysPermutation},
		"Trials.order": {OrderInterleaved, OrderSequential},
	}
}

func texts(pattern, example string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: []any{example}}
}

func object(keys map[string]*jsonschema.Schema, order ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, k := range order {
		s.Properties.Set(k, keys[k])
	}
	return s
}

// special are the types that are written otherwise than they are kept.
func special(t reflect.Type) *jsonschema.Schema {
	duration, bytes := texts(`^[0-9.]+(ns|us|µs|ms|s|m|h)([0-9.].*)?$`, "10s"), texts(`^[0-9.]+ ?[kKMGT]?i?B$`, "64KiB")
	rate, number := texts(`^[0-9.]+/s$`, "500/s"), &jsonschema.Schema{Type: "number"}
	switch t {
	case reflect.TypeFor[Duration]():
		return duration
	case reflect.TypeFor[Warmup]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Const: "auto"}, duration}}
	case reflect.TypeFor[Bytes]():
		return bytes
	case reflect.TypeFor[Rate]():
		return rate
	case reflect.TypeFor[Bandwidth]():
		return texts(`^[0-9.]+ ?[kKMGT]?i?B/s$`, "100MiB/s")
	case reflect.TypeFor[Percent]():
		return texts(`^[0-9.]+%$`, "10%")
	case reflect.TypeFor[Sampling]():
		return texts(`^(all|size|off|sample [0-9.]+%)$`, "sample 1%")
	case reflect.TypeFor[Stage]():
		return object(map[string]*jsonschema.Schema{"to": rate, "over": duration, "hold": duration}, "to", "over", "hold")
	case reflect.TypeFor[Size]():
		share := object(map[string]*jsonschema.Schema{"size": bytes, "weight": {Type: "integer"}}, "size", "weight")
		dist := &jsonschema.Schema{Enum: []any{DistConst, DistUniform, DistLognormal, DistPareto, DistWeighted, DistTrace}}
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{bytes, object(map[string]*jsonschema.Schema{
			"dist": dist, "value": bytes, "min": bytes, "max": bytes, "median": bytes, "sigma": number, "alpha": number,
			"of": {Type: "array", Items: share}, "file": {Type: "string"},
		}, "dist", "value", "min", "max", "median", "sigma", "alpha", "of", "file")}}
	}
	return nil
}

// makeSchema reflects the types.
func makeSchema(t *testing.T) *jsonschema.Schema {
	r := &jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Mapper: special}
	require.NoError(t, r.AddGoComments("github.com/etlbench/etlbench/scenarios", "./"))
	for k, text := range r.CommentMap {
		r.CommentMap[k] = strings.Join(strings.Fields(text), " ")
	}
	s := r.Reflect(&Scenario{})
	s.ID, s.Title = "https://github.com/etlbench/etlbench/scenario/v1", APIVersion
	s.Properties.Set(keyExtends, &jsonschema.Schema{Type: "string",
		Description: "A scenario that this one changes: a file, whose path counts from this one's folder, or a built-in one."})
	count := &jsonschema.Schema{Type: "string", Pattern: "^[0-9]+[kM]$"}
	objects, _ := s.Definitions["Dataset"].Properties.Get("objects")
	objects.OneOf, objects.Type = []*jsonschema.Schema{{Type: "integer"}, count}, ""
	for at, list := range words() {
		def, key, _ := strings.Cut(at, ".")
		props := s.Properties
		if def != "Scenario" {
			props = s.Definitions[def].Properties
		}
		p, ok := props.Get(key)
		require.True(t, ok, at)
		for _, w := range list {
			p.Enum = append(p.Enum, w)
		}
	}
	return s
}

func TestJSONSchema(t *testing.T) {
	data, err := json.MarshalIndent(makeSchema(t), "", "  ")
	require.NoError(t, err)
	data = append(data, '\n')
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile("scenario.schema.json", data, 0o644))
		JSONSchema = data
	}
	require.Empty(t, cmp.Diff(string(JSONSchema), string(data)), "run: go test ./scenarios -update")

	var doc map[string]any
	require.NoError(t, json.Unmarshal(data, &doc))
	requireKeys(t, doc, doc, schema(&Scenario{}), "")

	parsed, err := validate.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	c := validate.NewCompiler()
	require.NoError(t, c.AddResource("scenario.json", parsed))
	compiled, err := c.Compile("scenario.json")
	require.NoError(t, err)
	check := func(file string) error {
		var v any
		require.NoError(t, yaml.Unmarshal([]byte(file), &v))
		data, err := json.Marshal(v)
		require.NoError(t, err)
		v, err = validate.UnmarshalJSON(bytes.NewReader(data))
		require.NoError(t, err)
		return compiled.Validate(v)
	}
	for _, name := range Names() {
		source, err := Source(name)
		require.NoError(t, err)
		require.NoError(t, check(string(source)), name)
		s, err := LoadNamed(name)
		require.NoError(t, err)
		resolved, err := s.YAML()
		require.NoError(t, err)
		require.NoError(t, check(string(resolved)), "%s with all defaults", name)
	}
	for _, c := range []struct {
		file string
		good bool
	}{
		{"extends: demo\ndataset: {size: 64KiB, objects: 20k}\nload: {stages: [{to: 5/s, over: 1s}, {hold: 2m30s}]}\n", true},
		{"dataset: {size: {dist: weighted, of: [{size: 1KiB, weight: 3}]}}\nphases: {warmup: auto}\n", true},
		{"lod: {}\n", false}, {"load: {wrokers: 3}\n", false}, {"load: {timeout: 10}\n", false}, {"load: {model: opn}\n", false},
		{"dataset: {size: {dist: const, valu: 3B}}\n", false}, {"load: {rate: 5}\n", false}, {"gates: [{on: x, if: y}]\n", false},
	} {
		err := check(c.file)
		require.Equal(t, c.good, err == nil, "%s: %v", c.file, err)
	}
}

// requireKeys holds that every key of fields is in the schema, with a
// description unless it is a list's or a form of its own.
func requireKeys(t *testing.T, doc, at map[string]any, fields []field, path string) {
	if ref, ok := at["$ref"].(string); ok {
		at = doc["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	props := at["properties"].(map[string]any)
	require.Equal(t, false, at["additionalProperties"], path)
	for _, f := range fields {
		p, ok := props[f.key].(map[string]any)
		require.True(t, ok, "%s is not in the schema", join(path, f.key))
		if f.sub != nil {
			requireKeys(t, doc, p, f.sub, join(path, f.key))
		}
	}
}
