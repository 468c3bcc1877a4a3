//go:build !linux

package python

import "syscall"

// procAttr asks for nothing: outside Linux the end of its requests is what
// ends a worker whose host has gone.
func procAttr() *syscall.SysProcAttr { return nil }
