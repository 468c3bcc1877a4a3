package api

import (
	"cmp"
	"encoding/json"
	"time"
)

// TransformMsg is the value of etl-bck, copy-bck, etl-listrange and
// copy-listrange; the latter two have Objects or Template, and To.
type TransformMsg struct {
	ID             string          `json:"id,omitempty"` // the ETL's name; "" to copy
	Pipeline       []string        `json:"pipeline,omitempty"`
	RequestTimeout Duration        `json:"request_timeout,omitempty"`
	Ext            json.RawMessage `json:"ext,omitempty"` // {"jpg":"txt"}, or "txt" in the old form
	Prepend        string          `json:"prepend"`       // always sent: prefix then means a filter
	Prefix         string          `json:"prefix,omitempty"`
	Suffix         string          `json:"suffix,omitempty"` // old form
	DryRun         bool            `json:"dry_run,omitempty"`
	Force          bool            `json:"force,omitempty"`
	LatestVer      bool            `json:"latest-ver,omitempty"`
	Sync           bool            `json:"synchronize,omitempty"` // delete in the destination what the source lacks
	NonRecursive   bool            `json:"non-recurs,omitempty"`
	Workers        int             `json:"num-workers,omitempty"` // 0: the target's choice, -1: one
	ContinueOnErr  bool            `json:"coer,omitempty"`
	Objects        []string        `json:"objnames,omitempty"`
	Template       string          `json:"template,omitempty"`
	To             *Bucket         `json:"tobck,omitempty"`
}

// JobQuery selects jobs. Keys match case-insensitively.
type JobQuery struct {
	ID     string  `json:"id,omitempty"`
	Kind   string  `json:"kind,omitempty"`
	Active *bool   `json:"show_active,omitempty"` // true: only what has not ended
	Bck    *Bucket `json:"bck,omitempty"`         // that it reads or writes
	// Buckets are several such.
	Buckets []Bucket `json:"buckets,omitempty"`
	// Node, or DaemonID as the Python SDK calls it, is the only target to ask.
	Node     string `json:"node,omitempty"`
	DaemonID string `json:"DaemonID,omitempty"`
	// Ext asks for Snap.Ext, which others than this cluster's own clients do
	// not expect.
	Ext bool `json:"etlbench_ext,omitempty"`
}

// Target is the one target that is asked about; "" means all.
func (q *JobQuery) Target() string { return cmp.Or(q.Node, q.DaemonID) }

// Matches tells whether a query selects a job.
func (q *JobQuery) Matches(s *Snap) bool {
	if q.ID != "" && q.ID != s.ID || q.Kind != "" && q.Kind != s.Kind || q.Bck != nil && !s.about(q.Bck.Name) {
		return false
	}
	for _, b := range q.Buckets {
		if !s.about(b.Name) {
			return false
		}
	}
	return true
}

// about tells whether a job reads or writes a bucket; "" is any.
func (s *Snap) about(bucket string) bool {
	return bucket == "" || s.Bck.Name == bucket || s.SrcBck.Name == bucket || s.DstBck.Name == bucket
}

// JobStatus is the reply to what=status. EndTime is Unix nanoseconds, 0 while
// the job runs.
type JobStatus struct {
	Kind    string `json:"kind"`
	UUID    string `json:"uuid"`
	Err     string `json:"err"`
	EndTime int64  `json:"end_time"`
	Aborted bool   `json:"aborted"`
}

// Done tells whether the job has ended, well or not.
func (s *JobStatus) Done() bool { return s.EndTime != 0 || s.Aborted }

// Snap is what one target tells of a job.
type Snap struct {
	Ext      *SnapExt  `json:"ext"` // nil unless it was asked for
	Start    time.Time `json:"start-time"`
	End      time.Time `json:"end-time"` // zero while running
	Bck      Bucket    `json:"bck"`
	SrcBck   Bucket    `json:"src-bck"`
	DstBck   Bucket    `json:"dst-bck"`
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	CtlMsg   string    `json:"ctlmsg"`
	AbortErr string    `json:"abort-err"`
	Err      string    `json:"err"`
	GlobID   string    `json:"glob.id"`
	Stats    SnapStats `json:"stats"`
	Aborted  bool      `json:"aborted"`
	Idle     bool      `json:"is_idle"`
}

// Idling tells a kind of job that clients await by its being idle, rather than
// by its end.
func Idling(kind string) bool { return kind == ActETLObjects || kind == ActCopyObjects }

// SnapStats counts objects and bytes: processed here, sent to other targets,
// received from them. The bytes are those of the results. An object that a pod
// sent to its place by itself (direct put) counts as sent, without its bytes,
// and as received, and not as processed here.
type SnapStats struct {
	LocObjs  int64 `json:"loc-objs,string"`
	LocBytes int64 `json:"loc-bytes,string"`
	OutObjs  int64 `json:"out-objs,string"`
	OutBytes int64 `json:"out-bytes,string"`
	InObjs   int64 `json:"in-objs,string"`
	InBytes  int64 `json:"in-bytes,string"`
}

// SnapExt is what a reference cluster's targets tell besides: real AIStore
// leaves it null.
type SnapExt struct {
	// ObjectTimes holds, per object, the nanoseconds from the first read of
	// the source to the result stored: a histogram in HdrHistogram's V2
	// compressed encoding, base64.
	ObjectTimes string `json:"object-times,omitempty"`
	// Objects counts those that the job is done with, wherever they went.
	Objects int64 `json:"objects"`
	// Bytes is the size of their results.
	Bytes int64 `json:"bytes"`
	// SourceBytes is the size of all source objects together.
	SourceBytes int64 `json:"source-bytes"`
	// Failed counts objects that failed.
	Failed int64 `json:"failed"`
	// Slowest are the objects that took longest, in any order.
	Slowest []ObjectTime `json:"slowest,omitempty"`
}

// ObjectTime is how long one object of a job took, as ObjectTimes has it.
type ObjectTime struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took,string"` // nanoseconds
}
