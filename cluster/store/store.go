// Package store keeps one target's objects on a local file system.
//
// An object's data file holds exactly the object's bytes, under a path that
// mirrors its name, so that a transformer may be handed the path. Checksum,
// version and custom metadata live in one extended attribute of that file.
// A Put is all or nothing: readers see the whole old object or the whole new
// one, also after a crash.
//
// The package knows nothing of HTTP, placement or replicas, and trusts its
// caller to have checked who may do what.
//
// Below the data folder:
//
//	etlbench.lock      held by the process that has the store open
//	buckets/<bucket>/  objects, see name.go for how names become paths
//	tmp/               bodies being written; emptied by Open
//	trash/             destroyed buckets being removed; emptied by Open
//
// Read put.go next.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

const (
	dirMode  = 0o755
	fileMode = 0o644
	// bufferSize is the unit in which bodies are read and written, in bytes.
	bufferSize = 256 << 10
	// syncDelay is how long the background syncer collects dirty directories.
	// With the time a sync takes it stays below 100 ms on a healthy disk.
	syncDelay = 50 * time.Millisecond
	// nameStripes is a power of two, and large because a Put holds its stripe
	// during an fdatasync: unrelated names should not wait for each other.
	nameStripes = 1 << 14
	// tmpFolders is over how many folders temporary files are spread. ext4
	// takes an inode near the folder, and on the way looks at every one that
	// was freed in the last minutes, one for each overwrite: in a single
	// folder, this soon takes several times as long as the rest of a Put.
	tmpFolders = 64
)

// Config says where and how a Store keeps its objects.
type Config struct {
	// Dir is the data folder. It is made when missing and belongs to the
	// store alone. Required.
	Dir string
	// Sync is what a power failure may take; the zero value is SyncData.
	Sync Sync
	// FS replaces calls of the file system in tests; the zero value makes
	// the real calls.
	FS FS
	// Log gets what has no caller to be returned to, such as an error of the
	// background syncer. Nil discards it.
	Log *slog.Logger
	// Now tells the time an object is put at; nil means time.Now.
	Now func() time.Time
}

// Store is an open data folder. Its methods may be called concurrently.
type Store struct {
	dir     string // absolute
	buckets string // folder of the buckets' own
	sync    Sync
	fs      FS
	log     *slog.Logger
	now     func() time.Time
	lock    *os.File
	syncer  *syncer
	open    *openFiles
	names   [nameStripes]sync.Mutex // see lockFor
	buffers sync.Pool               // of *[]byte, bufferSize long
	serial  atomic.Uint64           // names files in tmp and trash

	calls  sync.WaitGroup // running calls
	mu     sync.Mutex     // guards closed, and calls against an Add during Wait
	closed bool
}

// Open opens the data folder for this process alone. It removes what an
// earlier life left behind half done, and checks that the folder can be
// written and that its file system has user extended attributes. The caller
// closes the store. A folder that another store has open is ErrInUse.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open store: no data folder given (set Config.Dir)")
	}
	if !cfg.Sync.valid() {
		return nil, fmt.Errorf("open store: unknown sync level %d", int(cfg.Sync))
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", cfg.Dir, err)
	}
	s := newStore(dir, cfg)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, s.unusable(err)
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, s.unusable(err)
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(s.unusable(err), s.lock.Close())
	}
	s.syncer.start()
	return s, nil
}

func newStore(dir string, cfg Config) *Store {
	s := &Store{dir: dir, buckets: filepath.Join(dir, "buckets"), sync: cfg.Sync, fs: cfg.FS.withDefaults(), log: cfg.Log, now: cfg.Now, open: newOpenFiles()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.buffers.New = func() any {
		b := make([]byte, bufferSize)
		return &b
	}
	s.syncer = newSyncer(s.sync, s.fs.SyncDir, s.log)
	return s
}

// Sync is what a power failure may take.
func (s *Store) Sync() Sync { return s.sync }

// Close waits for running calls, syncs the directories that are still dirty,
// and gives the folder free. It returns the first error of the background
// syncer, if any. Objects that are open stay readable. Calls of other methods
// are ErrClosed from the begin of Close on; a second Close does nothing, and
// does not wait for the first.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.calls.Wait()
	s.open.forgetAll()
	// The lock goes last: nobody may open the folder while we still sync it.
	return errors.Join(s.syncer.close(), s.lock.Close())
}

// enter registers a running call; a nil error obliges the caller to leave. It
// never waits for Close, as a read lock would: the body of a running Put may
// come from somebody who has to open an object first.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// lockFor is the lock to be held while the object at path is replaced or
// removed, so that this and reading its version are one step.
func (s *Store) lockFor(path string) *sync.Mutex {
	return &s.names[xxhash.Sum64String(path)%nameStripes]
}

// prepare makes the folders, empties the transient ones and probes the rest.
func (s *Store) prepare() error {
	for _, d := range []string{s.tmpDir(), s.trashDir()} {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	for _, d := range []string{s.buckets, s.tmpDir(), s.trashDir()} {
		if err := os.MkdirAll(d, dirMode); err != nil {
			return err
		}
	}
	if err := s.makeTmpFolders(); err != nil {
		return err
	}
	if err := s.probe(); err != nil {
		return err
	}
	if s.sync == SyncNone {
		return nil
	}
	return s.fs.SyncDir(s.dir)
}

func (s *Store) makeTmpFolders() error {
	if err := spread(s.tmpDir()); err != nil {
		s.log.Debug("store: temporary files stay close together", "err", err)
	}
	for i := range uint64(tmpFolders) {
		if err := os.Mkdir(s.tmpFolder(i), dirMode); err != nil {
			return err
		}
	}
	return nil
}

// probe does once what every Put does, so that a folder which cannot hold
// objects is refused now and not at the first upload.
func (s *Store) probe() error {
	t, err := s.newTemp()
	if err != nil {
		return err
	}
	defer t.discard()
	err = s.fs.Setxattr(t.f, xattrName, []byte("probe"))
	if errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("%w: %w", errNoXattr, err)
	}
	if err != nil {
		return err
	}
	_, err = s.fs.Write(t.f, []byte("probe"))
	return err
}

func (s *Store) tmpDir() string   { return filepath.Join(s.dir, "tmp") }
func (s *Store) trashDir() string { return filepath.Join(s.dir, "trash") }

// tmpFolder is where the temporary file with a serial is made.
func (s *Store) tmpFolder(serial uint64) string {
	return filepath.Join(s.tmpDir(), strconv.FormatUint(serial%tmpFolders, 16))
}
