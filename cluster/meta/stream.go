package meta

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// streamLayer is how the members of a group are connected: whoever owns the
// Store dials, and hands in what was dialled here. Members are addressed by
// their IDs, so that they may move to other ports.
type streamLayer struct {
	id     string
	dial   func(ctx context.Context, id string) (net.Conn, error)
	in     chan net.Conn
	ctx    context.Context // ends when the layer is closed
	cancel context.CancelFunc
	mu     sync.Mutex
	conns  map[*stream]bool // open ones; nil once they are cut; guarded by mu
}

func newStreamLayer(id string, dial func(context.Context, string) (net.Conn, error)) *streamLayer {
	ctx, cancel := context.WithCancel(context.Background())
	return &streamLayer{id: id, dial: dial, in: make(chan net.Conn), ctx: ctx, cancel: cancel, conns: map[*stream]bool{}}
}

// stream is a connection that is known until it is closed.
type stream struct {
	net.Conn
	layer *streamLayer
	gone  chan struct{}
	once  sync.Once
}

func (s *stream) Close() error {
	s.once.Do(func() {
		s.layer.mu.Lock()
		delete(s.layer.conns, s)
		s.layer.mu.Unlock()
		close(s.gone)
	})
	return s.Conn.Close()
}

// track makes a stream of a connection, or closes it when the layer is closed.
func (l *streamLayer) track(c net.Conn) (*stream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		c.Close()
		return nil, net.ErrClosed
	}
	s := &stream{Conn: c, layer: l, gone: make(chan struct{})}
	l.conns[s] = true
	return s, nil
}

// take hands a connection to raft and waits for its end.
func (l *streamLayer) take(c net.Conn) {
	s, err := l.track(c)
	if err != nil {
		return
	}
	defer s.Close()
	select {
	case l.in <- s:
		<-s.gone
	case <-l.ctx.Done():
	}
}

// Dial connects to a member.
func (l *streamLayer) Dial(id raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	c, err := l.dial(ctx, string(id))
	if err != nil {
		return nil, err
	}
	s, err := l.track(c)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Accept gives the next connection that was dialled here.
func (l *streamLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial, and cuts all connections.
func (l *streamLayer) Close() error {
	l.cancel()
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for s := range conns {
		s.Close()
	}
	return nil
}

// Addr is this member's ID.
func (l *streamLayer) Addr() net.Addr { return addr(l.id) }

type addr string

func (addr) Network() string  { return "member" }
func (a addr) String() string { return string(a) }
