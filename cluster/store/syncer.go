package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Sync is how much of what was acknowledged a power failure may take. A
// process that is killed loses nothing at any level.
type Sync int

const (
	// SyncData syncs an object's bytes before the reply, and its name within
	// about 100 ms after, many names at once. A power failure may undo the
	// last puts and deletes, never tear an object. The default.
	SyncData Sync = iota
	// SyncNone leaves everything to the operating system. A power failure may
	// take recent objects, or leave them with wrong bytes, which their
	// checksum tells.
	SyncNone
	// SyncFull syncs bytes and name before the reply.
	SyncFull
)

// ParseSync reads what String writes: none, data or full.
func ParseSync(s string) (Sync, error) {
	for _, y := range []Sync{SyncNone, SyncData, SyncFull} {
		if y.String() == s {
			return y, nil
		}
	}
	return 0, fmt.Errorf("unknown sync level %q (use none, data or full)", s)
}

// String returns none, data or full.
func (y Sync) String() string {
	switch y {
	case SyncData:
		return "data"
	case SyncNone:
		return "none"
	case SyncFull:
		return "full"
	}
	return fmt.Sprintf("Sync(%d)", int(y))
}

func (y Sync) valid() bool { return y >= SyncData && y <= SyncFull }

// syncer makes directories durable: in the background under SyncData, at the
// caller's expense under SyncFull, not at all under SyncNone.
type syncer struct {
	level   Sync
	syncDir func(dir string) error
	log     *slog.Logger
	wake    chan struct{} // one slot: something is dirty
	stop    chan struct{}
	done    chan struct{} // closed when the background goroutine has gone

	// mu guards the fields below. It is also held while a directory is made,
	// so whoever finds that directory finds its parent dirty, too.
	mu     sync.Mutex
	dirty  map[string]uint64 // path → serial of its last change
	serial uint64
	failed error // the background's first error
}

func newSyncer(level Sync, syncDir func(string) error, log *slog.Logger) *syncer {
	return &syncer{
		level: level, syncDir: syncDir, log: log,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		dirty: make(map[string]uint64),
	}
}

// start begins the background work; close ends it.
func (y *syncer) start() {
	if y.level != SyncData {
		close(y.done)
		return
	}
	go y.run()
}

// close stops the background goroutine and syncs what is still dirty.
func (y *syncer) close() error {
	close(y.stop)
	<-y.done
	y.flush()
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.failed
}

func (y *syncer) run() {
	defer close(y.done)
	for {
		select {
		case <-y.wake:
		case <-y.stop:
			return
		}
		select {
		case <-time.After(syncDelay):
		case <-y.stop:
			return
		}
		y.flush()
	}
}

// flush syncs every directory that is dirty now. An error does not make the
// directory dirty again: the kernel reports a lost write once, a retry that
// succeeds proves nothing.
func (y *syncer) flush() {
	y.mu.Lock()
	dirs := slices.Sorted(maps.Keys(y.dirty))
	y.mu.Unlock()
	for _, dir := range dirs {
		err := y.syncOne(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		y.log.Error("store: sync directory", "dir", dir, "err", err)
		y.mu.Lock()
		if y.failed == nil {
			y.failed = fmt.Errorf("sync directory: %w", err)
		}
		y.mu.Unlock()
	}
}

// syncOne syncs dir, and forgets it unless it changed meanwhile.
func (y *syncer) syncOne(dir string) error {
	y.mu.Lock()
	serial := y.dirty[dir]
	y.mu.Unlock()
	err := y.syncDir(dir)
	y.mu.Lock()
	if y.dirty[dir] == serial {
		delete(y.dirty, dir)
	}
	y.mu.Unlock()
	return err
}

// mkdir makes one directory, whose parent exists. One that is there already
// is no error.
func (y *syncer) mkdir(dir string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil && y.level != SyncNone {
		y.markLocked(filepath.Dir(dir))
	}
	return err
}

// changed is called after an entry of dir came or went, and returns when that
// is as durable as the level asks. root is dir or above it and exists.
func (y *syncer) changed(root, dir string) error {
	switch y.level {
	case SyncData:
		y.mu.Lock()
		y.markLocked(dir)
		y.mu.Unlock()
		return nil
	case SyncFull:
		return y.syncChain(root, dir)
	}
	return nil
}

func (y *syncer) markLocked(dir string) {
	y.serial++
	y.dirty[dir] = y.serial
	select {
	case y.wake <- struct{}{}:
	default: // one wake-up is enough for all
	}
}

// syncChain syncs dir, and those above it up to root that are dirty: another
// call may have made them and not have synced them yet. A directory that a
// concurrent Delete pruned is as durable as its nearest living parent; if even
// root is gone, the bucket was destroyed and nothing is left to be synced.
func (y *syncer) syncChain(root, dir string) error {
	err := y.syncOne(dir)
	for dir != root {
		gone := errors.Is(err, fs.ErrNotExist)
		if err != nil && !gone {
			return err
		}
		dir = filepath.Dir(dir)
		if gone || y.isDirty(dir) {
			err = y.syncOne(dir)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (y *syncer) isDirty(dir string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	_, ok := y.dirty[dir]
	return ok
}
