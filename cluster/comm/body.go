package comm

import (
	"io"
	"sync"
)

// copySize is the size of a relay's buffer. Beyond 256 KiB a copy on loopback
// gains nothing and the buffers of many connections add up.
const copySize = 256 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// Copy copies src to dst through a pooled buffer of 256 KiB. Unlike io.Copy
// it never lets either side choose a smaller one.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, *buf)
}

// Stream is a response body for fasthttp: it is written with Copy, where
// fasthttp's own loop would move 4 KiB at a time, and runs Done once when the
// server is finished with it, however that came about.
type Stream struct {
	io.Reader
	Done func() error
}

// WriteTo copies the stream to w.
func (s *Stream) WriteTo(w io.Writer) (int64, error) { return Copy(w, s.Reader) }

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (s *Stream) SupportsBodyWriteTo() bool { return true }

// Close runs Done.
func (s *Stream) Close() error {
	if s.Done == nil {
		return nil
	}
	done := s.Done
	s.Done = nil
	return done()
}

// exactReader reads exactly n bytes: a source that ends before is
// io.ErrUnexpectedEOF rather than a short object.
type exactReader struct {
	r io.Reader
	n int64 // left
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	if err == io.EOF && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

// ExactReader reads size bytes of r and calls it an error when there are
// fewer. With a size of -1 it is r itself.
func ExactReader(r io.Reader, size int64) io.Reader {
	if size < 0 {
		return r
	}
	return &exactReader{r: r, n: size}
}
