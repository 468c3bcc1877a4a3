package comm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// spool takes what a transform writes. A result that fits a SmallBody is held
// back, so that a failure can still be told by a status, and given whole; once it
// does not fit, what is written goes straight to whoever sends the result.
type spool struct {
	small  *SmallBody              // what is held back; whoever took the result frees it
	over   chan struct{}           // closed when the result outgrew the spool
	taker  chan io.Writer          // where the rest goes, once
	gone   chan struct{}           // closed when nobody takes the rest any more
	done   chan struct{}           // closed by finish
	err    error                   // valid after done
	bw     *bufio.Writer           // in front of what taker gave, nil while the result fits
	size   int64                   // that the transform has announced, or -1
	n      int64                   // written
	cancel context.CancelCauseFunc // of the transform
}

// sized is a Transform's destination that can be told the result's size.
type sized interface{ setSize(n int64) }

// SetSize tells dst, before a Transform writes to it, that the result will have
// exactly n bytes, so that a large one can be announced with its length. -1, for
// not known, changes nothing, nor does a dst that has no use for it.
func SetSize(dst io.Writer, n int64) {
	if s, ok := dst.(sized); ok && n >= 0 {
		s.setSize(n)
	}
}

func (s *spool) setSize(n int64) { s.size = n }

func newSpool(cancel context.CancelCauseFunc) *spool {
	return &spool{size: -1, small: NewSmallBody(), over: make(chan struct{}), taker: make(chan io.Writer, 1), gone: make(chan struct{}),
		done: make(chan struct{}), cancel: cancel}
}

// Write is the transform's end. It is not for concurrent use.
func (s *spool) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	if s.size >= 0 && s.n > s.size {
		return 0, s.otherSize()
	}
	if s.bw != nil {
		return s.bw.Write(p)
	}
	if space := s.small.Space(); len(p) <= len(space) {
		s.small.Add(copy(space, p))
		return len(p), nil
	}
	if err := s.outgrow(); err != nil {
		return 0, err
	}
	return s.bw.Write(p)
}

// outgrow waits for somebody who takes the result, and writes what was held back.
func (s *spool) outgrow() error {
	close(s.over)
	select {
	case w := <-s.taker:
		// A transform may write a few bytes at a time; pieces should be large.
		s.bw = bufio.NewWriterSize(w, SmallSize)
	case <-s.gone:
		s.bw = bufio.NewWriterSize(goneWriter{}, 16)
	}
	_, err := s.small.WriteTo(s.bw)
	s.small.Close()
	return err
}

// goneWriter takes nothing.
type goneWriter struct{}

func (goneWriter) Write([]byte) (int, error) { return 0, errAborted }

// finish ends the result, with the transform's error.
func (s *spool) finish(err error) {
	if err == nil && s.size >= 0 && s.n != s.size {
		err = s.otherSize()
	}
	if s.bw != nil && err == nil {
		err = s.bw.Flush()
	}
	s.err = err
	close(s.done)
}

func (s *spool) otherSize() error {
	return fmt.Errorf("the transform announced %d bytes and wrote %d", s.size, s.n)
}

// wait blocks until the result is complete (done) or outgrew the spool. A result
// without an error is to be taken.
func (s *spool) wait() (err error, done bool) {
	select {
	case <-s.over:
		return nil, false
	case <-s.done:
	}
	select {
	case <-s.over:
		return nil, false
	default:
	}
	if s.err != nil {
		s.small.Close()
	}
	return s.err, true
}

// result is what wait said was there: complete (done), or still to come. A
// transform that fails in the middle ends it with its error, so the reply is cut
// rather than short. The caller closes the body.
func (s *spool) result(done bool) Object {
	if done {
		return Object{Body: s.small, Size: int64(len(s.small.Bytes()))}
	}
	return Object{Body: &spoolBody{s: s}, Size: s.size}
}

// errAborted ends a transform whose reader has gone.
var errAborted = errors.New("the reader hung up")

// spoolBody is a result that outgrew its spool. It is read, or written by
// WriteTo, not both.
type spoolBody struct {
	s    *spool
	pipe *io.PipeReader // once Read was called
	once sync.Once
}

// WriteTo has the transform write to w until it ends, and tells how much it
// wrote.
func (b *spoolBody) WriteTo(w io.Writer) (int64, error) {
	b.s.taker <- w
	<-b.s.done
	return b.s.n, b.s.err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (b *spoolBody) SupportsBodyWriteTo() bool { return true }

// Read implements io.Reader.
func (b *spoolBody) Read(p []byte) (int, error) {
	if b.pipe == nil {
		pr, pw := io.Pipe()
		b.pipe = pr
		b.s.taker <- pw
		go func() {
			<-b.s.done
			pw.CloseWithError(b.s.err) // nil is the end
		}()
	}
	return b.pipe.Read(p)
}

// Close ends the transform, if it still runs, and waits for it.
func (b *spoolBody) Close() error {
	b.once.Do(func() {
		b.s.cancel(errAborted)
		close(b.s.gone)
		if b.pipe != nil {
			b.pipe.CloseWithError(errAborted)
		}
		<-b.s.done
	})
	return nil
}
