package node

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// deriveObject copies an object, or transforms it, into another one: the uname
// to.
func (t *Target) deriveObject(bucket, object, to string, q url.Values) error {
	toBucket, toName, err := unameObject(to)
	if err != nil {
		return err
	}
	d := &delivery{fromBucket: bucket, from: object, toBucket: toBucket, to: toName,
		latest: q.Get(api.QparamLatestVer) == "true" || q.Get(api.QparamSync) == "true", args: q.Get(api.QparamETLArgs)}
	if err := t.checkDestination(d); err != nil {
		return err
	}
	if name := q.Get(api.QparamETLName); name != "" {
		if d.etl = t.etls.get(name); d.etl == nil {
			return t.errNoETL(name)
		}
		d.pipeline = pipeline(q)
	}
	ctx := t.ctx
	if d.etl != nil {
		ctx = d.etl.ctx
	}
	_, err = t.deliver(ctx, d)
	return err
}

// checkDestination refuses a destination bucket that does not exist before
// anything is read.
func (t *Target) checkDestination(d *delivery) error {
	if _, ok := t.state().Buckets[d.toBucket]; !ok {
		return errNoBucket(d.toBucket)
	}
	return nil
}

// pipeline is the list of ETLs that etl_pipeline names; clients may send it
// empty.
func pipeline(q url.Values) []string {
	return strings.FieldsFunc(q.Get(api.QparamPipeline), func(r rune) bool { return r == ',' })
}

// objectAction answers POST of an object: it is renamed.
func (t *Target) objectAction(ctx *fasthttp.RequestCtx, bucket, object string) error {
	var a action
	if err := t.readJSON(ctx, &a); err != nil {
		return err
	}
	if a.Action != api.ActRenameObject {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	if err := api.CheckObjectName(a.Name); err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, api.KindInvalidPath, "new name: %v", err)
	}
	if a.Name == object {
		return api.Errorf(fasthttp.StatusBadRequest, "", "cannot rename %s/%s onto itself", api.AIS(bucket), object)
	}
	// Copied before it is deleted: a crash in between leaves both, never none.
	if _, err := t.deliver(t.ctx, &delivery{fromBucket: bucket, from: object, toBucket: bucket, to: a.Name}); err != nil {
		return err
	}
	return t.deleteObject(bucket, object)
}
