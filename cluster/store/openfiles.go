package store

import (
	"maps"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

const (
	// sharedSize is up to which size open objects share a file that stays open.
	// Beyond it, what opening costs is little beside the reading.
	sharedSize = 64 << 10

	openShards = 16
	mostOpen   = 4096 // files kept open, if the process may have many more
	openShare  = 4    // of the files that it may have, a quarter
)

// openFiles are the files of small objects, kept open with what is known of
// them: to open one costs more than to read it. A file that was replaced,
// removed or changed, by whomever, is not given again.
type openFiles struct {
	shards [openShards]openShard
	each   int           // files that a shard keeps
	epoch  atomic.Uint64 // counts the times that all were forgotten
}

type openShard struct {
	mu    sync.Mutex
	files map[string]*openFile // by path; guarded by mu
}

// openFile is a file that any number of Objects read.
type openFile struct {
	*os.File
	info  Info
	seen  fileState
	users atomic.Int32 // Objects, and one for the shard
}

// fileState differs once a file was written to, or its attributes or names
// were changed.
type fileState struct {
	ctime unix.Timespec
	size  int64
	gone  bool // it has no name any more
}

func stateOf(st *unix.Stat_t) fileState {
	return fileState{ctime: st.Ctim, size: st.Size, gone: st.Nlink == 0}
}

func fstat(f *os.File, st *unix.Stat_t) error {
	return pathError("fstat", f.Name(), unix.Fstat(int(f.Fd()), st))
}

func newOpenFiles() *openFiles {
	o := &openFiles{each: mostOpen / openShards}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		o.each = int(min(mostOpen, min(limit.Cur, math.MaxInt32)/openShare) / openShards)
	}
	for i := range o.shards {
		o.shards[i].files = map[string]*openFile{}
	}
	return o
}

func (o *openFiles) shard(path string) *openShard {
	return &o.shards[xxhash.Sum64String(path)%openShards]
}

// get gives the file at path, if it is open and still the one that is there.
func (o *openFiles) get(path string) *openFile {
	s := o.shard(path)
	s.mu.Lock()
	f := s.files[path]
	if f != nil {
		f.users.Add(1)
	}
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	var st unix.Stat_t
	if err := fstat(f.File, &st); err != nil || stateOf(&st) != f.seen {
		_ = f.release()
		o.forget(path)
		return nil
	}
	return f
}

// share keeps file, which is at path, open for others. epoch is of before it was
// opened.
func (o *openFiles) share(path string, file *openFile, epoch uint64) *openFile {
	file.users.Add(1)
	s := o.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if file.seen.gone || o.epoch.Load() != epoch || o.each == 0 {
		return file
	}
	s.drop(path)
	for other := range s.files { // any
		if len(s.files) < o.each {
			break
		}
		s.drop(other)
	}
	file.users.Add(1)
	s.files[path] = file
	return file
}

// forget closes the file at path, as soon as no Object reads it.
func (o *openFiles) forget(path string) {
	s := o.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(path)
}

// forgetAll forgets every file: those of a bucket that vanished keep their
// names for a while.
func (o *openFiles) forgetAll() {
	o.epoch.Add(1)
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		for path := range s.files {
			s.drop(path)
		}
		s.mu.Unlock()
	}
}

// drop takes a file out; mu is held.
func (s *openShard) drop(path string) {
	if f := s.files[path]; f != nil {
		delete(s.files, path)
		_ = f.release() // it was only read
	}
}

// object opens the file once more, for a user that get or share has counted.
func (f *openFile) object() *Object {
	info := f.info
	info.Custom = maps.Clone(info.Custom)
	return &Object{Info: info, f: f.File, shared: f}
}

// release is called once by each user; the last one closes the file.
func (f *openFile) release() error {
	if f.users.Add(-1) > 0 {
		return nil
	}
	return f.File.Close()
}
