package comm

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// Listener knows its connections: each remembers that the other side has
// closed, and all can be closed at once.
//
// fasthttp takes a chunked body that is cut between two chunks for a complete
// one; with the connection's word RequestBody can tell the difference. And its
// shutdown leaves connections alone that are in the middle of a request.
type Listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*eofConn]struct{} // guarded by mu
}

// Track makes a Listener of ln.
func Track(ln net.Listener) *Listener {
	return &Listener{Listener: ln, conns: map[*eofConn]struct{}{}}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if u, ok := c.(*net.UnixConn); ok {
		widen(u)
		c = unixConn{u}
	}
	known, ok := c.(knownConn)
	if !ok {
		return c, err
	}
	conn := &eofConn{knownConn: known, l: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = struct{}{}
	return conn, nil
}

// CloseConns closes every connection that is still open.
func (l *Listener) CloseConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.knownConn.Close()
	}
}

// unixConn is a unix socket, which the kernel can send a file to.
type unixConn struct{ *net.UnixConn }

// ReadFrom copies r; a part of a file, as an io.LimitedReader, by SendFile. It
// hides the ReadFrom of packets.
func (c unixConn) ReadFrom(r io.Reader) (n int64, err error) {
	if part, ok := r.(*io.LimitedReader); ok {
		if f, ok := part.R.(*os.File); ok {
			if n, err = c.sendPart(f, part); err != nil || part.N == 0 {
				return n, err
			}
		}
	}
	rest, err := Copy(c.UnixConn, r)
	return n + rest, err
}

// sendPart sends what can be sent of a part of a file, which begins where the
// file is read.
func (c unixConn) sendPart(f *os.File, part *io.LimitedReader) (n int64, err error) {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	n, err = SendFile(c.UnixConn, f, at, part.N, nil)
	part.N -= n
	if err == nil && part.N > 0 {
		_, err = f.Seek(at+n, io.SeekStart)
	}
	return n, err
}

// unixBuffer is how much the kernel takes of what a unix socket is to send, where
// it allows that. By itself it takes 208 KiB, and both sides wait for each other
// more often than they work.
const unixBuffer = 1 << 20

func widen(c *net.UnixConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, unixBuffer) })
	}
}

// knownConn is what a *net.TCPConn can do besides, such as sending a file, and
// one on an emulated link, and unixConn, too.
type knownConn interface {
	net.Conn
	io.ReaderFrom
	syscall.Conn
}

// eofConn keeps what its connection can do besides.
type eofConn struct {
	knownConn
	l     *Listener
	eof   atomic.Bool
	along []byte // what the next Write takes along; the writer's
}

// WriteAlong has the next Write to a Listener's connection write b as well,
// behind the rest and in one system call with it. It is false for any other
// connection.
func WriteAlong(c net.Conn, b []byte) bool {
	conn, ok := c.(*eofConn)
	if ok {
		conn.along = b
	}
	return ok
}

func (c *eofConn) Write(p []byte) (int, error) {
	if c.along == nil {
		return c.knownConn.Write(p)
	}
	both := net.Buffers{p, c.along}
	c.along = nil
	n, err := both.WriteTo(c.knownConn)
	return int(min(n, int64(len(p)))), err
}

// Close closes the connection and forgets it.
func (c *eofConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.knownConn.Close()
}

func (c *eofConn) Read(p []byte) (int, error) {
	n, err := c.knownConn.Read(p)
	if err == io.EOF {
		c.eof.Store(true)
	}
	return n, err
}

// RequestBody is the body of a streamed request, nil for one without. It ends
// with io.EOF only when all of the body was there.
func RequestBody(ctx *fasthttp.RequestCtx) io.Reader {
	body := ctx.RequestBodyStream()
	if body == nil {
		return nil
	}
	if size := ctx.Request.Header.ContentLength(); size >= 0 {
		return ExactReader(body, int64(size))
	}
	if c, ok := ctx.Conn().(*eofConn); ok {
		return &chunkedBody{body, c}
	}
	return body
}

type chunkedBody struct {
	io.Reader
	conn *eofConn
}

func (b *chunkedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.conn.eof.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// ClientGone tells whether the client of a request, whose body is read, has
// closed its connection. fasthttp does not look while a handler runs.
func ClientGone(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*eofConn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || errors.Is(err, unix.ECONNRESET)
	})
	return gone || err != nil
}
