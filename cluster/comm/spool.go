package comm

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// spool takes what a transform writes. A result that fits a SmallBody is held
// back, so that a failure can still be told by a status, and given whole; once it
// does not fit, the reader gets it piece by piece.
type spool struct {
	small  *SmallBody    // what is held back; whoever took the result frees it
	over   chan struct{} // closed when the result outgrew the spool
	done   chan struct{} // closed by finish
	err    error         // valid after done
	pr     *io.PipeReader
	pw     *io.PipeWriter
	bw     *bufio.Writer           // in front of pw, nil while the result fits
	cancel context.CancelCauseFunc // of the transform
}

func newSpool(cancel context.CancelCauseFunc) *spool {
	return &spool{small: NewSmallBody(), over: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
}

// Write is the transform's end. It is not for concurrent use.
func (s *spool) Write(p []byte) (int, error) {
	if s.bw != nil {
		return s.bw.Write(p)
	}
	if space := s.small.Space(); len(p) <= len(space) {
		s.small.Add(copy(space, p))
		return len(p), nil
	}
	s.pr, s.pw = io.Pipe()
	// A transform may write a few bytes at a time; the pipe hands over each
	// piece to a waiting reader, so pieces should be large.
	s.bw = bufio.NewWriterSize(s.pw, SmallSize)
	close(s.over)
	_, err := s.small.WriteTo(s.bw)
	s.small.Close()
	if err != nil {
		return 0, err
	}
	return s.bw.Write(p)
}

// finish ends the result, with the transform's error.
func (s *spool) finish(err error) {
	if s.bw != nil {
		if err == nil {
			err = s.bw.Flush()
		}
		if err == nil {
			s.pw.Close()
		} else {
			s.pw.CloseWithError(err)
		}
	}
	s.err = err
	close(s.done)
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
	return Object{Body: &Stream{Reader: s.pr, Done: s.close}, Size: -1}
}

// errAborted ends a transform whose reader has gone.
var errAborted = errors.New("the reader hung up")

// close ends the transform, if it still runs, and waits for it.
func (s *spool) close() error {
	s.cancel(errAborted)
	s.pr.CloseWithError(errAborted)
	<-s.done
	return nil
}
