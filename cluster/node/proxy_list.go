package node

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// listRequest asks a target for its part of a page.
type listRequest struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	After  string `json:"after"`
	Limit  int    `json:"limit"`
	Detail bool   `json:"detail"`
	// Shallow lists folders in place of what is in them, NoDirs not even those.
	Shallow bool `json:"shallow"`
	NoDirs  bool `json:"no_dirs"`
	// TimeFormat is Go's layout of access times; "" is RFC 822.
	TimeFormat string `json:"time_format,omitempty"`
}

// listReply is that part: names in byte order, and whether there are more.
type listReply struct {
	Entries []*api.ListEntry `json:"entries"`
	More    bool             `json:"more"`
}

// listObjects answers one page: the first names of all targets together.
func (p *Proxy) listObjects(ctx *fasthttp.RequestCtx, bucket string) error {
	a, msg, err := p.listMsg(ctx)
	if err != nil {
		return err
	}
	s := p.state()
	if _, ok := s.Buckets[bucket]; !ok {
		return errNoBucket(bucket)
	}
	if a.Action == api.ActSummary {
		return p.summaries(ctx, []string{bucket}, a.Value)
	}
	limit := int(msg.PageSize)
	if limit <= 0 || limit > api.MaxPage {
		limit = api.MaxPage
	}
	names := msg.Flags&api.ListNameOnly != 0
	entries, more, err := p.gather(s.Map.Targets, listRequest{Bucket: bucket, Prefix: msg.Prefix,
		After: max(msg.Token, msg.StartAfter), Limit: limit, Detail: !names, TimeFormat: msg.TimeFormat,
		Shallow: msg.Flags&api.ListNonRecurse != 0, NoDirs: msg.Flags&api.ListNoDirs != 0})
	if err != nil {
		return err
	}
	page := &api.ListPage{UUID: msg.UUID, Entries: entries}
	if page.UUID == "" {
		page.UUID = randomID(9)
	}
	if more {
		page.Token = entries[len(entries)-1].Name
	}
	props := listProps(msg)
	for _, e := range entries {
		trim(e, props)
	}
	if strings.Contains(string(ctx.Request.Header.Peek(fasthttp.HeaderAccept)), api.MimeMsgpack) {
		ctx.Response.Header.SetContentType(api.MimeMsgpack)
		ctx.Response.SetBodyRaw(page.AppendMsgpack(nil))
		return nil
	}
	return writeJSON(ctx, page)
}

// listMsg reads a listing's body, which may be missing.
func (p *Proxy) listMsg(ctx *fasthttp.RequestCtx) (a action, msg *api.ListMsg, err error) {
	msg = &api.ListMsg{}
	data, err := readBody(ctx)
	if err != nil || len(data) == 0 {
		return a, msg, err
	}
	if err = json.Unmarshal(data, &a); err == nil && a.hasValue() {
		err = json.Unmarshal(a.Value, msg)
	}
	if err != nil {
		return a, nil, api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the list request, err: %v", p.name(), err)
	}
	if a.Action != api.ActList && a.Action != api.ActSummary {
		return a, nil, api.Errorf(fasthttp.StatusBadRequest, "", "invalid action %q", a.Action)
	}
	return a, msg, nil
}

// gather asks every target for limit names and merges the answers.
func (p *Proxy) gather(targets map[string]*api.NodeInfo, r listRequest) ([]*api.ListEntry, bool, error) {
	var (
		mu   sync.Mutex
		all  []*api.ListEntry
		more bool
	)
	if err := p.checkAllAlive(targets); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, peerTimeout)
	defer cancel()
	errs := each(targets, func(t *api.NodeInfo) error {
		var part listReply
		if err := p.peers.call(ctx, t.ControlNet.URL, pathList, r, &part); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, part.Entries...)
		more = more || part.More
		return nil
	})
	if err := firstError(errs); err != nil {
		return nil, false, err
	}
	slices.SortFunc(all, func(a, b *api.ListEntry) int { return cmp.Compare(a.Name, b.Name) })
	// Several targets may have a part of a folder.
	all = slices.CompactFunc(all, func(a, b *api.ListEntry) bool { return a.Name == b.Name })
	if len(all) > r.Limit {
		all, more = all[:r.Limit], true
	}
	if all == nil {
		all = []*api.ListEntry{}
	}
	return all, more && len(all) > 0, nil
}

// listProps are the properties that a listing asks for.
func listProps(msg *api.ListMsg) map[string]bool {
	props := map[string]bool{}
	switch {
	case msg.Flags&api.ListNameOnly != 0:
	case msg.Flags&api.ListNameSize != 0 || msg.Props == "":
		props["size"] = true
	default:
		for f := range strings.SplitSeq(msg.Props, ",") {
			props[strings.TrimSpace(f)] = true
		}
	}
	return props
}

// trim leaves an entry with the properties asked for.
func trim(e *api.ListEntry, props map[string]bool) {
	keep := api.ListEntry{Name: e.Name, Flags: e.Flags}
	if props["size"] {
		keep.Size = e.Size
	}
	if props["checksum"] {
		keep.Checksum = e.Checksum
	}
	if props["atime"] {
		keep.Atime = e.Atime
	}
	if props["version"] {
		keep.Version = e.Version
	}
	if props["location"] {
		keep.Location = e.Location
	}
	if props["copies"] {
		keep.Copies = e.Copies
	}
	if props["custom"] {
		keep.Custom = e.Custom
	}
	*e = keep
}
