//go:build !linux

package python

import "syscall"

// procAttr asks for nothing: outside Linux the end of its requests is what
// ends a worker whose host has gone.
func procAttr() *syscall.SysProcAttr { return nil }

func serverAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// syncAll does nothing: there is no call for it.
func syncAll(string) error { return nil }
