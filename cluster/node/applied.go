package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/store"
)

// applied is a target's record of what of the metadata its store follows.
type applied struct {
	// Cluster is the UUID of the cluster that the data folder belongs to, ""
	// before it joined one.
	Cluster string `json:"cluster"`
	// Buckets are the ids of the buckets that the store has, by name. An id
	// tells a bucket from an earlier one of its name.
	Buckets map[string]int64 `json:"buckets"`
	path    string
}

func readApplied(dir string) (applied, error) {
	a := applied{Buckets: map[string]int64{}, path: filepath.Join(dir, "applied.json")}
	data, err := os.ReadFile(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, nil
	case err == nil:
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w", a.path, err)
	}
	return a, nil
}

func (a *applied) save() error { return meta.WriteFile(a.path, a) }

// sameCluster refuses the metadata of another cluster: to follow it would be
// to destroy every bucket.
func (t *Target) sameCluster(s *meta.State) error {
	if t.applied.Cluster == "" || t.applied.Cluster == s.Map.UUID {
		return nil
	}
	return fmt.Errorf("%s: data folder %s belongs to cluster %s, and %s is cluster %s: use another --data, or the primary that it belongs to",
		t.name(), t.dir, t.applied.Cluster, t.primaryURL(), s.Map.UUID)
}

// stateChanged makes the store follow the metadata: buckets that are gone, or
// were made anew meanwhile, are emptied, and those that are new are made. Pods
// of ETLs that do not run any more are stopped.
func (t *Target) stateChanged(s *meta.State) {
	err := t.follow(s)
	if err != nil {
		t.log.Error("follow the metadata", keyErr, err)
	}
	t.stopOthers(s)
}

// follow is stateChanged for the store. A bucket is out of the record before
// it is made anew, and only then in it: a crash in between takes over the
// folder that is there, and never destroys one that may have objects already.
func (t *Target) follow(s *meta.State) error {
	var errs []error
	gone := false
	for name, id := range t.applied.Buckets {
		if s.Buckets[name].ID == id {
			continue
		}
		if err := t.store.DestroyBucket(name); err != nil && !errors.Is(err, store.ErrBucketNotExist) {
			errs = append(errs, err)
			continue
		}
		delete(t.applied.Buckets, name)
		gone = true
	}
	if gone || t.applied.Cluster != s.Map.UUID {
		t.applied.Cluster = s.Map.UUID
		errs = append(errs, t.applied.save())
	}
	made := false
	for name, b := range s.Buckets {
		if _, ok := t.applied.Buckets[name]; ok || api.CheckBucketName(name) != nil {
			continue
		}
		if err := t.store.CreateBucket(name); err != nil && !errors.Is(err, store.ErrBucketExists) {
			errs = append(errs, err)
			continue
		}
		t.applied.Buckets[name] = b.ID
		made = true
	}
	if made {
		errs = append(errs, t.applied.save())
	}
	return errors.Join(errs...)
}
