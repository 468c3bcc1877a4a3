package comm

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// spoolSize is how much of a result is held back before the reply is begun.
// Until then a failure can still be told by a status.
const spoolSize = 64 << 10

// spool takes what a transform writes. A result that fits is given whole; once
// it does not, the reader gets it piece by piece.
type spool struct {
	buf    []byte
	over   chan struct{} // closed when the result outgrew the spool
	done   chan struct{} // closed by finish
	err    error         // valid after done
	pr     *io.PipeReader
	pw     *io.PipeWriter
	bw     *bufio.Writer           // in front of pw, nil while the result fits
	cancel context.CancelCauseFunc // of the transform
}

func newSpool(cancel context.CancelCauseFunc) *spool {
	return &spool{over: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
}

// Write is the transform's end. It is not for concurrent use.
func (s *spool) Write(p []byte) (int, error) {
	if s.bw != nil {
		return s.bw.Write(p)
	}
	if len(s.buf)+len(p) <= spoolSize {
		s.buf = append(s.buf, p...)
		return len(p), nil
	}
	s.pr, s.pw = io.Pipe()
	// A transform may write a few bytes at a time; the pipe hands over each
	// piece to a waiting reader, so pieces should be large.
	s.bw = bufio.NewWriterSize(s.pw, spoolSize)
	close(s.over)
	if _, err := s.bw.Write(s.buf); err != nil {
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

// wait blocks until the result is complete (done) or outgrew the spool.
func (s *spool) wait() (result []byte, err error, done bool) {
	select {
	case <-s.over:
		return nil, nil, false
	case <-s.done:
	}
	select {
	case <-s.over:
		return nil, nil, false
	default:
		return s.buf, s.err, true
	}
}

// reader gives a result that outgrew the spool. A transform that failed ends
// it with its error, so the reply is cut rather than short.
func (s *spool) reader() io.Reader { return s.pr }

// errAborted ends a transform whose reader has gone.
var errAborted = errors.New("the reader hung up")

// close ends the transform, if it still runs, and waits for it.
func (s *spool) close() error {
	s.cancel(errAborted)
	s.pr.CloseWithError(errAborted)
	<-s.done
	return nil
}
