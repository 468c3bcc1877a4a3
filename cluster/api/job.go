package api

import (
	"encoding/json"
	"time"
)

// TransformMsg is the value of etl-bck.
type TransformMsg struct {
	ID             string          `json:"id,omitempty"` // the ETL's name
	RequestTimeout Duration        `json:"request_timeout,omitempty"`
	Ext            json.RawMessage `json:"ext,omitempty"` // {"jpg":"txt"}, or "txt" in the old form
	Prepend        string          `json:"prepend,omitempty"`
	Prefix         string          `json:"prefix,omitempty"`
	Suffix         string          `json:"suffix,omitempty"` // old form
	DryRun         bool            `json:"dry_run,omitempty"`
	Workers        int             `json:"num-workers,omitempty"`
	ContinueOnErr  bool            `json:"coer,omitempty"`
}

// JobQuery selects jobs. Keys match case-insensitively.
type JobQuery struct {
	ID     string  `json:"id,omitempty"`
	Kind   string  `json:"kind,omitempty"`
	Active *bool   `json:"show_active,omitempty"`
	Bck    *Bucket `json:"bck,omitempty"`
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
	Ext      *SnapExt  `json:"ext"`
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

// SnapStats counts objects and bytes: processed here, sent to other targets,
// received from them. LocBytes are those of the source objects.
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
	// ResultBytes is the size of all results together.
	ResultBytes int64 `json:"result-bytes"`
	// Failed counts objects that failed.
	Failed int64 `json:"failed"`
}
