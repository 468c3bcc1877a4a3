package scenarios_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
)

// update rewrites the golden files: go test -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// minimal is the shortest scenario.
const minimal = "apiVersion: etlbench/v1\ntransforms: [md5]\n"

func minimalScenario() *scenarios.Scenario {
	return &scenarios.Scenario{
		APIVersion: "etlbench/v1",
		Name:       "small",
		Seed:       1,
		Target:     scenarios.Target{Bucket: "ais://etlbench-src", Targets: 3},
		Dataset: scenarios.Dataset{
			Kind:    "generated",
			Objects: 64,
			Size:    scenarios.Size{Dist: "const", Value: 64 << 10},
		},
		Transforms: []string{"md5"},
		Arms:       scenarios.Arms{Comm: []string{"hpush", "hpull", "hrev", "io"}, Mode: []string{"inline"}, Replicas: 1},
		Load: scenarios.Load{
			Model:   "closed",
			Workers: 8,
			Timeout: scenarios.Duration(30 * time.Second),
			Mix:     map[string]int{"get-etl": 1},
			Keys:    scenarios.Keys{Dist: "uniform"},
		},
		Phases: scenarios.Phases{
			Warmup:  scenarios.Warmup(time.Second),
			Measure: scenarios.Duration(10 * time.Second),
		},
		Trials: scenarios.Trials{Blocks: 1, Order: "interleaved-random"},
		Verify: scenarios.Verify{Content: "all"},
		Collect: scenarios.Collect{Cgroups: []string{"client", "proxy", "target", "transformer"},
			Interval: scenarios.Duration(time.Second), Phases: "all"},
		Outputs: []string{"text", "json", "md", "csv", "html", "bench"},
	}
}

func TestDefaults(t *testing.T) {
	s, err := scenarios.Parse("some/folder/small.yaml", []byte(minimal))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(minimalScenario(), s))
}

// TestParse checks that each key lands in its field, and the forms that
// values may have.
func TestParse(t *testing.T) {
	type S = scenarios.Scenario
	tests := []struct {
		name, yaml string
		want       func(s *S)
	}{
		{"name", "name: other.one", func(s *S) { s.Name = "other.one" }},
		{"seed", "seed: 18446744073709551615", func(s *S) { s.Seed = 1<<64 - 1 }},
		{"seed zero", "seed: 0", func(s *S) { s.Seed = 0 }},
		{"proxies", `target: {proxies: ["http://a:1", "https://b"]}`, func(s *S) { s.Target.Proxies = []string{"http://a:1", "https://b"} }},
		{"bucket", "target: {bucket: ais://b}", func(s *S) { s.Target.Bucket = "ais://b" }},
		{"targets", "target:\n  targets: 1", func(s *S) { s.Target.Targets = 1 }},
		{"limits", "target: {cpu: 50%, link: 100MiB/s}", func(s *S) { s.Target.CPU, s.Target.Link = 50, 100<<20 }},
		{"workers per target", "load: {workers-per-target: 4}", func(s *S) { s.Load.WorkersPerTarget, s.Load.Workers = 4, 12 }},
		{"objects", "dataset: {objects: 5}", func(s *S) { s.Dataset.Objects = 5 }},
		{"objects k", "dataset: {objects: 20k}", func(s *S) { s.Dataset.Objects = 20_000 }},
		{"objects M", "dataset: {objects: 1M}", func(s *S) { s.Dataset.Objects = 1_000_000 }},
		{"size 1000s", "dataset: {size: 1MB}", func(s *S) { s.Dataset.Size.Value = 1_000_000 }},
		{"size zero", "dataset: {size: 0B}", func(s *S) { s.Dataset.Size.Value = 0 }},
		{"size const", "dataset: {size: {dist: const, value: 3B}}", func(s *S) { s.Dataset.Size.Value = 3 }},
		{"size uniform", "dataset: {size: {dist: uniform, min: 1B, max: 1KiB}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "uniform", Min: 1, Max: 1024}
		}},
		{"compressible", "dataset: {compressible: 1}", func(s *S) { s.Dataset.Compressible = 1 }},
		{"pictures", "dataset: {kind: pictures}", func(s *S) {
			s.Dataset = scenarios.Dataset{Kind: "pictures", Objects: 64}
		}},
		{"folder", "dataset: {kind: folder, dir: ../a b}", func(s *S) {
			s.Dataset = scenarios.Dataset{Kind: "folder", Dir: "../a b"}
		}},
		{"comm", "arms: {comm: [x1]}", func(s *S) { s.Arms.Comm = []string{"x1"} }},
		{"mode", "arms: {mode: [offline, inline]}", func(s *S) { s.Arms.Mode = []string{"offline", "inline"} }},
		{"workers", "load: {workers: 100000}", func(s *S) { s.Load.Workers = 100_000 }},
		{"timeout", "load: {timeout: 1m30s}", func(s *S) { s.Load.Timeout = scenarios.Duration(90 * time.Second) }},
		{"mix replaces", "load: {mix: {get-etl: 70, put: 0}}", func(s *S) {
			s.Load.Mix = map[string]int{"get-etl": 70, "put": 0}
		}},
		{"warmup zero", "phases: {warmup: 0s}", func(s *S) { s.Phases.Warmup = 0 }},
		{"measure", "phases: {measure: 250ms}", func(s *S) { s.Phases.Measure = scenarios.Duration(250 * time.Millisecond) }},
		{"verify", "verify: {content: off}", func(s *S) { s.Verify.Content = "off" }},
		{"lognormal", "dataset: {size: {dist: lognormal, median: 64KiB, sigma: 1.5, min: 1KiB, max: 16MiB}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "lognormal", Median: 64 << 10, Sigma: 1.5, Min: 1 << 10, Max: 16 << 20}
		}},
		{"pareto", "dataset: {size: {dist: pareto, alpha: 1.2, min: 1KiB}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "pareto", Alpha: 1.2, Min: 1 << 10}
		}},
		{"pareto with max", "dataset: {size: {dist: pareto, alpha: 2, min: 1KiB, max: 1MiB}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "pareto", Alpha: 2, Min: 1 << 10, Max: 1 << 20}
		}},
		{"weighted", "dataset: {size: {dist: weighted, of: [{size: 4KiB, weight: 9}, {size: 1MiB, weight: 1}]}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "weighted", Of: []scenarios.Share{{Size: 4 << 10, Weight: 9}, {Size: 1 << 20, Weight: 1}}}
		}},
		{"size trace", "dataset: {size: {dist: trace, file: sizes.txt}}", func(s *S) {
			s.Dataset.Size = scenarios.Size{Dist: "trace", File: "sizes.txt"}
		}},
		{"size classes", "arms: {size: [4KiB, 1MiB]}\ndataset: {max-bytes: 1GiB}", func(s *S) {
			s.Arms.Size, s.Dataset.MaxBytes, s.Dataset.Size = []scenarios.Bytes{4 << 10, 1 << 20}, 1<<30, scenarios.Size{}
		}},
		{"factors", "arms: {put: [direct, relay], stream: [body, fqn], workers: [1, 8], replicas: 2}", func(s *S) {
			s.Arms.Put, s.Arms.Stream = []string{"direct", "relay"}, []string{"body", "fqn"}
			s.Arms.Workers, s.Arms.Replicas = []int{1, 8}, 2
		}},
		{"open", "load: {model: open, rate: 2000/s}", func(s *S) {
			s.Load.Model, s.Load.Arrival, s.Load.Rate, s.Load.InFlight, s.Load.Workers = "open", "constant", 2000, 512, 512
		}},
		{"open in full", "load: {model: open, arrival: poisson, rate: 0.5/s, in-flight: 64, workers: 4}", func(s *S) {
			s.Load.Model, s.Load.Arrival, s.Load.Rate, s.Load.InFlight, s.Load.Workers = "open", "poisson", 0.5, 64, 4
		}},
		{"stages", "load: {model: open, stages: [{to: 20k/s, over: 10s}, {hold: 30s}, {to: 0/s, over: 0s}]}", func(s *S) {
			s.Load.Model, s.Load.Arrival, s.Load.InFlight, s.Load.Workers = "open", "constant", 512, 512
			s.Load.Stages = []scenarios.Stage{{To: 20_000, Over: scenarios.Duration(10 * time.Second)}, {Hold: scenarios.Duration(30 * time.Second)}, {}}
			s.Phases = scenarios.Phases{}
		}},
		{"trace", "load: {model: open, trace: times.txt}", func(s *S) {
			s.Load.Model, s.Load.Arrival, s.Load.InFlight, s.Load.Workers = "open", "trace", 512, 512
			s.Load.Trace, s.Phases = "times.txt", scenarios.Phases{}
		}},
		{"epoch", "load: {model: epoch, epochs: 3, think: 5ms}", func(s *S) {
			s.Load.Model, s.Load.Epochs, s.Load.Think, s.Load.Keys.Dist = "epoch", 3, scenarios.Duration(5*time.Millisecond), "permutation"
			s.Phases.Measure = 0
		}},
		{"offline", "load: {model: offline}", func(s *S) {
			s.Load.Model, s.Arms.Mode, s.Phases = "offline", []string{"offline"}, scenarios.Phases{}
		}},
		{"zipf", "load: {keys: {dist: zipf, s: 0.9}}", func(s *S) { s.Load.Keys = scenarios.Keys{Dist: "zipf", S: 0.9} }},
		{"hotspot", "load: {keys: {dist: hotspot, hot: 0.5%}}", func(s *S) { s.Load.Keys = scenarios.Keys{Dist: "hotspot", Hot: 0.5, Ops: 90} }},
		{"warmup auto", "phases: {warmup: auto}", func(s *S) {
			s.Phases.Warmup, s.Phases.Max = scenarios.WarmupAuto, scenarios.Duration(20*time.Second)
		}},
		{"trials", "trials: {blocks: 20, order: interleaved-random, redeploy-every: 5, stop-at: {metric: p99, half-width: 3%}}", func(s *S) {
			s.Trials = scenarios.Trials{Blocks: 20, Order: "interleaved-random", RedeployEvery: 5, StopAt: scenarios.StopAt{Metric: "p99", HalfWidth: 3}}
		}},
		{"verify a share", "verify: {content: sample 0.5%}", func(s *S) { s.Verify.Content = "sample 0.5%" }},
		{"collect", "collect: {cgroups: [client], interval: 100ms, phases: sample 10%}", func(s *S) {
			s.Collect = scenarios.Collect{Cgroups: []string{"client"}, Interval: scenarios.Duration(100 * time.Millisecond), Phases: "sample 10%"}
		}},
		{"faults", "faults: [{at: 12s, kill: transformer, count: 1}, {at: 0s, throttle: target, cpu: 50%, for: 5s}, {at: 1s, delay: 5ms, on: proxy}, {at: 1s, drop: 1%, on: target}]", func(s *S) {
			s.Faults = []scenarios.Fault{{At: scenarios.Duration(12 * time.Second), Kill: "transformer", Count: 1},
				{Throttle: "target", CPU: 50, For: scenarios.Duration(5 * time.Second)},
				{At: scenarios.Duration(time.Second), Delay: scenarios.Duration(5 * time.Millisecond), On: "proxy"},
				{At: scenarios.Duration(time.Second), Drop: 1, On: "target"}}
		}},
		{"gates", `gates: [{on: "arm(hpush).response.p99", is: "< 50ms"}, {on: all.errors, is: "< 0.1%", abort-after: 5s}]`, func(s *S) {
			s.Gates = []scenarios.Gate{{On: "arm(hpush).response.p99", Is: "< 50ms"}, {On: "all.errors", Is: "< 0.1%", AbortAfter: scenarios.Duration(5 * time.Second)}}
		}},
		{"pacer", "load: {model: open, rate: 1/s, pacer: spin}", func(s *S) {
			s.Load.Model, s.Load.Arrival, s.Load.Rate, s.Load.InFlight, s.Load.Workers, s.Load.Pacer = "open", "constant", 1, 512, 512, "spin"
		}},
		{"outputs", "outputs: [csv]", func(s *S) { s.Outputs = []string{"csv"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scenarios.Parse("small.yml", []byte(minimal+tt.yaml+"\n"))
			require.NoError(t, err)
			want := minimalScenario()
			tt.want(want)
			require.Empty(t, cmp.Diff(want, got))
			requireRoundTrip(t, got)
		})
	}
}

// TestParseForms: ways of writing the same file.
func TestParseForms(t *testing.T) {
	for name, text := range map[string]string{
		"byte order mark": "\uFEFF" + minimal,
		"Windows lines":   strings.ReplaceAll(minimal, "\n", "\r\n"),
		"document marks":  "%YAML 1.2\n---\n" + minimal + "...\n",
		"no last newline": strings.TrimSpace(minimal),
		"flow style":      "{apiVersion: etlbench/v1, transforms: [md5,]}",
		"block list":      "apiVersion: etlbench/v1\ntransforms:\n  - md5 # a comment\n",
		"quotes":          "\"apiVersion\": 'etlbench/v1'\ntransforms: [\"md5\"]\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenarios.Parse("small.yaml", []byte(text))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(minimalScenario(), s))
		})
	}
}

func TestParseNoTransforms(t *testing.T) {
	s, err := scenarios.Parse("small.yaml", []byte("apiVersion: etlbench/v1\nload: {mix: {get: 1}}\n"))
	require.NoError(t, err)
	require.Empty(t, s.Transforms)
	requireRoundTrip(t, s)
}

// requireRoundTrip checks that the resolved scenario is read back equal.
func requireRoundTrip(t *testing.T, s *scenarios.Scenario) {
	t.Helper()
	out, err := s.YAML()
	require.NoError(t, err)
	again, err := scenarios.Parse("again.yaml", out)
	require.NoError(t, err, "%s", out)
	require.Empty(t, cmp.Diff(s, again))
}

// TestBadFiles compares the problems of each testdata/*.yaml with its .err.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			s, err := scenarios.LoadFile(os.DirFS("testdata"), name)
			require.Nil(t, s)
			var problems *scenarios.Error
			require.ErrorAs(t, err, &problems)
			requireGolden(t, strings.TrimSuffix(file, ".yaml")+".err", err.Error()+"\n")
		})
	}
}

func requireGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run: go test ./scenarios -update")
	require.Empty(t, cmp.Diff(string(want), got), file)
}

func TestParseWith(t *testing.T) {
	tests := []struct {
		name string
		sets []string
		want func(s *scenarios.Scenario)
		err  string
	}{
		{name: "none"},
		{name: "adds a section", sets: []string{"load.workers=16"}, want: func(s *scenarios.Scenario) { s.Load.Workers = 16 }},
		{name: "last wins", sets: []string{"seed=3", "seed=4"}, want: func(s *scenarios.Scenario) { s.Seed = 4 }},
		{name: "list", sets: []string{"arms.comm=[io, hrev]"}, want: func(s *scenarios.Scenario) { s.Arms.Comm = []string{"io", "hrev"} }},
		{name: "size from scalar to map", sets: []string{"dataset.size=1KiB", "dataset.size.dist=uniform", "dataset.size.min=1B", "dataset.size.max=2B"},
			want: func(s *scenarios.Scenario) { s.Dataset.Size = scenarios.Size{Dist: "uniform", Min: 1, Max: 2} }},
		{name: "value with = and :", sets: []string{"target.proxies=['http://a:1/?b=c']"},
			want: func(s *scenarios.Scenario) { s.Target.Proxies = []string{"http://a:1/?b=c"} }},
		{name: "replaces", sets: []string{"transforms=[echo]"}, want: func(s *scenarios.Scenario) { s.Transforms = []string{"echo"} }},
		{name: "unknown key", sets: []string{"load.wrokers=1"}, err: `--set: load.wrokers: unknown key (did you mean "workers"?)`},
		{name: "unknown section", sets: []string{"lod.workers=1"}, err: `--set: lod: unknown key (did you mean "load"?)`},
		{name: "path through a value", sets: []string{"seed.x=1"}, err: "--set: seed: wants a whole number, not a map"},
		{name: "bad value", sets: []string{"load.timeout=10"}, err: `--set: load.timeout: "10" has no unit (write 10s or 10ms)`},
		{name: "bad rule", sets: []string{"load.workers=0"}, err: "--set: load.workers: 0 is out of range (use 1 to 100000)"},
		{name: "no value", sets: []string{"seed="}, err: "--set: seed: has no value (give it one or drop the key)"},
		{name: "no equals sign", sets: []string{"seed"}, err: `--set: "seed" is not an override (write it like load.workers=16)`},
		{name: "empty path", sets: []string{"=3"}, err: `--set: "=3" is not an override (write it like load.workers=16)`},
		{name: "empty step", sets: []string{"load..workers=3"}, err: `--set: "load..workers=3" is not an override (write it like load.workers=16)`},
		{name: "not YAML", sets: []string{"arms.comm=[a"}, err: "--set: arms.comm: not YAML: sequence end token ']' not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scenarios.ParseWith("small.yaml", []byte(minimal), tt.sets)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			want := minimalScenario()
			if tt.want != nil {
				tt.want(want)
			}
			require.Empty(t, cmp.Diff(want, got))
		})
	}
}

// TestSetProblemsComeLast: a file's problems first, then those of --set, each
// with what a caller needs to point at it.
func TestSetProblemsComeLast(t *testing.T) {
	_, err := scenarios.ParseWith("f.yaml", []byte(minimal+"load: {workers: 0}\n"), []string{"x=1"})
	var e *scenarios.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, []scenarios.Problem{
		{File: "f.yaml", Line: 3, Column: 17, Path: "load.workers", Text: "0 is out of range (use 1 to 100000)"},
		{File: "--set", Path: "x", Text: "unknown key (use apiVersion, name, seed, target, dataset, transforms, arms, load, phases, trials, verify, collect, faults, gates or outputs)"},
	}, e.Problems)
}

func TestValidate(t *testing.T) {
	s := minimalScenario()
	require.NoError(t, s.Validate())
	s.Load.Workers = -1
	s.Dataset.Size.Min = 3
	s.Verify.Content = ""
	require.EqualError(t, s.Validate(), strings.Join([]string{
		"dataset.size.min: has no meaning with dist const (its keys: value)",
		"load.workers: -1 is out of range (use 1 to 100000)",
		"verify.content: missing (use all, sample 1%, size or off)",
	}, "\n"))
	require.Error(t, (&scenarios.Scenario{}).Validate(), "the zero scenario")
}

func TestLoadFile(t *testing.T) {
	fsys := fstest.MapFS{"a/b.yaml": {Data: []byte(minimal)}}
	s, err := scenarios.LoadFile(fsys, "a/b.yaml")
	require.NoError(t, err)
	require.Equal(t, "b", s.Name)

	_, err = scenarios.LoadFile(fsys, "a/c.yaml")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "a/c.yaml")

	fsys["huge.yaml"] = &fstest.MapFile{Data: make([]byte, 64<<10+1)}
	_, err = scenarios.LoadFile(fsys, "huge.yaml")
	require.EqualError(t, err, "huge.yaml:1:1: not YAML: larger than 64KiB, the most a scenario may have")
}

func TestBuiltIn(t *testing.T) {
	names := scenarios.Names()
	require.Equal(t, []string{"cold-start", "demo", "fault-during-load", "ffmpeg-flac-wav", "growth", "inline-by-comm", "mixed", "offline-bucket", "offline-direct-put", "saturation", "scale-targets-link", "scale-targets", "sizes", "soak"}, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			s, err := scenarios.LoadNamed(name)
			require.NoError(t, err)
			require.Equal(t, name, s.Name)
			requireRoundTrip(t, s)

			source, err := scenarios.Source(name)
			require.NoError(t, err)
			first, _, _ := strings.Cut(string(source), "\n")
			require.Equal(t, first, "# "+scenarios.Describe(name))
		})
	}
}

func TestBuiltInUnknown(t *testing.T) {
	_, err := scenarios.LoadNamed("demmo")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, `no built-in scenario "demmo" (did you mean "demo"?): file does not exist`)
	require.Empty(t, scenarios.Describe("demmo"))
}

// TestDemo pins what the demo promises.
func TestDemo(t *testing.T) {
	s, err := scenarios.LoadNamed("demo")
	require.NoError(t, err)
	require.Equal(t, scenarios.Dataset{Kind: "pictures", Objects: 24}, s.Dataset)
	require.Equal(t, []string{"tar-images", "md5/python"}, s.Transforms)
	require.Equal(t, []string{"inline", "offline"}, s.Arms.Mode)
	require.Len(t, s.Arms.Comm, 4)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal), "load.workers=3")
	for _, name := range scenarios.Names() {
		data, err := scenarios.Source(name)
		require.NoError(f, err)
		f.Add(data, "arms.comm=[a, b]")
	}
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, "")
	}
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		sets := []string{set}
		if set == "" {
			sets = nil
		}
		s, err := scenarios.ParseWith("fuzz.yaml", data, sets)
		if err != nil {
			var e *scenarios.Error
			require.True(t, errors.As(err, &e), "%T", err)
			require.NotEmpty(t, e.Problems)
			return
		}
		require.NoError(t, s.Validate())
		requireRoundTrip(t, s)
	})
}
