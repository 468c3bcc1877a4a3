// Package comm is the wire between a target and a transformer, both ends of
// it, one file a communication type.
//
// A Type registers itself by name ("hpush://"). The target dials a pod and
// gets a Link; the transformer's process makes a Server, which answers every
// registered type at once. Nothing here knows of buckets on disk, of ETL life
// cycles or of Kubernetes: see cluster/node, which calls Link, and
// transformers, which are the Transforms that a Server runs.
package comm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Transform reads src to EOF and writes the result to dst. It keeps neither.
// An error that it returns fails this object alone. It is called concurrently.
type Transform func(ctx context.Context, dst io.Writer, src io.Reader, o Info) error

// Info describes the object that a Transform is given.
type Info struct {
	Bucket string // bucket name; empty where the protocol does not carry it
	Name   string // object name
	Size   int64  // bytes, -1 when unknown
	Args   string // etl_args of the request, "" when none
}

// Type is one communication type: the target's end and the transformer's end.
type Type struct {
	// Name is the type as an ETL's spec says it, with its suffix: "hpush://".
	Name string
	// Dial makes the target's end for the pod at a base URL. It does not
	// connect yet.
	Dial func(base string, o Options) Link
	// Serve adds the transformer's end to a Server; nil when another type's
	// end serves this one too.
	Serve func(*Server)
	// Redirects tells that inline requests are answered by a redirect to the
	// pod.
	Redirects bool
	// NeedsDirectPut tells that pods must support direct put.
	NeedsDirectPut bool
	// PerObject tells that the pod's command is run once an object, by a shim,
	// rather than being a server itself. Such a pod needs no port or probe.
	PerObject bool
	// NeedsSocket tells that the pod must offer a unix socket.
	NeedsSocket bool
}

// Options of a target's end.
type Options struct {
	// Command is the container's own command, which a PerObject type repeats
	// to the shim for the sake of published images. Ours ignores it.
	Command []string
	// Retries is how often a pod that takes no connection, or breaks it before
	// it has answered, is asked again, after a second at first and then longer.
	Retries int
	// Socket is the unix socket of the pod on this machine; "" connects by TCP.
	Socket string
	// Slots is how many objects a type that shares memory with the pod may have
	// under way at once, with 1.5 MiB for each; others wait. 0 is 128.
	Slots int
	// Dial connects to the pod; nil is net.Dialer's. What it returns may be a
	// net.Conn that watches the bytes.
	Dial Dialer
}

// Dialer makes a connection, as net.Dialer.DialContext does.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func (o Options) dialer() Dialer {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	if o.Socket == "" {
		return dial
	}
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := dial(ctx, "unix", o.Socket)
		if u, ok := c.(*net.UnixConn); ok && err == nil {
			widen(u)
		}
		return c, err
	}
}

// Link is a target's connection to one pod. Its methods may be called
// concurrently, Close when no call is left.
type Link interface {
	// Inline answers a client's GET; the reply may be a redirect.
	Inline(ctx context.Context, r Request) (Reply, error)
	// Offline transforms one object of a job; it never redirects.
	Offline(ctx context.Context, r Request) (Reply, error)
	// Close drops the connections that are idle.
	Close() error
}

// Checker is a Link that can tell, before the first object, that its pod does
// not speak its type.
type Checker interface {
	// Check connects to the pod. The error is ErrPod.
	Check(ctx context.Context) error
}

// Held is a Reply's Body that lies in memory.
type Held interface {
	// Head is the begin of the result, which is not read by that: all of it
	// when its size is known. It is valid until the next read.
	Head() []byte
	// WriteTo writes what was not read from where it lies.
	io.WriterTo
}

// Request is one object to be transformed.
type Request struct {
	Bucket, Name string
	Uname        string // "ais/@#/bucket/name"
	// Open gives the source object. Only types that send bytes call it, again
	// when a connection proved stale; the Link closes what it returns.
	Open func() (Object, error)
	Args string // etl_args, "" when none
	// Path, when set, is the object's file: the pod reads it, and no bytes are
	// sent.
	Path      string
	LatestVer bool // the client asked for the latest version
	// Stops are where the pod sends the result by itself, one behind the
	// other: base URLs of pods, and of a target the URL of the object. It may
	// ignore them and answer with the result.
	Stops []string
	// Query is the client's raw query without what selects the ETL, and Header
	// makes the headers that may be passed on, for types that pass the client's
	// request on; nil for none.
	Query  string
	Header func() http.Header
}

// Object is an open source object.
type Object struct {
	Body io.ReadCloser
	Size int64 // bytes
}

// Reply is a pod's answer. Exactly one of Body, Redirect and Delivered is set.
type Reply struct {
	Body        io.ReadCloser // the caller closes it, also to give the connection back
	Size        int64         // bytes, -1 when unknown
	ContentType string        // as the pod said; "" when it did not, or when only its bytes count
	// Status and Header are the pod's own of a reply that is passed on as it
	// is; 0 and nil of a result. Header has none of the connection's.
	Status   int
	Header   http.Header
	Redirect string // send the client here (307)
	// Delivered: the result is at the last of Request.Stops, Size bytes of it.
	Delivered bool
}

// Errors of a Link. A source that cannot be opened comes back as it is.
var (
	// ErrTransform: the transformer ran and refused the object.
	ErrTransform = errors.New("transform failed")
	// ErrPod: no transformer answered, or it went away in the middle.
	ErrPod = errors.New("pod is unreachable")
)

// TransformError is a transformer's own error reply.
type TransformError struct {
	Status int    // 400 and above
	Text   string // the reply's body, cut to a few KiB
}

// Error reads as clients of AIStore know it.
func (e *TransformError) Error() string { return "ETL error: " + strings.TrimSpace(e.Text) }

// Is matches ErrTransform.
func (e *TransformError) Is(target error) bool { return target == ErrTransform }

// registry holds the types by name. Only init functions of this package write
// to it, so it needs no lock.
var registry = map[string]Type{}

// Register adds a type; a second one of the same name panics.
func Register(t Type) {
	if _, ok := registry[t.Name]; ok {
		panic("comm: type " + t.Name + " registered twice")
	}
	registry[t.Name] = t
}

// suffix ends the name of every type on the wire.
const suffix = "://"

// Lookup finds a type by name, with or without "://". "" is hpush://.
func Lookup(name string) (Type, error) {
	if name == "" {
		name = hpushName
	}
	t, ok := registry[strings.TrimSuffix(name, suffix)+suffix]
	if !ok {
		return Type{}, fmt.Errorf("unknown communication type %q: have %s", name, strings.Join(Names(), ", "))
	}
	return t, nil
}

// Names lists the types' names, sorted.
func Names() []string {
	names := make([]string, 0, len(registry))
	for name := range registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
