// Package results is the run folder: what a load run leaves on disk, and the
// only thing that reports are made from.
//
// A folder holds scenario.yaml (resolved), env.json (the machine and the
// cluster), ops.hlog (interval histograms, HdrHistogram log format, tagged),
// intervals.jsonl (operations and bytes per interval), errors.json (classes
// with examples) and summary.json, which is written last: a folder without it
// is a run that did not end. A Writer makes one, Read takes it back.
package results

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Schema names the format of summary.json. It changes whenever a reader of
// the previous one would misread it.
const Schema = "etlbench/summary/v1"

// Key says what a series of numbers is about.
type Key struct {
	Transform string `json:"transform"` // sample transform's name, "none" for plain GET and PUT
	Comm      string `json:"comm"`      // "hpush", "hpull", "hrev", "io"; "none" for plain GET and PUT
	Mode      string `json:"mode"`      // "inline" or "offline"
	Op        string `json:"op"`        // "get-etl", "get", "put", "etl-object"
	Phase     string `json:"phase"`     // "warmup" or "measure"
	Metric    string `json:"metric"`    // "ttlb" (to the last byte), "ttfb" (to the first byte), "object" (as targets record it)
	Target    string `json:"target"`    // target ID, "" for all
}

// Interval is what one series recorded between two moments. Latencies are in
// nanoseconds. A Writer keeps neither it nor its histogram.
type Interval struct {
	Key      Key
	Start    time.Time
	Duration time.Duration
	Ops      int64 // finished without error
	Errors   int64
	BytesIn  int64 // of source objects
	BytesOut int64 // delivered to the client, or stored
	Latency  *hdrhistogram.Histogram
}

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
	Interrupted bool    `json:"interrupted"`
	Cluster     Cluster `json:"cluster"`
	Load        Load    `json:"load"`
	Dataset     Dataset `json:"dataset"`
	Rows        []Row   `json:"rows"`
	// Notes are sentences that a reader must know to read the numbers right,
	// such as which language a transform ran in.
	Notes []string `json:"notes,omitempty"`
}

// Cluster describes the cluster that was loaded.
type Cluster struct {
	URL     string   `json:"url"`
	Kind    string   `json:"kind"` // "spawned", "running", "external"
	Proxies int      `json:"proxies"`
	Targets []string `json:"targets"` // IDs
	Sync    string   `json:"sync"`    // "none", "data", "full"; "" when not known
}

// Load describes how requests were issued.
type Load struct {
	Model   string  `json:"model"` // "closed"
	Workers int     `json:"workers"`
	WarmupS float64 `json:"warmup_s"`
	ForS    float64 `json:"for_s"` // measured time of each inline arm, seconds
}

// Dataset describes the objects.
type Dataset struct {
	Source  string `json:"source"` // one line, such as "TAR shards of 24 photographs"
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// Row is one arm of a run: a transform through one communication type in one
// mode. A nil number is one that nobody could tell; it is shown as n/a.
type Row struct {
	Comm      string `json:"comm"`
	Mode      string `json:"mode"`
	Transform string `json:"transform"`
	Op        string `json:"op"`
	Language  string `json:"language"` // "go" or "python", "" when not known
	Ops       int64  `json:"ops"`      // finished without error; objects in offline mode
	Errors    int64  `json:"errors"`
	// VerifiedPct is the share of ops, in percent, whose whole output was
	// compared with the expected one and equal.
	VerifiedPct float64  `json:"verified_pct"`
	Seconds     float64  `json:"seconds"` // measured time, or the job's
	OpsPerS     float64  `json:"ops_per_s"`
	MeanMs      *float64 `json:"mean_ms"`
	P50Ms       *float64 `json:"p50_ms"`
	P90Ms       *float64 `json:"p90_ms"`
	P99Ms       *float64 `json:"p99_ms"`
	P999Ms      *float64 `json:"p999_ms"`
	MaxMs       *float64 `json:"max_ms"`
	TTFBP50Ms   *float64 `json:"ttfb_p50_ms"`
	TTFBP99Ms   *float64 `json:"ttfb_p99_ms"`
	BytesIn     int64    `json:"bytes_in"`  // source bytes of the ops
	BytesOut    int64    `json:"bytes_out"` // bytes delivered or stored
	// MiBPerS is source bytes over time, so that a transform that shrinks its
	// input is comparable with one that does not.
	MiBPerS    float64  `json:"mib_per_s"`
	OutMiBPerS float64  `json:"out_mib_per_s"`
	Targets    []Target `json:"targets"` // sorted by ID
}

// Target is one target's share of a Row.
type Target struct {
	ID      string   `json:"id"`
	Ops     int64    `json:"ops"`
	Errors  int64    `json:"errors"`
	MiBPerS float64  `json:"mib_per_s"`
	P50Ms   *float64 `json:"p50_ms"`
	P99Ms   *float64 `json:"p99_ms"`
}

// ErrorClass is one kind of failure of one arm.
type ErrorClass struct {
	Transform string   `json:"transform"`
	Comm      string   `json:"comm"`
	Mode      string   `json:"mode"`
	Class     string   `json:"class"` // "timeout", "status 500", "digest", "truncated", "connect" …
	Count     int64    `json:"count"`
	Examples  []string `json:"examples"` // the first five, one line each
}

// Env is env.json: the machine and the build that made the numbers.
type Env struct {
	Version  string `json:"version"` // of etlbench
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	MemoryB  int64  `json:"memory_bytes"`
	Python   string `json:"python"` // version and path, "" when there is none
	DataPath string `json:"data_fs"`
}
