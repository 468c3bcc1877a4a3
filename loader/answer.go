package loader

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

const (
	mostHead  = 64 << 10 // of an answer's headers, bytes
	mostLine  = 4 << 10  // of a chunk's first line, or a line behind the last chunk
	mostLines = 100      // behind the last chunk
)

// Lengths of bodies besides those that are told.
const (
	chunked  = -1 // in chunks
	untilEnd = -2 // until the other end closes the connection
)

// answer is what a driver keeps of a reply's headers, RFC 9112. They are read
// where they lie, without allocation once its buffers have grown.
type answer struct {
	status    int
	length    int64 // of the body, bytes; or chunked or untilEnd
	close     bool  // the connection is closed after it
	location  []byte
	sumType   []byte   // Ais-Checksum-Type
	sum       []byte   // Ais-Checksum-Value
	timings   [][]byte // Server-Timing, of all headers of that name
	noBody    bool     // whatever length says
	old       bool     // HTTP/1.0, which has no chunks
	oneLength bool
	line      []byte // of a header that did not fit into the reader
}

func (a *answer) reset() {
	a.status, a.length, a.close, a.noBody, a.oneLength = 0, untilEnd, false, false, false
	a.location, a.sumType, a.sum, a.timings = a.location[:0], a.sumType[:0], a.sum[:0], a.timings[:0]
}

// read reads the headers of the final answer to a request of a method. It is
// io.EOF when nothing came at all.
func (a *answer) read(r *bufio.Reader, method string) error {
	for first := true; ; first = false {
		err := a.readOne(r)
		if err != nil && !(first && err == io.EOF) {
			return noEOF(err)
		}
		if err != nil || a.status >= 200 || a.status == fasthttp.StatusSwitchingProtocols {
			a.noBody = method == fasthttp.MethodHead || a.status < 200 || a.status == fasthttp.StatusNoContent || a.status == fasthttp.StatusNotModified
			return err
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readOne reads one answer's headers, a preliminary one's too.
func (a *answer) readOne(r *bufio.Reader) error {
	a.reset()
	line, n, err := a.nextLine(r)
	if err != nil {
		if n == 0 {
			return err // io.EOF of a connection that ended in good order
		}
		return noEOF(err)
	}
	if err := a.statusLine(line); err != nil {
		return err
	}
	for total := n; ; {
		line, n, err := a.nextLine(r)
		if err != nil {
			return noEOF(err)
		}
		if total += n; total > mostHead {
			return fmt.Errorf("more than %d KiB of headers", mostHead>>10)
		}
		if len(line) == 0 {
			return nil
		}
		if err := a.header(line); err != nil {
			return err
		}
	}
}

// nextLine gives a line without its end, until the next one, and how many bytes
// it took. One that the reader cannot hold is put together.
func (a *answer) nextLine(r *bufio.Reader) (line []byte, n int, err error) {
	line, err = r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		a.line = a.line[:0]
		for err == bufio.ErrBufferFull && len(a.line) <= mostHead {
			a.line = append(a.line, line...)
			line, err = r.ReadSlice('\n')
		}
		a.line = append(a.line, line...)
		line = a.line
	}
	if err != nil {
		return nil, len(line), err
	}
	n = len(line)
	return bytes.TrimSuffix(line[:n-1], []byte("\r")), n, nil
}

// statusLine reads "HTTP/1.1 200 OK".
func (a *answer) statusLine(line []byte) error {
	version, rest, ok := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := strconv.ParseUint(string(code), 10, 16)
	if !ok || err != nil || len(code) != 3 || status < 100 || len(version) != 8 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return fmt.Errorf("no status line of HTTP: %.80q", line)
	}
	a.status, a.old = int(status), version[7] == '0'
	a.close = a.old
	return nil
}

// header takes what is needed of one.
func (a *answer) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return fmt.Errorf("no header: %.80q", line)
	}
	value = bytes.Trim(value, " \t")
	switch len(name) { // few are looked at more closely
	case len(fasthttp.HeaderLocation):
		if is(name, fasthttp.HeaderLocation) {
			a.location = append(a.location[:0], value...)
		}
	case len(fasthttp.HeaderConnection):
		if is(name, fasthttp.HeaderConnection) {
			a.connection(value)
		}
	case len(fasthttp.HeaderServerTiming):
		if is(name, fasthttp.HeaderServerTiming) {
			a.timings = append(a.timings, bytes.Clone(value))
		}
	case len(fasthttp.HeaderContentLength):
		if is(name, fasthttp.HeaderContentLength) {
			return a.contentLength(value)
		}
	case len(fasthttp.HeaderTransferEncoding), len(api.HdrChecksumValue): // 17 and 18
		return a.longHeader(name, value)
	}
	return nil
}

func (a *answer) longHeader(name, value []byte) error {
	switch {
	case is(name, fasthttp.HeaderTransferEncoding) && !a.old:
		if !is(value, "chunked") {
			return fmt.Errorf("transfer encoding %.80q", value)
		}
		a.length = chunked
	case is(name, api.HdrChecksumType):
		a.sumType = append(a.sumType[:0], value...)
	case is(name, api.HdrChecksumValue):
		a.sum = append(a.sum[:0], value...)
	}
	return nil
}

// is compares without regard to the case of ASCII letters.
func is(name []byte, want string) bool { return bytes.EqualFold(name, []byte(want)) }

// connection reads options with commas between.
func (a *answer) connection(value []byte) {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, []byte(","))
		switch option = bytes.Trim(option, " \t"); {
		case is(option, "close"):
			a.close = true
		case is(option, "keep-alive"):
			a.close = false
		}
	}
}

// contentLength counts only where there are no chunks. Two that differ say
// nothing that can be trusted.
func (a *answer) contentLength(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil || len(value) == 0 || value[0] == '+' {
		return fmt.Errorf("content length %.80q", value)
	}
	if a.oneLength && a.length != int64(n) && a.length != chunked {
		return fmt.Errorf("content lengths %d and %d", a.length, n)
	}
	a.oneLength = true
	if a.length != chunked {
		a.length = int64(n)
	}
	return nil
}

var errChunk = errors.New("a chunk that is none")

// chunkHead reads the first line of a chunk, and behind another one the end of
// that. size 0 is the last chunk, whose trailer is read too.
func (a *answer) chunkHead(r *bufio.Reader, first bool) (size int64, err error) {
	if !first {
		if line, _, err := a.nextLine(r); err != nil || len(line) > 0 {
			return 0, noEOF(cmp.Or(err, errChunk))
		}
	}
	line, n, err := a.nextLine(r)
	if err != nil {
		return 0, noEOF(err)
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	v, err := strconv.ParseUint(string(digits), 16, 63)
	if err != nil || n > mostLine {
		return 0, fmt.Errorf("%w: %.80q", errChunk, line)
	}
	if v > 0 {
		return int64(v), nil
	}
	for range mostLines {
		line, n, err := a.nextLine(r)
		if err != nil || n > mostLine {
			return 0, noEOF(cmp.Or(err, errChunk))
		}
		if len(line) == 0 {
			return 0, nil
		}
	}
	return 0, errChunk
}
