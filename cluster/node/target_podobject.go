package node

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// podObject answers this target's pods, and other targets that store what a
// job made: /v1/etl/_object/{etl}/{secret}/{uname}, or, as pods of 2023 asked,
// /v1/etl/_object/{secret}/{uname}.
func (t *Target) podObject(ctx *fasthttp.RequestCtx, path, query string) error {
	rest := strings.TrimPrefix(path, api.PathETLObject+"/")
	etl, rest, ok := strings.Cut(rest, "/")
	if _, _, known := t.state().ETL(etl); known || strings.Count(rest, "/") > 0 && !t.isSecret(etl) {
		secret, name, more := strings.Cut(rest, "/")
		if err := t.checkPod(etl, secret); err != nil {
			return err
		}
		rest, ok = name, more
	} else if !t.isSecret(etl) { // the old form: /{secret}/{uname}
		return api.Errorf(fasthttp.StatusBadRequest, "", "unrecognized request source")
	}
	if !ok {
		return t.errURI(ctx)
	}
	uname, err := url.PathUnescape(rest)
	if err != nil {
		return t.errURI(ctx)
	}
	if ctx.IsPut() {
		return t.storeUname(ctx, uname, query)
	}
	bucket, object, err := unameObject(uname)
	if err != nil {
		return err
	}
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		return t.getObject(ctx, bucket, object)
	case fasthttp.MethodHead:
		return t.headObject(ctx, bucket, object, nil)
	}
	methodNotAllowed(ctx, "GET, HEAD, PUT")
	return nil
}

// isSecret tells whether a text is the secret of an ETL that runs.
func (t *Target) isSecret(s string) bool {
	for _, e := range t.state().ETLs {
		if e.Stage != api.StageAborted && e.Secret == s {
			return true
		}
	}
	return false
}

// checkPod checks the name and the secret in a pod's URL.
func (t *Target) checkPod(etl, secret string) error {
	_, e, ok := t.state().ETL(etl)
	if !ok || e.Stage == api.StageAborted {
		return t.errNoETL(etl)
	}
	if secret != e.Secret {
		return api.Errorf(fasthttp.StatusBadRequest, "", "unrecognized request source")
	}
	return nil
}

// unameObject is the bucket and the object of a uname, or of bucket/object.
func unameObject(uname string) (bucket, object string, err error) {
	bucket, object, err = api.ParseUname(uname)
	if err == nil {
		err = api.CheckObjectName(object)
	}
	if err != nil {
		return "", "", api.Errorf(fasthttp.StatusBadRequest, api.KindInvalidPath, "%v", err)
	}
	return bucket, object, nil
}

// storeUname stores what a job has made, and credits the job.
func (t *Target) storeUname(ctx *fasthttp.RequestCtx, uname, query string) error {
	bucket, object, err := unameObject(uname)
	if err != nil {
		return err
	}
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	i, err := t.putObject(ctx, bucket, object, q)
	if err == nil {
		t.jobs.received(q.Get(api.QparamUUID), i.Size)
	}
	return err
}
