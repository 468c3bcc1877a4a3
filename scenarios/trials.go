package scenarios

import "time"

// Phases of every inline arm.
type Phases struct {
	// Warmup is recorded, but not counted; zero skips it. "auto" is as long as
	// Max, and leaves the choice of the cut to the report. Default 1s, 0s where
	// load.stages or load.trace say when requests begin.
	Warmup Warmup `yaml:"warmup"`
	// Max is the longest automatic warm-up, above zero; with warmup: auto only.
	// Default 20s.
	Max Duration `yaml:"max,omitempty"`
	// Measure is the counted time, above zero. Default 10s. Refused where
	// something else says how long it is: load.stages, load.trace, load.epochs.
	Measure Duration `yaml:"measure,omitempty"`
}

// WarmupTime is how long the warm-up is.
func (p *Phases) WarmupTime() time.Duration {
	if p.Warmup == WarmupAuto {
		return time.Duration(p.Max)
	}
	return time.Duration(p.Warmup)
}

// Values of trials.order.
const (
	OrderInterleaved = "interleaved-random"
	OrderSequential  = "sequential"
)

// Trials say how often and in which order arms are measured.
type Trials struct {
	// Blocks is how often every arm is measured, 1 to 10,000. Each time is a
	// sample. Default 1.
	Blocks int `yaml:"blocks"`
	// Order is "interleaved-random" (the default), in which a block takes
	// every arm once, in an order of its own that depends on the seed; or
	// "sequential", in which an arm goes through all its blocks before the
	// next one begins.
	Order string `yaml:"order"`
	// RedeployEvery is after how many blocks pods are made anew, 1 to 10,000:
	// where they happen to lie may make a difference. Default 0: never.
	RedeployEvery int `yaml:"redeploy-every,omitempty"`
	// StopAt ends the run early once every arm is known well enough.
	StopAt StopAt `yaml:"stop-at,omitzero,flow"`
}

// StopAt is a precision: trials end when half the confidence interval of
// Metric is at most HalfWidth of its value, in every arm.
type StopAt struct {
	Metric    string  `yaml:"metric"`     // one of Metrics
	HalfWidth Percent `yaml:"half-width"` // above 0%
}

// Metrics are the numbers of a sample that trials.stop-at may name.
func Metrics() []string {
	return []string{"p50", "p90", "p99", "p99.9", "mean", "service.p50", "service.p99", "ops/s", "mib/s"}
}

// Collect says what is recorded beside the times of operations.
type Collect struct {
	// Cgroups are the components whose CPU time and memory are recorded, of
	// client, proxy, target and transformer, where they are processes of this
	// machine. Default all four.
	Cgroups []string `yaml:"cgroups,flow"`
	// Interval is how long the intervals of the recorded histograms are,
	// 100ms to 1m. Default 1s.
	Interval Duration `yaml:"interval"`
	// Phases is of which operations servers are asked to tell their shares of
	// the time: "all" (the default), "sample N%" or "off".
	Phases Sampling `yaml:"phases"`
}

// Components are what Cgroups and Faults may name.
func Components() []string { return []string{"client", "proxy", "target", "transformer"} }

// Fault is something that goes wrong on purpose, on a cluster whose processes run
// on this machine. Exactly one of Kill, Throttle, Delay and Drop is given. What it
// costs is told of inline arms; a job that it aborts is an error. None with arms.mode
// init.
type Fault struct {
	// At is the moment from the start of an arm's measured time, in every
	// block.
	At Duration `yaml:"at"`
	// Kill is the component whose processes are killed (SIGKILL). Nodes are
	// started again a second later, by who looks after the cluster; an ETL that
	// is aborted thereby is started again at once, as an operator would do it.
	Kill string `yaml:"kill,omitempty"`
	// Throttle is the component whose CPU time is cut to CPU, above 0% (100%
	// is one CPU), of each node or pod.
	Throttle string  `yaml:"throttle,omitempty"`
	CPU      Percent `yaml:"cpu,omitempty"`
	// Delay is added to what is sent to the component On: to each request on a
	// connection that it accepts, also those of clients that hpull sends to a
	// transformer. Of a cluster that runs already only with up --faults. The same
	// holds for Drop.
	Delay Duration `yaml:"delay,omitempty"`
	// Drop is the share of packets to the component On that are lost, up to
	// 100%: a request waits until they are sent again, 200 ms or more.
	Drop Percent `yaml:"drop,omitempty"`
	On   string  `yaml:"on,omitempty"` // of Delay and Drop
	// For is how long it lasts; not of Kill. Default 0s: to the arm's end.
	For Duration `yaml:"for,omitempty"`
	// Count is how many of the component's processes it befalls, chosen by the
	// seed. Default 0: all.
	Count int `yaml:"count,omitempty"`
}

// Gate is a condition on the results, such as {on: arm(hpush).response.p99,
// is: "< 50ms"}. What On and Is may say is the reports' matter.
type Gate struct {
	On string `yaml:"on"`
	Is string `yaml:"is"`
	// AbortAfter ends the run once the condition has not held for so long: it
	// is looked at several times a second, on the numbers of the inline arm
	// under way since its measured time in this block began. Default 0s: it is
	// only looked at in the end.
	AbortAfter Duration `yaml:"abort-after,omitempty"`
}
