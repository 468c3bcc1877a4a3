package results

import "time"

// Kinds of a Fault.
const (
	FaultKill     = "kill"
	FaultThrottle = "throttle"
	FaultDelay    = "delay"
	FaultDrop     = "drop"
)

// Fault is something that went wrong on purpose while an arm was measured. It
// lasts from At to Until: of a kill, until what was killed runs again and the
// ETL that it aborted was started, as an operator would do it.
type Fault struct {
	Number  int       `json:"number"` // in the scenario, from 0
	Kind    string    `json:"kind"`   // FaultKill …
	What    string    `json:"what"`   // such as "kill transformer"
	Arm     string    `json:"arm"`    // Arm.Name
	Block   int       `json:"block"`  // from 1
	Partial bool      `json:"partial,omitempty"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"`
	Against []string  `json:"against"` // such as "pod on tgt00002"
	How     string    `json:"how,omitempty"`
	// Failed says why it could not be injected, or undone; "" when it could.
	Failed string `json:"failed,omitempty"`
	// Errors are of operations under way at some time while it lasted. One that
	// meets two faults is the later one's.
	Errors []FaultErrors `json:"errors,omitempty"`
	// Intended and Done are of operations due while it lasted. The others are
	// lost.
	Intended int64 `json:"intended"`
	Done     int64 `json:"done"`
	// FirstGoodS is the time from At to the end of the first operation that was
	// sent since, and done, to a target which it befell, seconds; nil without
	// one, and of jobs.
	FirstGoodS *float64 `json:"first_good_s"`
}

// FaultErrors are those of one class.
type FaultErrors struct {
	Class string `json:"class"`
	Count int64  `json:"count"`
}

// Errored is how many operations failed by the fault.
func (f *Fault) Errored() (n int64) {
	for _, e := range f.Errors {
		n += e.Count
	}
	return n
}

// Lost is how many operations were due while it lasted, and not done.
func (f *Fault) Lost() int64 { return f.Intended - f.Done }
