package node

import (
	"context"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// listPage is how many names a walk reads at once.
const listPage = 1000

// sources hands out the names of those of a job's objects that are on this
// target.
func (t *Target) sources(j *targetJob, names chan<- string) error {
	give := func(name string) error {
		select {
		case names <- name:
			return nil
		case <-j.ctx.Done():
			return context.Cause(j.ctx)
		}
	}
	switch {
	case len(j.job.Objects) > 0:
		return t.own(j.job.From, slices.Values(j.job.Objects), give)
	case j.job.Template != "":
		template, err := api.ParseTemplate(j.job.Template)
		if err != nil {
			return err
		}
		prefix, only := template.Prefix()
		if !only {
			return t.own(j.job.From, template.Names(), give)
		}
		return t.level(j, prefix, give)
	}
	return t.level(j, j.job.Prefix, give)
}

// level is walk, without what is in folders below the prefix when the job says
// so.
func (t *Target) level(j *targetJob, prefix string, give func(string) error) error {
	return t.walk(j.job.From, prefix, func(name string) error {
		if j.job.NonRecursive && strings.Contains(strings.TrimPrefix(name, prefix), "/") {
			return nil
		}
		return give(name)
	})
}

// own gives those of names that are placed on this target.
func (t *Target) own(bucket string, names func(func(string) bool), give func(string) error) (err error) {
	m := &t.state().Map
	for name := range names {
		owner, err := m.Owner(api.AIS(bucket), name)
		if err != nil {
			return err
		}
		if owner.ID != t.cfg.ID || api.CheckObjectName(name) != nil {
			continue
		}
		if err := give(name); err != nil {
			return err
		}
	}
	return nil
}

// walk gives the names of this target's objects that begin with prefix.
func (t *Target) walk(bucket, prefix string, give func(string) error) error {
	opt := store.ListOptions{Prefix: prefix, Limit: listPage}
	for {
		infos, more, err := t.store.List(bucket, opt)
		if err != nil {
			return t.explainMissing(bucket, "", err)
		}
		for _, i := range infos {
			if err := give(i.Name); err != nil {
				return err
			}
			opt.After = i.Name
		}
		if !more {
			return nil
		}
	}
}

// missingMsg asks a target which of names it does not have; the answer is a
// list of names.
type missingMsg struct {
	Bucket string   `json:"bucket"`
	Names  []string `json:"names"`
}

func (t *Target) missing(m *missingMsg) (any, error) {
	missing := []string{}
	for _, name := range m.Names {
		_, err := t.store.Stat(m.Bucket, name)
		e := t.explainMissing(m.Bucket, name, err)
		if err != nil && t.apiError(e).Status != fasthttp.StatusNotFound {
			return nil, e
		}
		if err != nil {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// dropExtra deletes, of this target's objects in the destination, those that
// the source does not have: the end of a job that synchronizes.
func (t *Target) dropExtra(j *targetJob) error {
	byOwner := map[*api.NodeInfo][]string{}
	drop := func(owner *api.NodeInfo) error {
		var missing []string
		err := t.peers.call(j.ctx, owner.ControlNet.URL, pathMissing, missingMsg{Bucket: j.job.From, Names: byOwner[owner]}, &missing)
		delete(byOwner, owner)
		for _, name := range missing {
			if err == nil {
				err = t.deleteObject(j.job.To, name)
			}
		}
		return err
	}
	err := t.walk(j.job.To, j.job.Prefix, func(name string) error {
		owner, err := t.state().Map.Owner(api.AIS(j.job.From), name)
		if err != nil {
			return err
		}
		if byOwner[owner] = append(byOwner[owner], name); len(byOwner[owner]) < listPage {
			return nil
		}
		return drop(owner)
	})
	for owner := range byOwner {
		if err == nil {
			err = drop(owner)
		}
	}
	return err
}
