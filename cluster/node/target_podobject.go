package node

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// podObject answers this target's pods, and other targets that store what a
// job made: /v1/etl/_object/{etl}/{secret}/{uname}.
func (t *Target) podObject(ctx *fasthttp.RequestCtx, path, query string) error {
	parts := strings.SplitN(strings.TrimPrefix(path, api.PathETLObject+"/"), "/", 3)
	if len(parts) != 3 {
		return t.errURI(ctx)
	}
	if err := t.checkPod(parts[0], parts[1]); err != nil {
		return err
	}
	uname, err := url.PathUnescape(parts[2])
	if err != nil {
		return t.errURI(ctx)
	}
	bucket, object, err := api.ParseUname(uname)
	if err == nil {
		err = api.CheckObjectName(object)
	}
	if err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, api.KindInvalidPath, "%v", err)
	}
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		return t.getObject(ctx, bucket, object)
	case fasthttp.MethodHead:
		return t.headObject(ctx, bucket, object)
	case fasthttp.MethodPut:
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
	methodNotAllowed(ctx, "GET, HEAD, PUT")
	return nil
}

// checkPod checks the name and the secret in a pod's URL.
func (t *Target) checkPod(etl, secret string) error {
	e, ok := t.state().ETLs[etl]
	if !ok || e.Stage == api.StageAborted {
		return t.errNoETL(etl)
	}
	if secret != e.Secret {
		return api.Errorf(fasthttp.StatusBadRequest, "", "unrecognized request source")
	}
	return nil
}
