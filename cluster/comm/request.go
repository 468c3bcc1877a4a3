package comm

import (
	"io"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Listener makes connections remember that the other side has closed. fasthttp
// takes a chunked body that is cut between two chunks for a complete one; with
// the connection's word RequestBody can tell the difference.
func Listener(ln net.Listener) net.Listener { return &eofListener{ln} }

type eofListener struct{ net.Listener }

func (l *eofListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &eofConn{TCPConn: tcp}, err
	}
	return c, err
}

// eofConn embeds the concrete type, so that what it can do besides, such as
// sending a file, is not lost.
type eofConn struct {
	*net.TCPConn
	eof atomic.Bool
}

func (c *eofConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
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
