package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// fileName is the state's file in a node's folder.
const fileName = "meta.json"

// Store holds a node's current State. Reading it takes no lock.
type Store struct {
	path string // "" keeps it in memory only
	mu   sync.Mutex
	cur  atomic.Pointer[State] // written with mu held
}

// Open reads the state that dir holds, or begins with initial. With dir ""
// nothing is kept, as on nodes that get the state pushed.
func Open(dir string, initial *State) (*Store, error) {
	s := &Store{}
	s.cur.Store(initial)
	if dir == "" {
		return s, nil
	}
	s.path = filepath.Join(dir, fileName)
	data, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, os.MkdirAll(dir, 0o755)
	case err != nil:
		return nil, fmt.Errorf("metadata: %w", err)
	}
	st := New("", "")
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("metadata: %s: %w", s.path, err)
	}
	s.cur.Store(st)
	return s, nil
}

// State is the current one.
func (s *Store) State() *State { return s.cur.Load() }

// Do applies a command. It is durable when Do returns without an error.
func (s *Store) Do(c Command) (*State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := Apply(s.cur.Load(), c)
	if err != nil {
		return nil, err
	}
	if err := s.save(n); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s.cur.Store(n)
	return n, nil
}

// Replace takes a state that another node made, unless it is older than the
// current one, and tells whether it did.
func (s *Store) Replace(n *State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Version <= s.cur.Load().Version {
		return false
	}
	s.cur.Store(n)
	return true
}

func (s *Store) save(n *State) error {
	if s.path == "" {
		return nil
	}
	return WriteFile(s.path, n)
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
