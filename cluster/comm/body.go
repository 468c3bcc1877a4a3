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

// SmallSize is the largest body that is held whole, so that it leaves in one
// write with its header. Beyond that it is sent as it comes.
const SmallSize = 64 << 10

// SmallBody is a body of up to SmallSize bytes in a buffer that another one gets
// when it is closed. fasthttp takes it for a stream. It is not for concurrent use.
type SmallBody struct {
	buf       *[SmallSize]byte // nil once it is closed
	read, end int
}

var smallBuffers = sync.Pool{New: func() any { return new([SmallSize]byte) }}

// NewSmallBody returns an empty one; the caller closes it.
func NewSmallBody() *SmallBody { return &SmallBody{buf: smallBuffers.Get().(*[SmallSize]byte)} }

// Space is where more bytes can be put; see Add.
func (b *SmallBody) Space() []byte { return b.buf[b.end:] }

// Add adds the first n bytes of Space.
func (b *SmallBody) Add(n int) { b.end += n }

// Bytes are those that were not read, until Close.
func (b *SmallBody) Bytes() []byte { return b.buf[b.read:b.end] }

// Read implements io.Reader.
func (b *SmallBody) Read(p []byte) (int, error) {
	if b.read == b.end {
		return 0, io.EOF
	}
	n := copy(p, b.Bytes())
	b.read += n
	return n, nil
}

// WriteTo writes all that was not read at once.
func (b *SmallBody) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.Bytes())
	b.read += n
	return int64(n), err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (b *SmallBody) SupportsBodyWriteTo() bool { return true }

// Close gives the buffer away. It may be called again.
func (b *SmallBody) Close() error {
	if b.buf != nil {
		smallBuffers.Put(b.buf)
		*b = SmallBody{}
	}
	return nil
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
