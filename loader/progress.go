package loader

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/etlbench/etlbench/reports/results"
)

const (
	progressEvery = 250 * time.Millisecond // how often Config.Progress is called
	rateOver      = 4                      // calls that a rate looks back
	mib           = 1 << 20
)

// Progress is how far a run is. Total and Left are estimates: nobody knows
// how long an offline job takes before the first one is done.
type Progress struct {
	Arm, Arms             int    // the step under way, an arm in a block, from 1; 0 before the first
	Block, Blocks         int    // of that step
	Name                  string // of that arm
	Transform, Comm, Mode string
	Phase                 string // "fill", "init", "warmup", "measure", "job" …
	Elapsed, Total, Left  time.Duration
	Ops, Errors, Shed     int64   // of the phase; objects where a phase issues no load
	Bytes                 int64   // of the phase: source bytes of Ops
	OpsPerS, MiBPerS      float64 // over the last second; of source bytes

	PhaseFor, PhaseOf time.Duration      // of the phase under way: gone by, and expected; 0: not known
	Live              *Live              // nil unless the phase issues operations
	Use               []Use              // by component; nil before the first interval of an arm
	Generator         *results.Generator // over that interval
	Done              []ArmBlocks        // of all arms, in the scenario's order
	Next              string             // name of the arm of the next step; "" of the last one
}

// ArmBlocks is in how many blocks an arm was measured.
type ArmBlocks struct {
	Name string
	Done int
}

// progress calls fn from a goroutine of its own, so that nobody who measures
// waits for a terminal.
type progress struct {
	start                    time.Time
	ops, errors, shed, bytes atomic.Int64 // of the phase under way

	mu      sync.Mutex // guards the rest
	now     Progress
	phaseAt time.Time
	phase   time.Duration // how long the phase is expected to take
	after   time.Duration // and what follows it
	past    []point       // of the phase

	quit, done chan struct{}
}

// point is a count at a moment, to compute rates from.
type point struct {
	at         time.Time
	ops, bytes int64
}

// startProgress starts calling fn, which may be nil. The caller stops it.
func startProgress(fn func(Progress)) *progress {
	now := time.Now()
	p := &progress{start: now, phaseAt: now, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if fn == nil {
			return
		}
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fn(p.snapshot())
			case <-p.quit:
				fn(p.snapshot())
				return
			}
		}
	}()
	return p
}

// stop makes the last call and waits for it.
func (p *progress) stop() {
	close(p.quit)
	<-p.done
}

// arm begins step number i, from 0.
func (p *progress) arm(arms []*arm, steps []step, i, blocks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := steps[i].arm
	p.now = Progress{Arm: i + 1, Arms: len(steps), Block: steps[i].block, Blocks: blocks, Name: a.Name,
		Transform: a.Transform, Comm: a.Comm, Mode: a.Mode, Phase: p.now.Phase}
	if i+1 < len(steps) {
		p.now.Next = steps[i+1].arm.Name
	}
	done := map[*arm]int{}
	for _, s := range steps[:i] {
		done[s.arm]++
	}
	for _, a := range arms {
		p.now.Done = append(p.now.Done, ArmBlocks{a.Name, done[a]})
	}
}

// live shows what a load did.
func (p *progress) live(l Live) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Live = &l
}

// used shows what components used, and how the generator fared.
func (p *progress) used(list []results.Usage, g *results.Generator) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Use, p.now.Generator = nil, g
	for _, u := range list {
		p.now.Use = append(p.now.Use, Use{u.Component, u.Processes, ratio(u.CPUSeconds, u.Seconds), u.RSSBytes})
	}
}

// enter begins a phase that takes about d, with after still to come then.
func (p *progress) enter(phase string, d, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Phase, p.now.Live, p.phaseAt, p.phase, p.after, p.past = phase, nil, time.Now(), d, after, nil
	p.ops.Store(0)
	p.errors.Store(0)
	p.shed.Store(0)
	p.bytes.Store(0)
}

// left is how long what follows the phase under way takes.
func (p *progress) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.after
}

func (p *progress) snapshot() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := point{time.Now(), p.ops.Load(), p.bytes.Load()}
	s := p.now
	s.Ops, s.Errors, s.Shed, s.Bytes = at.ops, p.errors.Load(), p.shed.Load(), at.bytes
	if len(p.past) > rateOver {
		p.past = p.past[1:]
	}
	if len(p.past) > 0 {
		first := p.past[0]
		dt := at.at.Sub(first.at).Seconds()
		s.OpsPerS = ratio(float64(at.ops-first.ops), dt)
		s.MiBPerS = ratio(float64(at.bytes-first.bytes)/mib, dt)
	}
	p.past = append(p.past, at)
	s.Elapsed = at.at.Sub(p.start)
	s.PhaseFor, s.PhaseOf = at.at.Sub(p.phaseAt), p.phase
	s.Left = max(0, p.phase-at.at.Sub(p.phaseAt)) + p.after
	s.Total = s.Elapsed + s.Left
	return s
}
