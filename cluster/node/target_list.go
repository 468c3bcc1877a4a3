package node

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// list answers the primary's request for this target's part of a page.
func (t *Target) list(r *listRequest) (any, error) {
	infos, more, err := t.store.List(r.Bucket, store.ListOptions{Prefix: r.Prefix, After: r.After, Limit: r.Limit, Detail: r.Detail, Shallow: r.Shallow, NoFolders: r.NoDirs})
	if err != nil {
		return nil, t.explainMissing(r.Bucket, "", err)
	}
	reply := listReply{More: more, Entries: make([]*api.ListEntry, 0, len(infos))}
	for i := range infos {
		reply.Entries = append(reply.Entries, t.entry(&infos[i], r))
	}
	return reply, nil
}

func (t *Target) entry(i *store.Info, r *listRequest) *api.ListEntry {
	e := &api.ListEntry{Name: i.Name, Flags: api.EntryInCluster}
	if i.Folder {
		e.Flags = api.EntryIsDir
	}
	if !r.Detail || i.Folder {
		return e
	}
	e.Size, e.Checksum, e.Copies, e.Location = i.Size, i.Checksum.Value, 1, t.location()
	e.Version = strconv.FormatInt(i.Version, 10)
	e.Atime = time.Unix(0, i.Atime).UTC().Format(cmp.Or(r.TimeFormat, time.RFC822))
	if len(i.Custom) > 0 {
		var md []string
		for _, k := range sortedKeys(i.Custom) {
			md = append(md, k+":"+i.Custom[k])
		}
		e.Custom = "[" + strings.Join(md, ", ") + "]"
	}
	return e
}
