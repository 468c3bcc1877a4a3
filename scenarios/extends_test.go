package scenarios_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

func TestExtends(t *testing.T) {
	base := `apiVersion: etlbench/v1
name: base
seed: 9
dataset: {objects: 8, size: {dist: lognormal, median: 64KiB, sigma: 1, min: 1KiB, max: 1MiB}}
transforms: [md5, echo]
arms: {comm: [hpush, io]}
load: {model: open, rate: 10/s, mix: {get-etl: 3, put: 1}}
gates: [{on: all.p99, is: "< 1s"}, {on: all.errors, is: "< 1%"}]
`
	fsys := func(file string) fstest.MapFS {
		return fstest.MapFS{
			"dir/sub/file.yaml": {Data: []byte(file)}, "dir/base.yaml": {Data: []byte(base)},
			"dir/middle.yaml": {Data: []byte("extends: base.yaml\nload: {rate: 20/s}\n")},
			"dir/a.yaml":      {Data: []byte("extends: sub/b.yaml\n")}, "dir/sub/b.yaml": {Data: []byte("extends: ../a.yaml\n")},
			"dir/bad.yaml": {Data: []byte(base + "lod: {}\n")}, "dir/list.yaml": {Data: []byte("- a\n")}, "dir/syntax.yaml": {Data: []byte("a: [\n")},
		}
	}
	type S = scenarios.Scenario
	for _, c := range []struct {
		name, file string
		want       func(s *S) // changes the base
		err        string
	}{
		{"nothing", "extends: ../base.yaml\n", func(*S) {}, ""},
		{"maps are merged", "extends: ../base.yaml\nload: {rate: 5/s, mix: {put: 2, get: 1}}\nseed: 1\n", func(s *S) {
			s.Seed, s.Load.Rate, s.Load.Mix = 1, 5, map[string]int{"get-etl": 3, "put": 2, "get": 1}
		}, ""},
		{"lists are replaced", "extends: ../base.yaml\ntransforms: [gzip]\ngates: [{on: all.p50, is: \"< 1s\"}]\n", func(s *S) {
			s.Transforms, s.Gates = []string{"gzip"}, []scenarios.Gate{{On: "all.p50", Is: "< 1s"}}
		}, ""},
		{"another distribution", "extends: ../base.yaml\ndataset: {size: {dist: uniform, min: 1B, max: 2B}}\n", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "uniform", Min: 1, Max: 2}
		}, ""},
		{"a key of a distribution", "extends: ../base.yaml\ndataset: {size: {sigma: 2}}\n", func(s *S) { s.Dataset.Size.Sigma = 2 }, ""},
		{"a value in place of a map", "extends: ../base.yaml\ndataset: {size: 3B}\n", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "const", Value: 3}
		}, ""},
		{"a key is dropped", "extends: ../base.yaml\ngates:\nload: {mix: }\n", func(s *S) {
			s.Gates, s.Load.Mix = nil, map[string]int{"get-etl": 1}
		}, ""},
		{"two files", "extends: ../middle.yaml\nseed: 4\n", func(s *S) { s.Seed, s.Load.Rate = 4, 20 }, ""},

		{"itself", "extends: file.yaml\n", nil, "dir/sub/file.yaml:1:10: extends: goes in a circle: dir/sub/file.yaml -> dir/sub/file.yaml"},
		{"a circle", "extends: ../a.yaml\n", nil, "dir/sub/b.yaml:1:10: extends: goes in a circle: dir/sub/file.yaml -> dir/a.yaml -> dir/sub/b.yaml -> dir/a.yaml"},
		{"no such file", "extends: none.yaml\n", nil, "dir/sub/file.yaml:1:10: extends: there is no file dir/sub/none.yaml, and no built-in scenario of that name"},
		{"no name", "extends: 3\n", nil, "dir/sub/file.yaml:1:10: extends: wants the name of a file, not the number 3"},
		{"a problem of the base", "extends: ../bad.yaml\n", nil, "dir/bad.yaml:9:1: lod: unknown key (did you mean \"load\"?)"},
		{"a problem of this file", "extends: ../base.yaml\nload: {rate: 0/s}\n", nil, "dir/sub/file.yaml:2:14: load.rate: "},
		{"said twice", "extends: ../base.yaml\nseed: 1\nseed: 2\n", nil, "dir/sub/file.yaml:3:1: seed: said before, at line 2 (drop one)"},
		{"no map", "extends: ../list.yaml\n", nil, "dir/list.yaml:1:1: wants a map of keys and values, not a list"},
		{"no YAML", "extends: ../syntax.yaml\n", nil, "dir/syntax.yaml:"},
		{"dropped, but not there", "extends: ../base.yaml\nfaults:\n", nil, "dir/sub/file.yaml:2:9: faults: has no value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scenarios.LoadFile(fsys(c.file), "dir/sub/file.yaml")
			if c.want == nil {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			want, err := scenarios.LoadFile(fsys(""), "dir/base.yaml")
			require.NoError(t, err)
			c.want(want)
			want.Name = "file"
			require.Empty(t, cmp.Diff(want, got))
			requireRoundTrip(t, got)
		})
	}
}

func TestExtendsBuiltIn(t *testing.T) {
	got, err := scenarios.LoadFile(fstest.MapFS{"mine.yaml": {Data: []byte("extends: demo\nseed: 77\n")}}, "mine.yaml")
	require.NoError(t, err)
	want, err := scenarios.LoadNamed("demo")
	require.NoError(t, err)
	want.Seed, want.Name = 77, "mine"
	require.Empty(t, cmp.Diff(want, got))

	_, err = scenarios.Parse("mine.yaml", []byte("extends: demo\n"))
	require.ErrorContains(t, err, "mine.yaml:1:10: extends: is not possible here")
	_, err = scenarios.ParseWith("mine.yaml", []byte(minimal), []string{"extends=demo"})
	require.ErrorContains(t, err, "--set: extends: unknown key")
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"URL": "http://a:1", "N": "5", "EMPTY": ""}
	o := scenarios.Options{Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	for _, c := range []struct{ yaml, err string }{
		{`target: {proxies: ["${URL}", "${NONE:-http://b:2}"], bucket: "ais://${EMPTY:-x}-y", targets: "${N}"}`, ""},
		{`target: {bucket: "ais://${NONE}"}`, "f.yaml:3:18: target.bucket: NONE is not set in the environment (set it, or write ${NONE:-DEFAULT})"},
		{`target: {bucket: "ais://${-x}"}`, `f.yaml:3:18: target.bucket: "ais://${-x}" is no variable (write ${NAME} or ${NAME:-DEFAULT})`},
		{`name: "${N}"`, `f.yaml:3:7: name: "${N}" takes from the environment, which only target may (use --set)`},
		{`faults: [{at: 1s, kill: "${N}"}]`, `f.yaml:3:25: faults[0].kill: "${N}" takes from`},
	} {
		s, err := o.Parse("f.yaml", []byte(minimal+c.yaml+"\n"), nil)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, scenarios.Target{Proxies: []string{"http://a:1", "http://b:2"}, Bucket: "ais://x-y", Targets: 5}, s.Target)
	}
}
