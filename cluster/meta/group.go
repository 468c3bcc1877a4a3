package meta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// ErrNoLeader refuses a change on a member that does not lead its group, or
// whose group has no majority. Whether a change that was under way when the
// leadership was lost comes about is open.
var ErrNoLeader = errors.New("the proxies have no majority: nothing can be changed until more of them run")

// Config of a member of a group.
type Config struct {
	ID  string // the proxy's
	Dir string // keeps the log and its snapshots
	// Bootstrap begins a new group, of this member alone, when Dir has no log.
	// Without it such a member waits until a leader adds it.
	Bootstrap bool
	Initial   *State // of a new cluster
	// Copy gives what is left of the state of a cluster whose log is lost, which
	// is then begun with; nil of none. It is asked when a group begins.
	Copy func() *State
	// Dial connects to another member; what is dialled there ends in its
	// Accept.
	Dial func(ctx context.Context, id string) (net.Conn, error)
	// Heartbeat is how long a follower does without word of its leader before
	// it begins an election, and a leader without word of a majority before it
	// steps down. 0 means 3 s.
	Heartbeat time.Duration
	Log       *slog.Logger
}

// Times of a group.
const (
	// heartbeat is long: the machine may be busy with the load that is
	// measured, and a primary that only waits for a CPU or a disk is not lost.
	heartbeat  = 3 * time.Second
	hasty      = time.Millisecond // by how much hasten shortens it
	enqueue    = 5 * time.Second  // for a change to get into the queue
	streamTime = 10 * time.Second // for one message between members
	openTime   = 2 * time.Second  // for the log, which another process may have open
)

// Limits of a group.
const (
	streams   = 3    // pooled connections to a member
	snapshots = 2    // kept
	threshold = 1024 // log entries between two snapshots
	trailing  = 256  // log entries kept behind a snapshot, for slow members
)

// oldFile is where the metadata was before it was replicated.
const oldFile = "meta.json"

// group is a Store's membership.
type group struct {
	raft  *raft.Raft
	trans *raft.NetworkTransport
	conns *streamLayer
	log   *raftboltdb.BoltStore
	fresh bool // there was no log
	// initial is what the first leader makes the state.
	initial *State
	// applied is the state that the log has led to. The Store's may be newer:
	// see Replace. Only the machine touches it.
	applied *State
}

// Open makes this proxy a member of its group, as its log says. The caller
// closes the Store.
func Open(cfg Config) (_ *Store, err error) {
	s := NewCopy()
	g := &group{conns: newStreamLayer(cfg.ID, cfg.Dial), applied: s.State()}
	s.group = g
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("metadata: %w", err), s.Close())
		}
	}()
	dir := filepath.Join(cfg.Dir, "raft")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	logs := &logWriter{log: cfg.Log}
	file := filepath.Join(dir, "log.db")
	if g.log, err = raftboltdb.New(raftboltdb.Options{Path: file, BoltOptions: &bbolt.Options{Timeout: openTime}}); err != nil {
		if errors.Is(err, bbolterrors.ErrTimeout) {
			err = errors.New("another process has it open")
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	snaps, err := raft.NewFileSnapshotStore(dir, snapshots, logs)
	if err != nil {
		return nil, err
	}
	has, err := raft.HasExistingState(g.log, g.log, snaps)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	g.fresh = !has
	g.trans = raft.NewNetworkTransport(g.conns, streams, streamTime, logs)
	if g.raft, err = raft.NewRaft(raftConfig(cfg, logs), (*machine)(s), g.log, g.log, snaps, g.trans); err != nil {
		return nil, err
	}
	if g.initial, err = first(cfg); err != nil {
		return nil, err
	}
	if g.fresh && cfg.Bootstrap {
		if cfg.Copy != nil {
			g.initial = cmp.Or(cfg.Copy(), g.initial)
		}
		if err := g.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{
			{ID: raft.ServerID(cfg.ID), Address: raft.ServerAddress(cfg.ID)}}}).Error(); err != nil {
			return nil, err
		}
	}
	return s, g.hasten(cfg.ID)
}

func raftConfig(cfg Config, logs io.Writer) *raft.Config {
	beat := cmp.Or(cfg.Heartbeat, heartbeat)
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = beat, beat, beat-hasty // a lease is never longer than a heartbeat: see hasten
	c.SnapshotThreshold, c.TrailingLogs = threshold, trailing
	c.LogLevel, c.LogOutput = "WARN", logs
	return c
}

// first is the state that a new cluster begins with: the one that an older
// version left behind, if there is one.
func first(cfg Config) (*State, error) {
	old, err := readState(filepath.Join(cfg.Dir, oldFile))
	if errors.Is(err, fs.ErrNotExist) {
		return cfg.Initial, nil
	}
	return old, err
}

// hasten ends the wait for a leader's heartbeat in a group of one, where there
// is nobody to send it: a follower looks at its clock again when the time
// allowed becomes shorter.
func (g *group) hasten(id string) error {
	c := g.raft.GetConfiguration()
	if err := c.Error(); err != nil {
		return err
	}
	servers := c.Configuration().Servers
	if len(servers) != 1 || string(servers[0].ID) != id {
		return nil
	}
	rc := g.raft.ReloadableConfig()
	rc.HeartbeatTimeout -= hasty
	return g.raft.ReloadConfig(rc)
}

// Fresh tells whether the member had no log when it was opened.
func (s *Store) Fresh() bool { return s.group.fresh }

// Do applies a command. It is committed, and durable on a majority, when Do
// returns without an error. Errors of Apply come back as they are.
func (s *Store) Do(c Command) (*State, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	f := s.group.raft.Apply(data, enqueue)
	if err := f.Error(); err != nil {
		return nil, noLeader(err)
	}
	switch r := f.Response().(type) {
	case *State:
		return r, nil
	case error:
		return nil, r
	}
	return nil, errors.New("metadata: no answer from the log")
}

// noLeader makes raft's errors one that callers know.
func noLeader(err error) error {
	for _, e := range []error{raft.ErrNotLeader, raft.ErrLeadershipLost, raft.ErrEnqueueTimeout, raft.ErrRaftShutdown,
		raft.ErrLeadershipTransferInProgress, raft.ErrAbortedByRestore} {
		if errors.Is(err, e) {
			return ErrNoLeader
		}
	}
	return fmt.Errorf("metadata: %w", err)
}

// Leader is the ID of the member that leads the group, "" when there is none.
func (s *Store) Leader() string {
	_, id := s.group.raft.LeaderWithID()
	return string(id)
}

// Leads gives true when this member becomes the leader, and false when it is
// the leader no longer. It is for one receiver.
func (s *Store) Leads() <-chan bool { return s.group.raft.LeaderCh() }

// Leading tells whether this member takes itself for the leader.
func (s *Store) Leading() bool { return s.group.raft.State() == raft.Leader }

// CatchUp returns when everything that was committed before is in the State of
// a new leader.
func (s *Store) CatchUp() error {
	if err := s.group.raft.Barrier(enqueue).Error(); err != nil {
		return noLeader(err)
	}
	if s.State().Map.UUID != "" {
		return nil
	}
	_, err := s.Do(Command{Init: s.group.initial})
	return err
}

// AddMember adds a member to the group; only the leader can. A fresh one has
// lost its log, if it ever had one: what it voted for does not count any more.
func (s *Store) AddMember(id string, fresh bool) error {
	r := s.group.raft
	conf := r.GetConfiguration()
	if err := conf.Error(); err != nil {
		return noLeader(err)
	}
	for _, m := range conf.Configuration().Servers {
		if string(m.ID) != id {
			continue
		}
		if !fresh {
			return nil
		}
		if err := r.RemoveServer(m.ID, 0, enqueue).Error(); err != nil {
			return noLeader(err)
		}
	}
	if err := r.AddVoter(raft.ServerID(id), raft.ServerAddress(id), 0, enqueue).Error(); err != nil {
		return noLeader(err)
	}
	return nil
}

// Accept takes a connection that another member has dialled and returns when
// it is closed.
func (s *Store) Accept(c net.Conn) { s.group.conns.take(c) }

// Close leaves the group's work and returns when nothing of it runs any more.
// The member stays one.
func (s *Store) Close() error {
	g := s.group
	var errs []error
	// Nobody need wait for another member's silence.
	_ = g.conns.Close()
	if g.raft != nil {
		errs = append(errs, g.raft.Shutdown().Error())
	}
	if g.trans != nil {
		errs = append(errs, g.trans.Close())
	}
	if g.log != nil {
		errs = append(errs, g.log.Close())
	}
	return errors.Join(errs...)
}

// machine is a Store as raft drives it: one goroutine calls it.
type machine Store

// Apply applies one entry of the log. The answer is the new state or an error.
func (m *machine) Apply(l *raft.Log) any {
	var c Command
	if err := json.Unmarshal(l.Data, &c); err != nil {
		return fmt.Errorf("metadata: log entry %d: %w", l.Index, err)
	}
	n, err := Apply(m.group.applied, c)
	if err != nil {
		return err
	}
	m.group.applied = n
	(*Store)(m).Replace(n)
	return n
}

// Snapshot is the state as it is: nobody changes it.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	return snapshot{m.group.applied}, nil
}

// Restore begins with a snapshot.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	n := New("", "")
	if err := json.NewDecoder(r).Decode(n); err != nil {
		return fmt.Errorf("metadata: snapshot: %w", err)
	}
	m.group.applied = n
	(*Store)(m).Replace(n)
	return nil
}

type snapshot struct{ state *State }

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s.state); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (snapshot) Release() {}

// logWriter passes raft's own lines on to the node's log.
type logWriter struct{ log *slog.Logger }

func (w *logWriter) Write(p []byte) (int, error) {
	w.log.Debug("raft", "line", strings.TrimSpace(string(p)))
	return len(p), nil
}
