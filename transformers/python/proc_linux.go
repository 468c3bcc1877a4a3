package python

import "syscall"

// procAttr ties a worker to its parent: it is killed when the thread that
// started it ends, so that no worker outlives a killed host. See worker.run
// for the thread.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
