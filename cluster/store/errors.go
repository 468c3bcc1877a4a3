package store

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Errors of a name or of what it names.
var (
	// ErrNotExist: the bucket has no such object.
	ErrNotExist = errors.New("object does not exist")
	// ErrBucketNotExist: there is no such bucket.
	ErrBucketNotExist = errors.New("bucket does not exist")
	// ErrBucketExists: a bucket of that name is there already.
	ErrBucketExists = errors.New("bucket already exists")
	// ErrName: the name cannot be stored.
	ErrName = errors.New("name cannot be stored")
)

// Errors of what is put. The old object, if any, is untouched.
var (
	// ErrChecksum: the body is not what the caller expected; the chain holds
	// a *ChecksumError.
	ErrChecksum = errors.New("bad data checksum")
	// ErrChecksumType: the expected checksum has a type that nobody computes here.
	ErrChecksumType = errors.New("unknown checksum type")
	// ErrShortBody: the body ended before PutOptions.Size bytes.
	ErrShortBody = errors.New("body is shorter than announced")
	// ErrLongBody: the body went on after PutOptions.Size bytes.
	ErrLongBody = errors.New("body is longer than announced")
	// ErrCustom: the custom metadata is too large to be kept with the object.
	ErrCustom = errors.New("custom metadata is too large")
)

// Errors of the data folder.
var (
	// ErrNoSpace: the disk is full, or a quota or the largest file size is
	// reached. The chain holds the system's error, too.
	ErrNoSpace = errors.New("no space left")
	// ErrInUse: another store has the folder open.
	ErrInUse = errors.New("in use")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")

	errForeign = errors.New("it holds files of another program (give an empty or a new folder)")
	errNoXattr = errors.New("its file system keeps no user extended attributes" +
		" (put it on ext4, xfs or btrfs, mounted with them; tmpfs has them from Linux 6.6 on)")
)

// ChecksumError says how a body differs from what the caller expected. It is
// an ErrChecksum.
type ChecksumError struct {
	Type      string // as the caller named it
	Want, Got string // hex; Want is the caller's
}

func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%v: %s(%s != %s)", ErrChecksum, e.Type, e.Want, e.Got)
}

// Unwrap makes errors.Is(err, ErrChecksum) true.
func (e *ChecksumError) Unwrap() error { return ErrChecksum }

// isFull tells whether a call failed for want of space.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// explain turns a failed call of the file system, not of the caller's
// reader, into ErrNoSpace where that is the reason.
func (s *Store) explain(err error) error {
	if !isFull(err) || errors.Is(err, ErrNoSpace) {
		return err
	}
	return fmt.Errorf("%w in data folder %s: %w (free some, raise the quota or file size limit, or use a folder on a larger disk)",
		ErrNoSpace, s.dir, err)
}

// unusable says why Open refuses the folder, and what to do where the reason
// itself does not.
func (s *Store) unusable(err error) error {
	switch {
	case isFull(err):
		return s.explain(err)
	case errors.Is(err, ErrInUse), errors.Is(err, errForeign), errors.Is(err, errNoXattr):
		return fmt.Errorf("data folder %s: %w", s.dir, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return fmt.Errorf("data folder %s is not writable: %w (give a folder that this user may write to)", s.dir, err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("data folder %s: %w (a part of the path is a file; give another folder)", s.dir, err)
	}
	return fmt.Errorf("data folder %s cannot be used: %w", s.dir, err)
}
