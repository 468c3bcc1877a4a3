package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPlaceTries bounds how often a Put makes its object's directories again
// after concurrent Deletes removed them as empty. One try is enough unless
// somebody deletes all the time.
const maxPlaceTries = 100

// PutOptions says what the caller knows about a body. The zero value is an
// empty body: set Size to -1 when the size is not known.
type PutOptions struct {
	// Size is the body's length in bytes, -1 when unknown. A body of another
	// length is ErrShortBody or ErrLongBody.
	Size int64
	// Expect is verified if it has a value. A type that is not known, or a
	// value without one, is ErrChecksumType.
	Expect Checksum
	// Keep is the type of the checksum that the object is known by from then
	// on; "" is OwnChecksum.
	Keep string
	// SkipVersion stores version 1 without a look at the object that is there.
	SkipVersion bool
	// Custom is kept with the object; all metadata has room for about 3 KB,
	// or the Put is ErrCustom. The map is copied.
	Custom map[string]string
}

// Put reads r to its end and stores it as an object, in place of one that may
// be there: the first version is 1, every overwrite adds 1. When Put fails,
// the old object is untouched and nothing of the new one is left, with one
// exception: under SyncFull an error of the last step, syncing the directory,
// leaves the new object in place. An end of ctx is noticed between two reads
// of r. Callers may test for ErrBucketNotExist, ErrName, ErrChecksum,
// ErrChecksumType, ErrShortBody, ErrLongBody, ErrCustom, ErrNoSpace, ErrClosed
// and the errors of ctx and r.
func (s *Store) Put(ctx context.Context, bucket, name string, r io.Reader, o PutOptions) (Info, error) {
	if err := s.enter(); err != nil {
		return Info{}, err
	}
	defer s.leave()
	info, err := s.put(ctx, bucket, name, r, o)
	if err != nil {
		return Info{}, fmt.Errorf("put %q: %w", bucket+"/"+name, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, bucket, name string, r io.Reader, o PutOptions) (Info, error) {
	p, err := s.locate(bucket, name)
	if err != nil {
		return Info{}, err
	}
	if o.Expect.Type == "" && o.Expect.Value != "" {
		return Info{}, fmt.Errorf("%w: a value without a type", ErrChecksumType)
	}
	d, err := newDigests(o.Expect.Type, o.Keep)
	if err != nil {
		return Info{}, err
	}
	// A dry run, so that nobody sends a body in vain.
	if _, err := (meta{custom: o.Custom}).encode(); err != nil {
		return Info{}, err
	}
	if !exists(p.root) {
		return Info{}, ErrBucketNotExist
	}
	t, err := s.newTemp()
	if err != nil {
		return Info{}, err
	}
	defer t.discard()
	size, err := t.fill(ctx, r, d, o)
	if err != nil {
		return Info{}, err
	}
	m := meta{checksum: d.sum(OwnChecksum).Value, kept: d.sum(o.Keep), atime: s.now().UnixNano(), custom: maps.Clone(o.Custom)}
	if m, err = t.publish(p, m, o.SkipVersion); err != nil {
		return Info{}, s.explain(err)
	}
	if err := s.syncer.changed(p.root, p.dir); err != nil {
		return Info{}, s.explain(err)
	}
	return m.info(name, size), nil
}

// temp is an object that nobody can see yet.
type temp struct {
	s *Store
	f *os.File // nil once published
}

func (s *Store) newTemp() (*temp, error) {
	// The folder is ours alone and was emptied, so a serial is unique;
	// O_EXCL is there to find out if not.
	serial := s.serial.Add(1)
	path := filepath.Join(s.tmpFolder(serial), strconv.FormatUint(serial, 16))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, s.explain(err)
	}
	return &temp{s: s, f: f}, nil
}

// discard removes the file unless it was published.
func (t *temp) discard() {
	if t.f == nil {
		return
	}
	err := os.Remove(t.f.Name())
	// Closing a second time is fine: publish may have closed it and failed later.
	if cerr := t.f.Close(); !errors.Is(cerr, os.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	if err != nil {
		t.s.log.Warn("store: remove temporary file", "err", err)
	}
}

// fill writes the body and checks its length and checksum.
func (t *temp) fill(ctx context.Context, r io.Reader, d *digests, o PutOptions) (size int64, err error) {
	buf := t.s.buffers.Get().(*[]byte)
	defer t.s.buffers.Put(buf)
	for rerr := error(nil); rerr == nil; {
		var n int
		n, rerr = readFull(ctx, r, *buf)
		if rerr != nil && rerr != io.EOF {
			return 0, fmt.Errorf("read body after %d bytes: %w", size+int64(n), rerr)
		}
		size += int64(n)
		if o.Size >= 0 && size > o.Size {
			return 0, fmt.Errorf("%w: more than %d bytes", ErrLongBody, o.Size)
		}
		if n == 0 {
			continue
		}
		d.write((*buf)[:n])
		if _, err := t.s.fs.Write(t.f, (*buf)[:n]); err != nil {
			return 0, t.s.explain(err)
		}
	}
	if size < o.Size {
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrShortBody, size, o.Size)
	}
	return size, d.verify(o.Expect)
}

// readFull fills buf, so that a body which arrives in small pieces is not
// written in small pieces. The error is io.EOF at the end, with or without
// bytes before it, and never nil when buf is not full.
func readFull(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// publish gives the object its version, makes it durable and renames it to
// its place.
func (t *temp) publish(p place, m meta, skipVersion bool) (meta, error) {
	mu := t.s.lockFor(p.path)
	mu.Lock()
	defer mu.Unlock()
	m.version = 1
	if !skipVersion {
		m.version = nextVersion(p.path)
	}
	b, err := m.encode()
	if err != nil {
		return meta{}, err
	}
	if err := t.s.fs.Setxattr(t.f, xattrName, b); err != nil {
		return meta{}, err
	}
	// Before the rename: otherwise a power failure could leave the new name
	// with missing bytes, and the old object gone.
	if t.s.sync != SyncNone {
		if err := t.s.fs.Datasync(t.f); err != nil {
			return meta{}, err
		}
	}
	if err := t.f.Close(); err != nil {
		return meta{}, err
	}
	if err := t.s.moveTo(t.f.Name(), p); err != nil {
		return meta{}, err
	}
	t.f = nil
	t.s.open.forget(p.path)
	return m, nil
}

// nextVersion is the version that follows the object at path. One whose
// metadata is lost counts as version 1, as it does in Stat.
func nextVersion(path string) int64 {
	m, err := readMeta(func(b []byte) (int, error) { return unix.Getxattr(path, xattrName, b) })
	switch {
	case err == nil:
		return m.version + 1
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return 1
	}
	return 2
}

// moveTo renames a file to its place, and makes the directories in between as
// needed. The bucket's own directory is never made, so a Put that races with
// DestroyBucket cannot bring the bucket back.
func (s *Store) moveTo(tmp string, p place) error {
	var err error
	for range maxPlaceTries {
		if err = os.Rename(tmp, p.path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !exists(p.root) {
			return ErrBucketNotExist
		}
		if err := s.mkdirs(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries, the folder is being deleted all the time: %w", maxPlaceTries, err)
}

// mkdirs makes the directories below p.root down to p.dir that are missing.
func (s *Store) mkdirs(p place) error {
	for i := len(p.root) + 1; i <= len(p.dir); i++ {
		if i < len(p.dir) && p.dir[i] != '/' {
			continue
		}
		if exists(p.dir[:i]) {
			continue
		}
		if err := s.syncer.mkdir(p.dir[:i]); err != nil {
			return err
		}
	}
	return nil
}
