// Package results is the run folder: what a load run leaves on disk, and the
// only thing that reports are made from.
//
// A folder holds scenario.yaml (resolved), env.json (the machine and the
// cluster), ops.hlog (interval histograms, HdrHistogram log format, tagged),
// intervals.jsonl (operations and bytes per interval), resources.csv (CPU time
// and memory by component per interval), events.jsonl (what happened when), errors.json (classes with examples) and summary.json, which
// is written last: a folder without it is a run that did not end. A Writer
// makes one, Read takes it back.
//
// A run compares arms. Each block takes every arm once, so that a Sample, one
// operation of one arm in one block, is what statistics are made of; a Row is
// the sum of an arm's samples. Three times are told of an operation: Service,
// from its first byte sent; Response, from when the schedule had it due; and
// Delay between the two. In a closed loop an operation is due when it is sent.
package results

import (
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Schema names the format of summary.json. It changes whenever a reader of
// the previous one would misread it.
const Schema = "etlbench/summary/v2"

// Phases of a Key.
const (
	PhaseWarmup  = "warmup"
	PhaseMeasure = "measure"
)

// Metrics of a Key: what the values of a histogram are, in nanoseconds. Of
// operations that failed nothing is recorded.
const (
	MetricResponse = "response" // from the intended start to the last byte
	MetricService  = "service"  // from the first byte sent to the last byte
	MetricDelay    = "delay"    // from the intended start to the first byte sent
	MetricTTFB     = "ttfb"     // from the first byte sent to the first byte of the body
	MetricObject   = "object"   // offline: from read to stored, as targets record it

	// Shares of the service time that the client sees; they add up to it.
	MetricProxy  = "proxy"  // to the proxy's redirect
	MetricTarget = "target" // from there to the headers of the answer
	MetricBody   = "body"   // from there to the last byte

	// Shares of the service time that servers tell, of the operations that
	// asked: each until it begins to answer, without what it waited for the
	// one behind it.
	MetricServerProxy  = "server-proxy"
	MetricServerTarget = "server-target"
	MetricServerPod    = "server-pod"

	// Stages of a cold start, which is from the init call to the last byte of
	// the first answer; they add up to it. Those of a pod are the slowest one's.
	MetricInitControl = "init-control" // of the init call, what no pod took
	MetricInitPull    = "init-pull"    // the pod's image comes; not told where none was pulled
	MetricInitLaunch  = "init-launch"  // until the pod's program runs
	MetricInitReady   = "init-ready"   // from there until it is ready
	MetricInitFirst   = "init-first"   // the first GET, to its last byte
)

// PhaseMetrics are the metrics of Measured.Phases, in their order.
func PhaseMetrics() []string {
	return []string{MetricProxy, MetricTarget, MetricBody, MetricServerProxy, MetricServerTarget, MetricServerPod,
		MetricInitControl, MetricInitPull, MetricInitLaunch, MetricInitReady, MetricInitFirst}
}

// Key says what a series of numbers is about.
type Key struct {
	Arm    string `json:"arm"`    // Arm.Name
	Op     string `json:"op"`     // "get-etl", "get", "put", "list", "head", "etl-object", "init"
	Phase  string `json:"phase"`  // PhaseWarmup or PhaseMeasure
	Metric string `json:"metric"` // MetricService …
	Block  int    `json:"block"`  // from 1; 0 for all
	Target string `json:"target"` // target ID, "" for all
}

// Counts are operations and bytes. An operation counts where its intended
// start lies, with all its bytes, whenever it ended.
type Counts struct {
	Ops    int64 `json:"ops"`    // finished without error; objects in offline mode
	Errors int64 `json:"errors"` // finished with one
	// Timeouts are those of Errors that took longer than load.timeout.
	Timeouts int64 `json:"timeouts"`
	Shed     int64 `json:"shed"`      // due while as many were under way as may be: never sent
	Unsent   int64 `json:"unsent"`    // due, and not sent when the load ended
	BytesIn  int64 `json:"bytes_in"`  // source bytes of Ops
	BytesOut int64 `json:"bytes_out"` // delivered to the client, or stored
}

// Accounted is how many operations the counts tell of: as many as the schedule
// intended.
func (c Counts) Accounted() int64 { return c.Ops + c.Errors + c.Shed + c.Unsent }

// Late is how many operations stand behind every value in the percentiles of
// the response time, as if they had taken for ever.
func (c Counts) Late() int64 { return c.Shed + c.Unsent + c.Timeouts }

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Ops += d.Ops
	c.Errors += d.Errors
	c.Timeouts += d.Timeouts
	c.Shed += d.Shed
	c.Unsent += d.Unsent
	c.BytesIn += d.BytesIn
	c.BytesOut += d.BytesOut
}

// Interval is what one series recorded of the operations whose intended start
// lies between two moments. Latencies are in nanoseconds. The metrics of a
// series have the same counts: whoever adds intervals up picks one metric. A
// Writer may be given the same key and start more than once, as operations
// that take longer than an interval are known later: such records add up. It
// keeps neither them nor their histograms.
type Interval struct {
	Key      Key
	Start    time.Time
	Duration time.Duration
	Counts
	Latency *hdrhistogram.Histogram
}

// Event is something that happened during a run, a line of events.jsonl.
type Event struct {
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`            // EventPhase …
	Arm   string    `json:"arm,omitempty"`   // Arm.Name
	Block int       `json:"block,omitempty"` // from 1
	Text  string    `json:"text"`            // one line
}

// Kinds of an Event.
const (
	EventPhase  = "phase"  // Text is the phase that begins, "" when the arm's last one ends
	EventDeploy = "deploy" // the arm's pods were made
	EventFault  = "fault"  // a fault was injected, or undone
	EventStop   = "stop"   // the run ends before its plan is done; Text says why
)

// Histogram bounds: 1 µs to 10 min, three significant digits. Values beyond
// are clamped by whoever records them, and counted.
const (
	MinLatency = int64(time.Microsecond)
	MaxLatency = int64(10 * time.Minute)
	Digits     = 3
)

// NewHistogram returns an empty histogram with the bounds above, in
// nanoseconds.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(MinLatency, MaxLatency, Digits)
}

// Summary is summary.json.
type Summary struct {
	Schema   string    `json:"schema"` // always Schema
	Name     string    `json:"name"`   // of the scenario
	Seed     uint64    `json:"seed"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// Interrupted is set when the run was stopped before its plan was done.
	Interrupted bool `json:"interrupted"`
	// Aborted says which gate ended the run, and why; "" when none did. Such a
	// run is Interrupted too.
	Aborted string  `json:"aborted,omitempty"`
	Cluster Cluster `json:"cluster"`
	Load    Load    `json:"load"`
	Dataset Dataset `json:"dataset"`
	Trials  Trials  `json:"trials"`
	Arms    []Arm   `json:"arms"` // in the scenario's order
	Rows    []Row   `json:"rows"` // by arm, in that order, and operation
	// Samples are in the order in which they were measured.
	Samples []Sample `json:"samples"`
	// Blocks tell how the generator fared, one an arm, block and loader, in the
	// order in which they were measured.
	Blocks []Block `json:"blocks"`
	// Faults are what went wrong on purpose, in the order of time.
	Faults []Fault `json:"faults,omitempty"`
	// Gates are what the run must satisfy.
	Gates []Gate `json:"gates,omitempty"`
	// Calibration is what the generator reached against a server that does
	// nothing, before the run; nil when it was not tried.
	Calibration *Calibration `json:"calibration,omitempty"`
	// Share is set of a run that issued a share of the scenario's operations
	// only: see Merge, which adds them up.
	Share *Share `json:"share,omitempty"`
	// Loaders are those whose work the numbers are, when they are several.
	Loaders []Loader `json:"loaders,omitempty"`
	// Notes are sentences that a reader must know to read the numbers right,
	// such as which language a transform ran in.
	Notes []string `json:"notes,omitempty"`
}

// Share says which operations of a scenario a loader issues: those whose index
// in the stream is Number-1 modulo Of. Workers and operations in flight are
// shared out alike.
type Share struct {
	Number int `json:"number"` // from 1 to Of
	Of     int `json:"of"`
}

func (s Share) String() string { return fmt.Sprintf("%d/%d", s.Number, s.Of) }

// Loader is one of several that issued the operations of a run together.
type Loader struct {
	Name  string `json:"loader"` // its address, or its run folder
	Share Share  `json:"share"`
	CPUs  int    `json:"cpus"` // of its machine
	// OffsetMs is by how much its clock is ahead of the coordinator's, as last
	// measured, and UncertaintyMs by how much that may be wrong at most: half
	// of the shortest round trip. nil when clocks were not compared.
	OffsetMs      *float64 `json:"offset_ms,omitempty"`
	UncertaintyMs *float64 `json:"uncertainty_ms,omitempty"`
	// LateMs is the most by which it began after the agreed moment.
	LateMs float64 `json:"late_ms,omitempty"`
	// Lost says how it was lost in the midst of the run, "" when it was not.
	Lost string `json:"lost,omitempty"`
}

// Gate is a condition on the results, as the scenario has it, such as
// {on: "arm(hpush).response.p99", is: "< 50ms"}. Package judge reads it.
type Gate struct {
	On string `json:"on"`
	Is string `json:"is"`
}

// Calibration is the generator's own floor on this machine.
type Calibration struct {
	OpsPerS float64 `json:"ops_per_s"` // at most
	P50Ms   float64 `json:"p50_ms"`    // of the response time at the planned rate; of closed loops, of a single worker
	P99Ms   float64 `json:"p99_ms"`
}

// Cluster describes the cluster that was loaded.
type Cluster struct {
	URL     string   `json:"url"`
	Kind    string   `json:"kind"` // "spawned", "running", "external"
	Proxies int      `json:"proxies"`
	Targets []string `json:"targets"` // IDs
	Sync    string   `json:"sync"`    // "none", "data", "full"; "" when not known
	// Limits of each target; nil when not known.
	Limits *Limits `json:"target_limits,omitempty"`
}

// Limits are what each target of a cluster is held to.
type Limits struct {
	CPUs          float64 `json:"cpus"`             // of the target with its pods together; 0: no limit
	LinkBytesPerS int64   `json:"link_bytes_per_s"` // of an emulated link, each way; 0: none
	// PodCPUs are those of CPUs that each of its pods has for itself, as on
	// Kubernetes; 0: they are shared.
	PodCPUs float64 `json:"pod_cpus,omitempty"`
	// Reserved tells that Kubernetes kept CPUs free for each target.
	Reserved bool `json:"reserved,omitempty"`
}

// String is "0.5 CPUs, 100 MiB/s" or "0.5 CPUs (0.25 of them its pod's)"; ""
// without any limit.
func (l Limits) String() string {
	var parts []string
	if l.CPUs > 0 {
		cpus := fmt.Sprintf("%.4g CPUs", l.CPUs)
		if l.PodCPUs > 0 {
			cpus += fmt.Sprintf(" (%.4g of them its pod's)", l.PodCPUs)
		}
		if l.Reserved {
			cpus += " reserved"
		}
		parts = append(parts, cpus)
	}
	if l.LinkBytesPerS > 0 {
		parts = append(parts, fmt.Sprintf("%.4g MiB/s", float64(l.LinkBytesPerS)/(1<<20)))
	}
	return strings.Join(parts, ", ")
}

// Load describes how requests were issued.
type Load struct {
	Model string `json:"model"` // "closed", "open", "epoch", "offline"
	// Arrival is how an open loop's operations are spaced: "constant",
	// "poisson", "trace"; "" of other models.
	Arrival string `json:"arrival,omitempty"`
	// Rate is the operations an open loop intends a second, on the average of
	// the measured time; 0 of other models.
	Rate     float64 `json:"rate,omitempty"`
	InFlight int     `json:"in_flight,omitempty"` // an open loop's cap; beyond it operations are shed
	// Pacer is how an open loop waits: "spin" takes a CPU of its own; "" or
	// "sleep" does not.
	Pacer    string  `json:"pacer,omitempty"`
	Workers  int     `json:"workers"`
	TimeoutS float64 `json:"timeout_s"`
	WarmupS  float64 `json:"warmup_s"` // of each inline arm and block
	// AutoWarmup says that WarmupS is the most that was allowed, and reports
	// look for where it ended.
	AutoWarmup bool           `json:"auto_warmup,omitempty"`
	ForS       float64        `json:"for_s"` // measured time of each inline arm and block, seconds; 0 of epochs
	Epochs     int            `json:"epochs,omitempty"`
	ThinkS     float64        `json:"think_s,omitempty"`
	Keys       string         `json:"keys"` // distribution of the objects that are asked for
	Mix        map[string]int `json:"mix"`  // operations by weight
}

// Dataset describes the objects.
type Dataset struct {
	Source  string `json:"source"` // one line, such as "TAR shards of 24 photographs"
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
	// Digest is the same for the same names and contents, "xxh64:…"; "" when the
	// contents were not read.
	Digest string `json:"digest,omitempty"`
}

// Trials says how often and in which order arms were measured.
type Trials struct {
	Planned  int    `json:"planned"`  // blocks
	Complete int    `json:"complete"` // blocks in which every arm was measured
	Order    string `json:"order"`    // "interleaved-random" or "sequential"
	// RedeployEvery is how many blocks pods live; 0: all.
	RedeployEvery int `json:"redeploy_every,omitempty"`
	// Stopped says why the run ended before all planned blocks, "" when it did
	// not: the precision that was asked for was reached.
	Stopped string `json:"stopped,omitempty"`
}

// Arm is one combination of factors.
type Arm struct {
	// Name is unique in a run: the levels of the factors that vary, such as
	// "md5:hpush:inline". Gates and comparisons use it.
	Name      string `json:"arm"`
	Comm      string `json:"comm"`              // "hpush", "hpull", "hrev", "io"; "none" for plain operations
	Mode      string `json:"mode"`              // "inline", "offline" or "init"
	Transform string `json:"transform"`         // sample transform's name, "none" for plain operations
	Language  string `json:"language"`          // "go" or "python", "" when not known
	Size      string `json:"size,omitempty"`    // size class, such as "64KiB"; "" when it is not a factor
	Put       string `json:"put,omitempty"`     // "direct" or "relay"; "" when it is not a factor
	Argument  string `json:"stream,omitempty"`  // "body" or "fqn"; "" when it is not a factor
	Workers   int    `json:"workers,omitempty"` // 0 when it is not a factor
	Replica   int    `json:"replica,omitempty"` // from 1, of arms that are alike but for it (A/A); else 0
	// NotOffered is how the cluster refused the arm's communication type, which
	// it does not have; such an arm has no rows. "" of others.
	NotOffered string `json:"not_offered,omitempty"`
}

// Row is one operation of an arm, summed over its samples but those that are
// partial (unless it has no other). A nil number is one that nobody could
// tell; it is shown as n/a.
type Row struct {
	Arm
	Op      string `json:"op"`
	Samples int    `json:"samples"` // how many were summed
	Measured
}

// Sample is one operation of an arm in one block.
type Sample struct {
	Arm   string `json:"arm"` // Arm.Name
	Op    string `json:"op"`
	Block int    `json:"block"` // from 1
	// Partial is set when the run ended before the sample's time was over. It
	// is no sample for statistics.
	Partial bool      `json:"partial,omitempty"`
	Started time.Time `json:"started"` // of the measured time
	Measured
	Job *Job `json:"job,omitempty"` // offline
}

// Measured is what was measured of one operation.
type Measured struct {
	// Intended is how many operations the schedule had, which is
	// Counts.Accounted; in a closed loop, how many were sent.
	Intended int64 `json:"intended"`
	Counts
	// Verified and Comparable are what VerifiedPct is made of.
	Verified   int64 `json:"verified_ops,omitempty"`
	Comparable int64 `json:"comparable_ops,omitempty"`
	// VerifiedPct is the share of ops, in percent, whose whole output was
	// compared with the expected one and equal.
	VerifiedPct float64 `json:"verified_pct"`
	Seconds     float64 `json:"seconds"` // measured time, or the job's
	OpsPerS     float64 `json:"ops_per_s"`
	// MiBPerS is source bytes over time, so that a transform that shrinks its
	// input is comparable with one that does not.
	MiBPerS    float64   `json:"mib_per_s"`
	OutMiBPerS float64   `json:"out_mib_per_s"`
	Response   Quantiles `json:"response"` // of a job's objects: as Service
	Service    Quantiles `json:"service"`
	Delay      Quantiles `json:"delay"`
	TTFB       Quantiles `json:"ttfb"`
	Phases     []Phase   `json:"phases,omitempty"`
	Targets    []Target  `json:"targets"` // sorted by ID
	// Resources are those of the arm: of all operations of its mix together.
	// Empty when nobody could tell.
	Resources []Resource `json:"resources,omitempty"`
	// MovedBytes went over this machine's loopback interface meanwhile, of the
	// arm as Resources are; nil when the cluster is elsewhere. Together with
	// BytesOut it says how many bytes are moved for a byte delivered.
	MovedBytes *int64 `json:"moved_bytes,omitempty"`
}

// Quantiles are a distribution's mean and percentiles, in milliseconds.
type Quantiles struct {
	// Count is how many values there are, those that are infinite included.
	// 0: nothing is known, and all numbers are nil.
	Count int64 `json:"count"`
	// Infinite is how many of Count stand behind every value: see
	// Counts.Late. A percentile among them is nil, and so are mean and max.
	Infinite int64    `json:"infinite,omitempty"`
	MeanMs   *float64 `json:"mean_ms"`
	P50Ms    *float64 `json:"p50_ms"`
	P90Ms    *float64 `json:"p90_ms"`
	P99Ms    *float64 `json:"p99_ms"`
	P999Ms   *float64 `json:"p999_ms"`
	MaxMs    *float64 `json:"max_ms"`
}

// Phase is the distribution of a share of the service time.
type Phase struct {
	Name string `json:"name"` // of PhaseMetrics
	Quantiles
}

// Target is one target's share of what was measured.
type Target struct {
	ID      string   `json:"id"`
	Ops     int64    `json:"ops"`
	Errors  int64    `json:"errors"`
	MiBPerS float64  `json:"mib_per_s"`
	P50Ms   *float64 `json:"p50_ms"` // of the service time
	P99Ms   *float64 `json:"p99_ms"`
}

// Components of a Resource.
const (
	ComponentClient      = "client"
	ComponentProxy       = "proxy"
	ComponentTarget      = "target"
	ComponentTransformer = "transformer"
)

// Resource is what the processes of one component used while an arm was
// measured.
type Resource struct {
	Component  string  `json:"component"`
	Processes  int     `json:"processes"`
	CPUSeconds float64 `json:"cpu_s"`
	// PeakBytes adds up the largest resident memory of each process, which may
	// have come at different times.
	PeakBytes   int64    `json:"peak_bytes"`
	CPUUsPerOp  *float64 `json:"cpu_us_per_op"`   // nil without an operation
	CPUSPerGiB  *float64 `json:"cpu_s_per_gib"`   // of source bytes; nil without any
	PeakLasting bool     `json:"peak_is_lasting"` // PeakBytes is since the processes began, not of this sample
}

// Usage is what the processes of one component used in an interval of an arm's
// measured time, a line of resources.csv.
type Usage struct {
	At         time.Time // its end
	Seconds    float64   // its length
	Arm        string    // Arm.Name
	Block      int       // from 1
	Component  string    // ComponentClient …
	Processes  int
	CPUSeconds float64
	RSSBytes   int64 // resident memory of all of them at its end
}

// Job is what is known of one offline job besides.
type Job struct {
	ID string `json:"id"`
	// FirstDoneS and LastDoneS are when the first and the last target had
	// ended, seconds from the start; nil when targets do not tell.
	FirstDoneS *float64 `json:"first_done_s"`
	LastDoneS  *float64 `json:"last_done_s"`
	// Stragglers are the slowest objects, the slowest first; empty when
	// targets do not tell.
	Stragglers []Straggler `json:"stragglers,omitempty"`
}

// Straggler is a slow object of a job.
type Straggler struct {
	Name   string  `json:"name"`
	Target string  `json:"target"` // ID of the one that transformed it
	Ms     float64 `json:"ms"`
}

// Block is how a generator fared while it measured an arm in a block.
type Block struct {
	Arm     string    `json:"arm"`
	Block   int       `json:"block"`
	Loader  string    `json:"loader,omitempty"` // Loader.Name, of several
	Started time.Time `json:"started"`          // of the measured time
	Seconds float64   `json:"seconds"`
	// Deployed is set when the arm's pods were made for this block.
	Deployed  bool      `json:"deployed"`
	Generator Generator `json:"generator"`
}

// Generator is what the load generator's own process went through. It is for
// judging whether the numbers are those of the cluster. A nil number is one
// that this machine does not tell.
type Generator struct {
	CPUs       int     `json:"cpus"` // of the machine
	GOMAXPROCS int     `json:"gomaxprocs"`
	CPUSeconds float64 `json:"cpu_s"`
	// CPUShare is CPUSeconds over what GOMAXPROCS allow, 0 to 1.
	CPUShare float64 `json:"cpu_share"`
	// CPUQuota is the cgroup's limit, in CPUs; nil without one.
	CPUQuota       *float64 `json:"cpu_quota"`
	GCPauseP99Ms   *float64 `json:"gc_pause_p99_ms"` // nil without a pause
	SchedP99Ms     *float64 `json:"sched_p99_ms"`    // goroutines waiting to run
	ThrottledTimes *int64   `json:"throttled_times"` // by the cgroup
	ThrottledS     *float64 `json:"throttled_s"`
	RunQueueS      *float64 `json:"run_queue_s"` // threads waiting for a CPU
	// HiccupP99Ms and HiccupMaxMs are by how much a sleep of 1 ms is longer:
	// the noise floor of every latency.
	HiccupP99Ms *float64 `json:"hiccup_p99_ms"`
	HiccupMaxMs *float64 `json:"hiccup_max_ms"`
	// InFlightMean is the mean number of operations under way, and InFlightMax
	// the most at a look every millisecond. Little's law has it be OpsPerS × mean service time.
	InFlightMean *float64 `json:"in_flight_mean"`
	InFlightMax  int64    `json:"in_flight_max"`
	Connections  int64    `json:"connections"` // open at most
	DelayP99Ms   *float64 `json:"delay_p99_ms"`
	PacerP99Ms   *float64 `json:"pacer_p99_ms"` // by how much the pacer released operations late; nil of other models
}

// ErrorClass is one kind of failure of one arm.
type ErrorClass struct {
	Arm      string   `json:"arm"`   // Arm.Name
	Class    string   `json:"class"` // "timeout", "status 500", "digest", "truncated", "connect" …
	Count    int64    `json:"count"`
	Examples []string `json:"examples"` // the first five, one line each
}

// Env is env.json: the machine and the build that made the numbers.
type Env struct {
	Version  string `json:"version"` // of etlbench
	Binary   string `json:"binary"`  // digest of its file, "sha256:…"; "" when it cannot be read
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	MemoryB  int64  `json:"memory_bytes"`
	Python   string `json:"python"` // version and path, "" when there is none
	DataPath string `json:"data_fs"`
	// CPUQuota and MemoryLimitB are limits of the loader's cgroup, in CPUs and
	// bytes; nil without one.
	CPUQuota     *float64 `json:"cpu_quota"`
	MemoryLimitB *int64   `json:"memory_limit_bytes"`
}
