package loader

import (
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"

	"github.com/etlbench/etlbench/reports/results"
)

// tick is the unit of CPU times in /proc/PID/stat, in seconds. Linux has the
// same one on every machine.
const tick = 0.01

// consumption is what a component's processes have used so far.
type consumption struct {
	processes int
	cpu       float64 // seconds
	peak      int64   // bytes
	rss       int64   // bytes
	lasting   bool    // peak is since the processes began
}

// consumed reads what the processes of each component have used. The CPU time
// of children that have ended is their parent's, which matters where a process
// is run for each object; a target's are pods, which another component has.
func consumed(pids map[string][]int) map[string]consumption {
	all := map[string]consumption{}
	for component, list := range pids {
		var c consumption
		for _, pid := range list {
			c.add(pid, component == results.ComponentTransformer)
		}
		all[component] = c
	}
	return all
}

// add adds a process; one that has gone adds nothing.
func (c *consumption) add(pid int, children bool) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return
	}
	stat, err := p.Stat()
	if err != nil {
		return
	}
	ticks := int(stat.UTime + stat.STime)
	if children {
		ticks += stat.CUTime + stat.CSTime
	}
	c.processes++
	c.cpu += float64(ticks) * tick
	if status, err := p.NewStatus(); err == nil {
		c.peak += int64(status.VmHWM)
		c.rss += int64(status.VmRSS)
	}
}

// forgetPeaks has the kernel count peak memory from now on; false where it
// does not let us.
func forgetPeaks(pids map[string][]int) bool {
	all := true
	for _, list := range pids {
		for _, pid := range list {
			const peakRSS = "5"
			if err := os.WriteFile("/proc/"+strconv.Itoa(pid)+"/clear_refs", []byte(peakRSS), 0); err != nil {
				all = false
			}
		}
	}
	return all
}

// consumed is what each component of an arm has used so far.
func (r *run) consumed(a *arm) map[string]consumption {
	all := consumed(r.processes(a))
	if r.nodeUse != nil && !a.beside() {
		maps.Copy(all, r.nodeUse.consumed())
	}
	return all
}

// forgetPeaks has peak memory be that from now on; false where it is not.
func (r *run) forgetPeaks(a *arm) bool {
	if r.nodeUse != nil && !a.beside() {
		r.nodeUse.forgetPeaks()
	}
	return forgetPeaks(r.processes(a))
}

// processes are those whose resources are recorded, by component.
func (r *run) processes(a *arm) map[string][]int {
	pids := map[string][]int{}
	switch {
	case a.beside():
		if r.EndpointProcesses != nil {
			pids = r.EndpointProcesses(a.Endpoint)
		}
	case r.Processes != nil:
		pids = r.Processes(a.etlName())
	}
	pids[results.ComponentClient] = []int{os.Getpid()}
	for component := range pids {
		if !slices.Contains(r.Scenario.Collect.Cgroups, component) {
			delete(pids, component)
		}
	}
	return pids
}

// between is what was used between two readings. A process that was killed
// meanwhile takes what it had used with it: the least that is known is 0.
func between(before, after map[string]consumption) (list []results.Resource) {
	for _, component := range components {
		b, a := before[component], after[component]
		if a.processes == 0 {
			continue
		}
		list = append(list, results.Resource{Component: component, Processes: a.processes,
			CPUSeconds: max(0, a.cpu-b.cpu), PeakBytes: a.peak, PeakLasting: b.lasting})
	}
	return list
}

// components are those of a results.Resource, in their order.
var components = []string{results.ComponentClient, results.ComponentProxy, results.ComponentTarget, results.ComponentTransformer}

// moved is how many bytes have gone over the loopback interface.
func moved() (bytes int64, ok bool) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, false
	}
	devices, err := fs.NetDev()
	if err != nil {
		return 0, false
	}
	lo, ok := devices["lo"]
	return int64(lo.RxBytes), ok
}
