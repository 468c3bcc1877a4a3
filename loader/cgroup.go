package loader

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// cgroup is what limits this process's CPU time.
type cgroup struct {
	root fs.FS    // of the machine
	dirs []string // its cgroup's folder, and those around it
	v1   bool
}

// throttling is how often and how long a cgroup was held back.
type throttling struct {
	times   int64
	seconds float64
}

// findCgroup reads where this process belongs; false when nothing tells.
func findCgroup(root fs.FS) (cgroup, bool) {
	data, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return cgroup{}, false
	}
	g := cgroup{root: root}
	where := ""
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			if c == "cpu" { // of version 1, which has the limits where both are mounted
				g.v1, where = true, parts[2]
			}
		}
		if parts[0] == "0" && !g.v1 {
			where = parts[2]
		}
	}
	base := "sys/fs/cgroup"
	if g.v1 {
		base = "sys/fs/cgroup/cpu"
	}
	// In a container the path may be the host's: then there is but the base.
	for dir := path.Join(base, where); strings.HasPrefix(dir, base); dir = path.Dir(dir) {
		if _, err := fs.Stat(root, dir); err == nil {
			g.dirs = append(g.dirs, dir)
		}
		if dir == base {
			break
		}
	}
	return g, len(g.dirs) > 0
}

// quota is the smallest limit around this process, in CPUs.
func (g *cgroup) quota() (cpus float64, ok bool) {
	for _, dir := range g.dirs {
		var quota, period float64
		var err1, err2 error
		if g.v1 {
			quota, err1 = g.number(dir, "cpu.cfs_quota_us")
			period, err2 = g.number(dir, "cpu.cfs_period_us")
		} else {
			data, _ := fs.ReadFile(g.root, path.Join(dir, "cpu.max"))
			q, p, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
			quota, err1 = strconv.ParseFloat(q, 64) // "max" is no number
			period, err2 = strconv.ParseFloat(p, 64)
		}
		if err1 != nil || err2 != nil || quota <= 0 || period <= 0 {
			continue
		}
		if !ok || quota/period < cpus {
			cpus, ok = quota/period, true
		}
	}
	return cpus, ok
}

// memory is the smallest limit around this process, in bytes.
func (g *cgroup) memory() (bytes int64, ok bool) {
	const none = 1 << 60 // version 1 has a number of that size where there is no limit
	for _, dir := range g.dirs {
		file := "memory.max"
		if g.v1 {
			dir, file = strings.Replace(dir, "sys/fs/cgroup/cpu", "sys/fs/cgroup/memory", 1), "memory.limit_in_bytes"
		}
		n, err := g.number(dir, file) // "max" is no number
		if err == nil && n < none && (!ok || int64(n) < bytes) {
			bytes, ok = int64(n), true
		}
	}
	return bytes, ok
}

// Limits are those of this process's cgroup: in CPUs and in bytes, nil without
// one.
func Limits() (cpus *float64, memory *int64) {
	g, ok := findCgroup(os.DirFS("/"))
	if !ok {
		return nil, nil
	}
	if v, ok := g.quota(); ok {
		cpus = &v
	}
	if v, ok := g.memory(); ok {
		memory = &v
	}
	return cpus, memory
}

func (g *cgroup) number(dir, file string) (float64, error) {
	data, err := fs.ReadFile(g.root, path.Join(dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
}

// throttled adds up what the cgroups around this process tell; false when none
// of them has a limit to tell of.
func (g *cgroup) throttled() (t throttling, ok bool) {
	for _, dir := range g.dirs {
		data, err := fs.ReadFile(g.root, path.Join(dir, "cpu.stat"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				continue
			}
			switch key {
			case "nr_throttled":
				t.times, ok = t.times+n, true
			case "throttled_usec":
				t.seconds += float64(n) / 1e6
			case "throttled_time": // version 1
				t.seconds += float64(n) / 1e9
			}
		}
	}
	return t, ok
}
