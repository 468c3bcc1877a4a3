package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Store holds a node's current State. Reading it takes no lock.
//
// A proxy's Store is a member of a raft group: its states come out of the
// group's log, and Do puts commands there. A target's is a copy, which is
// replaced by newer ones.
type Store struct {
	mu    sync.Mutex
	cur   atomic.Pointer[State] // written with mu held
	group *group                // nil in a copy
}

// NewCopy is a Store that only Replace changes.
func NewCopy() *Store {
	s := &Store{}
	s.cur.Store(New("", ""))
	return s
}

// State is the current one.
func (s *Store) State() *State { return s.cur.Load() }

// Replace takes a state that another node has made, unless it is older than
// the current one, and tells whether it did. In a group it must be one that is
// committed: it only arrives earlier than through the log.
func (s *Store) Replace(n *State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Version <= s.cur.Load().Version {
		return false
	}
	s.cur.Store(n)
	return true
}

// WriteFile writes v as JSON beside the old file, syncs it and renames it into
// place: a crash leaves one or the other, whole.
func WriteFile(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readState reads a state that WriteFile wrote.
func readState(path string) (*State, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st := New("", "")
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return st, nil
}
