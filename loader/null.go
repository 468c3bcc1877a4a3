package loader

import (
	"bufio"
	"fmt"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

const (
	nullPath = "/null"      // is redirected
	nullBody = "/null/body" // to here, where the answer is
)

// nullServer answers at once, as a proxy and a target in one. It is no more
// than a calibration needs, because it takes its CPU time from the generator.
type nullServer struct {
	ln             net.Listener
	redirect, body []byte // whole replies
	wg             sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu; nil once it is closed
}

// serveNull starts one on loopback, whose bodies have size bytes. The caller
// closes it.
func serveNull(size int64) (*nullServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nullServer{ln: ln, conns: map[net.Conn]bool{}}
	s.redirect = fmt.Appendf(nil, "HTTP/1.1 301 Moved Permanently\r\nLocation: http://%s%s\r\nContent-Length: 0\r\n\r\n", ln.Addr(), nullBody)
	s.body = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size), make([]byte, size)...)
	s.wg.Go(s.accept)
	return s, nil
}

func (s *nullServer) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		if !s.add(c) {
			c.Close()
			return
		}
		s.wg.Go(func() {
			defer c.Close()
			s.answer(c)
		})
	}
}

func (s *nullServer) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = true
	return true
}

// answer serves a connection until it is closed.
func (s *nullServer) answer(c net.Conn) {
	r := bufio.NewReaderSize(c, connBuffer)
	var h fasthttp.RequestHeader
	for h.Read(r) == nil {
		reply := s.body
		if string(h.RequestURI()) == nullPath {
			reply = s.redirect
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// close ends all connections.
func (s *nullServer) close() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
}
