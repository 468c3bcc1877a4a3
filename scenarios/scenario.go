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
//	target.cpu, target.link  no limit
//	dataset.kind       generated
//	dataset.objects    64 (kind folder: as many as it has files)
//	dataset.size       64KiB (kind generated)
//	dataset.max-bytes  none
//	dataset.compressible  0
//	arms.comm          [hpush, hpull, hrev, io]
//	arms.mode          [inline] ([offline] when load.model is offline)
//	arms.size, arms.put, arms.stream, arms.workers  no factors
//	arms.endpoints     none
//	arms.replicas      1
//	load.model         closed
//	load.workers       8 (model open: as load.in-flight)
//	load.workers-per-target  0: load.workers is all
//	load.direct        false
//	load.timeout       30s
//	load.mix           {get-etl: 1}
//	load.keys          {dist: uniform}
//	load.think         0s (models closed and epoch)
//	load.epochs        1 (model epoch)
//	load.arrival       constant (model open, as all below)
//	load.rate          none: required unless there are stages or a trace
//	load.stages        none
//	load.trace         none
//	load.in-flight     512
//	load.pacer         sleep (model open)
//	phases.warmup      1s (0s with load.stages or load.trace)
//	phases.max         20s (with warmup: auto)
//	phases.measure     10s (models closed and open, the latter with load.rate)
//	trials.blocks      1
//	trials.order       interleaved-random
//	trials.redeploy-every  0: never
//	trials.stop-at     none
//	verify.content     all
//	collect.cgroups    [client, proxy, target, transformer]
//	collect.interval   1s
//	collect.phases     all
//	faults, gates      none
//	outputs            [text, json, md, csv, html, bench]
//
// With "extends: base.yaml" a file changes another one, whose path counts from
// its own folder, or a built-in scenario: maps are merged, lists and values
// replaced, and a key without a value ("rate:") drops that of the base. A name
// is not handed down. Below target, ${NAME} and ${NAME:-DEFAULT} stand for
// variables of the environment.
//
// The built-in files (see [Names]) are meant to be copied.
package scenarios

// APIVersion is the only value of a scenario's apiVersion.
const APIVersion = "etlbench/v1"

// Kinds of a dataset.
const (
	KindGenerated = "generated" // contents computed from seed and name
	KindPictures  = "pictures"  // TAR shards of pictures
	KindAudio     = "audio"     // clips of sound in FLAC, made by ffmpeg
	KindFolder    = "folder"    // the files of a folder
)

// Modes of an arm.
const (
	ModeInline  = "inline"  // GETs that transform on the way
	ModeOffline = "offline" // one job over a whole bucket
	ModeInit    = "init"    // one cold start: init, and a first GET
)

// Distributions of a [Size].
const (
	DistConst     = "const"
	DistUniform   = "uniform"
	DistLognormal = "lognormal"
	DistPareto    = "pareto"
	DistWeighted  = "weighted"
	DistTrace     = "trace"
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
	// what runs it: "/python" for the Python function of that name, "/http",
	// "/flask" or "/fastapi" for one behind that web server. Names are opaque
	// here.
	// At least one unless nothing transforms; no default.
	Transforms []string `yaml:"transforms,omitempty,flow"`
	// Arms are the combinations that a run compares.
	Arms Arms `yaml:"arms"`
	// Load says how the requests of inline arms are issued.
	Load Load `yaml:"load"`
	// Phases of every inline arm.
	Phases Phases `yaml:"phases"`
	// Trials say how often and in which order arms are measured.
	Trials Trials `yaml:"trials"`
	// Verify says how much of the output is checked.
	Verify Verify `yaml:"verify"`
	// Collect says what is recorded beside the times of operations.
	Collect Collect `yaml:"collect"`
	// Faults are injected while an arm is measured. Default none.
	Faults []Fault `yaml:"faults,omitempty"`
	// Gates are what a run must satisfy. Default none.
	Gates []Gate `yaml:"gates,omitempty"`
	// Outputs are the reports that a run writes into its folder, of text, json,
	// md, csv, html, bench, hgrm and prom (Prometheus' text format). hlog is what
	// they are made from, and written in any case. Default: the first six.
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
	// CPU is what each spawned target may use together with its pods, in
	// percent of one CPU: 5% to 25600%. Default 0: no limit. A cluster that
	// runs already is not limited.
	CPU Percent `yaml:"cpu,omitempty"`
	// Link is the bandwidth, each way, of an emulated link that all connections
	// share which a spawned target accepts: of clients, other targets, and its
	// pods. 1KiB/s or more. Default 0: no link.
	Link Bandwidth `yaml:"link,omitempty"`
}

// Dataset describes the source objects. Contents are a pure function of the
// seed and an object's name, or come from a folder.
type Dataset struct {
	// Kind is "generated" (the default), "pictures" (TAR shards of
	// photographs), "audio" (clips of sound in FLAC, which ffmpeg makes) or
	// "folder".
	Kind string `yaml:"kind"`
	// Dir is the folder of kind folder, one object a file; relative to the
	// working directory. Required there, refused elsewhere.
	Dir string `yaml:"dir,omitempty"`
	// Objects is how many objects there are, written 500, 20k or 1M: 1 to 5M,
	// of kinds pictures and audio 1 to 1000. Default 64. Zero and refused with kind
	// folder.
	Objects int `yaml:"objects,omitempty"`
	// Size is the objects' size; kind generated only. Default 64KiB. With
	// arms.size it is not used, and refused.
	Size Size `yaml:"size,omitzero"`
	// MaxBytes bounds the bytes of all objects of a size class of arms.size:
	// a class has fewer objects than Objects, but one at least, where they
	// would be more. Default 0: no bound.
	MaxBytes Bytes `yaml:"max-bytes,omitempty"`
	// Compressible is the share of each block of 4 KiB that is zeros, 0 to 1;
	// kind generated only. Default 0.
	Compressible float64 `yaml:"compressible,omitempty"`
}

// Size is a distribution of object sizes, in bytes. In a file it is a size
// ("64KiB") or a map of the distribution's own keys, such as {dist: uniform,
// min: 1KiB, max: 1MiB}. One object has at most 512GiB and may be empty.
type Size struct {
	Dist  string // DistConst …
	Value Bytes  // const
	// Min and Max are bounds, both included: required of uniform and
	// lognormal. A pareto has at least Min, and at most Max where it is given.
	Min, Max Bytes
	Median   Bytes   // lognormal, above zero
	Sigma    float64 // lognormal: standard deviation of ln(size), above 0 to 10
	Alpha    float64 // pareto: P(size > x) = (min/x)^alpha, above 0 to 100
	Of       []Share // weighted
	// File has one size a line ("64KiB"), and objects have those sizes in
	// turn; empty lines and those that begin with # are passed over.
	File string // trace
}

// Share is one size of a weighted distribution.
type Share struct {
	Size   Bytes `yaml:"size"`
	Weight int   `yaml:"weight"` // relative, 0 to 1,000,000
}

// Verify says how much of the output is compared with what the transform
// should have given.
type Verify struct {
	// Content is "all" (the default), "sample N%" (of the operations, the same
	// ones in every run; of the others the size), "size" or "off".
	Content Sampling `yaml:"content"`
}

// defaults is a scenario where nothing is said. Defaults that depend on what
// is said are left to fill.
func defaults(name string) *Scenario {
	return &Scenario{
		Name:    name,
		Seed:    1,
		Target:  Target{Bucket: "ais://etlbench-src", Targets: 3},
		Dataset: Dataset{Kind: KindGenerated},
		Arms:    Arms{Comm: []string{"hpush", "hpull", "hrev", "io"}, Mode: []string{ModeInline}, Replicas: 1},
		Load: Load{
			Model:   ModelClosed,
			Timeout: Duration(30e9),
			Mix:     map[string]int{OpGetETL: 1},
			Keys:    Keys{Dist: KeysUniform},
		},
		Trials:  Trials{Blocks: 1, Order: OrderInterleaved},
		Verify:  Verify{Content: SampleAll},
		Collect: Collect{Cgroups: []string{"client", "proxy", "target", "transformer"}, Interval: Duration(1e9), Phases: SampleAll},
		Outputs: []string{"text", "json", "md", "csv", "html", "bench"},
	}
}
