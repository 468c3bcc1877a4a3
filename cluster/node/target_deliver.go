package node

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/store"
)

// delivery is one object that is to be made of another one and stored where it
// belongs: for a job, or for a client's single object.
type delivery struct {
	etl              *runningETL
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
}

// deliver transforms an object and stores the result where it belongs.
func (t *Target) deliver(ctx context.Context, d *delivery) (r delivered, err error) {
	limit := d.timeout
	if limit == 0 {
		limit = d.etl.timeout
	}
	x, err := t.transform(ctx, d.etl, d.fromBucket, d.from, false, comm.Request{Args: d.args}, limit)
	if err != nil {
		return r, err
	}
	r.source = x.size
	r.sent, err = t.storeResult(ctx, d, x.body, x.Size)
	x.done(t, err)
	r.result = x.body.n
	return r, err
}

// storeResult stores what a delivery made, of size bytes (-1 when unknown),
// and tells whether that was on another target.
func (t *Target) storeResult(ctx context.Context, d *delivery, body io.Reader, size int64) (sent bool, err error) {
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
		_, err := t.store.Put(ctx, d.toBucket, d.to, body, store.PutOptions{Size: size})
		return false, t.explainMissing(d.toBucket, d.to, err)
	}
	u := owner.DataNet.URL + api.PathETLObject + "/" + d.etl.name + "/" + d.etl.secret + "/" +
		api.EscapeUname(api.AIS(d.toBucket).Uname(d.to)) + "?" +
		url.Values{api.QparamOWT: {"3"}, api.QparamUUID: {d.job}}.Encode()
	return true, t.peers.put(ctx, u, body, size)
}
