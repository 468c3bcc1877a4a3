// Package fault does harm to processes of this machine, on purpose: it kills
// them, or holds their CPU time back. Whom it befalls, when and for how long is
// the caller's business, and so is bringing back what was killed.
package fault

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Kill kills processes at once (SIGKILL). One that has gone already is no error.
func Kill(pids []int) error { return signal(pids, syscall.SIGKILL) }

func signal(pids []int, sig syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("pid %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}

// Throttle cuts the CPU time of each group of processes, which share what is
// left to them, to a number of CPUs above 0. how says in a few words what does
// it: a quota of the cgroup where one can be made, else the processes are
// stopped and continued, which only goes below 1 CPU and is not CPU time but
// time: several threads may run in it. undo gives back what was taken; it must
// be called once, also when the processes have gone. A caller that is killed
// before leaves processes stopped, or in a cgroup named etlbench-fault-PID.
func Throttle(groups [][]int, cpus float64) (undo func() error, how string, err error) {
	var undos []func() error
	undoAll := func() error {
		var errs []error
		for _, u := range undos {
			errs = append(errs, u())
		}
		return errors.Join(errs...)
	}
	for _, pids := range groups {
		var u func() error
		if u, how, err = limit(pids, cpus); err != nil {
			break
		}
		undos = append(undos, u)
	}
	if err == nil {
		return undoAll, how, nil
	}
	if cpus >= 1 {
		return nil, "", errors.Join(fmt.Errorf("no cgroup can be made to hold processes to %g CPUs, and stopping them goes below 1 only: %w", cpus, err), undoAll())
	}
	if err := undoAll(); err != nil {
		return nil, "", err
	}
	var pids []int
	for _, g := range groups {
		pids = append(pids, g...)
	}
	return dutyCycle(pids, cpus), "stopped and continued", nil
}

// period of a duty cycle: that of the kernel's quotas is 100 ms.
const period = 100 * time.Millisecond

// dutyCycle lets processes run for a share of every period only.
func dutyCycle(pids []int, share float64) (undo func() error) {
	quit, done := make(chan struct{}), make(chan error)
	run := time.Duration(share * float64(period))
	go func() {
		for {
			err := signal(pids, syscall.SIGSTOP)
			over := wait(quit, period-run)
			err = errors.Join(err, signal(pids, syscall.SIGCONT))
			if over || err != nil || wait(quit, run) {
				<-quit
				done <- err
				return
			}
		}
	}()
	return func() error {
		close(quit)
		return <-done
	}
}

// wait tells whether quit was closed meanwhile.
func wait(quit <-chan struct{}, d time.Duration) bool {
	select {
	case <-quit:
		return true
	case <-time.After(d):
		return false
	}
}
