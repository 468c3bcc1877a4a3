package python

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/etlbench/etlbench/cluster/comm"
)

var (
	errTooBig = errors.New("python: object is bigger than the limit")
	// errNotSent means that the worker was dead before it got anything of the
	// object, so another may have it.
	errNotSent = errors.New("python: worker was dead already")
)

// Transform is a comm.Transform: it has a worker transform one object, waiting
// for one to be free. An exception of the user's function is a *CodeError. An
// object during which the worker died fails, and no other does. When ctx ends
// before the worker is done, the worker is killed and replaced.
func (h *Host) Transform(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
	if o.Size > h.cfg.MaxBytes {
		return fmt.Errorf("%w: %d bytes, limit %d", errTooBig, o.Size, h.cfg.MaxBytes)
	}
	buffer := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	// The first piece is read before a worker is taken: a small object that
	// comes slowly does not keep one waiting.
	r := request{src: src, buf: *buffer, left: h.cfg.MaxBytes}
	if err := r.begin(o); err != nil {
		return err
	}
	for {
		s, w, err := h.take(ctx)
		if err != nil {
			return err
		}
		err = h.exchange(ctx, w, dst, &r)
		h.retire(w)
		h.give(s)
		if err != errNotSent {
			return err
		}
	}
}

// exchange sends a request to a worker and copies the reply to dst. The worker
// is dead afterwards, and not just about to be, if the object was its end.
func (h *Host) exchange(ctx context.Context, w *worker, dst io.Writer, r *request) error {
	w.busy.Lock()
	defer w.closeIfExited()
	defer w.busy.Unlock()
	w.output.Reset()
	unwatch := context.AfterFunc(ctx, w.kill)
	do := r.do
	if h.cfg.ChunkSize > 0 {
		buffer := h.buffers.Get().(*[]byte)
		defer h.buffers.Put(buffer)
		do = func(w *worker, dst io.Writer) (err, lost error) { return r.duplex(w, dst, *buffer) }
	}
	err, lost := do(w, dst)
	if !unwatch() {
		w.kill() // the other kill may not have happened yet
		<-w.exited
		if lost != nil {
			err = fmt.Errorf("python: worker was stopped: %w", context.Cause(ctx))
		}
		return err
	}
	if lost != nil {
		w.reap(deathGrace)
		return h.explain(w, lost)
	}
	return err
}

// explain returns the error of an object whose worker was lost.
func (h *Host) explain(w *worker, lost error) error {
	if err := h.Err(); err != nil {
		return err
	}
	if lost == errNotSent {
		return lost
	}
	return fmt.Errorf("python: worker died: %s", w.death())
}

// request is one object on its way to a worker.
type request struct {
	src  io.Reader
	buf  []byte
	left int64 // bytes that the object may still have
	size int   // of the frame that stands in buf
	last bool  // whether that is the last
}

// begin puts the info and the first piece into the buffer.
func (r *request) begin(o comm.Info) error {
	info, err := json.Marshal(struct {
		Bucket string `json:"bucket"`
		Name   string `json:"name"`
		Args   string `json:"args"`
		Size   int64  `json:"size"`
	}{o.Bucket, o.Name, o.Args, o.Size})
	if err != nil {
		return err
	}
	if len(info) > pieceSize/2 {
		return fmt.Errorf("python: name and arguments of the object are too long: %d bytes", len(info))
	}
	binary.BigEndian.PutUint32(r.buf, uint32(len(info)))
	return r.fill(4 + copy(r.buf[4:], info))
}

// fill reads the next piece into the buffer, after its first at bytes.
func (r *request) fill(at int) error {
	n, err := io.ReadFull(r.src, r.buf[at+4:])
	r.left -= int64(n)
	r.last = err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !r.last {
		return err
	}
	if r.left < 0 {
		return errTooBig
	}
	word := uint32(n)
	if r.last {
		word |= flagLast
	}
	binary.BigEndian.PutUint32(r.buf[at:], word)
	r.size = at + 4 + n
	return nil
}

// do sends the request and copies the result to dst. Lost is not nil when the
// worker cannot be used any more; err is the object's failure.
func (r *request) do(w *worker, dst io.Writer) (err, lost error) {
	if err, lost = r.send(w, nil); err != nil || lost != nil {
		return err, lost
	}
	return r.receive(w, dst, r.buf)
}

// duplex is do for a worker that replies while it is sent to. The reply is read
// through buf.
func (r *request) duplex(w *worker, dst io.Writer, buf []byte) (err, lost error) {
	var (
		enough            atomic.Bool
		sendErr, sendLost error
		sent              = make(chan struct{})
	)
	go func() {
		defer close(sent)
		sendErr, sendLost = r.send(w, &enough)
	}()
	err, lost = r.receive(w, dst, buf)
	enough.Store(true)
	if lost != nil {
		// Nobody reads what is being sent; the worker's children may yet hold
		// the pipe's other end.
		_ = w.requests.SetWriteDeadline(time.Now())
	}
	<-sent
	switch {
	case lost != nil && sendLost == errNotSent:
		return nil, errNotSent
	case lost != nil || sendLost != nil:
		return nil, cmp.Or(lost, sendLost)
	case sendErr != nil: // what the worker said of it is but the consequence
		return sendErr, nil
	}
	return err, nil
}

// send sends the request. It takes back what is not sent when the source fails,
// and also, which is no failure, when the worker has had enough.
func (r *request) send(w *worker, enough *atomic.Bool) (err, lost error) {
	for first := true; ; first = false {
		if n, lost := w.requests.Write(r.buf[:r.size]); lost != nil {
			if first && n == 0 {
				lost = errNotSent
			}
			return nil, lost
		}
		if r.last {
			return nil, nil
		}
		stop := enough != nil && enough.Load()
		if !stop {
			err = r.fill(0)
		}
		if stop || err != nil {
			_, lost = w.requests.Write(binary.BigEndian.AppendUint32(nil, flagAbort))
			return err, lost
		}
	}
}

// receive copies the reply's payload to dst, or returns it as the error.
func (r *request) receive(w *worker, dst io.Writer, buf []byte) (err, lost error) {
	for {
		status, size, lost := w.readReply()
		if lost != nil {
			return nil, lost
		}
		if status == statusFailure {
			failure, lost := w.readFailure(size)
			return cmp.Or(err, error(failure)), lost
		}
		from := io.LimitedReader{R: w.replies, N: size}
		if err == nil {
			_, err = io.CopyBuffer(dst, &from, buf)
		}
		if lost := w.discard(from.N); lost != nil || status == statusResult { // the rest, when dst failed
			return err, lost
		}
	}
}
