package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/child"
)

const (
	inOneWrite = 64 << 10  // bodies up to here leave with their headers
	sendBuffer = 256 << 10 // of a socket
	mostHead   = 8 << 10   // of a request
)

// serveEpoll is as little of a server as can answer a GET in Go: a thread for
// each CPU, none of net's or the runtime's polling, open files kept, no headers
// but the length. It is what a target may hope for.
func serveEpoll(ln *net.TCPListener, files store) error {
	s := &bare{files: files}
	var loops []*loop
	for range runtime.GOMAXPROCS(0) {
		ep, err := unix.EpollCreate1(0)
		if err != nil {
			return err
		}
		l := &loop{bare: s, ep: ep, conns: map[int]*bareConn{}, out: make([]byte, 0, mostHead+inOneWrite), accepted: make(chan int, 1024)}
		loops = append(loops, l)
		go l.run()
	}
	if _, err := child.Announce(os.Getenv(child.EnvAnnounce), "http://"+ln.Addr().String()); err != nil {
		return err
	}
	for i := 0; ; i++ {
		c, err := ln.AcceptTCP()
		if err != nil {
			return err
		}
		if err := loops[i%len(loops)].take(c); err != nil {
			return err
		}
	}
}

// bare is what the loops share.
type bare struct {
	files store
	open  sync.Map // *bareFile by path
}

type bareFile struct {
	fd   int
	size int64
}

// loop is one thread's.
type loop struct {
	*bare
	ep       int
	conns    map[int]*bareConn
	out      []byte
	accepted chan int
}

type bareConn struct {
	in   []byte
	rest []byte    // of a reply that did not fit into the socket
	file *bareFile // and what follows it, from at on
	at   int64
}

// take gives a connection to the loop; its descriptor is no longer Go's.
func (l *loop) take(c *net.TCPConn) error {
	f, err := c.File()
	if err != nil {
		return err
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	c.Close()
	if err != nil {
		return err
	}
	_ = unix.SetNonblock(fd, true)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	// The loop learns of it when it is first readable, so it goes ahead of that.
	l.accepted <- fd
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (l *loop) run() {
	runtime.LockOSThread()
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(l.ep, events, -1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		l.greet()
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			if c := l.conns[fd]; c != nil && !l.serve(fd, c) {
				delete(l.conns, fd)
				unix.Close(fd)
			}
		}
	}
}

// greet makes room for connections that were accepted.
func (l *loop) greet() {
	for {
		select {
		case fd := <-l.accepted:
			l.conns[fd] = &bareConn{in: make([]byte, 0, mostHead)}
		default:
			return
		}
	}
}

// serve goes on with a connection; false: it is to be closed.
func (l *loop) serve(fd int, c *bareConn) bool {
	if c.rest != nil || c.file != nil {
		return l.flush(fd, c, true)
	}
	n, err := unix.Read(fd, c.in[len(c.in):cap(c.in)])
	if n <= 0 {
		return err == unix.EAGAIN
	}
	c.in = c.in[:len(c.in)+n]
	end := bytes.Index(c.in, []byte("\r\n\r\n"))
	if end < 0 {
		return len(c.in) < cap(c.in)
	}
	if bytes.HasPrefix(c.in, []byte("PUT ")) {
		return l.put(fd, c, end)
	}
	used := end + 4 + length(c.in[:end])
	if len(c.in) < used {
		return used <= cap(c.in)
	}
	ok := l.answer(fd, c, c.in[:end])
	c.in = c.in[:copy(c.in, c.in[used:])]
	return ok
}

// put stores an object, while the loop waits: nothing is measured yet.
func (l *loop) put(fd int, c *bareConn, end int) bool {
	head, body := c.in[:end], c.in[end+4:]
	_, uri, _ := bytes.Cut(head, []byte(" "))
	uri, _, _ = bytes.Cut(uri, []byte("?"))
	_ = unix.SetNonblock(fd, false)
	defer unix.SetNonblock(fd, true) //nolint:errcheck // the next read would tell
	if bytes.Contains(head, []byte("Expect: 100-continue")) {
		_, _ = unix.Write(fd, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	rest := io.LimitReader(socket(fd), int64(length(head)-len(body)))
	if l.files.put(string(uri), io.MultiReader(bytes.NewReader(body), rest)) != nil {
		return false
	}
	c.in = c.in[:0]
	_, err := unix.Write(fd, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	return err == nil
}

// socket reads from a descriptor that blocks.
type socket int

func (s socket) Read(p []byte) (int, error) {
	n, err := unix.Read(int(s), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// length is what a request's body has.
func length(head []byte) int {
	_, after, _ := bytes.Cut(head, []byte("Content-Length: "))
	value, _, _ := bytes.Cut(after, []byte("\r\n"))
	n, _ := strconv.Atoi(string(value))
	return n
}

func (l *loop) answer(fd int, c *bareConn, head []byte) bool {
	method, rest, _ := bytes.Cut(head, []byte(" "))
	uri, _, _ := bytes.Cut(rest, []byte(" "))
	l.out = l.out[:0]
	switch path, _, _ := bytes.Cut(uri, []byte("?")); {
	case string(method) != "GET":
		l.out = append(l.out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"...)
	default:
		f := l.opened(string(path))
		if f == nil {
			l.out = append(l.out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"...)
			break
		}
		l.out = append(l.out, "HTTP/1.1 200 OK\r\nContent-Length: "...)
		l.out = append(strconv.AppendInt(l.out, f.size, 10), "\r\n\r\n"...)
		if f.size > inOneWrite {
			c.file, c.at = f, 0
			break
		}
		n, err := unix.Pread(f.fd, l.out[len(l.out):len(l.out)+int(f.size)], 0)
		if err != nil || int64(n) != f.size {
			return false
		}
		l.out = l.out[:len(l.out)+n]
	}
	c.rest = l.out
	return l.flush(fd, c, false)
}

// opened is a file that is kept open; nil when there is none.
func (l *loop) opened(path string) *bareFile {
	if f, ok := l.open.Load(path); ok {
		return f.(*bareFile)
	}
	fd, err := unix.Open(l.files.path(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil
	}
	f := &bareFile{fd, st.Size}
	l.open.Store(path, f)
	return f
}

// flush sends what the socket takes; waited: it had been full before.
func (l *loop) flush(fd int, c *bareConn, waited bool) bool {
	full := false
	for !full && len(c.rest) > 0 {
		flags := unix.MSG_NOSIGNAL
		if c.file != nil {
			flags |= unix.MSG_MORE
		}
		n, err := unix.SendmsgN(fd, c.rest, nil, nil, flags)
		if full = err == unix.EAGAIN; err != nil && !full {
			return false
		}
		c.rest = c.rest[max(n, 0):]
	}
	for !full && c.file != nil {
		n, err := unix.Sendfile(fd, c.file.fd, &c.at, int(c.file.size-c.at))
		if full = err == unix.EAGAIN; err != nil && !full || err == nil && n == 0 {
			return false
		}
		if c.at >= c.file.size {
			c.file = nil
		}
	}
	if full && !waited {
		c.rest = bytes.Clone(c.rest) // the loop's buffer is another's next
		return unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}) == nil
	}
	if !full {
		c.rest = nil
		if waited {
			return unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) == nil
		}
	}
	return true
}
