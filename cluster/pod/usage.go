package pod

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// ticks is the unit of CPU times in /proc: Linux has 100 a second for all
// programs.
const ticks = 100

// meter turns the CPU seconds of a pod's processes into cores.
type meter struct {
	mu   sync.Mutex
	at   time.Time // of the last reading; guarded by mu
	last float64   // CPU seconds then; guarded by mu
}

// start begins to measure.
func (m *meter) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = time.Now()
}

// cores is the average since the last call, or the start.
func (m *meter) cores(seconds float64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	passed := now.Sub(m.at).Seconds()
	// Processes that ended and that nobody waited for take their time along.
	used := max(0, seconds-m.last)
	m.at, m.last = now, seconds
	if passed <= 0 {
		return 0
	}
	return used / passed
}

// Usage adds up the processes of the pod's group and those that descend from
// it, and what they have waited for.
func (p *processPod) Usage(context.Context) (u Usage, err error) {
	procs, err := procfs.AllProcs()
	if err != nil {
		return u, fmt.Errorf("usage of %s: %w", p.Info().Name, err)
	}
	stats := map[int]procfs.ProcStat{}
	for _, proc := range procs {
		if s, err := proc.Stat(); err == nil { // else it has gone meanwhile
			stats[proc.PID] = s
		}
	}
	seconds := 0.0
	for _, s := range stats {
		if !belongs(stats, s, p.proc.PID()) {
			continue
		}
		seconds += float64(s.UTime+s.STime+uint(max(0, s.CUTime+s.CSTime))) / ticks
		u.Memory += int64(s.ResidentMemory())
	}
	u.CPU = p.meter.cores(seconds)
	return u, nil
}

// belongs tells whether a process or one that it descends from is in a group.
func belongs(stats map[int]procfs.ProcStat, s procfs.ProcStat, group int) bool {
	for known := true; known; s, known = stats[s.PPID] {
		if s.PGRP == group {
			return true
		}
	}
	return false
}
