// Package meta is the cluster's metadata: the map of its nodes, its buckets
// and its ETLs, as one immutable State with a version.
//
// The proxies are a raft group. Its leader, the primary, changes the state by
// Commands, which are in the durable logs of a majority before they count as
// done; targets hold a copy that they get pushed. Apply is a pure function of
// the log.
package meta

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
)

// Errors of a Command.
var (
	ErrExists   = errors.New("already exists")
	ErrNotFound = errors.New("does not exist")
)

// State is the metadata at one version. Nobody changes it once it is made.
type State struct {
	Version int64             `json:"version"`
	Map     api.Map           `json:"map"`
	Buckets map[string]Bucket `json:"buckets"` // by name
	ETLs    map[string]ETL    `json:"etls"`    // by name
}

// Bucket is a bucket's own record.
type Bucket struct {
	// ID tells a bucket from an earlier one of its name, so that a target that
	// missed the destruction does not keep the old objects.
	ID      int64 `json:"bid"`
	Created int64 `json:"created"` // Unix ns
	// Checksum is the type of checksum that its objects are known by; "" is the
	// store's own.
	Checksum   string `json:"checksum,omitempty"`
	NoVersions bool   `json:"no_versions,omitempty"` // every object stays at version 1
}

// ETL is one ETL, running or not.
type ETL struct {
	Spec   api.ETLSpec `json:"spec"`
	XactID string      `json:"xact_id"` // of this run; "" once it is stopped
	// Last is the xaction of the run before, for clients that ask what became
	// of it by the ETL's name.
	Last string `json:"last,omitempty"`
	// Secret is part of the URL under which pods get objects.
	Secret string `json:"secret"`
	Stage  string `json:"stage"`
	Reason string `json:"reason,omitempty"` // why it is Aborted
}

// Command is one change; exactly one field is set.
type Command struct {
	Init          *State        `json:"init,omitempty"` // the first state of a cluster
	Join          *api.NodeInfo `json:"join,omitempty"` // a node comes, or comes back
	RemoveTarget  *string       `json:"remove_target,omitempty"`
	CreateBucket  *CreateBucket `json:"create_bucket,omitempty"`
	SetBucket     *CreateBucket `json:"set_bucket,omitempty"` // to other properties
	DestroyBucket *string       `json:"destroy_bucket,omitempty"`
	AddETL        *ETL          `json:"add_etl,omitempty"`
	SetETL        *SetETL       `json:"set_etl,omitempty"`
	DeleteETL     *string       `json:"delete_etl,omitempty"`
}

// CreateBucket makes a bucket.
type CreateBucket struct {
	Name       string `json:"name"`
	Created    int64  `json:"created"` // Unix ns
	Checksum   string `json:"checksum,omitempty"`
	NoVersions bool   `json:"no_versions,omitempty"`
}

// SetETL moves an ETL to another stage.
type SetETL struct {
	Name   string `json:"name"`
	XactID string `json:"xact_id"`
	Secret string `json:"secret"`
	Stage  string `json:"stage"`
	Reason string `json:"reason,omitempty"`
	// If, when set, is the xaction that the change is about: one that has been
	// replaced meanwhile is not touched, and Apply gives ErrNotFound.
	If string `json:"if,omitempty"`
}

// New is the state of a cluster with nothing in it.
func New(uuid, created string) *State {
	return &State{
		Map: api.Map{UUID: uuid, Created: created,
			Proxies: map[string]*api.NodeInfo{}, Targets: map[string]*api.NodeInfo{}},
		Buckets: map[string]Bucket{}, ETLs: map[string]ETL{},
	}
}

// Apply is s changed by c: a new State, the next version, or an error and no
// change.
func Apply(s *State, c Command) (*State, error) {
	n := *s
	n.Version++
	var err error
	switch {
	case c.Init != nil:
		return begin(s, c.Init)
	case c.RemoveTarget != nil:
		n.Map.Version++
		n.Map.Targets, err = remove(s.Map.Targets, *c.RemoveTarget)
	case c.Join != nil:
		n.Map = join(s.Map, c.Join)
	case c.CreateBucket != nil:
		n.Buckets, err = addBucket(s.Buckets, *c.CreateBucket, n.Version)
	case c.SetBucket != nil:
		n.Buckets, err = setBucket(s.Buckets, *c.SetBucket)
	case c.DestroyBucket != nil:
		n.Buckets, err = remove(s.Buckets, *c.DestroyBucket)
	case c.AddETL != nil:
		n.ETLs, err = addETL(s.ETLs, *c.AddETL)
	case c.SetETL != nil:
		n.ETLs, err = setETL(s.ETLs, *c.SetETL)
	case c.DeleteETL != nil:
		n.ETLs, err = remove(s.ETLs, *c.DeleteETL)
	default:
		err = errors.New("meta: empty command")
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// begin takes the first state of a cluster.
func begin(s, initial *State) (*State, error) {
	if s.Map.UUID != "" {
		return nil, fmt.Errorf("cluster %s %w", s.Map.UUID, ErrExists)
	}
	n := *initial
	n.Version++
	return &n, nil
}

// join takes a node into the map. A proxy with FlagIC is the primary from now
// on, and no other is; the primary that comes back stays it.
func join(m api.Map, n *api.NodeInfo) api.Map {
	m.Version++
	if n.Type == api.TypeTarget {
		m.Targets = maps.Clone(m.Targets)
		m.Targets[n.ID] = n
		return m
	}
	m.Proxies = maps.Clone(m.Proxies)
	if n.Flags&api.FlagIC == 0 {
		if m.Primary != nil && m.Primary.ID == n.ID {
			n = withFlags(n, n.Flags|api.FlagIC)
			m.Primary = n
		}
		m.Proxies[n.ID] = n
		return m
	}
	for id, p := range m.Proxies {
		m.Proxies[id] = withFlags(p, p.Flags&^api.FlagIC)
	}
	m.Proxies[n.ID], m.Primary = n, n
	return m
}

func withFlags(n *api.NodeInfo, flags uint64) *api.NodeInfo {
	c := *n
	c.Flags = flags
	return &c
}

func addBucket(old map[string]Bucket, c CreateBucket, version int64) (map[string]Bucket, error) {
	if _, ok := old[c.Name]; ok {
		return nil, fmt.Errorf("bucket %q %w", api.AIS(c.Name), ErrExists)
	}
	n := maps.Clone(old)
	n[c.Name] = Bucket{ID: version, Created: c.Created, Checksum: c.Checksum, NoVersions: c.NoVersions}
	return n, nil
}

func setBucket(old map[string]Bucket, c CreateBucket) (map[string]Bucket, error) {
	b, ok := old[c.Name]
	if !ok {
		return nil, fmt.Errorf("bucket %q %w", api.AIS(c.Name), ErrNotFound)
	}
	b.Checksum, b.NoVersions = c.Checksum, c.NoVersions
	n := maps.Clone(old)
	n[c.Name] = b
	return n, nil
}

func remove[V any](old map[string]V, name string) (map[string]V, error) {
	if _, ok := old[name]; !ok {
		return nil, fmt.Errorf("%q %w", name, ErrNotFound)
	}
	n := maps.Clone(old)
	delete(n, name)
	return n, nil
}

func addETL(old map[string]ETL, e ETL) (map[string]ETL, error) {
	name := e.Spec.ETLName()
	// Pod names are cleaned ETL names, which must not collide either.
	for other := range old {
		if strings.EqualFold(api.PodName(other, ""), api.PodName(name, "")) {
			return nil, fmt.Errorf("etl job %s %w", other, ErrExists)
		}
	}
	n := maps.Clone(old)
	n[name] = e
	return n, nil
}

func setETL(old map[string]ETL, c SetETL) (map[string]ETL, error) {
	e, ok := old[c.Name]
	if !ok || c.If != "" && e.XactID != c.If {
		return nil, fmt.Errorf("etl job %s %w", c.Name, ErrNotFound)
	}
	if e.XactID != "" && e.XactID != c.XactID {
		e.Last = e.XactID
	}
	e.XactID, e.Secret, e.Stage, e.Reason = c.XactID, c.Secret, c.Stage, c.Reason
	n := maps.Clone(old)
	n[c.Name] = e
	return n, nil
}

// ETL finds an ETL by its name, or by the id of its xaction, which clients
// take for the name since init replies it.
func (s *State) ETL(nameOrXact string) (string, ETL, bool) {
	if e, ok := s.ETLs[nameOrXact]; ok {
		return nameOrXact, e, true
	}
	for name, e := range s.ETLs {
		if e.XactID != "" && e.XactID == nameOrXact {
			return name, e, true
		}
	}
	return "", ETL{}, false
}

// BucketNames lists the buckets, sorted.
func (s *State) BucketNames() []string { return slices.Sorted(maps.Keys(s.Buckets)) }
