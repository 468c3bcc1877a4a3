package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// readBatch is how many directory entries are read at once.
const readBatch = 1024

// ListOptions selects objects. The zero value selects all of the bucket, by
// name only.
type ListOptions struct {
	// Prefix is what the names begin with; it need not end at a '/'.
	Prefix string
	// After is a name, of an object or not: only names behind it are listed.
	After string
	// Limit is the largest number of objects to return; 0 means no limit.
	Limit int
	// Detail fills in all of Info. Without it only the name is set.
	Detail bool
	// Shallow lists, of what is below the prefix, only objects without a further
	// '/'; the others stand together as folders, whose names end in it.
	Shallow bool
	// NoFolders leaves those out of a shallow listing.
	NoFolders bool
}

// List returns objects in the byte order of their full names. more tells that
// Limit left some out: the next call takes After from the last one returned.
// An object that comes or goes while List runs may be in or not. The names of
// one directory, and of those above it, are kept in memory. Callers may test
// for ErrBucketNotExist, ErrName and ErrClosed.
func (s *Store) List(bucket string, o ListOptions) (infos []Info, more bool, err error) {
	if err := s.enter(); err != nil {
		return nil, false, err
	}
	defer s.leave()
	l := lister{s: s, o: o}
	if err := l.list(bucket); err != nil {
		return nil, false, fmt.Errorf("list %q: %w", bucket, err)
	}
	return l.infos, l.more, nil
}

// lister is one List under way.
type lister struct {
	s     *Store
	o     ListOptions
	root  string
	infos []Info
	more  bool // the limit is reached and there is another object
}

func (l *lister) list(bucket string) error {
	root, err := l.s.bucketDir(bucket)
	if err != nil {
		return err
	}
	if !exists(root) {
		return ErrBucketNotExist
	}
	l.root = root
	// The directories that the prefix names in full need not be searched for.
	base := l.o.Prefix[:strings.LastIndexByte(l.o.Prefix, '/')+1]
	dir, err := dirPath(root, base)
	if errors.Is(err, ErrName) || len(dir) > maxPath {
		return nil // no such name can exist
	}
	return l.walk(dir, base)
}

// walk lists the objects below dir, whose names all begin with base.
func (l *lister) walk(dir, base string) error {
	keys, err := l.keys(dir, base)
	if err != nil {
		return err
	}
	for _, key := range keys {
		part, isDir := strings.CutSuffix(key, "/")
		switch {
		case isDir && l.o.Shallow && strings.HasPrefix(base+key, l.o.Prefix):
			err = l.folder(dir+"/"+dirEntry(part), base+key)
		case isDir:
			err = l.walk(dir+"/"+dirEntry(part), base+key)
		default:
			err = l.add(place{root: l.root, dir: dir, path: dir + "/" + fileEntry(key)}, base+key)
		}
		if err != nil || l.more {
			return err
		}
	}
	return nil
}

// keys reads a directory and returns, sorted, what may hold wanted names. A
// directory that vanished, pruned or destroyed, is empty.
func (l *lister) keys(dir, base string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var keys []string
	for err == nil {
		var entries []string
		entries, err = f.Readdirnames(readBatch)
		for _, e := range entries {
			if key, ok := entryKey(e); ok && l.wants(base, key) {
				keys = append(keys, key)
			}
		}
	}
	// ENOTDIR: somebody else's file with the name of a directory of ours.
	if err != io.EOF && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		return nil, err
	}
	slices.Sort(keys)
	return keys, nil
}

// wants tells whether a name that is base+key, or that begins with it if key
// is a directory's, can be asked for.
func (l *lister) wants(base, key string) bool {
	name := base + key
	if !strings.HasSuffix(key, "/") {
		return strings.HasPrefix(name, l.o.Prefix) && name > l.o.After
	}
	return (strings.HasPrefix(name, l.o.Prefix) || strings.HasPrefix(l.o.Prefix, name)) &&
		(name > l.o.After || strings.HasPrefix(l.o.After, name))
}

// folder adds a directory that has objects.
func (l *lister) folder(dir, name string) error {
	if name <= l.o.After || l.o.NoFolders {
		return nil
	}
	any := lister{s: l.s, o: ListOptions{Limit: 1}, root: l.root}
	if err := any.walk(dir, name); err != nil || len(any.infos) == 0 {
		return err
	}
	if !l.full() {
		l.infos = append(l.infos, Info{Name: name, Folder: true})
	}
	return nil
}

// full tells whether there is no room for another entry, which there is then
// more of.
func (l *lister) full() bool {
	l.more = l.o.Limit > 0 && len(l.infos) == l.o.Limit
	return l.more
}

func (l *lister) add(p place, name string) error {
	if l.full() {
		return nil
	}
	if !l.o.Detail {
		l.infos = append(l.infos, Info{Name: name})
		return nil
	}
	o, err := l.s.openAt(p, name)
	if errors.Is(err, ErrNotExist) || errors.Is(err, ErrBucketNotExist) {
		return nil // deleted since
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	l.infos = append(l.infos, o.Info)
	return o.Close()
}
