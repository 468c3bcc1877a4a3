package loader

import (
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// body is an answer's body on a connection. It ends with io.EOF once all of it
// was read; anything less is another error.
type body struct {
	a    *answer
	c    *conn
	left int64 // of the whole body, or of the chunk; -1 until the connection's end
	in   bool  // a chunk was begun
	err  error // io.EOF at the end
}

// begin makes b the body behind the headers a.
func (b *body) begin(a *answer, c *conn) {
	*b = body{a: a, c: c, left: a.length}
	switch {
	case a.noBody || a.length == 0:
		b.err = io.EOF
	case a.length == chunked:
		b.left = 0
	case a.length == untilEnd:
		b.left = -1
	}
}

// step gets to where there are bytes to read; err is the end.
func (b *body) step() error {
	if b.err != nil || b.left != 0 {
		return b.err
	}
	if b.a.length != chunked {
		b.err = io.EOF
		return b.err
	}
	n, err := b.a.chunkHead(b.c.r, !b.in)
	switch {
	case err != nil:
		b.err = err
	case n == 0:
		b.err = io.EOF
	}
	b.left, b.in = n, true
	return b.err
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.step(); err != nil {
		return 0, err
	}
	if b.left > 0 {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.c.r.Read(p)
	return b.took(n, err)
}

// took notes what a read has given.
func (b *body) took(n int, err error) (int, error) {
	if b.left > 0 {
		b.left -= int64(n)
		err = noEOF(err)
	}
	if err != nil && n == 0 {
		b.err = err
		return 0, err
	}
	return n, nil
}

// mostDropped is how much is dropped at once.
const mostDropped = 1 << 20

// drop reads some bytes and forgets them: those that are here already, or, by
// the kernel, some that never come here. It is Read where that cannot be.
func (b *body) drop(scratch []byte) (int, error) {
	if err := b.step(); err != nil {
		return 0, err
	}
	if b.left < int64(len(scratch)) || b.c.r.Buffered() > 0 || b.c.raw == nil {
		return b.Read(scratch)
	}
	n, err := truncate(b.c.raw, min(b.left, mostDropped))
	if n == 0 && err == nil {
		err = io.EOF
	}
	return b.took(n, err)
}

// truncate has the kernel drop up to n bytes that have come on a TCP connection,
// and waits for the first: recv with MSG_TRUNC, see tcp(7).
func truncate(c syscall.RawConn, n int64) (got int, err error) {
	var errno syscall.Errno
	rerr := c.Read(func(fd uintptr) bool {
		for {
			var r uintptr
			r, _, errno = syscall.Syscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(nil)), uintptr(n), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
			got = int(r)
			if errno != unix.EINTR {
				return errno != unix.EAGAIN
			}
		}
	})
	if rerr != nil {
		return 0, rerr
	}
	if errno != 0 {
		return 0, errno
	}
	return got, nil
}
