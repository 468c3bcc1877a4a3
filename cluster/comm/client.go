package comm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// client is an HTTP/1.1 client of one host over pooled connections. It differs
// from fasthttp's in one thing that a relay cannot do without: it reads the
// reply while it is still sending the request, so a transformer that streams
// does not deadlock with its target. And it sends a small object together with
// the header in one write.
type client struct {
	addr    string // host:port
	retries int    // of connecting
	connect Dialer
	mu      sync.Mutex
	idle    []*clientConn // guarded by mu; last in, first out
}

// maxIdle bounds the idle connections of a client.
const maxIdle = 256

type clientConn struct {
	net.Conn
	br     *bufio.Reader
	reused bool
}

// newClient returns a client of the host of a base URL ("http://host:port").
func newClient(base string, o Options) *client {
	addr := base
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		addr = u.Host
	}
	return &client{addr: addr, retries: o.Retries, connect: o.dialer()}
}

// call is one request. open is nil for a request without a body.
type call struct {
	method, target string // target: escaped path and query
	open           func() (Object, error)
	stops          []string // where the result goes: Ais-Node-Url
	header         http.Header
}

// do sends a request and returns the reply once its header is there. Closing
// the body ends the exchange; ctx ends it at any time.
func (c *client) do(ctx context.Context, r call) (*http.Response, error) {
	for wait := newBackOff(c.retries); ; {
		conn, err := c.get(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := c.exchange(ctx, conn, r)
		if err == nil {
			return resp, nil
		}
		conn.Close()
		switch {
		case !errors.Is(err, errStale) || ctx.Err() != nil:
			return nil, err
		case conn.reused:
			// The pod may have closed an idle connection just as we took it. A
			// fresh one tells a stale connection from a dead pod.
			c.closeIdle()
		case !isReset(err) || !wait(ctx):
			return nil, c.gaveUp(ctx, err)
		}
	}
}

// isReset tells a connection that broke from one that the pod closed in good
// order: transformers of 2022 do that with an object that they fail on, and
// would fail again.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// errStale marks failures before the first byte of a reply.
var errStale = errors.New("connection closed before a reply")

func (c *client) get(ctx context.Context) (*clientConn, error) {
	if conn := c.takeIdle(); conn != nil {
		return conn, nil
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &clientConn{Conn: conn, br: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// takeIdle gives an idle connection that the other end has not closed, nil when
// there is none: what is read of a result cannot be sent a second time.
func (c *client) takeIdle() *clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := len(c.idle); n > 0; n = len(c.idle) {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		if silent(conn.Conn) {
			conn.reused = true
			return conn
		}
		conn.Close()
	}
	return nil
}

// silent tells whether an idle connection is open, with nothing to read on it.
// It does not wait.
func silent(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, err := syscall.Read(int(fd), b[:])
		open = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return open && err == nil
}

// dial connects, again and again when the pod takes no connection. ctx ends
// when the pod has died.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	for wait := newBackOff(c.retries); ; {
		conn, err := c.connect(ctx, "tcp", c.addr)
		if err == nil {
			return conn, nil
		}
		if !wait(ctx) {
			return nil, c.gaveUp(ctx, err)
		}
	}
}

// gaveUp is the error of a pod that is not asked again: when that is because
// ctx has ended, with what was wrong until then.
func (c *client) gaveUp(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return c.explain(ctx, err)
}

// newBackOff returns a function that waits before the next of at most n
// attempts, a second at first and then longer; it is false when there is none,
// or ctx has ended.
func newBackOff(n int) func(ctx context.Context) bool {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = time.Second
	return func(ctx context.Context) bool {
		if n--; n < 0 {
			return false
		}
		timer := time.NewTimer(b.NextBackOff())
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		}
	}
}

func (c *client) put(conn *clientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= maxIdle {
		conn.Close()
		return
	}
	c.idle = append(c.idle, conn)
}

func (c *client) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.idle {
		conn.Close()
	}
	c.idle = nil
}

// exchange sends r on conn and reads the reply's header.
func (c *client) exchange(ctx context.Context, conn *clientConn, r call) (*http.Response, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	sent, err := send(conn, c.addr, r)
	if err != nil {
		stop()
		return nil, c.explain(ctx, err)
	}
	resp, err := readResponse(conn, r.method)
	if err != nil {
		stop()
		conn.Close() // ends the sender, if there is one
		if serr := sent.wait(); errors.Is(serr, errSource) {
			return nil, serr
		}
		return nil, c.explain(ctx, err)
	}
	resp.Body = &replyBody{ReadCloser: resp.Body, ctx: ctx, c: c, conn: conn, sent: sent, stop: stop,
		keep: !resp.Close, eof: resp.ContentLength == 0}
	return resp, nil
}

// explain blames the pod for a failure that neither ctx nor the source caused.
func (c *client) explain(ctx context.Context, err error) error {
	if errors.Is(err, ErrPod) && ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, errSource) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrPod, c.addr, err)
}

func readResponse(conn *clientConn, method string) (*http.Response, error) {
	if _, err := conn.br.Peek(1); err != nil {
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	for range maxInterim {
		resp, err := http.ReadResponse(conn.br, &http.Request{Method: method})
		if err != nil || resp.StatusCode >= http.StatusOK {
			return resp, err
		}
	}
	return nil, fmt.Errorf("more than %d interim replies", maxInterim)
}

// maxInterim bounds how many replies of 1xx may come before the real one.
const maxInterim = 8

// errSource marks failures to read the source object, which are not the pod's.
var errSource = errors.New("read the source object")

// sending is a request's body on its way.
type sending struct {
	done chan struct{} // nil when it was sent at once
	err  error         // valid after done
}

func (s *sending) wait() error {
	if s.done != nil {
		<-s.done
	}
	return s.err
}

// userAgent is what AIStore's targets call themselves.
const userAgent = "Go-http-client/1.1"

// send writes the header, and a small body with it; a large one goes on in a
// goroutine that ends with the connection at the latest.
func send(conn *clientConn, host string, r call) (*sending, error) {
	head := requests.Get().(*bytes.Buffer)
	free := func() { head.Reset(); requests.Put(head) }
	writeHeader(head, host, r)
	if r.open == nil {
		defer free()
		if r.method != http.MethodGet {
			head.WriteString("Content-Length: 0\r\n")
		}
		head.WriteString("\r\n")
		return &sending{}, write(conn, head.Bytes())
	}
	o, err := r.open()
	if err != nil {
		free()
		return nil, fmt.Errorf("%w: %w", errSource, err)
	}
	head.WriteString("Content-Type: application/octet-stream\r\n")
	if o.Size < 0 {
		head.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	} else {
		fmt.Fprintf(head, "Content-Length: %d\r\n\r\n", o.Size)
	}
	if o.Size >= 0 && o.Size <= SmallSize {
		defer free()
		defer o.Body.Close()
		if _, err := head.ReadFrom(ExactReader(o.Body, o.Size)); err != nil {
			return nil, fmt.Errorf("%w: %w", errSource, err)
		}
		return &sending{}, write(conn, head.Bytes())
	}
	s := &sending{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer free()
		defer o.Body.Close()
		s.err = sendLarge(conn, head.Bytes(), o)
	}()
	return s, nil
}

// requests are buffers for a request's header, and a small body behind it.
var requests = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}

// writeHeader writes all but what describes the body.
func writeHeader(head *bytes.Buffer, host string, r call) {
	for _, s := range []string{r.method, " ", r.target, " HTTP/1.1\r\nHost: ", host, "\r\n"} {
		head.WriteString(s)
	}
	if r.header == nil { // else it is somebody else's, or nobody's
		head.WriteString("User-Agent: " + userAgent + "\r\n")
	}
	if len(r.stops) > 0 {
		head.WriteString(hdrNodeURL + ": " + strings.Join(r.stops, ",") + "\r\n")
	}
	_ = r.header.Write(head) // nothing is in the way of a buffer
}

func write(conn net.Conn, b []byte) error {
	if _, err := conn.Write(b); err != nil {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return nil
}

// sendLarge writes the header and the body. When the source fails it cuts the
// connection, since the pod was promised more.
func sendLarge(conn *clientConn, head []byte, o Object) error {
	if _, err := conn.Write(head); err != nil {
		return err
	}
	left, err := sendBody(conn.Conn, o)
	if err != nil || left == 0 {
		return err
	}
	src := &sourceReader{r: ExactReader(o.Body, left)}
	var (
		dst io.Writer = conn.Conn
		end           = func() error { return nil }
	)
	if o.Size < 0 {
		chunks := httputil.NewChunkedWriter(conn.Conn)
		dst, end = chunks, func() error {
			if err := chunks.Close(); err != nil {
				return err
			}
			_, err := io.WriteString(conn.Conn, "\r\n") // no trailers
			return err
		}
	}
	_, err = Copy(dst, src)
	if src.err != nil {
		conn.Close()
		return fmt.Errorf("%w: %w", errSource, src.err)
	}
	if err != nil {
		return err
	}
	return end()
}

// sendBody sends what a body can send by itself; left is what is to be read, -1
// when that is not known.
func sendBody(c net.Conn, o Object) (left int64, err error) {
	socket, ok := c.(*net.UnixConn)
	body, can := o.Body.(Sender)
	if !ok || !can || o.Size < 0 {
		return o.Size, nil
	}
	n, err := body.SendTo(socket)
	return o.Size - n, err
}

// sourceReader remembers that it was the source that failed, not the writing.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// replyBody is the body of a reply; its Close returns the connection when both
// directions are through, and cuts it otherwise.
type replyBody struct {
	io.ReadCloser
	ctx  context.Context // the exchange's own
	c    *client
	conn *clientConn
	sent *sending
	stop func() bool
	keep bool // the pod keeps the connection open
	eof  bool // the reply is read to its end
	once sync.Once
}

func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.eof = true
	case err != nil:
		err = b.c.explain(b.ctx, err)
	}
	return n, err
}

func (b *replyBody) Close() error {
	b.once.Do(func() {
		clean := b.stop() && b.keep && b.eof && b.sent.finished()
		if !clean {
			b.conn.Close()
		}
		_ = b.sent.wait()
		if clean {
			b.c.put(b.conn)
		}
	})
	return nil
}

// sentGrace is how long the goroutine that sends may take to tell that it is
// through, when the whole answer is there already.
const sentGrace = 20 * time.Millisecond

// finished tells whether the whole request is sent. It waits no longer than it
// takes to be told: a pod that answered in full without reading its request
// gets a new connection.
func (s *sending) finished() bool {
	if s.done == nil {
		return s.err == nil
	}
	select {
	case <-s.done:
		return s.err == nil
	case <-time.After(sentGrace):
		return false
	}
}
