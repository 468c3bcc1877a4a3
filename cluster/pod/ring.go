package pod

import (
	"bytes"
	"strings"
	"sync"
)

// ringSize is how much of a pod's output is kept.
const ringSize = 64 << 10

// ring keeps the end of what is written to it.
type ring struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

func newRing() *ring { return &ring{} }

func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	// Cut at twice the size, so that a chatty pod does not copy all of it for
	// every line.
	if len(r.buf) > 2*ringSize {
		r.buf = append(r.buf[:0], r.buf[len(r.buf)-ringSize:]...)
	}
	return len(p), nil
}

func (r *ring) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.buf[max(0, len(r.buf)-ringSize):])
}

// lastLines is the end of the output, at most n bytes and whole lines where
// possible, on one line.
func (r *ring) lastLines(n int) string {
	b := bytes.TrimSpace(r.bytes())
	if len(b) > n {
		b = b[len(b)-n:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i < len(b)-1 {
			b = b[i+1:]
		}
	}
	return strings.ReplaceAll(string(b), "\n", " | ")
}
