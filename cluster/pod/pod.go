// Package pod runs transformer pods beside a target: the Runtime interface,
// the Spec that a pod is started from, and Process, the runtime that makes a
// pod of local processes.
//
// It knows nothing of what is sent to a pod (cluster/comm) or of the life of
// an ETL (cluster/node). A runtime on Kubernetes is in cluster/pod/kube.
package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/etlbench/etlbench/cluster/api"
)

// Runtime runs transformer pods on the node of the target that asks: one pod
// for each pair of ETL and target. Methods may be called concurrently.
type Runtime interface {
	// Start returns once the pod is ready, or cleans up and says why it is
	// not. ctx bounds the wait only.
	Start(ctx context.Context, s Spec) (Pod, error)
	// List tells of all pods of this target, also those that an earlier life
	// of it left behind.
	List(ctx context.Context) ([]Info, error)
	// Close stops every pod and returns when they are gone.
	Close() error
}

// Pod is a running pod.
type Pod interface {
	Info() Info
	// Logs writes the end of what the pod has printed.
	Logs(ctx context.Context, w io.Writer) error
	// Usage tells what the pod takes of its machine.
	Usage(ctx context.Context) (Usage, error)
	// Done is closed when the pod has gone, wanted or not.
	Done() <-chan struct{}
	// Err says why the pod has gone; nil before that, and when Stop did it.
	Err() error
	// Stop ends the pod, gracefully at first. It is safe to call twice.
	Stop(ctx context.Context) error
}

// Usage is what a pod takes of its machine.
type Usage struct {
	CPU    float64 // cores, on average since the last Usage or the start
	Memory int64   // bytes resident
}

// Info describes a pod.
type Info struct {
	Name string // Spec.Name
	Node string // the machine it runs on
	URL  string // base URL of its server
	// Socket is the unix socket on which the same server listens, as net.Dial
	// wants it; "" for none.
	Socket string
	// Start is how long it took to start; zero before it is ready, and of pods
	// that an earlier life left.
	Start api.PodStart
	Runs  string // what Spec.Runtime is here: a version and a path; "" of others
}

// Spec is what a pod is started from.
type Spec struct {
	Name string // "<etl>-<target id>", lower case
	// Container is what errors call the container; "" is "server".
	Container string
	Image     string // looked up by the runtime; see Images
	// Runtime, of init code, stands in place of Image and Command: "python3"
	// runs the file CodeFile, with the packages that RequirementsFile names.
	Runtime string
	Command []string
	Args    []string
	Env     []api.EnvVar
	// Files are put beside the program and their folder is its working
	// directory. Names are plain.
	Files map[string][]byte
	// PerObject: Command is run once an object, by a shim.
	PerObject bool
	// Reads is a folder that the pod must be able to read at this path; ""
	// for none. A pod that could not is ErrSpec.
	Reads string
	// TargetSocket is a unix socket on which what listens at AIS_TARGET_URL does,
	// too: EnvTargetSocket of pods that can reach it. "" for none.
	TargetSocket string
	Probe        Probe
	// Resources are what a container may use and is sure to get. Local
	// processes are not held to them.
	Resources corev1.ResourceRequirements
	// Template is the Pod that the user wrote, checked by ParseYAML, which
	// must not be changed; nil of others. It has more than local processes
	// heed: volumes, security contexts, tolerations.
	Template *corev1.Pod
}

// Those of Spec.Files that a Runtime knows.
const (
	CodeFile         = "code.py"
	RequirementsFile = "requirements.txt" // in pip's format; need not be there
)

// Probe is the HTTP GET that tells when a pod is ready.
type Probe struct {
	Path    string        // "" for pods without one: they are ready when their port answers
	Timeout time.Duration // of one probe
	Period  time.Duration // between two, at most; the runtime starts faster
}

// Defaults of a readiness probe.
const (
	DefaultProbeTimeout = 5 * time.Second
	DefaultProbePeriod  = 10 * time.Second
)

// ErrSpec marks pods that cannot be started as they are specified, as opposed
// to pods that failed.
var ErrSpec = errors.New("invalid ETL")

// ExitError is a pod that went away by itself.
type ExitError struct {
	Container, State, Reason, Message string
	ExitCode                          int
}

// Error has the fields in the order that AIStore prints them.
func (e *ExitError) Error() string {
	return fmt.Sprintf("container: %s, state: %s, reason: %s, message: %s, exitCode: %d",
		e.Container, e.State, e.Reason, e.Message, e.ExitCode)
}
