package node

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/meta"
)

// status is what "ais show cluster" tells of a node.
func (n *node) status(s *meta.State) (any, error) {
	capacity, err := n.capacity()
	if err != nil {
		return nil, err
	}
	sys, err := sysInfo(time.Since(n.started))
	if err != nil {
		return nil, err
	}
	info := clusterInfo(s)
	return map[string]any{
		"status": "", "deployment": "dev", "ais_version": "5.0.etlbench", "build_time": buildTime(), "k8s_pod_name": "",
		"snode": n.self, "tracker": map[string]any{}, "capacity": capacity, "cluster": info, "sys_info": sys,
		"smap_version": version(s.Map.Version),
	}, nil
}

// buildTime is when the program's sources were committed, as far as it knows.
func buildTime() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.time" {
				return s.Value
			}
		}
	}
	return ""
}

// capacity is the disk that a target's objects are on; a proxy has none.
func (n *node) capacity() (map[string]any, error) {
	c := map[string]any{"mountpaths": map[string]any{}, "cs_err": "", "total_used": "0", "total_avail": "0",
		"pct_max": 0, "pct_avg": 0, "pct_min": 0}
	if n.data == "" {
		return c, nil
	}
	used, avail, err := diskUse(n.data)
	if err != nil {
		return nil, err
	}
	pct := int(100 * used / max(used+avail, 1))
	c["mountpaths"] = map[string]any{n.data: map[string]any{
		"mountpath_label": "", "fs": map[string]string{"Fs": n.data, "FsType": "", "FsID": "0,0"}, "disks": []string{},
		"used": decimal(used), "avail": decimal(avail), "pct_used": pct}}
	c["total_used"], c["total_avail"] = decimal(used), decimal(avail)
	c["pct_max"], c["pct_avg"], c["pct_min"] = pct, pct, pct
	return c, nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// diskUse tells of the file system that a folder is on, in bytes.
func diskUse(dir string) (used, avail uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("disk of %s: %w", dir, err)
	}
	block := uint64(st.Bsize)
	return (st.Blocks - st.Bfree) * block, st.Bavail * block, nil
}

// sysInfo is what the machine has and what this process, up for a time, takes.
func sysInfo(up time.Duration) (map[string]any, error) {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return nil, err
	}
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return nil, err
	}
	var size, resident, shared uint64 // pages
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(statm), &size, &resident, &shared)
	}
	page, unit := uint64(os.Getpagesize()), uint64(si.Unit)
	total, free, cache := si.Totalram*unit, si.Freeram*unit, si.Bufferram*unit
	user, system := time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
	cpu := 100 * (user + system).Seconds() / max(up.Seconds(), 1)
	load := func(i int) float64 { return float64(si.Loads[i]) / (1 << 16) }
	return map[string]any{
		"mem_used": resident * page, "mem_avail": free + cache,
		"pct_mem_used": 100 * float64(resident*page) / float64(max(total, 1)), "pct_cpu_used": cpu,
		"load_avg": map[string]float64{"One": load(0), "Five": load(1), "Fifteen": load(2)}, "cpu_util": int(min(cpu, 100)),
		"mem": map[string]uint64{"Total": total, "Used": total - free, "Free": free, "BuffCache": cache,
			"ActualFree": free + cache, "ActualUsed": total - free - cache,
			"SwapTotal": si.Totalswap * unit, "SwapFree": si.Freeswap * unit, "SwapUsed": (si.Totalswap - si.Freeswap) * unit},
		"proc": map[string]any{
			"CPU": map[string]any{"User": user.Milliseconds(), "System": system.Milliseconds(),
				"Total": (user + system).Milliseconds(), "LastTime": 0, "Percent": cpu},
			"Mem": map[string]uint64{"Size": size * page, "Resident": resident * page, "Share": shared * page}},
	}, nil
}
