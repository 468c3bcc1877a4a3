package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Info describes an object. The maps of two Infos are never shared.
type Info struct {
	// Name is the object's name in its bucket.
	Name string
	// Size is in bytes.
	Size int64
	// Checksum is of the type that PutOptions.Keep said.
	Checksum Checksum
	// Version is 1 for a new object, one more for every overwrite.
	Version int64
	// Atime is when the object was put, in Unix nanoseconds.
	Atime int64
	// Folder stands for all objects whose names begin with Name, in a shallow
	// listing; nothing else is set then.
	Folder bool
	// Custom is what the caller of Put wanted kept; nil when nothing.
	Custom map[string]string
}

// Object is an open object. It keeps what it had when it was opened: an
// overwrite or a Delete changes nothing for it. The caller closes it, once.
// ReadAt may be called concurrently.
type Object struct {
	Info
	f      *os.File
	shared *openFile // whose file f is; nil when it is the Object's own
}

// ReadAt reads like an io.ReaderAt.
func (o *Object) ReadAt(p []byte, off int64) (int, error) { return o.f.ReadAt(p, off) }

// Path is the absolute path of the object's data file, where an overwrite puts
// another file.
func (o *Object) Path() string { return o.f.Name() }

// File is the data file of a large object, open for reading at its begin; nil
// when others share it, as they do that of a small one. It belongs to the
// Object: do not close it, nor use it after Close.
func (o *Object) File() *os.File {
	if o.shared != nil {
		return nil
	}
	return o.f
}

// Close frees the file.
func (o *Object) Close() error {
	if o.shared != nil {
		return o.shared.release()
	}
	return o.f.Close()
}

// Open opens an object for reading. Metadata that is missing or garbled is
// made anew from the bytes, as version 1. Callers may test for ErrNotExist,
// ErrBucketNotExist, ErrName and ErrClosed.
func (s *Store) Open(bucket, name string) (*Object, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	p, err := s.locate(bucket, name)
	if err == nil {
		var o *Object
		if o, err = s.openAt(p, name); err == nil {
			return o, nil
		}
	}
	return nil, fmt.Errorf("open %q: %w", bucket+"/"+name, err)
}

// Stat describes an object. Its errors are those of Open.
func (s *Store) Stat(bucket, name string) (Info, error) {
	o, err := s.Open(bucket, name)
	if err != nil {
		return Info{}, err
	}
	return o.Info, o.Close()
}

func (s *Store) openAt(p place, name string) (*Object, error) {
	if f := s.open.get(p.path); f != nil {
		return f.object(), nil
	}
	epoch := s.open.epoch.Load()
	f, err := openPath(p.path)
	if err != nil {
		return nil, p.missing(err)
	}
	// All that follows asks the open file, not the path: an overwrite in
	// between must not mix two objects.
	info, seen, err := s.describe(f, name)
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case info.Size > sharedSize:
		return &Object{Info: info, f: f}, nil
	}
	return s.open.share(p.path, &openFile{File: f, info: info, seen: seen}, epoch).object(), nil
}

// openPath is os.Open of a file that is on a disk, without the five system calls
// that find out that it is.
func openPath(path string) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, pathError("open", path, err)
		}
	}
}

// missing says whether it is the object or the bucket that is not there.
func (p place) missing(err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case !exists(p.root):
		return ErrBucketNotExist
	}
	return ErrNotExist
}

func (s *Store) describe(f *os.File, name string) (Info, fileState, error) {
	var st unix.Stat_t
	if err := fstat(f, &st); err != nil {
		return Info{}, fileState{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Info{}, fileState{}, ErrNotExist // somebody else's, whatever it is
	}
	m, err := readMeta(func(b []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), xattrName, b) })
	if err != nil {
		s.log.Warn("store: object without metadata, reading it again", "path", f.Name(), "err", err)
		if m, err = s.remake(f, &st); err != nil {
			return Info{}, fileState{}, err
		}
	}
	return m.info(name, st.Size), stateOf(&st), nil
}

// readMeta gets and parses the metadata. Custom metadata is rare, so the first
// try is made with a small buffer.
func readMeta(get func(b []byte) (int, error)) (meta, error) {
	buf := make([]byte, 128)
	n, err := get(buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, maxMeta)
		n, err = get(buf)
	}
	if err != nil {
		return meta{}, fmt.Errorf("metadata: %w", err)
	}
	return parseMeta(buf[:n])
}

// remake computes an object's metadata from its bytes and keeps it. Version
// and custom metadata are lost; the file's time stands for that of the Put.
func (s *Store) remake(f *os.File, st *unix.Stat_t) (meta, error) {
	d, err := newDigests()
	if err != nil {
		return meta{}, err
	}
	// A SectionReader leaves the file's own position at the begin.
	if _, err := io.Copy(d.own, io.NewSectionReader(f, 0, st.Size)); err != nil {
		return meta{}, err
	}
	m := meta{checksum: d.sum(OwnChecksum).Value, version: 1, atime: st.Mtim.Nano()}
	b, err := m.encode()
	if err == nil {
		err = s.fs.Setxattr(f, xattrName, b)
	}
	if err != nil {
		// The object is good without: the next reader computes it again.
		s.log.Warn("store: keep metadata", "path", f.Name(), "err", err)
	}
	return m, nil
}

func (m meta) info(name string, size int64) Info {
	i := Info{Name: name, Size: size, Version: m.version, Atime: m.atime, Custom: m.custom, Checksum: m.kept}
	if i.Checksum.Type == "" {
		i.Checksum = Checksum{Type: OwnChecksum, Value: m.checksum}
	}
	return i
}

// Delete removes an object, and the directories that it leaves empty. Callers
// may test for ErrNotExist, ErrBucketNotExist, ErrName and ErrClosed.
func (s *Store) Delete(bucket, name string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	p, err := s.locate(bucket, name)
	if err == nil {
		err = s.remove(p)
	}
	if err != nil {
		return fmt.Errorf("delete %q: %w", bucket+"/"+name, err)
	}
	return nil
}

func (s *Store) remove(p place) error {
	mu := s.lockFor(p.path)
	mu.Lock()
	err := unix.Unlink(p.path)
	mu.Unlock()
	s.open.forget(p.path)
	if err != nil {
		return p.missing(pathError("unlink", p.path, err))
	}
	return s.syncer.changed(p.root, p.prune())
}

// prune removes empty directories from p.dir upwards, and returns the first
// that stays. It never removes the bucket's own.
func (p place) prune() string {
	dir := p.dir
	for dir != p.root {
		err := unix.Rmdir(dir)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			break // not empty, or not to be removed: it stays
		}
		dir = filepath.Dir(dir)
	}
	return dir
}
