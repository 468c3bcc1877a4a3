// Package link emulates a network link of limited bandwidth: connections that
// a wrapped listener accepts share it, in each direction by itself. While it runs
// it can be impaired: delays and losses of what comes in. It is no
// model of a network: there are no packets, and what the kernel's socket
// buffers hold has passed it already.
package link

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link is a link that any number of connections share. Its methods may be
// called concurrently, and while connections use it.
type Link struct {
	in, out bucket
	bad     atomic.Pointer[impairment] // nil: it is good
	mu      sync.Mutex                 // guards by
	by      []*Impairment              // what makes it bad
}

// New makes a link that lets through bytesPerSecond each way; 0 is no limit.
func New(bytesPerSecond int64) *Link {
	l := &Link{}
	l.in.turn, l.out.turn = make(chan struct{}, 1), make(chan struct{}, 1)
	l.SetRate(bytesPerSecond)
	return l
}

// SetRate changes the bandwidth of both directions, also for who waits for it
// at the moment. 0 is no limit.
func (l *Link) SetRate(bytesPerSecond int64) {
	l.in.setRate(bytesPerSecond)
	l.out.setRate(bytesPerSecond)
}

// Listener is ln with its connections on the link. ln has to be TCP.
func (l *Link) Listener(ln net.Listener) net.Listener { return &listener{ln, l} }

type listener struct {
	net.Listener
	link *Link
}

// Accept waits for the next connection.
func (ln *listener) Accept() (net.Conn, error) {
	c, err := ln.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(c.(*net.TCPConn), ln.link), nil
}

const (
	// burstTime is how long an idle link saves up for: timers are late by a
	// millisecond or more, and what that loses has to be made up for.
	burstTime = 10 * time.Millisecond
	minBurst  = 4 << 10
	// maxChunk is the most that one connection takes in its turn, bytes.
	maxChunk = 64 << 10
)

// bucket is one direction: a token bucket, whose tokens are bytes.
type bucket struct {
	turn chan struct{} // held by the one who is next; others wait in line, first come, first served

	mu      sync.Mutex // guards the below
	rate    float64    // bytes a second, 0: no limit
	tokens  float64    // below 0 after forced
	at      time.Time  // when tokens was right
	changed chan struct{}
}

func (b *bucket) setRate(rate int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.refill(now)
	idle := b.rate == 0 // as good as: nobody has waited
	b.rate = float64(max(0, rate))
	if b.tokens = min(b.tokens, b.burst()); idle {
		b.tokens = b.burst()
	}
	if b.changed != nil {
		close(b.changed)
	}
	b.changed = make(chan struct{})
}

// refill and burst are called with mu held.
func (b *bucket) refill(now time.Time) {
	b.tokens = min(b.burst(), b.tokens+b.rate*now.Sub(b.at).Seconds())
	b.at = now
}

func (b *bucket) burst() float64 { return max(minBurst, b.rate*burstTime.Seconds()) }

// chunk is how much may be taken in one turn.
func (b *bucket) chunk() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return maxChunk
	}
	return min(maxChunk, int(b.burst()))
}

// try takes n tokens, 0 to chunk. When there are too few it takes none, and
// says how long it will be until there are, unless the rate changes before.
func (b *bucket) try(n int) (wait time.Duration, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0, nil
	}
	b.refill(time.Now())
	want := min(float64(n), b.burst()) // the rate may have been more when n was chosen
	if b.tokens >= want {
		b.tokens -= float64(n)
		return 0, nil
	}
	seconds := (want - b.tokens) / b.rate
	return max(time.Microsecond, time.Duration(min(seconds, 3600)*float64(time.Second))), b.changed
}

// force takes n tokens that there may not be.
func (b *bucket) force(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate > 0 {
		b.refill(time.Now())
		b.tokens -= float64(n)
	}
}

// take waits for n tokens; false when stop was closed before.
func (b *bucket) take(n int, stop <-chan struct{}) bool {
	select {
	case b.turn <- struct{}{}:
	case <-stop:
		return false
	}
	defer func() { <-b.turn }()
	for {
		wait, changed := b.try(n)
		if wait == 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-stop:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}
