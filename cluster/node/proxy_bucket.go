package node

import (
	"encoding/json"
	"fmt"
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
		return p.headBucket(ctx, name)
	case fasthttp.MethodPost:
		return p.bucketAction(ctx, name, q)
	case fasthttp.MethodDelete:
		return p.deleteBucket(ctx, name, q)
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
		if a.hasValue() && string(a.Value) != "{}" {
			return api.Errorf(fasthttp.StatusNotImplemented, api.KindUnsupported,
				"%s: bucket %s: a reference cluster keeps no properties of its own for a bucket; create it without", p.name(), api.AIS(bucket))
		}
		_, err := p.createBucket(bucket)
		return err
	case api.ActETLBucket, api.ActCopyBucket, api.ActETLObjects, api.ActCopyObjects:
		return p.beginJob(ctx, bucket, &a, q)
	}
	return api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
}

func (p *Proxy) createBucket(bucket string) (*meta.State, error) {
	if _, ok := p.state().Buckets[bucket]; ok {
		return nil, errBucketExists(bucket)
	}
	s, err := p.change(meta.Command{CreateBucket: &meta.CreateBucket{Name: bucket, Created: time.Now().UnixNano()}})
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

// propsJSON are a bucket's properties in the form that AIStore's clients
// decode strictly; what a reference cluster does not have is off in it. The
// two values are the bucket's id and when it was made.
const propsJSON = `{"backend_bck":{"name":"","provider":"","namespace":{"uuid":"","name":""}},` +
	`"write_policy":{"data":"immediate","md":"immediate"},"provider":"ais","Renamed":"",` +
	`"checksum":{"type":"xxhash2","validate_cold_get":false,"validate_warm_get":false,"validate_obj_move":false,"enable_read_range":false},` +
	`"extra":{"aws":{},"gcp":{},"oci":{}},` +
	`"rate_limit":{"backend":{"interval":"1m","max_tokens":1000,"enabled":false,"num_retries":3},` +
	`"frontend":{"interval":"1m","max_tokens":1000,"enabled":false,"burst_size":375}},` +
	`"ec":{"compression":"never","bundle_multiplier":2,"burst_buffer":512,"objsize_limit":262144,"data_slices":2,"parity_slices":2,"enabled":false,"disk_only":false},` +
	`"chunks":{"objsize_limit":"0B","max_monolithic_size":"1TiB","chunk_size":"1GiB"},` +
	`"mirror":{"copies":2,"burst_buffer":512,"enabled":false},` +
	`"lru":{"dont_evict_time":"2h0m","capacity_upd_time":"10m","batch_size":32768,"enabled":false},` +
	`"access":"18446744073709551615","features":"0","bid":"%d","created":"%d",` +
	`"versioning":{"enabled":true,"validate_warm_get":false,"synchronize":false}}`

func (p *Proxy) headBucket(ctx *fasthttp.RequestCtx, bucket string) error {
	b, ok := p.state().Buckets[bucket]
	if !ok {
		return errNoBucket(bucket)
	}
	ctx.Response.Header.Set(api.HdrBucketProps, fmt.Sprintf(propsJSON, b.ID, b.Created))
	return nil
}
