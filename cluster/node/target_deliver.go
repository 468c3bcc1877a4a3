package node

import (
	"context"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/store"
)

// delivery is one object that is to be made of another one and stored where it
// belongs: for a job, or for a client's single object.
type delivery struct {
	etl              *runningETL // nil: the object is copied as it is
	pipeline         []string    // ETLs that it passes through behind etl
	latest           bool        // latest-ver, told to the transformer
	fromBucket, from string
	toBucket, to     string
	job              string        // credited on the target that stores it; "" for none
	args             string        // etl_args
	timeout          time.Duration // without progress; 0 is the ETL's own
	dryRun           bool          // make it, and store nothing
}

// delivered is what became of an object.
type delivered struct {
	source, result int64 // bytes
	sent           bool  // to another target
	direct         bool  // by the pod itself
}

// deliver makes an object and stores it where it belongs.
func (t *Target) deliver(ctx context.Context, d *delivery) (r delivered, err error) {
	if d.etl == nil {
		return t.copyObject(ctx, d)
	}
	limit := d.timeout
	if limit == 0 {
		limit = d.etl.timeout
	}
	stops, err := t.stops(d)
	if err != nil {
		return r, err
	}
	x, err := t.transform(ctx, d.etl, d.fromBucket, d.from, false, comm.Request{Args: d.args, LatestVer: d.latest, Stops: stops}, limit)
	if err != nil {
		return r, err
	}
	r.source = x.size
	if x.Delivered {
		x.done(t, nil)
		r.result, r.sent, r.direct = max(x.Size, 0), true, true
		return r, nil
	}
	r.sent, err = t.storeResult(ctx, d, x.body, store.PutOptions{Size: x.Size})
	x.done(t, err)
	r.result = x.body.n
	return r, err
}

// stops are where a result goes by itself: through the pipeline's pods, and to
// the target that keeps it if that is another one. A pod need not heed it.
func (t *Target) stops(d *delivery) ([]string, error) {
	stops, err := t.podStops(d.pipeline)
	if err != nil || d.dryRun {
		return stops, err
	}
	if err := api.CheckObjectName(d.to); err != nil {
		return nil, err
	}
	owner, err := t.state().Map.Owner(api.AIS(d.toBucket), d.to)
	if err != nil || owner.ID == t.cfg.ID {
		return stops, err
	}
	q := url.Values{api.QparamOWT: {owtTransform}}
	if d.job != "" {
		q.Set(api.QparamUUID, d.job)
	}
	return append(stops, owner.DataNet.URL+"/"+api.EscapeUname(api.AIS(d.toBucket).Uname(d.to))+"?"+q.Encode()), nil
}

// owtTransform tells the receiver of an object that a transformation made it.
const owtTransform = "3"

// copyObject stores an object again, with its checksum verified on the way and
// its custom metadata.
func (t *Target) copyObject(ctx context.Context, d *delivery) (r delivered, err error) {
	o, err := t.openObject(d.fromBucket, d.from)
	if err != nil {
		return r, err
	}
	defer o.Close()
	r.source, r.result = o.Size, o.Size
	if d.dryRun {
		return r, nil
	}
	// Not a fileBody: that one closes the object.
	body := io.NewSectionReader(o, 0, o.Size)
	r.sent, err = t.storeResult(ctx, d, body, store.PutOptions{Size: o.Size, Expect: o.Checksum, Custom: o.Custom})
	return r, err
}

// storeResult stores what a delivery made and tells whether that was on
// another target.
func (t *Target) storeResult(ctx context.Context, d *delivery, body io.Reader, opt store.PutOptions) (sent bool, err error) {
	if d.dryRun {
		_, err := comm.Copy(io.Discard, body)
		return false, err
	}
	if err := api.CheckObjectName(d.to); err != nil {
		return false, err
	}
	owner, err := t.state().Map.Owner(api.AIS(d.toBucket), d.to)
	if err != nil {
		return false, err
	}
	if owner.ID == t.cfg.ID {
		if !t.writing.enter() {
			return false, t.errLeaving()
		}
		defer t.writing.exit()
		if _, err := t.store.Put(ctx, d.toBucket, d.to, body, t.putOptions(d.toBucket, opt)); err != nil {
			return false, t.putFailed(d.toBucket, d.to, err)
		}
		return false, nil
	}
	u := owner.DataNet.URL + pathObject + api.EscapeUname(api.AIS(d.toBucket).Uname(d.to)) + "?" +
		url.Values{api.QparamUUID: {d.job}}.Encode()
	return true, t.peers.put(u, body, opt)
}

// peerObject stores an object that another target sends.
func (t *Target) peerObject(ctx *fasthttp.RequestCtx, path, query string) error {
	uname, err := url.PathUnescape(strings.TrimPrefix(path, pathObject))
	if err != nil || !ctx.IsPut() {
		return t.errURI(ctx)
	}
	return t.storeUname(ctx, uname, query)
}
