package comm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// shmPath is where a pod takes connections of this type, on its unix socket
	// alone.
	shmPath     = "/shm"
	shmProtocol = "etlbench-shm"
)

// shmSlots is how many objects may be under way at once when the options do not
// say.
const shmSlots = 128

// shmLink keeps connections to a pod, each with its own memory. An object that
// finds none free makes another one, as many as there may be, or waits.
type shmLink struct {
	o     Options
	slots chan struct{} // has an element for each object under way
	mu    sync.Mutex
	idle  []*shmConn // guarded by mu; last in, first out
	over  bool       // Close was called: no connection is kept; guarded by mu
}

var (
	_ Link    = (*shmLink)(nil)
	_ Checker = (*shmLink)(nil)
)

func dialShm(_ string, o Options) Link {
	n := o.Slots
	if n == 0 {
		n = shmSlots
	}
	return &shmLink{o: o, slots: make(chan struct{}, n)}
}

// Close closes the connections: those that are in use when they are not.
func (l *shmLink) Close() error {
	l.dropIdle(true)
	return nil
}

func (l *shmLink) dropIdle(over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = l.over || over
	for _, c := range l.idle {
		c.close()
	}
	l.idle = nil
}

// Check connects to the pod, to find out whether it shares memory.
func (l *shmLink) Check(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.exit()
	c, err := l.get(ctx)
	if err != nil {
		return err
	}
	l.put(c)
	return nil
}

func (l *shmLink) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *shmLink) exit() { <-l.slots }

// Inline has the object transformed.
func (l *shmLink) Inline(ctx context.Context, r Request) (Reply, error) {
	if err := l.enter(ctx); err != nil {
		return Reply{}, err
	}
	for {
		c, err := l.get(ctx)
		if err != nil {
			l.exit()
			return Reply{}, err
		}
		reused := c.used
		reply, err := l.exchange(ctx, c, r)
		if err != nil && reused && errors.Is(err, errStale) && ctx.Err() == nil {
			l.dropIdle(false) // the pod may have closed them; a new one tells
			continue
		}
		if reply.Body == nil {
			l.exit()
		}
		return reply, err
	}
}

// Offline is the same as Inline.
func (l *shmLink) Offline(ctx context.Context, r Request) (Reply, error) { return l.Inline(ctx, r) }

// shmConn is a connection and its memory. It is not for concurrent use.
type shmConn struct {
	net.Conn
	br   *bufio.Reader
	mem  *shmMemory
	out  []byte // the frame that is written
	meta []byte // and its text
	used bool
}

func (c *shmConn) close() {
	c.Close()
	c.mem.free()
}

func (c *shmConn) send(f *shmFrame) error {
	c.out = f.append(c.out[:0])
	_, err := c.Write(c.out)
	return err
}

func (l *shmLink) put(c *shmConn) {
	c.used = true
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		c.close()
		return
	}
	l.idle = append(l.idle, c) // never more than there are slots
}

// get gives an idle connection or a new one.
func (l *shmLink) get(ctx context.Context) (*shmConn, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, nil
	}
	l.mu.Unlock()
	if l.o.Socket == "" {
		return nil, fmt.Errorf("%w: it offers no unix socket, and memory is shared over nothing else", ErrPod)
	}
	dial := l.o.dialer()
	for wait := newBackOff(l.o.Retries); ; {
		conn, err := dial(ctx, "unix", l.o.Socket)
		if err == nil {
			return l.share(ctx, conn)
		}
		if !wait(ctx) {
			return nil, l.explain(ctx, err)
		}
	}
}

// share makes memory and passes it to the pod.
func (l *shmLink) share(ctx context.Context, conn net.Conn) (*shmConn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	c := &shmConn{Conn: conn, br: bufio.NewReader(conn)}
	err := c.begin()
	if !stop() || err != nil {
		conn.Close()
		if c.mem != nil {
			c.mem.free()
		}
		return nil, l.explain(ctx, err)
	}
	return c, nil
}

// begin asks the pod for the protocol, and gives it the memory.
func (c *shmConn) begin() error {
	u, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("memory cannot be passed over a %T", c.Conn)
	}
	req := "GET " + shmPath + " HTTP/1.1\r\nHost: pod\r\nConnection: Upgrade\r\nUpgrade: " + shmProtocol + "\r\n\r\n"
	if _, err := io.WriteString(c, req); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != shmProtocol {
		return fmt.Errorf("it does not share memory: GET %s: %s", shmPath, resp.Status)
	}
	mem, file, err := newShmMemory()
	if err != nil {
		return err
	}
	defer file.Close()
	c.mem = mem
	if _, _, err := u.WriteMsgUnix([]byte{0}, unix.UnixRights(int(file.Fd())), nil); err != nil {
		return err
	}
	f, err := readShmFrame(c.br)
	if err == nil && f.kind != shmReady {
		err = fmt.Errorf("it does not take the memory: %s", f.text)
	}
	return err
}

// explain blames the pod for a failure that neither ctx nor the source caused.
func (l *shmLink) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, errSource) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrPod, l.o.Socket, err)
}

// exchange sends an object and waits for the begin of the result.
func (l *shmLink) exchange(ctx context.Context, c *shmConn, r Request) (Reply, error) {
	x := &shmBody{l: l, c: c, ctx: ctx, cur: -1, size: -1}
	x.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	f, err := x.begin(r)
	if err != nil {
		x.end()
		return Reply{}, err
	}
	switch f.kind {
	case shmFailed:
		x.end()
		return Reply{}, x.failed(&f)
	case shmDelivered:
		x.end()
		size, err := strconv.ParseInt(string(f.text), 10, 64)
		if err != nil || len(r.Stops) == 0 {
			return Reply{}, l.explain(ctx, fmt.Errorf("%w: it has delivered %q", errShmWire, f.text))
		}
		return Reply{Delivered: true, Size: size}, nil
	}
	size, err := x.announced(&f)
	if err != nil {
		x.end()
		return Reply{}, l.explain(ctx, err)
	}
	return Reply{Body: x, Size: size}, nil
}

// announced is the size of a result that begins with a frame.
func (x *shmBody) announced(f *shmFrame) (int64, error) {
	switch {
	case x.over:
		return int64(len(x.rest)), nil
	case len(f.text) == 0:
		return -1, nil
	}
	size, err := strconv.ParseInt(string(f.text), 10, 64)
	if err != nil || size < x.n {
		x.over = false
		return 0, fmt.Errorf("%w: a result of %q bytes", errShmWire, f.text)
	}
	x.size = size
	return size, nil
}

// shmBody is an exchange, and the result of it. All of the target's end runs in
// its Read and WriteTo: they send more of the object when there is room.
type shmBody struct {
	l    *shmLink
	c    *shmConn
	ctx  context.Context // the exchange's own
	stop func() bool

	src    Object
	left   int64 // bytes of src, -1 when unknown
	pieces [][]byte
	away   [shmRequest + shmReply]bool // pieces that are the pod's
	asked  bool                        // all of the object is sent, or of what is wanted of it

	cur  int    // the piece that rest lies in, -1 for none
	rest []byte // of the result
	over bool   // the pod has ended the result: no frame of it comes any more
	size int64  // that the pod has announced, -1 when it has not
	n    int64  // bytes of the result that came
	once sync.Once
}

var _ Held = (*shmBody)(nil)

// begin sends the object, or as much of it as there is room for, and returns the
// first frame of the result.
func (x *shmBody) begin(r Request) (f shmFrame, err error) {
	m := shmMeta{bucket: r.Bucket, name: r.Name, args: r.Args, stops: strings.Join(r.Stops, ",")}
	if r.Path != "" {
		m.path, x.asked = url.PathEscape(r.Path), true
	} else if x.src, err = r.Open(); err != nil {
		return f, fmt.Errorf("%w: %w", errSource, err)
	}
	x.left, m.size = x.src.Size, x.src.Size
	x.pieces = x.c.mem.pieces(m.size)
	for i := x.requests(); i < len(x.pieces); i++ {
		x.away[i] = true
	}
	x.c.meta = m.append(x.c.meta[:0])
	if len(x.c.meta) > maxShmText {
		return f, &TransformError{Status: http.StatusBadRequest, Text: "name and arguments are too long"}
	}
	first := shmFrame{kind: shmObject, last: true, text: x.c.meta}
	if !x.asked {
		if err := x.fill(&first); err != nil {
			return f, err
		}
	}
	if err = x.c.send(&first); err == nil {
		f, err = x.receive()
	}
	if err != nil && x.ctx.Err() == nil && !errors.Is(err, errSource) {
		err = fmt.Errorf("%w: %w", errStale, err)
	}
	if err != nil {
		return f, x.l.explain(x.ctx, err)
	}
	return f, nil
}

// requests is how many pieces the object goes through.
func (x *shmBody) requests() int { return len(x.pieces) - shmReply }

// fill reads more of the object into the frame's piece. It is the pod's then.
func (x *shmBody) fill(f *shmFrame) (err error) {
	p := x.pieces[f.piece]
	if x.left >= 0 {
		p = p[:min(int64(len(p)), x.left)]
	}
	f.n, err = io.ReadFull(x.src.Body, p)
	if x.left >= 0 {
		x.left -= int64(f.n)
	} else if err == io.EOF || err == io.ErrUnexpectedEOF {
		x.left, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	f.last = x.left == 0
	x.asked, x.away[f.piece] = f.last, true
	return nil
}

// feed sends as much of the object as there is room for.
func (x *shmBody) feed() error {
	for i := 0; i < x.requests() && !x.asked; i++ {
		if x.away[i] {
			continue
		}
		f := shmFrame{kind: shmData, piece: byte(i)}
		if err := x.fill(&f); err != nil {
			return err
		}
		if err := x.c.send(&f); err != nil {
			return err
		}
	}
	return nil
}

// receive returns the next frame that is of the result.
func (x *shmBody) receive() (shmFrame, error) {
	for {
		if err := x.feed(); err != nil {
			return shmFrame{}, err
		}
		f, err := readShmFrame(x.c.br)
		if err != nil {
			return f, err
		}
		if f.kind == shmData || f.kind == shmFree {
			if err := x.returned(&f); err != nil {
				return f, err
			}
		}
		switch f.kind {
		case shmFree:
			continue
		case shmData:
			x.cur, x.rest, x.over = int(f.piece), x.pieces[f.piece][:f.n], f.last
			x.n += int64(f.n)
		case shmEnd, shmFailed, shmDelivered:
			x.over = true
		default:
			return f, fmt.Errorf("%w: a frame of kind %d", errShmWire, f.kind)
		}
		return f, nil
	}
}

// returned takes a piece back. A pod's word is not trusted: it gives what it has,
// and no more than fits.
func (x *shmBody) returned(f *shmFrame) error {
	i := int(f.piece)
	if i >= len(x.pieces) || !x.away[i] || f.n > len(x.pieces[i]) || f.kind == shmFree && i >= x.requests() {
		return fmt.Errorf("%w: piece %d with %d bytes, which it does not have", errShmWire, i, f.n)
	}
	x.away[i] = false
	return nil
}

// next makes rest the next bytes of the result; io.EOF behind the last.
func (x *shmBody) next() error {
	for len(x.rest) == 0 {
		if x.over {
			return io.EOF
		}
		if err := x.giveBack(); err != nil {
			return x.broken(err)
		}
		f, err := x.receive()
		if err == nil && f.kind == shmDelivered {
			err = fmt.Errorf("%w: it has delivered what it began to answer", errShmWire)
		}
		if err != nil {
			return x.broken(err)
		}
		if f.kind == shmFailed {
			return x.failed(&f)
		}
		if x.size >= 0 && (x.n > x.size || x.over && x.n < x.size) {
			return x.broken(fmt.Errorf("%w: %d bytes of a result of %d", errShmWire, x.n, x.size))
		}
	}
	return nil
}

// giveBack lets go of the piece that is read: one of the reply goes to the pod,
// one of the request is filled again.
func (x *shmBody) giveBack() error {
	i := x.cur
	x.cur = -1
	if i < x.requests() {
		return nil
	}
	x.away[i] = true
	return x.c.send(&shmFrame{kind: shmFree, piece: byte(i)})
}

// broken notes that the connection is of no more use.
func (x *shmBody) broken(err error) error {
	x.over = false
	return x.l.explain(x.ctx, err)
}

func (x *shmBody) failed(f *shmFrame) error {
	status := f.n
	if status < http.StatusBadRequest || status > 599 {
		status = http.StatusInternalServerError
	}
	return &TransformError{Status: status, Text: string(f.text[:min(len(f.text), maxErrorText)])}
}

// Head is the part of the result that is there.
func (x *shmBody) Head() []byte { return x.rest }

// Read reads the result.
func (x *shmBody) Read(p []byte) (int, error) {
	if err := x.next(); err != nil {
		return 0, err
	}
	n := copy(p, x.rest)
	x.rest = x.rest[n:]
	return n, nil
}

// WriteTo writes the result from where it lies.
func (x *shmBody) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := x.next(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(x.rest)
		total, x.rest = total+int64(n), x.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// Close ends the exchange.
func (x *shmBody) Close() error {
	x.once.Do(func() {
		x.end()
		x.l.exit()
	})
	return nil
}

// end keeps the connection when the pod is through with the object; else it is
// cut, which ends the transform.
func (x *shmBody) end() {
	keep := x.stop() && x.over
	if keep && !x.asked {
		keep = x.c.send(&shmFrame{kind: shmEnough}) == nil
	}
	if x.src.Body != nil {
		x.src.Body.Close()
	}
	x.rest = nil
	if keep {
		x.l.put(x.c)
	} else {
		x.c.close()
	}
}

func init() {
	Register(Type{Name: "shm" + suffix, Dial: dialShm, Serve: serveShm, NeedsSocket: true})
}
