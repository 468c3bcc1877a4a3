package python

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// procAttr ties a worker to its parent: it is killed when the thread that
// started it ends, so that no worker outlives a killed host. See worker.run
// for the thread.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// serverAttr is procAttr for a fork server, which kills what it has forked
// before it ends: it is asked to. It is in a group of its own, so that what ends
// the group of its parent leaves it the time.
func serverAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

// syncAll puts all that was written to the file system of path on the disk.
func syncAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
