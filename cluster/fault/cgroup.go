package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	cgroupRoot  = "/sys/fs/cgroup"
	quotaPeriod = 100_000 // µs, the kernel's default
	removeTries = 100     // of a cgroup that ending processes still hold
	removeWait  = 10 * time.Millisecond
)

// group is a cgroup as it is mounted.
type group struct {
	dir string
	v1  bool
}

// groupOf is the one that decides on a process's CPU time.
func groupOf(pid int) (group, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return group{}, err
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			if c == "cpu" {
				return group{filepath.Join(cgroupRoot, parts[1], parts[2]), true}.mounted()
			}
		}
	}
	_, path, ok := strings.Cut(string(data), "0::")
	path, _, _ = strings.Cut(path, "\n")
	if !ok {
		return group{}, fmt.Errorf("pid %d is in no cgroup", pid)
	}
	return group{filepath.Join(cgroupRoot, path), false}.mounted()
}

// mounted finds where a group of version 1 is, whose folder may be named for
// one controller or for several.
func (g group) mounted() (group, error) {
	if _, err := os.Stat(g.dir); err == nil || !g.v1 {
		return g, err
	}
	rest, err := filepath.Rel(cgroupRoot, g.dir)
	if err != nil {
		return g, err
	}
	_, rest, _ = strings.Cut(rest, "/")
	g.dir = filepath.Join(cgroupRoot, "cpu", rest)
	_, err = os.Stat(g.dir)
	return g, err
}

// limit moves processes into a cgroup of their own with a quota. Of version 1
// it is below theirs. Of version 2 it is beside theirs: one that has processes
// can have no groups with controllers below it.
func limit(pids []int, cpus float64) (undo func() error, how string, err error) {
	home, err := groupOf(pids[0])
	if err != nil {
		return nil, "", err
	}
	parent := home.dir
	if !home.v1 && parent != cgroupRoot {
		parent = filepath.Dir(parent)
	}
	mine := group{filepath.Join(parent, "etlbench-fault-"+strconv.Itoa(pids[0])), home.v1}
	if err := os.Mkdir(mine.dir, 0o755); err != nil {
		return nil, "", err
	}
	undo = func() error { return mine.remove(home) }
	err = mine.quota(cpus)
	for _, pid := range pids {
		if err == nil {
			err = mine.enter(pid)
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, undo())
	}
	if home.v1 {
		return undo, "cgroup v1 quota", nil
	}
	return undo, "cgroup v2 quota", nil
}

func (g group) quota(cpus float64) error {
	quota := strconv.Itoa(max(1000, int(cpus*quotaPeriod))) // the kernel takes no less
	period := strconv.Itoa(quotaPeriod)
	if !g.v1 {
		return g.write("cpu.max", quota+" "+period)
	}
	if err := g.write("cpu.cfs_period_us", period); err != nil {
		return err
	}
	return g.write("cpu.cfs_quota_us", quota)
}

func (g group) write(file, text string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o644)
}

// enter moves a process with all its threads. One that has gone is no error.
func (g group) enter(pid int) error {
	if err := g.write("cgroup.procs", strconv.Itoa(pid)); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// remove moves what is in the group home, what was forked meanwhile with it.
func (g group) remove(home group) error {
	var err error
	for range removeTries {
		data, rerr := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
		if rerr != nil {
			return rerr
		}
		for _, word := range strings.Fields(string(data)) {
			pid, _ := strconv.Atoi(word)
			if err := home.enter(pid); err != nil {
				return err
			}
		}
		if err = syscall.Rmdir(g.dir); !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(removeWait)
	}
	if err != nil {
		return fmt.Errorf("remove cgroup %s: %w", g.dir, err)
	}
	return nil
}
