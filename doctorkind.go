package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/cluster/kind"
)

// What nodes of kind clusters need.
const (
	wantInstances  = 256        // of inotify: each node takes a few dozen
	wantWatches    = 65536      // of inotify
	wantKindMemory = 3 << 30    // bytes: a control plane and three workers with targets
	leastMemory    = 1280 << 20 // bytes: a control plane and one worker
)

// kindChecks are what up --on kind looks at first. They fail when it cannot
// work.
func kindChecks(e *env) []test {
	engine := func(ctx context.Context) (string, error) { return kind.Engine(ctx, e.get(kind.EnvProvider)) }
	return []test{
		{"kind: engine", func(ctx context.Context) finding {
			name, err := engine(ctx)
			if err != nil {
				return finding{Status: statusFail, Evidence: []string{oneLine(err)}, Do: "install podman or docker, and start its service; " + kind.EnvProvider + " chooses one"}
			}
			return finding{Status: statusOK, Evidence: []string{name + " answers"}}
		}},
		{"kind: cgroups", func(context.Context) finding { return checkCgroups("/proc/self/mountinfo", "/proc/cgroups") }},
		{"kind: inotify", func(context.Context) finding { return checkInotify("/proc/sys/fs/inotify") }},
		{"kind: memory", func(context.Context) finding { return checkKindMemory(freeMemory()) }},
		{"kind: network", func(ctx context.Context) finding {
			name, err := engine(ctx)
			if err != nil {
				return finding{Status: statusOK, Evidence: []string{"no engine"}}
			}
			return checkForward(ctx, name)
		}},
	}
}

// kindDoctor is kindChecks for doctor: etlbench works without kind.
func kindDoctor(e *env) []test {
	list := kindChecks(e)
	for i, c := range list {
		list[i].run = func(ctx context.Context) finding {
			f := c.run(ctx)
			if f.Status == statusFail {
				f.Status, f.Evidence = statusWarn, append(f.Evidence, "up --on kind does not work")
			}
			return f
		}
	}
	return list
}

// kindFit runs the checks before a kind cluster is made.
func kindFit(ctx context.Context, e *env) error {
	var errs []error
	for _, f := range together(ctx, kindChecks(e)) {
		text := fmt.Sprintf("%s: %s", f.Check, strings.Join(f.Evidence, "; "))
		switch f.Status {
		case statusFail:
			errs = append(errs, hint(errors.New(text), f.Do))
		case statusWarn:
			fmt.Fprintf(e.err, "%s; if it does not come up: %s\n", text, f.Do)
		}
	}
	return errors.Join(errs...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// controllers are those that a node's kubelet and its containers want.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "hugetlb"}

// checkCgroups looks for controllers that are there and mounted nowhere, which
// happens on hierarchies of version 1, with one of version 2 beside it or not.
func checkCgroups(mounts, list string) finding {
	data, err := os.ReadFile(mounts)
	if err != nil {
		return finding{Status: statusOK, Evidence: []string{"not told by this system"}}
	}
	mounted, version := map[string]bool{}, 0
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		at, kind := strings.Fields(before), strings.Fields(after)
		switch {
		case len(at) < 5 || len(kind) < 3:
		case kind[0] == "cgroup2" && at[4] == "/sys/fs/cgroup":
			return finding{Status: statusOK, Evidence: []string{"version 2"}}
		case kind[0] == "cgroup":
			version = 1
			for _, option := range strings.Split(kind[2], ",") {
				mounted[option] = true
			}
		}
	}
	if version == 0 {
		return finding{Status: statusFail, Evidence: []string{"no control groups are mounted"}, Do: "mount -t cgroup2 cgroup2 /sys/fs/cgroup"}
	}
	f := finding{Status: statusOK, Evidence: []string{"version 1"}}
	known, _ := os.ReadFile(list)
	var missing, do []string
	for _, c := range controllers {
		if !mounted[c] && enabled(string(known), c) {
			missing = append(missing, c)
			do = append(do, fmt.Sprintf("mkdir -p /sys/fs/cgroup/%[1]s && mount -t cgroup -o %[1]s cgroup /sys/fs/cgroup/%[1]s", c))
		}
	}
	if missing != nil {
		f.Status, f.Do = statusFail, strings.Join(do, " && ")
		f.Evidence = append(f.Evidence, "not mounted, so that containers do not start: "+strings.Join(missing, ", "))
	}
	return f
}

// enabled tells whether /proc/cgroups has a controller switched on.
func enabled(list, controller string) bool {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == controller {
			return f[3] == "1"
		}
	}
	return false
}

func checkInotify(dir string) finding {
	var instances, watches int
	for name, n := range map[string]*int{"max_user_instances": &instances, "max_user_watches": &watches} {
		data, err := os.ReadFile(dir + "/" + name)
		if _, serr := fmt.Sscan(string(data), n); err != nil || serr != nil {
			return finding{Status: statusOK, Evidence: []string{"not told by this system"}}
		}
	}
	f := finding{Status: statusOK, Evidence: []string{fmt.Sprintf("%s instances, %s watches for each user", humanize.Comma(int64(instances)), humanize.Comma(int64(watches)))}}
	if instances < wantInstances || watches < wantWatches {
		f.Status = statusWarn
		f.Do = "sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288: nodes run out of them, and their pods do not start"
	}
	return f
}

func checkKindMemory(free uint64, ok bool) finding {
	if !ok {
		return finding{Status: statusOK, Evidence: []string{"not told by /proc/meminfo"}}
	}
	f := finding{Status: statusOK, Evidence: []string{humanize.IBytes(free) + " are free"}}
	switch {
	case free < leastMemory:
		f.Status, f.Do = statusFail, "free some: two nodes take about "+humanize.IBytes(leastMemory)
	case free < wantKindMemory:
		f.Status, f.Do = statusWarn, "take fewer targets: four nodes take about "+humanize.IBytes(wantKindMemory)
	}
	return f
}

// checkForward looks for a firewall that drops what goes from pod to pod: of
// podman's network, as docker adds its own rules. Nothing is changed.
func checkForward(ctx context.Context, engine string) finding {
	if engine != "podman" {
		return finding{Status: statusOK, Evidence: []string{engine + " lets its networks through the firewall"}}
	}
	rules, err := exec.CommandContext(ctx, "iptables", "-S", "FORWARD").Output()
	if err != nil {
		return finding{Status: statusOK, Evidence: []string{"the firewall cannot be looked at: iptables: " + oneLine(err)}}
	}
	return judgeForward(string(rules), kind.Bridge(ctx))
}

// judgeForward judges the rules of the chain FORWARD, as iptables -S prints
// them, for a bridge; "" of a network that is not there yet.
func judgeForward(rules, bridge string) finding {
	if !strings.Contains(rules, "-P FORWARD DROP") {
		return finding{Status: statusOK, Evidence: []string{"forwarding is allowed"}}
	}
	if bridge == "" {
		return finding{Status: statusWarn, Evidence: []string{"the firewall drops what it does not know (FORWARD), and podman's network kind is not there yet"},
			Do: "podman network create -d=bridge kind, and etlbench doctor again"}
	}
	rule := fmt.Sprintf("FORWARD -i %s -o %s -j ACCEPT", bridge, bridge)
	if strings.Contains(rules, "-A "+rule) {
		return finding{Status: statusOK, Evidence: []string{"forwarding is allowed on " + bridge}}
	}
	return finding{Status: statusFail, Evidence: []string{"the firewall drops what goes from pod to pod (FORWARD)"}, Do: "iptables -I " + rule}
}
