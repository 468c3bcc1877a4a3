package link

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection on a link. What comes in has passed the link when Read
// returns it, what goes out before Write sends it.
type conn struct {
	*net.TCPConn
	link    *Link
	in, out *deadline
	closed  atomic.Bool
	delayed atomic.Bool // what comes in belongs to a burst that was
}

func newConn(c *net.TCPConn, l *Link) *conn {
	return &conn{TCPConn: c, link: l, in: newDeadline(), out: newDeadline()}
}

// Read reads at most a chunk. Bytes that are there when the deadline or Close
// ends the wait for the link are given away at once, and held against the link.
func (c *conn) Read(p []byte) (int, error) {
	b := &c.link.in
	waited := c.link.bad.Load() != nil && c.waiting()
	n, err := c.TCPConn.Read(p[:min(len(p), b.chunk())])
	if bad := c.link.bad.Load(); bad != nil && n > 0 {
		c.suffer(bad, n, waited)
	}
	if n > 0 && !b.take(n, c.in.past()) {
		b.force(n)
	}
	return n, err
}

// Write writes chunk by chunk.
func (c *conn) Write(p []byte) (written int, err error) {
	c.delayed.Store(false)
	for len(p) > 0 && err == nil {
		var n int
		chunk := p[:min(len(p), c.link.out.chunk())]
		if err = c.pass(len(chunk)); err == nil {
			n, err = c.TCPConn.Write(chunk)
		}
		written, p = written+n, p[n:]
	}
	return written, err
}

// ReadFrom keeps the way on which the kernel sends a file by itself: for an
// io.LimitedReader, which is how net finds a file and how much of it to send.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	whole, ok := r.(*io.LimitedReader)
	if _, file := readerOf(whole).(*os.File); !ok || !file {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	c.delayed.Store(false)
	for whole.N > 0 {
		part := &io.LimitedReader{R: whole.R, N: min(whole.N, int64(c.link.out.chunk()))}
		if err = c.pass(int(part.N)); err != nil {
			return sent, err
		}
		n, err := c.TCPConn.ReadFrom(part)
		sent, whole.N = sent+n, whole.N-n
		if err != nil || n == 0 { // the file has ended
			return sent, err
		}
	}
	return sent, nil
}

func readerOf(l *io.LimitedReader) io.Reader {
	if l == nil {
		return nil
	}
	return l.R
}

// WriteTo hides the TCP connection's, which would pass the link by.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// pass waits until n bytes may go out.
func (c *conn) pass(n int) error {
	if c.link.out.take(n, c.out.past()) {
		return nil
	}
	err := os.ErrDeadlineExceeded
	if c.closed.Load() {
		err = net.ErrClosed
	}
	return &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close ends waits for the link, too.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	c.closed.Store(true)
	c.in.set(longAgo)
	c.out.set(longAgo)
	return err
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is also that of a Read's wait for the link.
func (c *conn) SetReadDeadline(t time.Time) error {
	err := c.TCPConn.SetReadDeadline(t)
	if err == nil { // else it is closed, which no deadline may undo
		c.in.set(t)
	}
	return err
}

// SetWriteDeadline is also that of a Write's wait for the link.
func (c *conn) SetWriteDeadline(t time.Time) error {
	err := c.TCPConn.SetWriteDeadline(t)
	if err == nil {
		c.out.set(t)
	}
	return err
}

// deadline is a channel that is closed from a settable time on, as that of
// net.Pipe.
type deadline struct {
	mu    sync.Mutex // guards the below
	timer *time.Timer
	over  chan struct{}
}

var longAgo = time.Unix(1, 0)

func newDeadline() *deadline { return &deadline{over: make(chan struct{})} }

// past is closed when the deadline has passed.
func (d *deadline) past() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// set replaces the deadline; the zero time is none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // it is about to be closed
	}
	d.timer = nil
	passed := false
	select {
	case <-d.over:
		passed = true
	default:
	}
	wait := time.Until(t)
	if passed && (t.IsZero() || wait > 0) {
		d.over = make(chan struct{})
		passed = false
	}
	switch {
	case t.IsZero() || passed:
	case wait <= 0:
		close(d.over)
	default:
		over := d.over
		d.timer = time.AfterFunc(wait, func() { close(over) })
	}
}
