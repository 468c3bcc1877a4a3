package loader

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

const (
	maxHops       = 4               // proxy, target, pod, and one to spare
	maxIdle       = 4 * time.Second // an older connection may be closed at the other end
	maxSmallBody  = 64 << 10        // bodies of redirects and errors: read, so that the connection can be kept
	maxMessage    = 4 << 10         // of an error body
	connBuffer    = 8 << 10         // headers, and small bodies with them; large ones bypass it
	bodyBufferLen = 128 << 10
)

// bodyBuffers hold bodies on their way. They are shared: a worker needs one
// only while a body moves.
var bodyBuffers = sync.Pool{New: func() any { return new([bodyBufferLen]byte) }}

// driver issues the operations of one worker, one at a time: not for
// concurrent use. The zero value is not usable; see newDriver. The owner
// closes it.
//
// It has a connection of its own to every host, and sets one deadline on it
// for writing, headers and body together. fasthttp's HostClient would do the
// same work with a shared pool, whose lock and cleaner goroutine outlive a
// run, and it re-sends what it takes for idempotent: five attempts would be
// measured as one. Only requests that hit a kept connection which the other
// end had closed meanwhile are sent again, once, and the time counts.
type driver struct {
	proxies []string // host:port
	direct  []string // host:port of the targets, which get requests without a body first; nil: a proxy does
	turn    int      // whose turn it is
	timeout time.Duration
	targets map[string]int // by host:port of their public network; shared, never written
	conns   map[string]*conn
	out     []byte // headers of a request
	resp    answer
	body    body // behind resp
	sum     *xxhash.Digest
	host    []byte // of the hop under way
	uri     []byte
	open    *atomic.Int64 // connections of all drivers
	// noHash leaves bodies that are read unhashed, timed asks servers for their
	// shares of the time: both of the operations that follow.
	noHash, timed bool
}

// conn is a kept connection.
type conn struct {
	net.Conn
	host string
	raw  syscall.RawConn // nil of what is no socket
	r    *bufio.Reader
	w    *bufio.Writer
	last time.Time // when it was last used; zero when never
}

func newDriver(proxies []string, targets map[string]int, timeout time.Duration, first int, open *atomic.Int64) *driver {
	return &driver{
		proxies: proxies,
		turn:    first % len(proxies),
		timeout: timeout,
		targets: targets,
		conns:   map[string]*conn{},
		sum:     xxhash.New(),
		open:    open,
	}
}

// close drops all connections.
func (d *driver) close() {
	for _, c := range d.conns {
		c.Close()
		d.open.Add(-1)
	}
	clear(d.conns)
}

// reply is what came of an operation. Its durations are from began.
type reply struct {
	target         int // index of the target that served it
	began          time.Time
	proxy, headers time.Duration // to the proxy's redirect, and to the headers of the answer
	ttfb, ttlb     time.Duration // to the first and last byte of the body; of a PUT, to the answer and its end
	server         shares
	got            Digest // of the body received, or sent; Sum is not valid with noHash
	checked        bool   // of a PUT: the cluster's checksum was compared, and equal
	err            error
}

func newReply(target int) reply {
	return reply{target: target, began: time.Now(), server: noShares()}
}

// get reads what is at uri ("/path?query"), to the last byte. owner is the
// target to charge when no redirect tells.
func (d *driver) get(uri []byte, owner int) reply {
	return d.read(fasthttp.MethodGet, uri, content{}, owner)
}

// head asks for the headers of what is at uri. The reply's got.Size is the
// length that they tell.
func (d *driver) head(uri []byte, owner int) reply {
	rep := d.read(fasthttp.MethodHead, uri, content{}, owner)
	rep.got.Size = max(d.resp.length, 0)
	return rep
}

// ask sends a GET with a JSON message, as AIStore's control requests are.
func (d *driver) ask(uri, message []byte, owner int) reply {
	return d.read(fasthttp.MethodGet, uri, content{Reader: bytes.NewReader(message), size: int64(len(message)), json: true}, owner)
}

func (d *driver) read(method string, uri []byte, body content, owner int) reply {
	rep := newReply(owner)
	c, err := d.follow(method, uri, body, rep.began.Add(d.timeout), &rep)
	if err == nil {
		err = d.readBody(c, &rep)
	}
	rep.err = err
	return rep
}

// content is the body of a request; the zero value is none.
type content struct {
	io.Reader
	size int64
	json bool // a message to whoever gets the request, rather than an object
}

// put stores size bytes of body at uri and compares the checksum that comes
// back with that of the bytes sent. Reading body is part of the operation.
func (d *driver) put(uri []byte, body io.Reader, size int64, owner int) reply {
	rep := newReply(owner)
	c, err := d.follow(fasthttp.MethodPut, uri, content{Reader: body, size: size}, rep.began.Add(d.timeout), &rep)
	rep.ttfb = time.Since(rep.began)
	if err == nil {
		sent := Digest{d.sum.Sum64(), size}
		rep.checked, err = d.acknowledged(sent.Sum)
		d.discard(c)
		rep.got = sent
	}
	rep.ttlb = time.Since(rep.began)
	rep.err = err
	return rep
}

// acknowledged compares the checksum of a PUT's reply. A cluster that sends
// none, or another function's, leaves the object unchecked.
func (d *driver) acknowledged(sum uint64) (checked bool, err error) {
	kind := string(d.resp.sumType)
	if kind != "xxhash" && kind != "xxhash2" {
		return false, nil
	}
	got, want := string(d.resp.sum), fmt.Sprintf("%016x", sum)
	if got != want {
		return false, &failure{classDigest, fmt.Errorf("stored with checksum %s, sent %s", got, want)}
	}
	return true, nil
}

// follow sends a request to the next proxy and goes where it is sent. The
// first hop gets no body: it only says where to go. After it returns without
// error, the headers are in d.resp and the body waits in d.body.
func (d *driver) follow(method string, uri []byte, body content, deadline time.Time, rep *reply) (*conn, error) {
	d.host = append(d.host[:0], d.proxies[d.turn]...)
	d.turn = (d.turn + 1) % len(d.proxies)
	if d.direct != nil && body.Reader == nil {
		d.host = append(d.host[:0], d.direct[rep.target]...)
	}
	d.uri = append(d.uri[:0], uri...)
	for hop := range maxHops {
		b := body
		if hop == 0 && !body.json {
			b = content{}
		}
		c, err := d.exchange(method, b, deadline)
		if err != nil {
			return nil, fmt.Errorf("%s http://%s%s: %w", method, d.host, d.uri, err)
		}
		rep.headers = time.Since(rep.began)
		if hop == 0 {
			rep.proxy = rep.headers
		}
		if d.timed {
			for _, v := range d.resp.timings {
				rep.server.add(v)
			}
		}
		switch status := d.resp.status; {
		case status >= fasthttp.StatusBadRequest:
			return nil, d.refused(c, status)
		case status < fasthttp.StatusMultipleChoices && hop == 0 && body.Reader != nil && !body.json:
			d.drop(c)
			return nil, &failure{classProtocol, errors.New("the proxy took a PUT without redirecting it")}
		case status < fasthttp.StatusMultipleChoices:
			return c, nil
		}
		if err := d.redirect(); err != nil {
			d.drop(c)
			return nil, err
		}
		d.discard(c)
		if t, ok := d.targets[string(d.host)]; ok {
			rep.target = t
		}
	}
	return nil, &failure{classProtocol, fmt.Errorf("more than %d redirects, the last to http://%s%s", maxHops, d.host, d.uri)}
}

// redirect makes the Location of d.resp the next hop. Its bytes are sent as
// they came: escapes in it mean what the one who sent it meant.
func (d *driver) redirect() error {
	loc := d.resp.location
	rest, absolute := bytes.CutPrefix(loc, []byte("http://"))
	slash := bytes.IndexByte(rest, '/')
	switch {
	case absolute && slash > 0:
		d.host = append(d.host[:0], rest[:slash]...)
		if bytes.IndexByte(d.host, ':') < 0 {
			d.host = append(d.host, ":80"...)
		}
		d.uri = append(d.uri[:0], rest[slash:]...)
	case !absolute && slash == 0:
		d.uri = append(d.uri[:0], rest...)
	default:
		return &failure{classProtocol, fmt.Errorf("status %d with Location %q", d.resp.status, loc)}
	}
	return nil
}

// exchange sends one request to d.host and reads the headers of the reply. On
// an error the connection is gone.
func (d *driver) exchange(method string, body content, deadline time.Time) (*conn, error) {
	c, err := d.connect(deadline)
	if err != nil {
		return nil, err
	}
	kept := !c.last.IsZero()
	err = d.send(c, method, body, deadline)
	if err == nil {
		return c, nil
	}
	d.drop(c)
	if !kept || body.Reader != nil || classOf(err) != classClosed {
		return nil, err
	}
	if c, err = d.connect(deadline); err != nil {
		return nil, err
	}
	if err = d.send(c, method, body, deadline); err != nil {
		d.drop(c)
		return nil, err
	}
	return c, nil
}

// connect gives the connection to d.host.
func (d *driver) connect(deadline time.Time) (*conn, error) {
	if c := d.conns[string(d.host)]; c != nil {
		if time.Since(c.last) < maxIdle {
			return c, nil
		}
		d.drop(c)
	}
	host := string(d.host)
	nc, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", host)
	if err != nil {
		return nil, failed(classConnect, err)
	}
	c := &conn{Conn: nc, host: host, r: bufio.NewReaderSize(nc, connBuffer), w: bufio.NewWriterSize(nc, connBuffer)}
	if s, ok := nc.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // else it is read as others are
	}
	d.conns[host] = c
	d.open.Add(1)
	return c, nil
}

func (d *driver) drop(c *conn) {
	c.Close()
	d.open.Add(-1)
	delete(d.conns, c.host)
}

func (d *driver) send(c *conn, method string, body content, deadline time.Time) error {
	if err := c.SetDeadline(deadline); err != nil {
		return failed(classClosed, err)
	}
	d.writeHead(method, body)
	_, werr := c.w.Write(d.out)
	if werr == nil && body.Reader != nil {
		werr = d.writeBody(c, body)
	}
	if werr == nil {
		werr = c.w.Flush()
	}
	if werr != nil && (body.Reader == nil || classOf(werr) == classSource) {
		return failed(classClosed, werr)
	}
	err := d.resp.read(c.r, method)
	switch {
	case werr != nil && err == nil && d.resp.status >= fasthttp.StatusBadRequest:
		// The other end hung up on the body and said why.
		d.resp.close = true
	case werr != nil:
		return failed(classClosed, werr)
	case err == io.EOF:
		return &failure{classClosed, errors.New("the connection was closed without an answer")}
	case err != nil:
		return failed(classProtocol, err)
	}
	d.body.begin(&d.resp, c)
	return nil
}

// writeHead makes the request's headers.
func (d *driver) writeHead(method string, body content) {
	h := append(append(append(d.out[:0], method...), ' '), d.uri...)
	h = append(append(append(h, " HTTP/1.1\r\nHost: "...), d.host...), "\r\nUser-Agent: etlbench\r\n"...)
	if d.timed {
		h = append(h, api.HdrTiming+": 1\r\n"...)
	}
	if body.json || method == fasthttp.MethodPut {
		kind := api.MimeBinary
		if body.json {
			kind = api.MimeJSON
		}
		h = append(append(append(h, "Content-Type: "...), kind...), "\r\nContent-Length: "...)
		h = append(strconv.AppendInt(h, body.size, 10), "\r\n"...)
	}
	d.out = append(h, "\r\n"...)
}

// writeBody sends exactly body.size bytes and hashes them.
func (d *driver) writeBody(c *conn, body content) error {
	buf := bodyBuffers.Get().(*[bodyBufferLen]byte)
	defer bodyBuffers.Put(buf)
	d.sum.Reset()
	for left := body.size; left > 0; {
		n, err := body.Read(buf[:min(left, bodyBufferLen)])
		_, _ = d.sum.Write(buf[:n])
		if _, werr := c.w.Write(buf[:n]); werr != nil {
			return werr
		}
		left -= int64(n)
		if err != nil && left > 0 {
			return &failure{classSource, fmt.Errorf("%d of %d bytes: %w", body.size-left, body.size, err)}
		}
	}
	return nil
}

// readBody reads the body to its end, hashing it, and stamps both times. The
// last stamp is taken before the last bytes are hashed.
func (d *driver) readBody(c *conn, rep *reply) error {
	buf := bodyBuffers.Get().(*[bodyBufferLen]byte)
	defer bodyBuffers.Put(buf)
	d.sum.Reset()
	var err error
	for err == nil {
		var n int
		if d.noHash {
			n, err = d.body.drop(buf[:])
		} else {
			n, err = d.body.Read(buf[:])
		}
		rep.ttlb = time.Since(rep.began)
		if n > 0 && rep.ttfb == 0 {
			rep.ttfb = rep.ttlb
		}
		if !d.noHash {
			_, _ = d.sum.Write(buf[:n])
		}
		rep.got.Size += int64(n)
	}
	if rep.ttfb == 0 {
		rep.ttfb = rep.ttlb
	}
	if err != io.EOF {
		d.drop(c)
		return failed(classTruncated, fmt.Errorf("after %d bytes of the body: %w", rep.got.Size, err))
	}
	rep.got.Sum = d.sum.Sum64()
	d.keep(c)
	return nil
}

// keep makes the connection ready for the next request, unless the other end
// has said that it closes it.
func (d *driver) keep(c *conn) {
	if d.resp.close || d.resp.length == untilEnd && !d.resp.noBody {
		d.drop(c)
		return
	}
	c.last = time.Now()
}

// discard reads a body that nobody needs, if it is small.
func (d *driver) discard(c *conn) {
	buf := bodyBuffers.Get().(*[bodyBufferLen]byte)
	defer bodyBuffers.Put(buf)
	for left := maxSmallBody; left > 0; {
		n, err := d.body.Read(buf[:left])
		left -= n
		if err == io.EOF {
			d.keep(c)
			return
		}
		if err != nil {
			break
		}
	}
	d.drop(c)
}

// refused turns an answer of 400 and above into an error.
func (d *driver) refused(c *conn, status int) error {
	body, _ := io.ReadAll(io.LimitReader(&d.body, maxMessage))
	d.discard(c)
	return statusError(status, strings.TrimSpace(api.ParseError(status, body).Message))
}
