package loader

import (
	"slices"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

// series records what every component used, an interval after the other,
// until the watch is stopped. It ends with the part of an interval that is
// left, if that is long enough to tell CPU time in.
func (w *watch) series() {
	every := time.Duration(w.Scenario.Collect.Interval)
	tick := time.NewTicker(every)
	defer tick.Stop()
	at, before, gen := time.Now(), w.consumed(w.arm), readGenerator(w.cgroup)
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-w.quit:
			ended = true
		}
		now := time.Now()
		if ended && now.Sub(at) < every/2 {
			return
		}
		after, genNow := w.consumed(w.arm), readGenerator(w.cgroup)
		use := used(at, now, before, after)
		for i := range use {
			use[i].Arm, use[i].Block = w.arm.Name, w.block
		}
		if w.Results != nil { // an agent has none
			_ = w.Results.Usage(use) // what cannot be written is found when the next interval cannot
		}
		health := gen.until(genNow)
		w.progress.used(use, &health)
		at, before, gen = now, after, genNow
	}
}

// used is what each component used between two readings.
func used(from, to time.Time, before, after map[string]consumption) (list []results.Usage) {
	for _, component := range components {
		a := after[component]
		if a.processes == 0 {
			continue
		}
		list = append(list, results.Usage{At: to, Seconds: to.Sub(from).Seconds(), Component: component, Processes: a.processes,
			CPUSeconds: max(0, a.cpu-before[component].cpu), RSSBytes: a.rss})
	}
	return slices.Clip(list)
}
