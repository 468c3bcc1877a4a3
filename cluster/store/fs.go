package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// FS holds the calls of the file system that tests count or make fail. A nil
// field is the real call. The functions are called concurrently.
type FS struct {
	// Write writes p to an object's temporary file.
	Write func(f *os.File, p []byte) (int, error)
	// Setxattr sets an extended attribute of a file.
	Setxattr func(f *os.File, name string, value []byte) error
	// Datasync makes a file's bytes durable: fdatasync.
	Datasync func(f *os.File) error
	// SyncDir makes a directory's entries durable: fsync.
	SyncDir func(dir string) error
}

func (h FS) withDefaults() FS {
	if h.Write == nil {
		h.Write = (*os.File).Write
	}
	if h.Setxattr == nil {
		h.Setxattr = setxattr
	}
	if h.Datasync == nil {
		h.Datasync = datasync
	}
	if h.SyncDir == nil {
		h.SyncDir = syncDir
	}
	return h
}

func setxattr(f *os.File, name string, value []byte) error {
	err := unix.Fsetxattr(int(f.Fd()), name, value, 0)
	return pathError("setxattr", f.Name(), err)
}

func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return pathError("fdatasync", f.Name(), err)
		}
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// spread asks the file system to place the directories made in dir far apart
// from each other, as chattr +T does. One that cannot leaves them together.
func spread(dir string) error {
	const topdir = 0x20000 // FS_TOPDIR_FL
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topdir)
	}
	return pathError("spread", dir, err)
}

// pathError is nil for a nil err.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

// exists tells whether something is at path. A path that cannot be looked at
// counts as not there; the operation that follows says why.
func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

// lockName is the file whose lock means that the folder is in use. It also
// marks the folder as ours.
const lockName = "etlbench.lock"

// lockFolder locks dir until the returned file is closed or the process ends,
// however it ends. Children do not inherit the lock: Go closes the file on exec.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	if !exists(path) {
		if err := checkUnclaimed(dir); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := claim(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkUnclaimed refuses a folder that has no mark of ours but files where
// ours would be: Open empties tmp, and that could be anybody's.
func checkUnclaimed(dir string) error {
	for _, name := range []string{"buckets", "tmp", "trash"} {
		if exists(filepath.Join(dir, name)) {
			return fmt.Errorf("%s: %w", name, errForeign)
		}
	}
	return nil
}

// claim locks f and writes this process's number into it, for the message
// that the next one gets.
func claim(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w by process %s (stop it, or give another folder)", ErrInUse, holder(f))
	}
	if err != nil {
		return pathError("flock", f.Name(), err)
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return err
}

// holder is the number of the process that holds the lock, as far as known.
func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return pid
	}
	return "(unknown)"
}
