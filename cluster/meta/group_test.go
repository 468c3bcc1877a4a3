package meta_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/meta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// net of members within this process: pipes by the member's ID.
type wires struct {
	mu      sync.Mutex
	members map[string]*meta.Store // that run; guarded by mu
	calls   sync.WaitGroup
}

func (w *wires) dial(_ context.Context, id string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[id]
	if m == nil {
		return nil, errors.New("nobody is there")
	}
	ours, theirs := net.Pipe()
	w.calls.Go(func() { m.Accept(theirs) })
	return ours, nil
}

func (w *wires) open(t *testing.T, id, dir string, bootstrap bool) *meta.Store {
	s, err := meta.Open(meta.Config{ID: id, Dir: dir, Bootstrap: bootstrap, Initial: meta.New("u-"+id, "c"), Dial: w.dial, Heartbeat: time.Second,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members[id] = s
	return s
}

func (w *wires) close(t *testing.T, id string) {
	w.mu.Lock()
	s := w.members[id]
	delete(w.members, id)
	w.mu.Unlock()
	if s != nil {
		require.NoError(t, s.Close())
	}
}

func newWires(t *testing.T) *wires {
	w := &wires{members: map[string]*meta.Store{}}
	t.Cleanup(func() {
		for i := range 3 {
			w.close(t, member(i))
		}
		w.calls.Wait()
	})
	return w
}

func member(i int) string { return fmt.Sprintf("prx%05d", i+1) }

func lead(t *testing.T, s *meta.Store) {
	require.Eventually(t, s.Leading, patience, time.Millisecond)
	require.NoError(t, s.CatchUp())
}

// single is a group of one.
func single(t *testing.T, dir string) *meta.Store {
	s := newWires(t).open(t, member(0), dir, true)
	lead(t, s)
	return s
}

// TestGroupOfOneWaitsForNobody: it leads at once, whatever the heartbeat, when it
// is new and when it comes back.
func TestGroupOfOneWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s, err := meta.Open(meta.Config{ID: member(0), Dir: dir, Bootstrap: true, Initial: meta.New("u", "c"), Dial: newWires(t).dial,
			Heartbeat: time.Hour, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		lead(t, s)
		require.NoError(t, s.Close())
	}
}

func bucket(name string) meta.Command {
	return meta.Command{CreateBucket: &meta.CreateBucket{Name: name}}
}

func TestGroupOfOneKeepsItsState(t *testing.T) {
	w := newWires(t)
	dir := t.TempDir()
	for i := range 3 {
		s := w.open(t, member(0), dir, true)
		lead(t, s)
		require.Equal(t, i == 0, s.Fresh())
		require.Len(t, s.State().Buckets, i)
		require.Equal(t, "u-"+member(0), s.State().Map.UUID)
		_, err := s.Do(bucket(fmt.Sprint("b", i)))
		require.NoError(t, err)
		_, err = s.Do(bucket("b0"))
		require.ErrorIs(t, err, meta.ErrExists)
		w.close(t, member(0))
	}
}

// TestDurableWhenDoReturns opens a copy of the folder as it is at that moment:
// what a machine that crashed would find.
func TestDurableWhenDoReturns(t *testing.T) {
	dir, after := t.TempDir(), t.TempDir()
	s := single(t, dir)
	for i := range 20 {
		_, err := s.Do(bucket(fmt.Sprint("b", i)))
		require.NoError(t, err)
	}
	_, err := s.Do(meta.Command{AddETL: etl("etl-md5")})
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(after, os.DirFS(dir)))
	again := single(t, after)
	require.Equal(t, s.State(), again.State())
}

func TestOldFolderIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	old, err := meta.Apply(meta.New("old", "then"), bucket("b"))
	require.NoError(t, err)
	file := filepath.Join(dir, "meta.json")
	require.NoError(t, meta.WriteFile(file, old))
	s := single(t, dir)
	require.Equal(t, "old", s.State().Map.UUID)
	require.Equal(t, old.Buckets, s.State().Buckets)
	require.Greater(t, s.State().Version, old.Version)

	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "meta.json"), []byte("{"), 0o644))
	_, err = meta.Open(meta.Config{ID: member(0), Dir: dir, Bootstrap: true, Initial: meta.New("u", "c"),
		Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "meta.json")
}

func TestFolderOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	single(t, dir)
	_, err := meta.Open(meta.Config{ID: member(1), Dir: dir, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "another process has it open")
}

// three is a group of three members, the first of which leads.
func three(t *testing.T, w *wires, dirs []string) []*meta.Store {
	var list []*meta.Store
	for i, dir := range dirs {
		s := w.open(t, member(i), dir, i == 0)
		if list = append(list, s); i == 0 {
			lead(t, s)
			continue
		}
		require.NoError(t, list[0].AddMember(member(i), true))
	}
	return list
}

func leader(t *testing.T, list []*meta.Store) *meta.Store {
	var found *meta.Store
	require.Eventually(t, func() bool {
		for _, s := range list {
			if s.Leading() && s.CatchUp() == nil {
				found = s
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond)
	return found
}

func TestGroupOfThree(t *testing.T) {
	w := newWires(t)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	list := three(t, w, dirs)
	_, err := list[0].Do(bucket("one"))
	require.NoError(t, err)
	for _, s := range list[1:] {
		require.Eventually(t, func() bool { _, ok := s.State().Buckets["one"]; return ok }, patience, time.Millisecond)
		_, err := s.Do(bucket("two"))
		require.ErrorIs(t, err, meta.ErrNoLeader, "only the leader changes anything")
	}
	// The leader is lost: what was done is there, and more can be.
	w.close(t, member(0))
	next := leader(t, list[1:])
	require.Contains(t, next.State().Buckets, "one")
	_, err = next.Do(bucket("two"))
	require.NoError(t, err)

	// It comes back without its log, and counts again.
	dirs[0] = t.TempDir()
	list[0] = w.open(t, member(0), dirs[0], false)
	require.True(t, list[0].Fresh())
	require.NoError(t, next.AddMember(member(0), true))
	require.Eventually(t, func() bool { return len(list[0].State().Buckets) == 2 }, patience, time.Millisecond)

	// Two are lost: reads go on, changes do not.
	var left *meta.Store
	for i, s := range list {
		if s == next {
			w.close(t, member(i))
		}
	}
	for i, s := range list {
		if s != next && left == nil {
			left = s
		} else if s != next {
			w.close(t, member(i))
		}
	}
	_, err = left.Do(bucket("three"))
	require.ErrorIs(t, err, meta.ErrNoLeader)
	require.Len(t, left.State().Buckets, 2)
}
