// Package fleet lets loaders on several machines issue one scenario's
// operations together. An Agent waits for a coordinator and does its share of
// what it is told; a Coordinator, which is the loader.Fleet of a run, gives
// the orders and takes back what agents recorded, as they record it.
//
// They talk HTTP. A session is one run on one agent; it ends when the
// coordinator says so or has been silent for a while. Each step of a run is a
// stream of messages, a JSON object a line: the agent is ready, the coordinator
// names a moment by the agent's clock, and from then on come slices, to the
// last one of how the step ended. This file has the words; see agent.go,
// session.go, coordinator.go and link.go.
package fleet

import (
	"time"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
)

// protocol changes whenever an agent or a coordinator of before would
// misunderstand.
const protocol = 1

// Paths. Those below a session begin with pathSession and its ID.
const (
	pathClock   = "/v1/clock"   // GET
	pathSession = "/v1/session" // POST begins one
	opStep      = "/step"       // POST: a stream of messages
	opGo        = "/go"         // POST: the step begins at a moment
	opStop      = "/stop"       // POST: the step ends, what is under way is finished
	opRenew     = "/renew"      // POST: the coordinator lives
	// DELETE of the session itself ends it.
)

// hdrProtocol is in every request. A browser sends none to another site
// without asking first.
const hdrProtocol = "Etlbench-Fleet"

const (
	renewEvery = time.Second
	// Lease is how long an agent waits for a coordinator that is silent, and a
	// coordinator for such an agent.
	Lease     = 10 * time.Second
	maxOrder  = 4 << 20  // bytes of a request's body
	maxReply  = 64 << 10 // bytes of a reply that is no stream
	maxLine   = 16 << 20 // bytes of a message
	probes    = 8        // of a clock
	maxUnsure = 0.1      // of a phase, that its begin may be wrong
)

// begin asks for a session.
type begin struct {
	Version  string           `json:"version"`  // of etlbench
	Scenario string           `json:"scenario"` // apiVersion of the scenario
	Results  string           `json:"results"`  // results.Schema
	File     []byte           `json:"file"`     // the resolved scenario
	Share    results.Share    `json:"share"`
	Order    loader.PartOrder `json:"order"`
}

// begun is the reply.
type begun struct {
	ID   string `json:"id"`
	CPUs int    `json:"cpus"`
}

// clockReply tells an agent's time, in nanoseconds since the epoch.
type clockReply struct {
	Now int64 `json:"now"`
}

// goOrder is the moment at which a step begins, by the agent's clock.
type goOrder struct {
	At int64 `json:"at"`
}

// message is one line of a step's stream. One of its fields is set.
type message struct {
	Ready    bool          `json:"ready,omitempty"`
	Phase    *phase        `json:"phase,omitempty"`
	Slice    *loader.Slice `json:"slice,omitempty"`
	Progress *progress     `json:"progress,omitempty"`
	Ended    *loader.Ended `json:"ended,omitempty"`
	Error    string        `json:"error,omitempty"`
}

type phase struct {
	Index int           `json:"index"`
	At    time.Duration `json:"at"` // from the agreed moment, nanoseconds
}

// progress is what a live view needs to add up.
type progress struct {
	Ops    int64 `json:"ops"`
	Errors int64 `json:"errors"`
	Shed   int64 `json:"shed"`
	Bytes  int64 `json:"bytes"`
}
