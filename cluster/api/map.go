package api

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// ErrNoTargets is what placement gives in a cluster without active targets.
var ErrNoTargets = errors.New("no targets in the cluster map")

// Node flags.
const (
	FlagNonElectable = 1
	FlagIC           = 2 // keeps job status; the primary has it
	FlagMaintenance  = 4
	FlagDecommission = 8
)

// Net is one address of a node.
type Net struct {
	Addr string `json:"node_ip_addr"`
	Port string `json:"daemon_port"`
	URL  string `json:"direct_url"` // http://addr:port
}

// ParseNet makes a Net of a base URL.
func ParseNet(base string) (Net, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return Net{}, fmt.Errorf("%q is not a node's URL", base)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return Net{}, fmt.Errorf("%q is not a node's URL: %w", base, err)
	}
	return Net{Addr: host, Port: port, URL: u.Scheme + "://" + u.Host}, nil
}

// NodeInfo is one node of the cluster map.
type NodeInfo struct {
	PubNet     Net    `json:"public_net"`
	DataNet    Net    `json:"intra_data_net"`
	ControlNet Net    `json:"intra_control_net"`
	Type       string `json:"daemon_type"` // "proxy" or "target"
	ID         string `json:"daemon_id"`
	Flags      uint64 `json:"flags"`
	Digest     uint64 `json:"id_digest"` // Digest(ID)
}

// Node types.
const (
	TypeProxy  = "proxy"
	TypeTarget = "target"
)

// NewNode describes a node whose three networks are one address.
func NewNode(kind, id, base string) (*NodeInfo, error) {
	n, err := ParseNet(base)
	if err != nil {
		return nil, err
	}
	return &NodeInfo{PubNet: n, DataNet: n, ControlNet: n, Type: kind, ID: id, Digest: Digest(id)}, nil
}

// Name is how errors and logs call a node: "p[ID]" or "t[ID]".
func (n *NodeInfo) Name() string { return NodeName(n.Type, n.ID) }

// NodeName is "p[id]" for a proxy and "t[id]" for a target.
func NodeName(kind, id string) string { return kind[:1] + "[" + id + "]" }

// Active tells whether objects are placed on a node.
func (n *NodeInfo) Active() bool { return n.Flags&(FlagMaintenance|FlagDecommission) == 0 }

// Map is the cluster map. It is never changed once published: a new version
// replaces it.
type Map struct {
	Proxies map[string]*NodeInfo `json:"pmap"`
	Primary *NodeInfo            `json:"proxy_si"`
	Targets map[string]*NodeInfo `json:"tmap"`
	UUID    string               `json:"uuid"`
	Created string               `json:"creation_time"`
	Version int64                `json:"version,string"`
}

// Owner is the target that an object is placed on: of all active targets, the
// one with the highest random weight (rendezvous hashing) of its digest and
// the digest of the object's uname.
func (m *Map) Owner(b Bucket, object string) (*NodeInfo, error) {
	d := Digest(b.Uname(object))
	var (
		best    *NodeInfo
		highest uint64
	)
	for _, t := range m.Targets {
		if !t.Active() {
			continue
		}
		if s := score(t.Digest ^ d); best == nil || s > highest {
			best, highest = t, s
		}
	}
	if best == nil {
		return nil, ErrNoTargets
	}
	return best, nil
}

// Node finds a node by ID, or nil.
func (m *Map) Node(id string) *NodeInfo {
	if n := m.Targets[id]; n != nil {
		return n
	}
	return m.Proxies[id]
}
