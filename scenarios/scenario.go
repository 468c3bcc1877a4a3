// Package scenarios is the scenario file: its types, a strict reader that
// reports every problem at once with line and column, and the scenarios that
// are built in. It knows nothing of how a scenario is run: see loader. What
// the source objects hold is package dataset's.
//
// A file needs apiVersion and, for its ETL requests, transforms. Everything
// else has a default:
//
//	name               the file's name without its folder and extension
//	seed               1
//	target.proxies     none: the cluster is chosen on the command line
//	target.bucket      ais://etlbench-src
//	target.targets     3
//	dataset.kind       generated
//	dataset.objects    64 (kind folder: as many as it has files)
//	dataset.size       64KiB (kind generated)
//	dataset.compressible  0
//	arms.comm          [hpush, hpull, hrev, io]
//	arms.mode          [inline]
//	load.model         closed
//	load.workers       8
//	load.timeout       30s
//	load.mix           {get-etl: 1}
//	phases.warmup      1s
//	phases.measure     10s
//	verify.content     all
//	outputs            [text, json, md, csv, html]
//
// The built-in files (see [Names]) are meant to be copied.
package scenarios

// APIVersion is the only value of a scenario's apiVersion.
const APIVersion = "etlbench/v1"

// Operations of a load's mix.
const (
	OpGetETL = "get-etl" // GET through a transform
	OpGet    = "get"     // plain GET of a source object
	OpPut    = "put"     // PUT of an object
)

// Kinds of a dataset.
const (
	KindGenerated = "generated" // contents computed from seed and name
	KindPictures  = "pictures"  // TAR shards of pictures
	KindFolder    = "folder"    // the files of a folder
)

// Modes of an arm.
const (
	ModeInline  = "inline"  // GETs that transform on the way
	ModeOffline = "offline" // one job over a whole bucket
)

// Distributions of a [Size].
const (
	DistConst   = "const"
	DistUniform = "uniform"
)

// Values of verify.content.
const (
	VerifyAll = "all"
	VerifyOff = "off"
)

// Scenario is one scenario file, checked and with its defaults filled in.
// It is a plain value: nothing in it changes after Parse.
type Scenario struct {
	// APIVersion is [APIVersion]. Required.
	APIVersion string `yaml:"apiVersion"`
	// Name has 1 to 64 letters, digits, '-', '_' and '.', and starts with a
	// letter or digit. Default: the file's name without folder and extension.
	Name string `yaml:"name"`
	// Seed decides the objects' contents and the order of requests. Default 1.
	Seed uint64 `yaml:"seed"`
	// Target says which cluster and which bucket.
	Target Target `yaml:"target"`
	// Dataset describes the source objects.
	Dataset Dataset `yaml:"dataset"`
	// Transforms are sample transforms by name ("md5"), or by name and
	// "/python" for the Python function of that name. Names are opaque here.
	// At least one unless nothing transforms; no default.
	Transforms []string `yaml:"transforms,omitempty,flow"`
	// Arms are the combinations that a run compares.
	Arms Arms `yaml:"arms"`
	// Load says how the requests of inline arms are issued.
	Load Load `yaml:"load"`
	// Phases of every inline arm.
	Phases Phases `yaml:"phases"`
	// Verify says how much of the output is checked.
	Verify Verify `yaml:"verify"`
	// Outputs are what a run writes, of text, json, md, csv and html.
	// Default: all five.
	Outputs []string `yaml:"outputs,flow"`
}

// Target says which cluster and which bucket.
type Target struct {
	// Proxies are http or https URLs of a cluster that already runs.
	// Default none: the cluster is chosen on the command line, or spawned.
	Proxies []string `yaml:"proxies,omitempty,flow"`
	// Bucket is the source bucket, "ais://name". Default ais://etlbench-src.
	Bucket string `yaml:"bucket"`
	// Targets is how many targets to spawn when no cluster is given,
	// 1 to 256. Default 3.
	Targets int `yaml:"targets"`
}

// Dataset describes the source objects. Contents are a pure function of the
// seed and an object's name, or come from a folder.
type Dataset struct {
	// Kind is "generated" (the default), "pictures" (TAR shards of
	// photographs) or "folder".
	Kind string `yaml:"kind"`
	// Dir is the folder of kind folder, one object a file; relative to the
	// working directory. Required there, refused elsewhere.
	Dir string `yaml:"dir,omitempty"`
	// Objects is how many objects there are, written 500, 20k or 1M: 1 to 5M,
	// of kind pictures 1 to 1000. Default 64. Zero and refused with kind
	// folder.
	Objects int `yaml:"objects,omitempty"`
	// Size is the objects' size; kind generated only. Default 64KiB.
	Size Size `yaml:"size,omitzero"`
	// Compressible is the share of each block of 4 KiB that is zeros, 0 to 1;
	// kind generated only. Default 0.
	Compressible float64 `yaml:"compressible,omitempty"`
}

// Size is a distribution of object sizes, in bytes. In a file it is a size
// ("64KiB") or {dist: uniform, min: 1KiB, max: 1MiB}. One object has at most
// 512GiB and may be empty.
type Size struct {
	Dist  string `yaml:"dist"`  // "const" or "uniform"
	Value Bytes  `yaml:"value"` // const
	Min   Bytes  `yaml:"min"`   // uniform, inclusive
	Max   Bytes  `yaml:"max"`   // uniform, inclusive
}

// Arms are the combinations that a run compares: every transform through
// every communication type in every mode.
type Arms struct {
	// Comm are communication types: lower-case letters and digits, opaque
	// here, each once. Default [hpush, hpull, hrev, io].
	Comm []string `yaml:"comm,flow"`
	// Mode is "inline", "offline" or both. Default [inline].
	Mode []string `yaml:"mode,flow"`
}

// Load says how requests are issued.
type Load struct {
	// Model is "closed": each worker sends its next request when the one
	// before is answered. The default, and the only one so far.
	Model string `yaml:"model"`
	// Workers is how many requests are under way at once, 1 to 100,000.
	// Default 8.
	Workers int `yaml:"workers"`
	// Timeout of one request, redirects included; above zero. Default 30s.
	Timeout Duration `yaml:"timeout"`
	// Mix gives get-etl, get and put relative weights of 0 to 1,000,000, not
	// all zero. A given mix replaces the default, {get-etl: 1}.
	Mix map[string]int `yaml:"mix,flow"`
}

// Phases of every inline arm.
type Phases struct {
	// Warmup is not counted; zero skips it. Default 1s.
	Warmup Duration `yaml:"warmup"`
	// Measure is the counted time, above zero. Default 10s.
	Measure Duration `yaml:"measure"`
}

// Verify says how much of the output is compared with what the transform
// should have given.
type Verify struct {
	// Content is "all" (the default) or "off".
	Content string `yaml:"content"`
}

// defaults is a scenario where nothing is said. Dataset's defaults that
// depend on its kind are left to fillDataset.
func defaults(name string) *Scenario {
	return &Scenario{
		Name:    name,
		Seed:    1,
		Target:  Target{Bucket: "ais://etlbench-src", Targets: 3},
		Dataset: Dataset{Kind: KindGenerated},
		Arms:    Arms{Comm: []string{"hpush", "hpull", "hrev", "io"}, Mode: []string{ModeInline}},
		Load: Load{
			Model:   "closed",
			Workers: 8,
			Timeout: Duration(30e9),
			Mix:     map[string]int{OpGetETL: 1},
		},
		Phases:  Phases{Warmup: Duration(1e9), Measure: Duration(10e9)},
		Verify:  Verify{Content: VerifyAll},
		Outputs: []string{"text", "json", "md", "csv", "html"},
	}
}
