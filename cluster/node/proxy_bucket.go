package node

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// action is the body of a control call with its value still encoded.
type action struct {
	Action string          `json:"action"`
	Name   string          `json:"name"`
	Value  json.RawMessage `json:"value"`
}

// hasValue tells a value from an absent or null one.
func (a *action) hasValue() bool { return len(a.Value) > 0 && string(a.Value) != "null" }

func (p *Proxy) buckets(ctx *fasthttp.RequestCtx, path string, q url.Values) error {
	if err := checkProvider(q); err != nil {
		return err
	}
	name, err := url.PathUnescape(strings.Trim(strings.TrimPrefix(path, api.PathBuckets), "/"))
	if err != nil {
		return p.errURI(ctx)
	}
	if name == "" {
		if !ctx.IsGet() {
			return p.errURI(ctx)
		}
		return p.listBuckets(ctx)
	}
	if err := api.CheckBucketName(name); err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, "", "%v", err)
	}
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		return p.listObjects(ctx, name)
	case fasthttp.MethodHead:
		return p.headBucket(ctx, name, q)
	case fasthttp.MethodPost:
		return p.bucketAction(ctx, name, q)
	case fasthttp.MethodDelete:
		return p.deleteBucket(ctx, name, q)
	case fasthttp.MethodPatch:
		return p.patchBucket(ctx, name)
	}
	methodNotAllowed(ctx, "DELETE, GET, HEAD, PATCH, POST")
	return nil
}

func (p *Proxy) listBuckets(ctx *fasthttp.RequestCtx) error {
	data, err := readBody(ctx)
	if err != nil {
		return err
	}
	var a action
	if err := json.Unmarshal(data, &a); err != nil && len(data) > 0 {
		return api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the list request, err: %v", p.name(), err)
	}
	if a.Action == api.ActSummary {
		return p.summaries(ctx, p.state().BucketNames(), a.Value)
	}
	list := []api.Bucket{}
	for _, name := range p.state().BucketNames() {
		if a.Name == "" || a.Name == name {
			list = append(list, api.AIS(name))
		}
	}
	return writeJSON(ctx, list)
}

func (p *Proxy) bucketAction(ctx *fasthttp.RequestCtx, bucket string, q url.Values) error {
	var a action
	if err := p.readJSON(ctx, &a); err != nil {
		return err
	}
	switch a.Action {
	case api.ActCreateBucket:
		var b meta.Bucket
		if a.hasValue() {
			var err error
			if b, err = setProps(b, a.Value); err != nil {
				return err
			}
		}
		_, err := p.createBucket(bucket, b)
		return err
	case api.ActETLBucket, api.ActCopyBucket, api.ActETLObjects, api.ActCopyObjects:
		return p.beginJob(ctx, bucket, &a, q)
	}
	return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
}

// createBucket makes a bucket with the properties of another one's record.
func (p *Proxy) createBucket(bucket string, like meta.Bucket) (*meta.State, error) {
	if _, ok := p.state().Buckets[bucket]; ok {
		return nil, errBucketExists(bucket)
	}
	s, err := p.change(meta.Command{CreateBucket: &meta.CreateBucket{Name: bucket, Created: time.Now().UnixNano(),
		Checksum: like.Checksum, NoVersions: like.NoVersions}})
	if err != nil {
		// Somebody was faster.
		if _, ok := p.state().Buckets[bucket]; ok {
			err = errBucketExists(bucket)
		}
	}
	return s, err
}

func errBucketExists(bucket string) error {
	return api.Errorf(fasthttp.StatusConflict, api.KindBucketExists, "bucket %q already exists", api.AIS(bucket).String())
}

// patchBucket sets properties.
func (p *Proxy) patchBucket(ctx *fasthttp.RequestCtx, bucket string) error {
	var a action
	if err := p.readJSON(ctx, &a); err != nil {
		return err
	}
	b, ok := p.state().Buckets[bucket]
	if !ok {
		return errNoBucket(bucket)
	}
	switch a.Action {
	case api.ActSetProps:
		var err error
		if b, err = setProps(b, a.Value); err != nil {
			return err
		}
	case api.ActResetProps:
		b = meta.Bucket{}
	default:
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	_, err := p.change(meta.Command{SetBucket: &meta.CreateBucket{Name: bucket, Checksum: b.Checksum, NoVersions: b.NoVersions}})
	return err
}

// deleteBucket destroys a bucket, or deletes some of its objects.
func (p *Proxy) deleteBucket(ctx *fasthttp.RequestCtx, bucket string, q url.Values) error {
	var a action
	if err := p.readJSON(ctx, &a); err != nil {
		return err
	}
	switch a.Action {
	case api.ActDeleteObjects:
		return p.beginJob(ctx, bucket, &a, q)
	case api.ActDestroyBucket:
	default:
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	if _, ok := p.state().Buckets[bucket]; !ok {
		return errNoBucket(bucket)
	}
	_, err := p.change(meta.Command{DestroyBucket: &bucket})
	return err
}

func (p *Proxy) headBucket(ctx *fasthttp.RequestCtx, bucket string, q url.Values) error {
	b, ok := p.state().Buckets[bucket]
	if !ok {
		return errNoBucket(bucket)
	}
	ctx.Response.Header.SetBytesV(api.HdrBucketProps, bucketProps(b))
	if q.Has(api.QparamSummary) {
		return p.headSummary(ctx, bucket, q)
	}
	return nil
}
