package node

import (
	"context"
	"encoding/json"
	"net/url"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// summaryMsg asks for sums over a bucket. Clients ask first without a uuid and
// then with the one that they were answered.
type summaryMsg struct {
	UUID   string `json:"uuid"`
	Prefix string `json:"prefix"`
}

// summaryRequest asks a target for its part; the answer is a bucketSum.
type summaryRequest struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
}

// bucketSum is how many objects there are, and their bytes.
type bucketSum struct {
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Disk    uint64 `json:"disk"` // bytes of the disk
}

func (s *bucketSum) add(o bucketSum) {
	if o.Objects > 0 {
		if s.Objects == 0 || o.Min < s.Min {
			s.Min = o.Min
		}
		s.Max = max(s.Max, o.Max)
	}
	s.Objects, s.Bytes, s.Disk = s.Objects+o.Objects, s.Bytes+o.Bytes, s.Disk+o.Disk
}

// summary sums this target's objects of a bucket.
func (t *Target) summary(r *summaryRequest) (any, error) {
	used, avail, err := diskUse(t.dir)
	if err != nil {
		return nil, err
	}
	sum := bucketSum{Disk: used + avail}
	opt := store.ListOptions{Prefix: r.Prefix, Limit: listPage, Detail: true}
	for more := true; more; {
		var infos []store.Info
		if infos, more, err = t.store.List(r.Bucket, opt); err != nil {
			return nil, t.explainMissing(r.Bucket, "", err)
		}
		for _, i := range infos {
			sum.add(bucketSum{Objects: 1, Bytes: i.Size, Min: i.Size, Max: i.Size})
			opt.After = i.Name
		}
	}
	return sum, nil
}

// summarize asks all targets.
func (p *Proxy) summarize(bucket, prefix string) (sum bucketSum, err error) {
	targets := p.state().Map.Targets
	if err := p.checkAllAlive(targets); err != nil {
		return sum, err
	}
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	return sum, firstError(each(targets, func(t *api.NodeInfo) error {
		var part bucketSum
		if err := p.peers.call(ctx, t.ControlNet.URL, pathSummary, summaryRequest{bucket, prefix}, &part); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.add(part)
		return nil
	}))
}

// summaryJSON is a sum as clients read it.
func summaryJSON(bucket string, s bucketSum, present bool) map[string]any {
	return map[string]any{
		"name": bucket, "provider": api.ProviderAIS, "namespace": api.Namespace{},
		"ObjCount": map[string]string{"obj_count_present": version(s.Objects), "obj_count_remote": "0"},
		"ObjSize":  map[string]int64{"obj_min_size": s.Min, "obj_avg_size": (s.Bytes + s.Objects/2) / max(s.Objects, 1), "obj_max_size": s.Max},
		"TotalSize": map[string]string{"size_on_disk": version(s.Bytes), "size_all_present_objs": version(s.Bytes),
			"size_all_remote_objs": "0", "total_disks_size": decimal(s.Disk)},
		"used_pct": 100 * uint64(s.Bytes) / max(s.Disk, 1), "is_present": present,
	}
}

// summaries answers the action summary-bck: an id at first, sums for whoever
// comes with it. Summing is quick enough to be done then.
func (p *Proxy) summaries(ctx *fasthttp.RequestCtx, buckets []string, value json.RawMessage) error {
	var msg summaryMsg
	if len(value) > 0 {
		if err := json.Unmarshal(value, &msg); err != nil {
			return badJob("%s: failed to unmarshal the summary request, err: %v", p.name(), err)
		}
	}
	if msg.UUID == "" {
		ctx.SetStatusCode(fasthttp.StatusAccepted)
		writeText(ctx, randomID(9))
		return nil
	}
	list := []map[string]any{}
	for _, b := range buckets {
		sum, err := p.summarize(b, msg.Prefix)
		if err != nil {
			return err
		}
		list = append(list, summaryJSON(b, sum, false))
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	writeText(ctx, string(data)+"\n")
	return nil
}

// headSummary adds a sum to what a HEAD of a bucket tells, or an id to come
// again with.
func (p *Proxy) headSummary(ctx *fasthttp.RequestCtx, bucket string, q url.Values) error {
	id := q.Get(api.QparamUUID)
	if id == "" {
		ctx.SetStatusCode(fasthttp.StatusAccepted)
		ctx.Response.Header.Set(api.HdrXactionID, randomID(9))
		return nil
	}
	sum, err := p.summarize(bucket, q.Get("prefix"))
	if err != nil {
		return err
	}
	data, err := json.Marshal(summaryJSON(bucket, sum, true))
	if err != nil {
		return err
	}
	ctx.Response.Header.Set(api.HdrXactionID, id)
	ctx.Response.Header.SetBytesV(api.HdrBucketSumm, data)
	return nil
}
