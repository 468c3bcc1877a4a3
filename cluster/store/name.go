package store

import (
	"fmt"
	"strings"
)

// How names become paths.
//
// An object's name is cut at every '/'. The last component is a file, the
// others are directories. A directory's entry ends in '%', a file's never
// does, so the objects "a" and "a/b" can both exist: "a" and "a%/b".
//
// Within a component '%', the control characters, and all of "." and ".." are
// written as %XX, two upper-case hex digits. '%' therefore never ends an
// escaped component. A directory with an empty name is "%", a file "%-".
// The mapping has exactly one path for a name; an entry that is not what
// its own name escapes to is somebody else's file and is ignored.

const (
	maxEntry   = 255  // bytes of one directory entry, the limit of Linux file systems
	maxPath    = 4095 // bytes of a path, Linux's PATH_MAX without the NUL
	dirMark    = "%"
	emptyFile  = "%-"
	upperHex   = "0123456789ABCDEF"
	bytesPerXX = 3
)

// place is where an object is or would be.
type place struct {
	root string // the bucket's directory
	dir  string // the object's directory: root or below
	path string // the object's file
}

// locate finds the place of an object without touching the disk.
func (s *Store) locate(bucket, name string) (place, error) {
	root, err := s.bucketDir(bucket)
	if err != nil {
		return place{}, err
	}
	return locateIn(root, name)
}

func locateIn(root, name string) (place, error) {
	if name == "" {
		return place{}, fmt.Errorf("%w: an object's name is not empty", ErrName)
	}
	last := strings.LastIndexByte(name, '/') + 1
	dir, err := dirPath(root, name[:last])
	if err != nil {
		return place{}, err
	}
	file := fileEntry(name[last:])
	if err := checkEntry(file, name[last:]); err != nil {
		return place{}, err
	}
	p := place{root: root, dir: dir, path: dir + "/" + file}
	if len(p.path) > maxPath {
		return place{}, fmt.Errorf("%w: its path has %d bytes, at most %d are possible", ErrName, len(p.path), maxPath)
	}
	return p, nil
}

// dirPath returns the directory of the names that begin with prefix, which is
// empty or ends in '/'.
func dirPath(root, prefix string) (string, error) {
	if prefix == "" {
		return root, nil
	}
	path := []byte(root)
	for prefix != "" {
		var part string
		part, prefix, _ = strings.Cut(prefix, "/")
		entry := dirEntry(part)
		if err := checkEntry(entry, part); err != nil {
			return "", err
		}
		path = append(append(path, '/'), entry...)
	}
	return string(path), nil
}

func checkEntry(entry, part string) error {
	if len(entry) <= maxEntry {
		return nil
	}
	return fmt.Errorf("%w: component %.20q… takes %d bytes on disk, at most %d are possible (put '/' into long names)",
		ErrName, part, len(entry), maxEntry)
}

// bucketDir returns a bucket's directory, whether it exists or not.
func (s *Store) bucketDir(bucket string) (string, error) {
	entry := escape(bucket)
	if bucket == "" || strings.Contains(bucket, "/") || len(entry) > maxEntry {
		return "", fmt.Errorf("%w: bucket %.80q: not empty, no '/', at most %d bytes", ErrName, bucket, maxEntry)
	}
	return s.buckets + "/" + entry, nil
}

func fileEntry(part string) string {
	if part == "" {
		return emptyFile
	}
	return escape(part)
}

func dirEntry(part string) string { return escape(part) + dirMark }

// entryKey returns the part of an object's name that a directory entry stands
// for, with a '/' at the end if it is a directory. Keys of one directory sort
// as the names below them do. ok is false for an entry that is not ours.
func entryKey(entry string) (key string, ok bool) {
	if entry == emptyFile {
		return "", true
	}
	if part, isDir := strings.CutSuffix(entry, dirMark); isDir {
		part, ok := unescape(part)
		return part + "/", ok
	}
	return unescape(entry)
}

// escape makes a component safe as a directory entry. See unescape.
func escape(part string) string {
	if part == "." || part == ".." {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	n := 0
	for i := range len(part) {
		if mustEscape(part[i]) {
			n++
		}
	}
	if n == 0 {
		return part
	}
	b := make([]byte, 0, len(part)+n*(bytesPerXX-1))
	for i := range len(part) {
		if c := part[i]; mustEscape(c) {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// unescape undoes escape; ok is false if escape would not have written entry.
func unescape(entry string) (part string, ok bool) {
	if !strings.Contains(entry, "%") {
		return entry, entry == escape(entry)
	}
	b := make([]byte, 0, len(entry))
	for i := 0; i < len(entry); i++ {
		if entry[i] != '%' {
			b = append(b, entry[i])
			continue
		}
		if i+2 >= len(entry) {
			return "", false
		}
		hi, lo := strings.IndexByte(upperHex, entry[i+1]), strings.IndexByte(upperHex, entry[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	part = string(b)
	return part, escape(part) == entry
}

func mustEscape(c byte) bool { return c < ' ' || c == 0x7f || c == '%' }
