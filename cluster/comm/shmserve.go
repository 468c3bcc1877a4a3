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
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// serveShm is the transformer's end.
func serveShm(s *Server) {
	s.handlePath(shmPath, func(ctx *fasthttp.RequestCtx) {
		var u unixConn
		c, ok := ctx.Conn().(*eofConn)
		if ok {
			u, ok = c.knownConn.(unixConn)
		}
		if !ok || string(ctx.Request.Header.Peek("Upgrade")) != shmProtocol {
			ctx.Error("memory is shared over the unix socket, with Upgrade: "+shmProtocol, fasthttp.StatusUpgradeRequired)
			return
		}
		s.running.Add(1)
		defer s.running.Done()
		// What the session leaves is not HTTP.
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(net.Conn) {})
		if err := s.shmSession(u.UnixConn); errors.Is(err, errShmWire) {
			s.log.Warn("shared memory", "err", err)
		}
	})
}

// shmSession is the transformer's end of a connection. Frames are read by one
// goroutine at a time. It runs the transform of an object that has come whole
// itself, which saves a change of goroutines, but not for longer than shmPatience:
// then, or when more frames must come, another one takes over the reading, and so
// learns at once that the target has gone.
type shmSession struct {
	*Server
	conn    *net.UnixConn
	br      *bufio.Reader
	mem     *shmMemory
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	working sync.WaitGroup // goroutines that touch the memory
	mu      sync.Mutex
	out     []byte // the frame that is written; guarded by mu, as is shmJob.read
}

// shmPatience is how long frames may lie unread.
const shmPatience = time.Millisecond

// shmSession serves objects until the connection ends, which is an error.
func (s *Server) shmSession(conn *net.UnixConn) error {
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	p := &shmSession{Server: s, conn: conn, br: bufio.NewReader(conn), ctx: ctx, cancel: cancel}
	_, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+shmProtocol+"\r\n\r\n")
	if err != nil {
		return err
	}
	if p.mem, err = receiveShm(conn); err != nil {
		_ = p.send(&shmFrame{kind: shmFailed, text: []byte(err.Error())})
		return err
	}
	defer p.mem.free()
	if err := p.send(&shmFrame{kind: shmReady}); err != nil {
		return err
	}
	first := &shmJob{all: true}
	first.over.Store(true)
	p.working.Go(func() { p.receive(first) })
	p.working.Wait()
	return context.Cause(ctx)
}

// receiveShm takes the memory that comes over a connection.
func receiveShm(conn *net.UnixConn) (*shmMemory, error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(b[:], oob)
	if err != nil {
		return nil, err
	}
	list, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(list) != 1 {
		return nil, fmt.Errorf("%w: no memory came (%v)", errShmWire, err)
	}
	fds, err := unix.ParseUnixRights(&list[0])
	if err != nil || len(fds) != 1 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("%w: no memory came (%v)", errShmWire, err)
	}
	f := os.NewFile(uintptr(fds[0]), "shared memory")
	defer f.Close()
	return mapShm(f)
}

func (p *shmSession) send(f *shmFrame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = f.append(p.out[:0])
	_, err := p.conn.Write(p.out)
	return err
}

// shmJob is an object under way.
type shmJob struct {
	shmMeta
	pieces [][]byte
	in     chan shmFrame // pieces of the object
	back   chan byte     // reply pieces that were read
	all    bool          // the last piece is in; the receiver's
	done   chan struct{} // closed when the object is read no more
	read   bool          // it is settled who reads frames from now on
	over   atomic.Bool   // the target is told of the end
}

// receive hands out what the target sends, o being the object under way, until
// the connection ends or another goroutine reads on.
func (p *shmSession) receive(o *shmJob) {
	for {
		next, err := p.frame(o)
		if err == nil && next != nil {
			o = next
			if !p.serveHere(o) {
				return
			}
		}
		if err != nil {
			p.cancel(err)
			return
		}
	}
}

// frame reads a frame, and gives the object that it begins, if it does.
func (p *shmSession) frame(o *shmJob) (next *shmJob, err error) {
	f, err := readShmFrame(p.br)
	switch {
	case err != nil:
	case f.kind == shmObject && o.all && o.over.Load():
		return p.newJob(&f)
	case f.kind == shmData && !o.all:
		err = o.take(f)
	case f.kind == shmEnough && !o.all:
		o.all = true
	case f.kind == shmFree && int(f.piece) >= o.requests() && int(f.piece) < len(o.pieces):
		o.giveBack(f.piece)
	default:
		err = fmt.Errorf("%w: a frame of kind %d, piece %d", errShmWire, f.kind, f.piece)
	}
	return nil, err
}

// serveHere serves an object and tells whether this goroutine is still the one
// that reads frames.
func (p *shmSession) serveHere(o *shmJob) bool {
	if o.all {
		patience := time.AfterFunc(shmPatience, func() { p.readOn(o) })
		defer patience.Stop()
	} else {
		p.readOn(o)
	}
	if err := p.serve(o); err != nil {
		p.cancel(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := !o.read
	o.read = true
	return mine
}

// readOn has another goroutine read frames, unless somebody does.
func (p *shmSession) readOn(o *shmJob) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !o.read {
		o.read = true
		p.working.Go(func() { p.receive(o) })
	}
}

func (p *shmSession) newJob(f *shmFrame) (*shmJob, error) {
	m, err := parseShmMeta(f.text)
	if err != nil {
		return nil, err
	}
	o := &shmJob{shmMeta: m, pieces: p.mem.pieces(m.size), in: make(chan shmFrame, shmRequest), back: make(chan byte, shmReply), done: make(chan struct{})}
	for i := o.requests(); i < len(o.pieces); i++ {
		o.back <- byte(i)
	}
	f.text = nil
	return o, o.take(*f)
}

func (o *shmJob) requests() int { return len(o.pieces) - shmReply }

// giveBack makes room in a reply piece. There is a place for each.
func (o *shmJob) giveBack(piece byte) {
	select {
	case o.back <- piece:
	default: // it was given twice
	}
}

// take takes a piece in. There is room for all that the target has.
func (o *shmJob) take(f shmFrame) error {
	if int(f.piece) >= o.requests() || f.n > len(o.pieces[f.piece]) || len(o.in) == cap(o.in) {
		return fmt.Errorf("%w: piece %d with %d bytes", errShmWire, f.piece, f.n)
	}
	o.all = f.last
	o.in <- f
	return nil
}

// serve transforms an object and tells the target how it ended. An error ends
// the connection.
func (p *shmSession) serve(o *shmJob) error {
	info := Info{Bucket: o.bucket, Name: o.name, Size: o.size, Args: o.args}
	shared := &SharedReader{p: p, o: o}
	dst := &shmWriter{p: p, o: o, piece: -1, result: -1, done: make(chan struct{})}
	var (
		src   io.Reader = shared
		after           = shared.close
	)
	if o.path != "" {
		f, err := p.openFile(o.path)
		if err != nil {
			return dst.finish(info, err)
		}
		src, after, info.Size = f, func() { shared.close(); f.Close() }, f.size
	}
	if stops := p.Server.stops(o.shmMeta.stops); len(stops) > 0 {
		return p.forward(dst, src, info, stops, after)
	}
	err := p.safely(p.ctx, dst, src, info)
	after()
	return dst.finish(info, err)
}

// forward transforms an object and sends the result on to its stops. What comes
// back of it is the answer.
func (p *shmSession) forward(dst *shmWriter, src io.Reader, info Info, stops []string, after func()) error {
	out, cancel := p.start(src, info, after)
	err, done := out.wait()
	var r passed
	if err == nil {
		path := "/" + (&url.URL{Path: info.Bucket + "/" + info.Name}).EscapedPath()
		r, err = p.pass(p.ctx, stops, path, info, out.result(done))
	}
	if r.body != nil {
		SetSize(dst, r.size)
		_, err = dst.ReadFrom(r.body)
		r.body.Close()
	}
	cancel(nil)
	<-out.done // it may read the object until then
	if err == nil && r.delivered {
		dst.close()
		return p.send(&shmFrame{kind: shmDelivered, text: strconv.AppendInt(nil, r.size, 10)})
	}
	return dst.finish(info, err)
}

// errShmOver is what a transform gets that reads or writes after it has
// returned.
var errShmOver = errors.New("the transform has returned")

// SharedReader is the source of a Transform that lies in memory shared with the
// target. io.Copy hands its bytes on where they lie: to the result, which is the
// other end of the same memory, without a copy. It fails when the Transform's
// context has ended.
type SharedReader struct {
	p      *shmSession
	o      *shmJob
	mu     sync.Mutex // held while the memory is touched
	piece  shmFrame   // that rest lies in
	held   bool       // piece is to be given back
	rest   []byte
	closed bool
}

// next makes rest the next bytes.
func (r *SharedReader) next() error {
	for len(r.rest) == 0 {
		if r.closed {
			return errShmOver
		}
		if r.piece.last {
			return io.EOF
		}
		if r.held {
			r.held = false
			if err := r.p.send(&shmFrame{kind: shmFree, piece: r.piece.piece}); err != nil {
				return err
			}
		}
		select {
		case r.piece = <-r.o.in:
		case <-r.p.ctx.Done():
			return context.Cause(r.p.ctx)
		case <-r.o.done:
			return errShmOver
		}
		r.held, r.rest = true, r.o.pieces[r.piece.piece][:r.piece.n]
	}
	return nil
}

// Read copies out of the memory.
func (r *SharedReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.next(); err != nil {
		return 0, err
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes all that is left from where it lies.
func (r *SharedReader) WriteTo(w io.Writer) (total int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if err := r.next(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		var n int
		if dst, ok := w.(*shmWriter); ok && dst.o == r.o && len(r.rest) == r.piece.n {
			n, err = r.piece.n, dst.pass(r.piece)
			r.held = false
		} else {
			n, err = w.Write(r.rest)
		}
		total, r.rest = total+int64(n), r.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// close ends it, with all that still reads, when the transform has returned.
func (r *SharedReader) close() {
	close(r.o.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.rest = true, nil
}

// shmWriter is where a Transform's result goes. It is told in pieces, but what
// fits one when it is over, so that a failure is the answer.
type shmWriter struct {
	p       *shmSession
	o       *shmJob
	mu      sync.Mutex // held while the memory is touched
	piece   int        // that is written to, or was passed on; -1 for none
	n, size int        // bytes in it, and that it takes
	sent    int64      // bytes of other pieces
	result  int64      // bytes of all, -1 when the transform does not say
	closed  bool
	done    chan struct{} // closed when nothing is written any more
}

// Write copies into the memory.
func (w *shmWriter) Write(b []byte) (total int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) > 0 {
		if err := w.room(); err != nil {
			return total, err
		}
		n := copy(w.o.pieces[w.piece][w.n:w.size], b)
		w.n, total, b = w.n+n, total+n, b[n:]
	}
	return total, nil
}

// ReadFrom reads r into the memory.
func (w *shmWriter) ReadFrom(r io.Reader) (total int64, err error) {
	if s, ok := r.(*SharedReader); ok {
		return s.WriteTo(w)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if err := w.room(); err != nil {
			return total, err
		}
		n, err := r.Read(w.o.pieces[w.piece][w.n:w.size])
		w.n, total = w.n+n, total+int64(n)
		if err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// room sends the piece if it is full, and takes another one.
func (w *shmWriter) room() error {
	if w.closed {
		return errShmOver
	}
	if w.piece >= 0 && w.n < w.size {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if len(w.o.back) == 0 {
		w.p.readOn(w.o)
	}
	select {
	case i := <-w.o.back:
		w.piece, w.n, w.size = int(i), 0, len(w.o.pieces[i])
		return nil
	case <-w.p.ctx.Done():
		return context.Cause(w.p.ctx)
	case <-w.done:
		return errShmOver
	}
}

// flush sends what is there of a piece.
func (w *shmWriter) flush() error {
	if w.piece < 0 {
		return nil
	}
	i := byte(w.piece)
	w.piece = -1
	if w.n == 0 {
		w.o.giveBack(i)
		return nil
	}
	f := shmFrame{kind: shmData, piece: i, n: w.n}
	if w.sent == 0 && w.result >= 0 {
		f.text = strconv.AppendInt(nil, w.result, 10)
	}
	w.sent, w.n = w.sent+int64(w.n), 0
	if w.result >= 0 && w.sent > w.result {
		return w.otherSize()
	}
	return w.p.send(&f)
}

// setSize has a result that takes more than a piece be announced.
func (w *shmWriter) setSize(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result = n
}

func (w *shmWriter) otherSize() error {
	return fmt.Errorf("the transform announced %d bytes and wrote %d", w.result, w.sent+int64(w.n))
}

// pass makes a piece of the object the next of the result. More of the object
// comes when it is read, so only the last is kept back.
func (w *shmWriter) pass(f shmFrame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errShmOver
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.piece, w.n, w.size = int(f.piece), f.n, f.n
	if f.last {
		return nil
	}
	return w.flush()
}

// finish ends the result, with the transform's error.
func (w *shmWriter) finish(o Info, err error) error {
	w.close()
	if err == nil && w.result >= 0 && w.sent+int64(w.n) != w.result {
		err = w.otherSize()
	}
	switch {
	case err != nil:
		return w.p.send(w.p.failure(o, err))
	case w.piece >= 0 && w.n > 0:
		return w.p.send(&shmFrame{kind: shmData, piece: byte(w.piece), n: w.n, last: true})
	}
	return w.p.send(&shmFrame{kind: shmEnd})
}

// close ends it, with all that still writes.
func (w *shmWriter) close() {
	close(w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.o.over.Store(true)
}

func (p *shmSession) failure(o Info, err error) *shmFrame {
	status := http.StatusInternalServerError
	var refused *TransformError
	if errors.As(err, &refused) {
		status = refused.Status
	}
	p.log.Warn("transform", "object", o.Bucket+"/"+o.Name, "err", err)
	text := err.Error()
	return &shmFrame{kind: shmFailed, n: status, text: []byte(text[:min(len(text), maxErrorText)])}
}
