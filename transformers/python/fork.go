package python

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etlbench/etlbench/cluster/comm"
)

// A fork server is an interpreter that runs fork.py: it has imported what the
// user's module begins with, and forks for each object. Its fd 3 is a socket of
// packets, each a byte and an object's number, 8 bytes:
//
//	to it    F and three files: fork, with these as standard input, output and error
//	         K: kill the process and what it started
//	from it  P and the process id, 4 bytes    S and the wait status, 4 bytes
//	         E and why it did not fork
//
// The first packet from it has no number: R when it is ready, A and a module
// that another is to leave to the objects, or X and why it cannot serve. It ends, and kills
// what it started, when the other end is closed. Numbers are in the byte order
// of the machine.
const (
	forkOne     = 'F'
	forkKill    = 'K'
	forkStarted = 'P'
	forkEnded   = 'S'
	forkFailed  = 'E'
	forkReady   = 'R'
	forkAnew    = 'A'
	forkNever   = 'X'

	forkHead    = 9       // bytes: the byte and the number
	forkLongest = 8 << 10 // bytes of a packet from it
)

// errNoForks is why there is no fork server but a process for each object.
type errNoForks struct{ why string }

func (e *errNoForks) Error() string { return e.why }

type forkServer struct {
	*process
	name string // the interpreter
	conn *net.UnixConn

	mu       sync.Mutex // guards what follows
	last     uint64
	children map[uint64]*forked
}

// forked is the process of one object.
type forked struct {
	pid   int           // 0 until it is known
	ended chan error    // gets how it ended
	gone  chan struct{} // closed then
}

func (c *forked) end(status error) {
	c.ended <- status
	close(c.gone)
}

// startForks starts a fork server and waits until it has imported what it can.
// aside are modules that it has not.
func startForks(ctx context.Context, wg *sync.WaitGroup, c Config) (s *forkServer, aside []string, err error) {
	for {
		s, err := spawnForks(wg, c, aside)
		if err != nil {
			return nil, nil, fmt.Errorf("python: start %s: %w", c.Python, err)
		}
		answer, err := s.firstAnswer(ctx, c)
		if err == nil && answer[0] == forkReady {
			wg.Go(s.listen)
			return s, aside, nil
		}
		s.killGroup()
		<-s.exited
		s.conn.Close()
		switch {
		case err != nil:
			return nil, nil, err
		case answer[0] != forkAnew:
			return nil, nil, &errNoForks{answer[1:]}
		}
		aside = append(aside, answer[1:])
	}
}

// firstAnswer is what a server says of itself.
func (s *forkServer) firstAnswer(ctx context.Context, c Config) (string, error) {
	stop := context.AfterFunc(ctx, s.kill)
	packet := make([]byte, forkLongest)
	n, err := s.conn.Read(packet)
	if !stop() {
		return "", fmt.Errorf("python: load %s: %w", c.Code, context.Cause(ctx))
	}
	if err != nil || n == 0 {
		s.reap(deathGrace)
		return "", fmt.Errorf("python: fork server died: %s", s.death())
	}
	return string(packet[:n]), nil
}

// killGroup ends a server and what its imports have started.
func (s *forkServer) killGroup() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

func spawnForks(wg *sync.WaitGroup, c Config, aside []string) (*forkServer, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "fork server"), os.NewFile(uintptr(fds[1]), "fork server")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, err
	}
	// Its standard input is a pipe, as an object's is: Python looks at the start.
	empty, end, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	end.Close()
	defer empty.Close()
	argv := append([]string{c.Python, "-S", "-c", callScript + ioScript + forkScript + runServe, c.Code}, c.argv()...)
	s := &forkServer{process: newProcess(append(argv, strings.Join(aside, ",")), c.Env, c.Stderr, theirs), name: c.Python,
		conn: conn.(*net.UnixConn), children: map[uint64]*forked{}}
	s.cmd.Stdin = empty
	s.cmd.SysProcAttr = serverAttr()
	if err := s.start(wg, func() {}); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// begin has an object's process forked. errNotSent says that the server has
// ended already.
func (s *forkServer) begin() (*comm.Filter, error) {
	pipes, err := comm.NewPipes()
	if err != nil {
		return nil, err
	}
	defer pipes.CloseTheirs()
	number, child := s.add()
	rights := make([]int, len(pipes.Theirs))
	for i, f := range pipes.Theirs {
		rights[i] = int(f.Fd())
	}
	if _, _, err := s.conn.WriteMsgUnix(packet(forkOne, number), unix.UnixRights(rights...), nil); err != nil {
		s.remove(number)
		pipes.Close()
		return nil, errNotSent
	}
	kill := func() { s.killOne(number) }
	return &comm.Filter{Name: s.name, Pipes: pipes, Wait: func() error { return <-child.ended }, Kill: kill}, nil
}

func packet(what byte, number uint64) []byte {
	return binary.NativeEndian.AppendUint64([]byte{what}, number)
}

func (s *forkServer) add() (uint64, *forked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	child := &forked{ended: make(chan error, 1), gone: make(chan struct{})}
	s.children[s.last] = child
	return s.last, child
}

func (s *forkServer) remove(number uint64) *forked {
	s.mu.Lock()
	defer s.mu.Unlock()
	child := s.children[number]
	delete(s.children, number)
	return child
}

// child is the process of an object, or of any with number 0; nil if there is
// none.
func (s *forkServer) child(number uint64) *forked {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number == 0 {
		for _, c := range s.children {
			return c
		}
	}
	return s.children[number]
}

// killOne kills an object's process. A server that does not see to it is
// killed itself.
func (s *forkServer) killOne(number uint64) {
	child := s.child(number)
	if child == nil {
		return
	}
	timer := time.AfterFunc(deathGrace, s.kill)
	defer timer.Stop()
	_, _ = s.conn.Write(packet(forkKill, number)) // if the server is gone, so is the process
	<-child.gone
}

// listen hears how processes end, until the server has ended, which ends those
// that are left.
func (s *forkServer) listen() {
	packet := make([]byte, forkLongest)
	for {
		n, err := s.conn.Read(packet)
		if err != nil || n < forkHead {
			break
		}
		s.hear(packet[0], binary.NativeEndian.Uint64(packet[1:]), packet[forkHead:n])
	}
	s.conn.Close()
	s.reap(deathGrace)
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, child := range s.children {
		if child.pid > 0 {
			_ = syscall.Kill(-child.pid, syscall.SIGKILL)
		}
		child.end(fmt.Errorf("fork server ended: %s", s.death()))
		delete(s.children, number)
	}
}

func (s *forkServer) hear(what byte, number uint64, rest []byte) {
	switch {
	case what == forkFailed:
		if child := s.remove(number); child != nil {
			child.end(fmt.Errorf("cannot fork: %s", rest))
		}
	case len(rest) != 4:
	case what == forkStarted:
		s.mu.Lock()
		defer s.mu.Unlock()
		if child := s.children[number]; child != nil {
			child.pid = int(binary.NativeEndian.Uint32(rest))
		}
	case what == forkEnded:
		if child := s.remove(number); child != nil {
			child.end(ending(syscall.WaitStatus(binary.NativeEndian.Uint32(rest))))
		}
	}
}

// ending is nil for exit status 0, else what exec.ExitError says.
func ending(status syscall.WaitStatus) error {
	switch {
	case status.Signaled():
		return fmt.Errorf("signal: %s", status.Signal())
	case status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}

// stop gives objects that are under way a moment and ends the server, which
// kills the others.
func (s *forkServer) stop(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for late := false; !late; {
		child := s.child(0)
		if child == nil {
			break
		}
		select {
		case <-child.gone:
		case <-timer.C:
			late = true
		}
	}
	s.conn.Close()
	s.reap(deathGrace)
}

// IO transforms each object in a process of its own, which runs the user's
// module as IOCommand does, and costs a tenth of it: the process is forked from
// an interpreter that has imported what the module begins with. Imports whose
// effects processes cannot share, such as threads and open files, are left to
// the processes. Where nothing can be forked, with Python 2, an interpreter is
// started for each object.
//
// Two things differ from a process that was started: the seed of hash() is the
// same for all, as the order of a set of strings is, and what is imported
// prints its warnings once.
type IO struct {
	life
	cfg   Config
	plain comm.Transform // not nil where nothing is forked
	each  comm.Transform

	mu      sync.Mutex    // guards what follows
	server  *forkServer   // nil while one is started
	changed chan struct{} // closed when server has changed
}

var _ comm.Transform = (*IO)(nil).Transform

// NewIO starts the interpreter and returns when it has imported what it can.
// Of the configuration it takes no notice of Workers and MaxBytes. What is
// wrong with the module each object tells: see Check. Ctx covers the start
// alone; Close ends it.
func NewIO(ctx context.Context, cfg Config) (*IO, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	x := &IO{cfg: cfg, changed: make(chan struct{})}
	x.each = comm.PerObject(cfg.Stderr, x.begin)
	life := x.life.begin(ctx)
	s, err := x.start(ctx)
	var never *errNoForks
	switch {
	case errors.As(err, &never):
		fmt.Fprintf(cfg.Stderr, "an interpreter is started for each object: %s\n", never.why)
		argv, err := IOCommand(cfg.Python, cfg.Code, cfg.Functions)
		x.plain = comm.Command(argv, cfg.Env, cfg.Stderr)
		return x, err
	case err != nil:
		x.close()
		return nil, err
	}
	x.wg.Go(func() { x.keep(life, s) })
	return x, nil
}

// start starts a fork server.
func (x *IO) start(ctx context.Context) (*forkServer, error) {
	s, aside, err := startForks(ctx, &x.wg, x.cfg)
	if len(aside) > 0 {
		fmt.Fprintf(x.cfg.Stderr, "imported again for each object, since a fork cannot share it: %s\n", strings.Join(aside, ", "))
	}
	return s, err
}

// keep has a server there until life ends.
func (x *IO) keep(life context.Context, s *forkServer) {
	for {
		began := time.Now()
		x.offer(s)
		select {
		case <-s.exited:
		case <-life.Done():
			s.stop(stopGrace)
			return
		}
		x.offer(nil)
		if time.Since(began) < restartPause {
			pause(life)
		}
		if s, _ = replace(life, &x.life, "fork servers", x.start); s == nil {
			return
		}
	}
}

func (x *IO) offer(s *forkServer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.server = s
	close(x.changed)
	x.changed = make(chan struct{})
}

// begin has a process forked for an object. It waits for a server to be there.
func (x *IO) begin(ctx context.Context) (*comm.Filter, error) {
	for {
		x.mu.Lock()
		s, changed := x.server, x.changed
		x.mu.Unlock()
		if err := x.Err(); err != nil {
			return nil, err
		}
		if s != nil {
			if f, err := s.begin(); err != errNotSent {
				return f, err
			}
		}
		select {
		case <-changed:
		case <-x.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Transform is a comm.Transform: a process transforms the object. Its end with
// another exit code than 0, and that of the fork server meanwhile, fail the
// object. When ctx ends the process is killed, and what it has started.
func (x *IO) Transform(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
	if x.plain != nil {
		return x.plain(ctx, dst, src, o)
	}
	return x.each(ctx, dst, src, o)
}

// Close gives objects that are under way a moment, ends them, and returns when
// no process is left. It is safe to call twice and always returns nil.
func (x *IO) Close() error {
	x.close()
	return nil
}
