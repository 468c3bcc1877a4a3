package node

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// bucketJob is what a request for a job over objects comes to: a copy, a
// transformation or a deletion of a whole bucket, or of some of its objects.
type bucketJob struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	ETL    string `json:"etl"`     // "" for jobs that transform nothing
	XactID string `json:"xact_id"` // of the ETL's run
	// Pipeline are further ETLs that an object passes through.
	Pipeline []string `json:"pipeline"`
	From     string   `json:"from"`
	To       string   `json:"to"`       // "" when nothing is written
	Prefix   string   `json:"prefix"`   // only sources that begin with it
	Objects  []string `json:"objects"`  // these sources and no others
	Template string   `json:"template"` // the sources that it stands for
	Rename   rename   `json:"rename"`
	DryRun   bool     `json:"dry_run"`
	// Workers is how many objects a target has in hand at once; 0 is its own
	// choice.
	Workers      int          `json:"workers"`
	Continue     bool         `json:"continue"`      // after objects that fail
	LatestVer    bool         `json:"latest_ver"`    // told to the transformer; synchronizing asks for it too
	Sync         bool         `json:"sync"`          // then delete what the source lacks
	NonRecursive bool         `json:"non_recursive"` // no names with a '/' behind the prefix
	Timeout      api.Duration `json:"timeout"`       // of one object; 0 is the ETL's
}

func (j *bucketJob) transforms() bool {
	return j.Kind == api.ActETLBucket || j.Kind == api.ActETLObjects
}

func (j *bucketJob) deletes() bool { return j.Kind == api.ActDeleteObjects }

// listed tells a job that names its objects from one over a bucket.
func (j *bucketJob) listed() bool { return api.Idling(j.Kind) || j.deletes() }

func badJob(format string, args ...any) error {
	return api.Errorf(fasthttp.StatusBadRequest, "", format, args...)
}

// jobMsg is the value of a job's request, in all dialects.
type jobMsg struct {
	api.TransformMsg
	BckTo *api.Bucket `json:"bck_to"`
}

// planBucketJob reads the request for a job, in both dialects.
func planBucketJob(from string, a *action, q url.Values) (*bucketJob, error) {
	var (
		v    jobMsg
		keys map[string]json.RawMessage
	)
	if a.hasValue() {
		if err := json.Unmarshal(a.Value, &v); err != nil {
			return nil, badJob("failed to unmarshal %s value: %v", a.Action, err)
		}
		if err := json.Unmarshal(a.Value, &keys); err != nil {
			return nil, badJob("failed to unmarshal %s value: %v", a.Action, err)
		}
	}
	j := &bucketJob{Kind: a.Action, From: from, Pipeline: v.Pipeline, Objects: v.Objects, Template: v.Template,
		DryRun: v.DryRun, Workers: v.Workers, Continue: v.ContinueOnErr, LatestVer: v.LatestVer || v.Sync, Sync: v.Sync,
		NonRecursive: v.NonRecursive, Timeout: v.RequestTimeout}
	if j.Workers < 0 {
		j.Workers = 1
	}
	if j.transforms() {
		j.ETL = v.ID
		for _, key := range []string{api.QparamETLName, api.QparamUUID} {
			if j.ETL == "" {
				j.ETL = q.Get(key)
			}
		}
	}
	byName := false
	if !j.deletes() {
		var err error
		if byName, err = j.setDestination(&v, a, q); err != nil {
			return nil, err
		}
	}
	textExt, err := j.Rename.setExt(v.Ext)
	if err != nil {
		return nil, badJob("failed to unmarshal %s value: ext: %v", a.Action, err)
	}
	j.Rename.Prepend, j.Rename.Suffix = v.Prepend, v.Suffix
	if prefixPrepends(keys, textExt || byName) {
		j.Rename.Prepend += v.Prefix
	} else {
		j.Prefix = v.Prefix
	}
	return j, j.checkSources()
}

// setDestination finds the destination: it is named by tobck for lists, by
// bck_to, by value.bck_to, or (old, and told) by the name beside the action.
func (j *bucketJob) setDestination(v *jobMsg, a *action, q url.Values) (byName bool, err error) {
	for key, b := range map[string]*api.Bucket{"tobck": v.To, "bck_to": v.BckTo} {
		if err := checkBucket(b); err != nil {
			return false, badJob("%s: %v", key, err)
		}
	}
	switch {
	case j.listed() && v.To != nil && v.To.Name != "":
		j.To = v.To.Name
	case q.Get(api.QparamBckTo) != "":
		to, object, err := api.ParseUname(strings.TrimSuffix(q.Get(api.QparamBckTo), "/") + "/")
		if err != nil || object != "" {
			return false, badJob("invalid %q query parameter %q", api.QparamBckTo, q.Get(api.QparamBckTo))
		}
		j.To = to
	case v.BckTo != nil && v.BckTo.Name != "":
		j.To = v.BckTo.Name
	case j.listed():
		return false, badJob("%s: missing the destination bucket, \"tobck\"", j.Kind)
	case a.Name != "":
		j.To, byName = strings.TrimPrefix(a.Name, api.ProviderAIS+"://"), true
	default:
		return false, badJob("missing %q query parameter", api.QparamBckTo)
	}
	if err := api.CheckBucketName(j.To); err != nil {
		return false, badJob("destination: %v", err)
	}
	return byName, nil
}

// checkSources checks what says which objects a job is about.
func (j *bucketJob) checkSources() error {
	switch {
	case j.Sync && j.Rename.changes():
		return badJob("%s: synchronize needs the same names on both sides: it cannot be had with prepend, suffix or ext", j.Kind)
	case !j.listed():
		j.Objects, j.Template = nil, ""
		return nil
	case len(j.Objects) > 0 && j.Template != "":
		return badJob("%s: give objnames or a template, not both", j.Kind)
	case len(j.Objects) == 0 && j.Template == "" && j.deletes():
		return badJob("%s: give objnames or a template; \"*\" is every object", j.Kind)
	}
	for _, name := range j.Objects {
		if err := api.CheckObjectName(name); err != nil {
			return badJob("%s: objnames: %v", j.Kind, err)
		}
	}
	if _, err := api.ParseTemplate(j.Template); err != nil {
		return badJob("%s: %v", j.Kind, err)
	}
	return nil
}

// prefixPrepends decides what "prefix" means: it filters the source for
// today's clients, which always send one of these keys, and is put in front of
// names in the old form.
func prefixPrepends(keys map[string]json.RawMessage, old bool) bool {
	for k := range keys {
		switch strings.ToLower(k) {
		case "prepend", "latest-ver", "synchronize", "num-workers", "coer", "non-recurs", "pipeline":
			return false
		case "suffix":
			old = true
		}
	}
	return old
}
