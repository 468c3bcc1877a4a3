package node

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// rename maps a source object's name to that of its result.
type rename struct {
	Ext     map[string]string `json:"ext"`     // by extension, without dots
	AllExt  string            `json:"all_ext"` // for every object that has an extension
	Prepend string            `json:"prepend"`
	Suffix  string            `json:"suffix"`
}

// apply maps one name: the extension is the text behind the last '.', the
// prefix goes in front of the whole name, the suffix behind all.
func (r *rename) apply(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		ext, ok := r.Ext[name[i+1:]]
		if r.AllExt != "" {
			ext, ok = r.AllExt, true
		}
		if ok {
			name = name[:i+1] + strings.TrimLeft(ext, ".")
		}
	}
	return r.Prepend + name + r.Suffix
}

// bucketJob is what an etl-bck request comes to.
type bucketJob struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	ETL    string `json:"etl"`
	XactID string `json:"xact_id"` // of the ETL's run
	From   string `json:"from"`
	To     string `json:"to"`
	Prefix string `json:"prefix"` // only sources that begin with it
	Rename rename `json:"rename"`
	DryRun bool   `json:"dry_run"`
	// Workers is how many objects a target transforms at once; 0 is its own
	// choice.
	Workers  int          `json:"workers"`
	Continue bool         `json:"continue"` // after objects that fail
	Timeout  api.Duration `json:"timeout"`  // of one object; 0 is the ETL's
}

// planBucketJob reads an etl-bck request in both dialects. The destination is
// named by bck_to, by value.bck_to, or (old) by the name beside the action.
func planBucketJob(from string, a *action, q url.Values) (*bucketJob, error) {
	bad := func(format string, args ...any) error {
		return api.Errorf(fasthttp.StatusBadRequest, "", format, args...)
	}
	var v struct {
		api.TransformMsg
		BckTo *api.Bucket `json:"bck_to"`
	}
	var keys map[string]json.RawMessage
	if a.hasValue() {
		if err := json.Unmarshal(a.Value, &v); err != nil {
			return nil, bad("failed to unmarshal %s value: %v", a.Action, err)
		}
		if err := json.Unmarshal(a.Value, &keys); err != nil {
			return nil, bad("failed to unmarshal %s value: %v", a.Action, err)
		}
	}
	j := &bucketJob{Kind: a.Action, From: from, ETL: v.ID, DryRun: v.DryRun, Workers: v.Workers,
		Continue: v.ContinueOnErr, Timeout: v.RequestTimeout}
	for _, key := range []string{api.QparamETLName, api.QparamUUID} {
		if j.ETL == "" {
			j.ETL = q.Get(key)
		}
	}
	byName := false
	switch {
	case q.Get(api.QparamBckTo) != "":
		to, object, err := api.ParseUname(strings.TrimSuffix(q.Get(api.QparamBckTo), "/") + "/")
		if err != nil || object != "" {
			return nil, bad("invalid %q query parameter %q", api.QparamBckTo, q.Get(api.QparamBckTo))
		}
		j.To = to
	case v.BckTo != nil && v.BckTo.Name != "":
		j.To = v.BckTo.Name
	case a.Name != "":
		j.To, byName = strings.TrimPrefix(a.Name, api.ProviderAIS+"://"), true
	default:
		return nil, bad("missing %q query parameter", api.QparamBckTo)
	}
	if err := api.CheckBucketName(j.To); err != nil {
		return nil, bad("destination: %v", err)
	}
	if j.Workers < 0 {
		return nil, bad("num-workers: %d, must not be negative", j.Workers)
	}
	textExt, err := j.Rename.setExt(v.Ext)
	if err != nil {
		return nil, bad("failed to unmarshal %s value: ext: %v", a.Action, err)
	}
	j.Rename.Prepend, j.Rename.Suffix = v.Prepend, v.Suffix
	if prefixPrepends(keys, textExt || byName) {
		j.Rename.Prepend += v.Prefix
	} else {
		j.Prefix = v.Prefix
	}
	return j, nil
}

// setExt reads "ext", a map or (old) one text for all, and tells the latter.
func (r *rename) setExt(raw json.RawMessage) (text bool, err error) {
	if len(raw) == 0 {
		return false, nil
	}
	if raw[0] == '"' {
		return true, json.Unmarshal(raw, &r.AllExt)
	}
	return false, json.Unmarshal(raw, &r.Ext)
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
