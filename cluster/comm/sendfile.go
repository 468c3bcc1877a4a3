package comm

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Sender is a body that can send itself by cheaper means than being read.
type Sender interface {
	// SendTo sends what it can, and tells how much that was: what is left is to
	// be read. An error is the connection's.
	SendTo(c *net.UnixConn) (int64, error)
}

// sendPiece is how much of a file the kernel is asked to send at once.
const sendPiece = 1 << 20

// SendFile has the kernel send up to n bytes of f, from at on, to a unix socket:
// that takes half the CPU time of copying them through this process. moved is
// told of every piece, nil nobody. A file that cannot be sent, or not as far, is
// no error.
func SendFile(c *net.UnixConn, f *os.File, at, n int64, moved func(int64)) (sent int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	for sent < n {
		var k int
		var errno error
		err = raw.Write(func(fd uintptr) bool {
			off := at + sent
			k, errno = unix.Sendfile(int(fd), int(f.Fd()), &off, int(min(n-sent, sendPiece)))
			return !errors.Is(errno, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return sent, err
		case errors.Is(errno, unix.EINTR):
		case errors.Is(errno, unix.EPIPE), errors.Is(errno, unix.ECONNRESET):
			return sent, os.NewSyscallError("sendfile", errno)
		case errno != nil || k == 0: // whoever reads on learns why
			return sent, nil
		}
		sent += int64(max(k, 0))
		if moved != nil && k > 0 {
			moved(int64(k))
		}
	}
	return sent, nil
}
