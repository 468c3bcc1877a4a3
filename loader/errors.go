package loader

import (
	"errors"
	"fmt"
	"sync"

	"github.com/etlbench/etlbench/reports/results"
)

// Classes of failure. "status NNN" joins them.
const (
	classConnect   = "connect"   // no connection to a node or a pod
	classTimeout   = "timeout"   // the whole operation took longer than load.timeout
	classClosed    = "closed"    // the peer hung up before it answered
	classProtocol  = "protocol"  // an answer that is no HTTP, or redirects that lead nowhere
	classTruncated = "truncated" // the body ended before its promised end
	classSize      = "size"      // the whole body came, of another size than expected
	classDigest    = "digest"    // the whole body came, with other bytes than expected
	classSource    = "source"    // the loader could not read its own data set
	classInit      = "init"      // the ETL could not be made
	classJob       = "job"       // an offline job could not be run, or was aborted
	classMissing   = "missing"   // an offline job left no result for an object
	classLost      = "lost"      // of a loader that was lost before it could tell the reason
)

// examplesKept is how many examples of a class are kept.
const examplesKept = 5

// failure is why an operation failed, in one of the classes above.
type failure struct {
	class string
	err   error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// failed puts err into a class, unless it has one or is a timeout.
func failed(class string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		class = classTimeout
	}
	return &failure{class, err}
}

// classOf is the class of an operation's error, "" of none.
func classOf(err error) string {
	if err == nil {
		return ""
	}
	var f *failure
	if errors.As(err, &f) {
		return f.class
	}
	return classProtocol
}

// wrong tells an output that came whole but is not the expected one.
func wrong(err error) bool {
	c := classOf(err)
	return c == classDigest || c == classSize
}

// errorLog counts one arm's failures by class. It may be used concurrently.
type errorLog struct {
	mu      sync.Mutex // guards classes
	classes []results.ErrorClass
}

// add counts err, which befell object ("" when it is about none) on target.
func (l *errorLog) add(err error, object, target string) {
	where := ""
	switch {
	case object != "" && target != "":
		where = object + " on t[" + target + "]: "
	case object != "":
		where = object + ": "
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.class(classOf(err))
	c.Count++
	if len(c.Examples) < examplesKept {
		c.Examples = append(c.Examples, where+err.Error())
	}
}

// merge adds what o has counted. Nobody adds to o any more.
func (l *errorLog) merge(o *errorLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, from := range o.classes {
		c := l.class(from.Class)
		c.Count += from.Count
		room := min(examplesKept-len(c.Examples), len(from.Examples))
		c.Examples = append(c.Examples, from.Examples[:room]...)
	}
}

// lost counts the failures of a loader that was lost.
func (l *errorLog) lost(loader string, n int64) {
	if n == 0 {
		return
	}
	l.merge(&errorLog{classes: []results.ErrorClass{{Class: classLost, Count: n,
		Examples: []string{fmt.Sprintf("agent %s was lost before it told why %d operations had failed", loader, n)}}}})
}

func (l *errorLog) class(name string) *results.ErrorClass {
	for i := range l.classes {
		if l.classes[i].Class == name {
			return &l.classes[i]
		}
	}
	l.classes = append(l.classes, results.ErrorClass{Class: name})
	return &l.classes[len(l.classes)-1]
}

// of returns the classes with the arm they belong to filled in.
func (l *errorLog) of(a *arm) []results.ErrorClass {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.classes {
		l.classes[i].Arm = a.Name
	}
	return l.classes
}

// statusError is an answer of 400 and above.
func statusError(status int, message string) error {
	return &failure{fmt.Sprintf("status %d", status), errors.New(message)}
}
