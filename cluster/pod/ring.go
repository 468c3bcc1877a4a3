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

// lastWords is the last line of the output, where programs say why they end,
// and behind it what came before, all on one line of about n bytes.
func (r *ring) lastWords(n int) string {
	b := bytes.TrimSpace(r.bytes())
	i := bytes.LastIndexByte(b, '\n')
	last := strings.TrimPrefix(string(cutFront(b[i+1:], n)), "etlbench: ")
	if i < 0 || len(last) >= n {
		return last
	}
	before := strings.Fields(string(cutFront(b[:i], n-len(last))))
	if len(b[:i]) > n-len(last) && len(before) > 0 {
		before[0] = "..." // the rest of a word
	}
	return last + " (before it: " + strings.Join(before, " ") + ")"
}

// cutFront is the last n bytes of b.
func cutFront(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
