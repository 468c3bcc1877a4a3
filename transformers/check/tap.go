package check

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
)

// Exchange is a request and its reply as they went over the wire.
type Exchange struct {
	Request   string `json:"request"` // request line and headers
	SentBytes int64  `json:"sent_bytes"`
	Reply     string `json:"reply"` // status line and headers, "" when none came
	GotBytes  int64  `json:"got_bytes"`
	// First bytes behind the reply's headers, quoted as Go does.
	First string `json:"first_bytes,omitempty"`
}

// maxHead and maxFirst bound what is kept of an exchange, bytes.
const (
	maxHead  = 4 << 10
	maxFirst = 96
)

// tap watches the connections of one session.
type tap struct {
	mu        sync.Mutex
	sent, got sample // guarded by mu
}

// sample is the beginning of a stream.
type sample struct {
	head []byte
	n    int64
}

func (s *sample) add(p []byte) {
	s.n += int64(len(p))
	if room := maxHead - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
}

// split parts headers from what follows; a stream without headers has only
// the latter.
func (s *sample) split() (head string, first []byte) {
	h, rest, ok := bytes.Cut(s.head, []byte("\r\n\r\n"))
	if !ok {
		h, rest = nil, s.head
	}
	return string(bytes.ReplaceAll(h, []byte("\r\n"), []byte("\n"))), rest[:min(maxFirst, len(rest))]
}

// reset begins a new exchange.
func (t *tap) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent, t.got = sample{}, sample{}
}

// exchange is what was seen since reset.
func (t *tap) exchange() Exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := Exchange{SentBytes: t.sent.n, GotBytes: t.got.n}
	var first []byte
	e.Request, _ = t.sent.split()
	if e.Reply, first = t.got.split(); len(first) > 0 {
		e.First = strconv.Quote(string(first))
	}
	return e
}

func (t *tap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tapConn{conn, t}, nil
}

type tapConn struct {
	net.Conn
	t *tap
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.t.got.add(p[:n])
	return n, err
}

func (c *tapConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.t.sent.add(p[:n])
	return n, err
}
