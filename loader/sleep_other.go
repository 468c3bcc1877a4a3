//go:build !linux

package loader

import "time"

// nanosleep is as exact as Go's timers are.
func nanosleep(d time.Duration) { time.Sleep(d) }

func sharpTimer() (undo func()) { return func() {} }
