package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
)

// States of a job.
const (
	jobRunning  = "running"
	jobIdle     = "idle" // nothing left to do, but it has not ended
	jobFinished = "finished"
	jobFailed   = "failed" // it has ended, and objects failed
	jobAborted  = "aborted"
)

// jobView is a job in -o json, summed over its targets. Bytes are those of the
// results.
type jobView struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	State   string     `json:"state"`
	Error   string     `json:"error"`
	From    string     `json:"from"` // "" for jobs that are not about buckets
	To      string     `json:"to"`
	Start   time.Time  `json:"start"`
	End     *time.Time `json:"end"` // null before the end
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	// SourceBytes and Failed are null where the cluster does not tell.
	SourceBytes *int64    `json:"source_bytes"`
	Failed      *int64    `json:"failed"`
	Targets     []jobPart `json:"targets"`
}

// jobPart is a target's part of a job.
type jobPart struct {
	Target        string `json:"target"`
	State         string `json:"state"`
	Error         string `json:"error"`
	Objects       int64  `json:"objects"`
	Bytes         int64  `json:"bytes"`
	SentObjects   int64  `json:"sent_objects"` // to other targets
	SentBytes     int64  `json:"sent_bytes"`
	ReceivedObjs  int64  `json:"received_objects"` // from them
	ReceivedBytes int64  `json:"received_bytes"`
}

func snapState(s *api.Snap) string {
	switch {
	case s.Aborted:
		return jobAborted
	case s.End.IsZero() && s.Idle:
		return jobIdle
	case s.End.IsZero():
		return jobRunning
	case s.Err != "":
		return jobFailed
	}
	return jobFinished
}

// viewJobs sums up what targets tell, in the order in which the jobs began.
func viewJobs(snaps map[string][]api.Snap) []*jobView {
	byID := map[string]*jobView{}
	for _, target := range slices.Sorted(maps.Keys(snaps)) {
		for _, s := range snaps[target] {
			v := byID[s.ID]
			if v == nil {
				v = &jobView{ID: s.ID, Kind: s.Kind, Start: s.Start, Targets: []jobPart{},
					From: bucketText(s.SrcBck), To: bucketText(s.DstBck)}
				byID[s.ID] = v
			}
			v.add(target, &s)
		}
	}
	for _, v := range byID {
		v.sum()
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *jobView) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
}

func bucketText(b api.Bucket) string {
	if b.Name == "" {
		return ""
	}
	return b.String()
}

func (v *jobView) add(target string, s *api.Snap) {
	st := s.Stats
	if s.Ext != nil { // AIStore does not count here what a pod has put by itself
		st.LocObjs, st.LocBytes = s.Ext.Objects, s.Ext.Bytes
	}
	v.Targets = append(v.Targets, jobPart{target, snapState(s), cmp.Or(s.AbortErr, s.Err), st.LocObjs, st.LocBytes,
		st.OutObjs, st.OutBytes, st.InObjs, st.InBytes})
	v.Objects += st.LocObjs
	v.Bytes += st.LocBytes
	if s.Start.Before(v.Start) {
		v.Start = s.Start
	}
	if !s.End.IsZero() && (v.End == nil || s.End.After(*v.End)) {
		v.End = &s.End
	}
	if s.Ext != nil && s.Kind != api.ActETLInline {
		if v.Failed == nil {
			v.Failed, v.SourceBytes = new(int64), new(int64)
		}
		*v.Failed += s.Ext.Failed
		*v.SourceBytes += s.Ext.SourceBytes
	}
}

// sum finds the state and the error of the whole: it runs as long as a part
// does, and else the worst of the parts counts.
func (v *jobView) sum() {
	rank := []string{jobRunning, jobIdle, jobAborted, jobFailed, jobFinished}
	v.State = jobFinished
	var errs []string
	for _, p := range v.Targets {
		if slices.Index(rank, p.State) < slices.Index(rank, v.State) {
			v.State = p.State
		}
		if p.Error != "" && !slices.Contains(errs, p.Error) {
			errs = append(errs, p.Error)
		}
	}
	v.Error = strings.Join(errs, "; ")
	if !v.ended() {
		v.End = nil
	}
}

func (v *jobView) ended() bool { return v.State != jobRunning && v.State != jobIdle }

// err is what went wrong with a job that has ended.
func (v *jobView) err() error {
	switch {
	case v.State == jobAborted:
		return fmt.Errorf("job %s was aborted: %s", v.ID, cmp.Or(v.Error, "no reason is known"))
	case v.Error != "" && v.Failed != nil && *v.Failed > 0:
		return fmt.Errorf("job %s: %s failed: %s", v.ID, plural(*v.Failed, "object"), v.Error)
	case v.Error != "":
		return errors.New("job " + v.ID + ": " + v.Error)
	}
	return nil
}

// took is how long a job took, or has taken until now.
func (v *jobView) took() time.Duration {
	end := time.Now()
	if v.End != nil {
		end = *v.End
	}
	return max(0, end.Sub(v.Start)).Round(time.Millisecond)
}

// buckets is what a job reads and writes.
func (v *jobView) buckets() string {
	if v.To == "" {
		return orDash(v.From)
	}
	return v.From + " => " + v.To
}

// line is a job in one line.
func (v *jobView) line() string {
	s := fmt.Sprintf("%s %s", v.Kind, v.ID)
	if b := v.buckets(); b != "-" {
		s += " " + b
	}
	s += fmt.Sprintf(": %s, %s, %s, %s", v.State, plural(v.Objects, "object"), size(v.Bytes), v.took())
	if v.Failed != nil && *v.Failed > 0 {
		s += fmt.Sprintf(", %d failed", *v.Failed)
	}
	return s
}
