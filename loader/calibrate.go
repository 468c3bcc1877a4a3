package loader

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

const (
	maxNullBody = 1 << 20 // bytes of an answer of the null server
	// calibrationRates bounds the planned rate as a share of what the generator
	// reached: beyond, it would measure its own queue.
	calibrationRates = 0.5
)

// Calibrate drives a server that does nothing, in this process, the way the
// scenario's inline arms will drive the cluster: as many workers, the planned
// rate, a redirect before each body, and bodies of size bytes (at most 1 MiB)
// that are read and hashed. Each of two parts takes length. What comes out is the
// floor below which this generator cannot measure here; as the server shares
// the CPUs with it, the floor is on the high side.
//
// It gives nil for a scenario that has no inline arm.
func Calibrate(ctx context.Context, sc *scenarios.Scenario, size int64, length time.Duration) (*results.Calibration, error) {
	plan := sc.Plan()
	if !slices.ContainsFunc(plan, func(a scenarios.Arm) bool { return a.Mode == scenarios.ModeInline }) {
		return nil, nil
	}
	null, err := serveNull(min(max(size, 0), maxNullBody))
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	defer null.close()
	c := calibration{ctx: ctx, sc: sc, addr: null.ln.Addr().String(), length: length}
	out, err := c.measure(workersOfPlan(sc, plan))
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	return out, nil
}

// workersOfPlan is the most workers that an arm has.
func workersOfPlan(sc *scenarios.Scenario, plan []scenarios.Arm) int {
	n := sc.Load.Workers
	for _, a := range plan {
		n = max(n, a.Workers)
	}
	return n
}

type calibration struct {
	ctx    context.Context
	sc     *scenarios.Scenario
	addr   string
	length time.Duration
}

// measure looks at first for the highest rate, as a closed loop, and then for
// the times: of an open loop at the planned rate, of a closed one with a single
// worker, because more would wait for each other here, which the cluster makes
// them do anyway.
func (c *calibration) measure(workers int) (*results.Calibration, error) {
	t, window, err := c.drive(workers, nil)
	if err != nil {
		return nil, err
	}
	out := &results.Calibration{OpsPerS: float64(t.Ops) / window.Seconds()}
	workers, due := 1, schedule(nil)
	if c.sc.Load.Model == scenarios.ModelOpen {
		rate, err := plannedRate(c.sc)
		if err != nil {
			return nil, err
		}
		rate = min(rate, calibrationRates*out.OpsPerS)
		workers, due = c.sc.Load.Workers, evenly{steady(scenarios.Rate(rate), c.length)}
	}
	if t, _, err = c.drive(workers, due); err != nil {
		return nil, err
	}
	if p := quantile(t.hist[metricResponse], 50); p != nil {
		out.P50Ms, out.P99Ms = *p, *quantile(t.hist[metricResponse], 99)
	}
	return out, nil
}

// plannedRate is the mean rate of an open loop's measured time, operations a
// second.
func plannedRate(sc *scenarios.Scenario) (float64, error) {
	phases, err := phasesOf(sc, 0)
	if err != nil {
		return 0, err
	}
	due := phases[len(phases)-1].due
	return float64(due.count()) / due.length().Seconds(), nil
}

// drive issues operations for the length of a calibration, and gives what came
// of them after a quarter of it, when connections are made and caches warm.
func (c *calibration) drive(workers int, due schedule) (*series, time.Duration, error) {
	warm := phase{name: results.PhaseWarmup, length: c.length / 4}
	measure := phase{name: results.PhaseMeasure, start: warm.length, length: c.length, due: due}
	if due != nil {
		warm.due = evenly{steady(scenarios.Rate(float64(due.count())/due.length().Seconds()), warm.length)}
		measure.first = uint64(warm.due.count())
	}
	var first atomic.Pointer[error]
	l := &load{
		phases: []phase{warm, measure}, stream: newStream(nullScenario(c.sc), 1, 1), workers: workers, inFlight: c.sc.Load.InFlight,
		open: due != nil, clock: clockOf(c.sc.Load.Pacer), issuer: c.issuer,
		failed: func(_ int, _ op, _ int32, err error) { first.CompareAndSwap(nil, &err) },
	}
	l.sink = newCollector(l.phases, []string{"null"})
	l.sink.key = results.Key{Arm: "calibration", Block: 1}
	if _, err := l.run(c.ctx, func(int) {}); err != nil {
		return nil, 0, err
	}
	if err := first.Load(); err != nil {
		return nil, 0, *err
	}
	t := l.sink.totals[1]
	return t.all(opGet), window(&l.phases[1], t, 0, false), c.ctx.Err()
}

// nullScenario is the load of a scenario, but for what operations do.
func nullScenario(sc *scenarios.Scenario) *scenarios.Scenario {
	null := *sc
	null.Load.Mix = map[string]int{scenarios.OpGet: 1}
	null.Load.Keys = scenarios.Keys{Dist: scenarios.KeysUniform}
	return &null
}

func (c *calibration) issuer(worker int) issuer {
	path := nullPath
	if c.sc.Load.Direct {
		path = nullBody
	}
	return &nullClient{path, newDriver([]string{c.addr}, map[string]int{c.addr: 0}, time.Duration(c.sc.Load.Timeout), worker, new(atomic.Int64))}
}

// nullClient gets what the null server has.
type nullClient struct {
	path string
	drv  *driver
}

func (n *nullClient) close() { n.drv.close() }

func (n *nullClient) issue(o op, s *sample) (time.Time, error) {
	n.drv.noHash = !o.verify
	rep := n.drv.get([]byte(n.path), 0)
	s.in, s.out, s.target = rep.got.Size, rep.got.Size, 0
	s.service, s.ttfb, s.proxy, s.headers, s.server = rep.ttlb, rep.ttfb, rep.proxy, rep.headers, rep.server
	return rep.began, rep.err
}
