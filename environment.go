package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/transformers/python"
)

// environment describes the machine that makes the numbers, and the file system
// of a cluster's data folder, if it is here. What cannot be told stays empty.
func environment(ctx context.Context, e *env, data string, choices python.Runtimes) results.Env {
	m := results.Env{Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		CPUs: runtime.NumCPU(), CPU: procField("/proc/cpuinfo", "model name"), DataPath: fileSystem(data)}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = string(bytes.TrimRight(u.Release[:], "\x00"))
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.MemoryB = kb << 10
	}
	m.Binary = ownDigest()
	if py, err := e.python3(ctx, choices); err == nil {
		m.Python = py.String()
	}
	m.CPUQuota, m.MemoryLimitB = loader.Limits()
	return m
}

// ownDigest identifies the program that runs, "" when its file cannot be read.
// It is looked at once: a sweep has many runs.
var ownDigest = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
})

// procField is the value of the first "name : value" line of a file.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fileSystem is the type of the file system that holds a folder: that of the
// mount with the longest matching path. A line of mountinfo has the mount point
// as its fifth field and the type behind " - ".
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || dir == "" {
		return ""
	}
	longest, kind := -1, ""
	for line := range strings.Lines(string(mounts)) {
		mount, rest, ok := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if !ok || len(fields) < 5 || len(strings.Fields(rest)) == 0 {
			continue
		}
		point := strings.TrimSuffix(fields[4], "/") + "/"
		if strings.HasPrefix(dir+"/", point) && len(point) > longest {
			longest, kind = len(point), strings.Fields(rest)[0]
		}
	}
	return kind
}
