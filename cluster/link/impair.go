package link

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Impairment is what a bad network does to what comes in on a link's
// connections. The zero value is a good one.
type Impairment struct {
	// Delay is added to every burst of bytes that comes in: to a request, or to
	// a part of its body behind a gap. Bytes that follow each other without a gap
	// are delayed together, as on a long wire.
	Delay time.Duration `json:"delay"`
	// Loss is the share of segments that are lost, 0 to 1. Nothing is ever
	// missing in what TCP delivers: a lost segment stalls its connection until
	// it is sent again. See stall.
	Loss float64 `json:"loss"`
	Seed uint64  `json:"seed"` // of which segments are lost
}

const (
	// segment is how many bytes a TCP segment carries on Ethernet, with time
	// stamps; that of loopback is 64 KiB, which would make losses rare.
	segment = 1448
	// firstTimeout is how long a sender waits for an acknowledgement at least
	// before it sends again: Linux's TCP_RTO_MIN. RFC 6298 would have 1 s.
	firstTimeout = 200 * time.Millisecond
	// tail is how many of a burst's last segments need a timeout: of those
	// before, three duplicate acknowledgements tell the sender, which sends
	// again at once (fast retransmit, RFC 5681 section 3.2).
	tail = 3
	// mostTimeouts bounds a stall: Linux gives a connection up after 15.
	mostTimeouts = 8
)

// impairment is what all that impair a link make of it together.
type impairment struct {
	delay time.Duration
	loss  float64
	mu    sync.Mutex // guards rnd
	rnd   *rand.Rand
}

// Impair makes the link bad from now on, for connections that are there, too,
// beside what makes it bad already: delays add up, and each loses its share.
// undo takes it back, but ends no stall that has begun.
func (l *Link) Impair(i Impairment) (undo func()) {
	mine := &i
	l.change(func() { l.by = append(l.by, mine) })
	return func() {
		l.change(func() { l.by = slices.DeleteFunc(l.by, func(o *Impairment) bool { return o == mine }) })
	}
}

func (l *Link) change(by func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	by()
	kept, seed := 1.0, uint64(0)
	all := &impairment{}
	for _, i := range l.by {
		all.delay += max(0, i.Delay)
		kept *= 1 - min(1, max(0, i.Loss))
		seed ^= i.Seed
	}
	all.loss, all.rnd = 1-kept, rand.New(rand.NewPCG(seed, 1))
	if len(l.by) == 0 {
		all = nil
	}
	l.bad.Store(all)
}

// stall is how long a burst that ends with n bytes is held up by losses. Each of
// its last three segments is lost with the probability loss, and so is each time
// that it is sent again. The timeout doubles each time (RFC 6298 section 5.5),
// so that k losses in a row take firstTimeout × (2^k − 1). Segments lost
// together are sent again together: the longest counts.
func (i *impairment) stall(n int) (longest time.Duration) {
	if i.loss <= 0 {
		return 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for range min(tail, (n+segment-1)/segment) {
		lost := 0
		for lost < mostTimeouts && i.rnd.Float64() < i.loss {
			lost++
		}
		longest = max(longest, firstTimeout*time.Duration(math.Exp2(float64(lost))-1))
	}
	return longest
}

// waiting tells whether bytes have come that nobody has read.
func (c *conn) waiting() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }) != nil || err != nil {
		return false
	}
	return n > 0
}

// suffer holds n bytes back that a Read has got. Bytes that were there before
// it belong to the burst before, unless this side has said something since.
func (c *conn) suffer(bad *impairment, n int, waited bool) {
	hold := time.Duration(0)
	if !waited || c.delayed.CompareAndSwap(false, true) {
		hold = bad.delay
	}
	if !c.waiting() {
		hold += bad.stall(n)
	}
	if hold <= 0 {
		return
	}
	c.delayed.Store(true)
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.in.past(): // the bytes are there: who reads may have them
	}
}
