package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/store"
)

// propsJSON are a bucket's properties in the form that AIStore's clients
// decode strictly; what a reference cluster does not have is off in it.
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
	`"access":"18446744073709551615","features":"0","bid":"0","created":"0",` +
	`"versioning":{"enabled":true,"validate_warm_get":false,"synchronize":false}}`

func defaultProps() map[string]any {
	var p map[string]any
	if err := json.Unmarshal([]byte(propsJSON), &p); err != nil {
		panic(err) // a constant
	}
	return p
}

// bucketProps are the properties of a bucket.
func bucketProps(b meta.Bucket) json.RawMessage {
	p := defaultProps()
	section := func(name string) map[string]any { return p[name].(map[string]any) }
	if b.Checksum != "" {
		section("checksum")["type"] = b.Checksum
	}
	section("versioning")["enabled"] = !b.NoVersions
	p["bid"], p["created"] = strconv.FormatInt(b.ID, 10), strconv.FormatInt(b.Created, 10)
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // it came from JSON
	}
	return data
}

// setProps is a bucket's record with the properties that a client asks for:
// those that a reference cluster keeps, or that are as they are anyway.
func setProps(b meta.Bucket, value json.RawMessage) (meta.Bucket, error) {
	var ask map[string]any
	if err := json.Unmarshal(value, &ask); err != nil {
		return b, badJob("bucket properties: %v", err)
	}
	var now map[string]any
	if err := json.Unmarshal(bucketProps(b), &now); err != nil {
		return b, err
	}
	return b, set(&b, "", ask, now)
}

func set(b *meta.Bucket, path string, ask, now map[string]any) error {
	for _, k := range slices.Sorted(maps.Keys(ask)) {
		old, ok := now[k]
		v, at := ask[k], path+k
		if !ok {
			return badJob("bucket properties: there is none called %q", at)
		}
		if inner, isMap := v.(map[string]any); isMap {
			section, ok := old.(map[string]any)
			if !ok {
				return badJob("bucket properties: %s is a value", at)
			}
			if err := set(b, at+".", inner, section); err != nil {
				return err
			}
			continue
		}
		if err := setOne(b, at, v, old); err != nil {
			return err
		}
	}
	return nil
}

func setOne(b *meta.Bucket, at string, v, old any) error {
	text, isText := v.(string)
	on, isBool := v.(bool)
	switch {
	case v == nil:
	case at == "checksum.type" && isText:
		if err := store.CheckChecksumType(text); err != nil {
			return badJob("bucket properties: %s: %v", at, err)
		}
		b.Checksum = text
	case at == "versioning.enabled" && isBool:
		b.NoVersions = !on
	case fmt.Sprint(v) != fmt.Sprint(old):
		return api.Errorf(fasthttp.StatusNotImplemented, api.KindUnsupported,
			"bucket properties: %s cannot be %v: of all properties, a reference cluster has checksum.type and versioning.enabled to set", at, v)
	}
	return nil
}

// putOptions are what a bucket's properties say of how objects are stored.
func (t *Target) putOptions(bucket string, o store.PutOptions) store.PutOptions {
	b := t.state().Buckets[bucket]
	o.Keep = b.Checksum
	o.SkipVersion = o.SkipVersion || b.NoVersions
	return o
}
