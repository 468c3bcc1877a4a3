package loader

import (
	"time"

	"golang.org/x/sys/unix"
)

// nanosleep puts the thread to sleep. A signal may wake it early.
func nanosleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

// sharpTimer has the kernel wake this thread on time, where it would else wait
// for 50 µs to wake several at once. The caller has locked the thread, and
// undoes it in the end.
func sharpTimer() (undo func()) {
	const byDefault = 0
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, byDefault, 0, 0, 0) }
}
