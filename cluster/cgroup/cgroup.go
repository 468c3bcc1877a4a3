// Package cgroup limits the CPU time of processes together: a target and its
// pods. It makes Linux control groups below the one that this process is in,
// of version 1 or 2, whichever has the cpu controller.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// period is what a quota is counted over. The kernel's default is 100 ms, in
// which a limited group works in fits that show as latency.
const period = 20 * time.Millisecond

// MinCPUs is the least limit: the kernel wants a quota of at least 1 ms.
const MinCPUs = 0.05

// Group is a control group of processes, which may use so much CPU time
// together.
type Group struct {
	dir string
}

// New makes a group that may use cpus CPUs, MinCPUs or more, on the average of
// 20 ms. name is a part of its name. The caller removes it when its processes
// have gone; groups of programs that died before they could are removed here.
// The error says what to do.
func New(name string, cpus float64) (*Group, error) {
	g, err := newGroup("/", os.Getpid(), name, cpus)
	if err != nil {
		try := "start etlbench as root"
		if _, v1, _ := ownGroup("/"); !v1 {
			try += ", or by: systemd-run --user --scope -p Delegate=yes etlbench …"
		}
		return nil, fmt.Errorf("CPU limit: %w: %s; or do without a CPU limit", err, try)
	}
	return g, nil
}

// newGroup is New with another root folder of the machine.
func newGroup(root string, pid int, name string, cpus float64) (*Group, error) {
	own, v1, err := ownGroup(root)
	if err != nil {
		return nil, err
	}
	removeStale(own)
	dir, err := os.MkdirTemp(own, fmt.Sprintf("%s%d-%s-*", prefix, pid, name))
	if err != nil {
		return nil, err
	}
	g := &Group{dir: dir}
	if v1 {
		err = g.limit1(cpus)
	} else {
		err = g.limit2(own, pid, cpus)
	}
	if err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

const prefix = "etlbench-"

// ownGroup is the folder of the group of this process that limits CPU time.
func ownGroup(root string) (dir string, v1 bool, err error) {
	data, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return "", false, errors.New("this system has no control groups")
	}
	where := ""
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			if c == "cpu" {
				return existing(filepath.Join(root, "sys/fs/cgroup/cpu"), parts[2]), true, nil
			}
		}
		if parts[0] == "0" {
			where = parts[2]
		}
	}
	if where == "" {
		return "", false, errors.New("no control group of this process has the cpu controller")
	}
	return existing(filepath.Join(root, "sys/fs/cgroup"), where), false, nil
}

// existing is the group's folder. In a container the path may be the host's:
// then there is but the base.
func existing(base, where string) string {
	dir := filepath.Join(base, where)
	if _, err := os.Stat(dir); err != nil {
		return base
	}
	return dir
}

func (g *Group) limit1(cpus float64) error {
	return errors.Join(g.write("cpu.cfs_period_us", micros(1)), g.write("cpu.cfs_quota_us", micros(cpus)))
}

// limit2 may have to hand the cpu controller down first, which a group of
// version 2 does only while it has no processes of its own: this one then moves
// to a group beside the new one.
func (g *Group) limit2(own string, pid int, cpus float64) error {
	_, err := os.Stat(filepath.Join(g.dir, "cpu.max"))
	if err != nil {
		parent := &Group{dir: own}
		err = parent.write("cgroup.subtree_control", "+cpu")
		if errors.Is(err, unix.EBUSY) {
			self := &Group{dir: filepath.Join(own, "etlbench")}
			if err = os.Mkdir(self.dir, 0o755); err == nil || errors.Is(err, os.ErrExist) {
				err = self.Add(pid)
			}
			if err == nil {
				err = parent.write("cgroup.subtree_control", "+cpu")
			}
		}
	}
	if err != nil {
		return err
	}
	return g.write("cpu.max", micros(cpus)+" "+micros(1))
}

func micros(cpus float64) string {
	return strconv.FormatInt(int64(cpus*float64(period.Microseconds())+0.5), 10)
}

func (g *Group) write(file, text string) error {
	f, err := os.OpenFile(filepath.Join(g.dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Add moves a process into the group, with all its threads. What it starts from
// then on is in the group, too.
func (g *Group) Add(pid int) error { return g.write("cgroup.procs", strconv.Itoa(pid)) }

// removeTime is how long Remove waits for the last processes to go.
const removeTime = 2 * time.Second

// Remove removes the group; its processes have to be gone, or going.
func (g *Group) Remove() error {
	for end := time.Now().Add(removeTime); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Rmdir(g.dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("remove control group %s: %w", g.dir, err)
		}
	}
}

// removeStale removes empty groups whose maker has gone. One that still has
// processes stays.
func removeStale(own string) {
	dirs, _ := filepath.Glob(filepath.Join(own, prefix+"*")) // the pattern is well-formed
	for _, dir := range dirs {
		maker, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		if pid, err := strconv.Atoi(maker); err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = unix.Rmdir(dir)
		}
	}
}
