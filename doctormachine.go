package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/scenarios"
)

// What a load of some size needs of a machine.
const (
	wantFiles  = 4096    // open files: a load has a connection or two a request in flight
	wantPorts  = 10_000  // local ports: each connection to a host takes one
	wantMemory = 1 << 30 // bytes that are free
	wantPacer  = 500 * time.Microsecond
	wantOps    = 2000 // operations/s of 4 KiB
)

// checkCPUs tells how much of this machine there is to use.
func checkCPUs(context.Context) finding {
	f := finding{Status: statusOK, Evidence: []string{fmt.Sprintf("%d CPUs", runtime.NumCPU())}}
	quota, limited, version := loader.CPUQuota()
	switch {
	case version == 0:
		f.Evidence = append(f.Evidence, "no control groups: throttling of the generator cannot be noticed")
	case limited:
		f.Status = statusWarn
		f.Evidence = append(f.Evidence, fmt.Sprintf("limited to %.3g of them (cgroup v%d)", quota, version))
		f.Do = "raise the CPU quota of this process's control group, or keep the load below it: a generator that is held back is no measure"
	default:
		f.Evidence = append(f.Evidence, fmt.Sprintf("no quota (cgroup v%d)", version))
	}
	if runtime.NumCPU() < 2 {
		f.Status, f.Do = statusWarn, "use a machine with 2 CPUs at least: generator and cluster take turns on one"
	}
	return f
}

func checkMemory(context.Context) finding {
	free, ok := freeMemory()
	if !ok {
		return finding{Status: statusOK, Evidence: []string{"not told by /proc/meminfo"}}
	}
	f := finding{Status: statusOK, Evidence: []string{humanize.IBytes(free) + " are free"}}
	if free < wantMemory {
		f.Status, f.Do = statusWarn, "free some: a cluster of 3 targets with its pods takes about "+humanize.IBytes(wantMemory)
	}
	return f
}

// freeMemory is what can be had without swapping, bytes.
func freeMemory() (bytes uint64, ok bool) {
	kb, err := strconv.ParseUint(strings.TrimSuffix(procField("/proc/meminfo", "MemAvailable"), " kB"), 10, 64)
	return kb << 10, err == nil
}

func checkFiles(context.Context) finding {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return finding{Status: statusWarn, Evidence: []string{err.Error()}}
	}
	f := finding{Status: statusOK, Evidence: []string{fmt.Sprintf("%s may be open, at most %s", humanize.Comma(int64(l.Cur)), limitOf(l.Max))}}
	if l.Cur < wantFiles {
		f.Status, f.Do = statusWarn, fmt.Sprintf("ulimit -n %d: each connection is an open file", wantFiles)
	}
	return f
}

func limitOf(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "any number"
	}
	return humanize.Comma(int64(n))
}

func checkPorts(context.Context) finding {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var from, to int
	if _, serr := fmt.Sscan(string(data), &from, &to); err != nil || serr != nil {
		return finding{Status: statusOK, Evidence: []string{"not told by this system"}}
	}
	f := finding{Status: statusOK, Evidence: []string{fmt.Sprintf("%s of them, %d to %d", humanize.Comma(int64(to-from+1)), from, to)}}
	if to-from+1 < wantPorts {
		f.Status, f.Do = statusWarn, "sysctl -w net.ipv4.ip_local_port_range='16384 60999': each connection to a host takes one"
	}
	return f
}

// checkClock looks at how time is read and waited for. It wants the machine for
// itself.
func checkClock(context.Context) finding {
	const reads, sleeps = 100_000, 200
	began := time.Now()
	for range reads {
		_ = time.Now()
	}
	read := time.Since(began) / reads
	p50, p99 := loader.PacerError(sleeps, time.Millisecond)
	f := finding{Status: statusOK, Evidence: []string{
		fmt.Sprintf("%s, %s a look", clockSource(), read),
		fmt.Sprintf("sleeps of 1 ms end %s late, 1 in 100 %s", p50.Round(time.Microsecond), p99.Round(time.Microsecond)),
	}}
	if p99 > wantPacer {
		f.Status, f.Do = statusWarn, "stop what else runs here, or take another machine: an open loop's requests leave late by this much"
	}
	return f
}

func clockSource() string {
	data, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		return "a clock that is not told"
	}
	return "clock " + strings.TrimSpace(string(data))
}

// checkGenerator has the generator say what it can do. It wants the machine for
// itself.
func checkGenerator(ctx context.Context) finding {
	const size, length = 4 << 10, 500 * time.Millisecond
	s, err := scenarios.Parse("doctor", []byte("apiVersion: "+scenarios.APIVersion+"\ntransforms: [echo]\n"))
	if err != nil {
		return finding{Status: statusFail, Evidence: []string{err.Error()}}
	}
	c, err := loader.Calibrate(ctx, s, size, length)
	if err != nil {
		return finding{Status: statusFail, Evidence: []string{err.Error()}, Do: "let programs listen on 127.0.0.1 and connect to it"}
	}
	f := finding{Status: statusOK, Evidence: []string{
		fmt.Sprintf("%s operations/s of %s at most, against a server that does nothing", humanize.Comma(int64(c.OpsPerS)), humanize.IBytes(size)),
		fmt.Sprintf("p50 %.3g ms, p99 %.3g ms with one worker: smaller times cannot be measured here", c.P50Ms, c.P99Ms),
	}}
	if c.OpsPerS < wantOps {
		f.Status, f.Do = statusWarn, "stop what else runs here, or take a faster machine: most clusters answer faster than that"
	}
	return f
}
