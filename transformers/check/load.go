package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/etlbench/etlbench/cluster/comm"
)

// checkParallel asks for some objects one after the other, and then for all of
// them at once, again and again.
func checkParallel(ctx context.Context, s *subject) error {
	objects := make([]object, 4)
	for i := range objects {
		objects[i] = s.object(fmt.Sprintf("parallel-%d.txt", i))
		if err := s.fresh(ctx, objects[i], ""); err != nil {
			return err
		}
	}
	sessions := make([]*session, s.cfg.Parallel)
	results := make([][]byte, len(sessions))
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i := range sessions {
		sessions[i] = s.session()
		wg.Go(func() { _, results[i], errs[i] = sessions[i].get(ctx, request(objects[i%len(objects)])) })
	}
	wg.Wait()
	for i, one := range sessions {
		errs[i] = one.verdict(objects[i%len(objects)], "", results[i], errs[i])
		one.close()
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("one of %d at once: %w", len(errs), err)
		}
	}
	return nil
}

// cutSize is what a client promises that hangs up half way, bytes: more than
// fits into the buffers on the way.
const cutSize = 1 << 20

// checkHangUp lets many clients hang up, half of them before the transformer
// has all of the request, half of them while it answers.
func checkHangUp(ctx context.Context, s *subject) error {
	for i := range s.cfg.Parallel {
		one := s.session()
		var err error
		if i%2 == 0 {
			err = one.hangUpAsking(ctx)
		} else {
			err = one.hangUpReading(ctx)
		}
		one.close()
		if err != nil {
			return fmt.Errorf("after %d clients that hung up: %w", i, err)
		}
	}
	if err := s.fresh(ctx, s.base, ""); err != nil {
		return fmt.Errorf("after %d clients that hung up: %w", s.cfg.Parallel, err)
	}
	return nil
}

var errHangUp = errors.New("the client hangs up")

// hangUpAsking ends a request in its middle, or, where that has no body, right
// behind it.
func (s *session) hangUpAsking(ctx context.Context) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	if s.kind == pull {
		req, err := s.plain(ctx, http.MethodGet, s.large)
		if err != nil {
			return err
		}
		conn, err := s.tap.dial(ctx, "tcp", req.URL.Host)
		if err != nil {
			return err
		}
		_ = req.Write(conn) // whatever becomes of it
		return conn.Close()
	}
	r := request(s.base)
	r.Open = func() (comm.Object, error) {
		half := bytes.NewReader(make([]byte, cutSize/2))
		hangUp := readerFunc(func([]byte) (int, error) { return 0, errHangUp })
		return comm.Object{Body: io.NopCloser(io.MultiReader(half, hangUp)), Size: cutSize}, nil
	}
	reply, err := s.open(ctx, r)
	if reply.Body != nil {
		_ = reply.Body.Close()
	}
	if ctx.Err() != nil {
		return s.with(cause(ctx, err))
	}
	return nil
}

// hangUpReading reads a byte of the largest result and hangs up.
func (s *session) hangUpReading(ctx context.Context) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	reply, err := s.open(ctx, request(s.large))
	if err != nil {
		return s.with(err)
	}
	_, _ = reply.Body.Read(make([]byte, 1))
	return reply.Body.Close()
}

// checkSlow holds up one client, first while it sends and then while it reads,
// until another one has its whole result.
func checkSlow(ctx context.Context, s *subject) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slow := s.session()
	defer slow.close()
	src := newHeldSource(s.large.data)
	opened := make(chan error, 1)
	var reply comm.Reply // valid after opened
	go func() {
		var err error
		reply, err = slow.open(ctx, src.request(s.large))
		opened <- err
	}()
	if s.kind != pull { // which sends nothing
		err := s.whileSending(ctx, src, opened)
		if err != nil {
			cancel()
			<-opened
			return err
		}
	}
	if err := <-opened; err != nil {
		return slow.with(cause(ctx, err))
	}
	defer reply.Body.Close()
	first := make([]byte, 1)
	n, err := io.ReadFull(reply.Body, first)
	if err == nil {
		err = s.meanwhile(ctx, "reads")
	}
	if err != nil && err != io.EOF {
		return err
	}
	rest, err := readResult(reply.Body)
	return slow.verdict(s.large, "", append(first[:n], rest...), slow.with(err))
}

// whileSending checks that another client is answered while one has sent half
// of its object; then that one goes on.
func (s *subject) whileSending(ctx context.Context, src *heldSource, opened chan error) error {
	defer close(src.goOn)
	select {
	case <-src.reached:
	case err := <-opened: // it did not need the other half
		opened <- err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return s.meanwhile(ctx, "sends")
}

func (s *subject) meanwhile(ctx context.Context, does string) error {
	if err := s.fresh(ctx, s.base, ""); err != nil {
		return fmt.Errorf("while a client %s slowly, another: %w", does, err)
	}
	return nil
}

// heldSource is an object whose second half waits.
type heldSource struct {
	io.Reader
	reached, goOn chan struct{}
	size          int64
}

func newHeldSource(data []byte) *heldSource {
	h := &heldSource{reached: make(chan struct{}), goOn: make(chan struct{}), size: int64(len(data))}
	half := len(data) / 2
	h.Reader = io.MultiReader(bytes.NewReader(data[:half]), readerFunc(h.wait), bytes.NewReader(data[half:]))
	return h
}

// wait is an empty reader between the halves.
func (h *heldSource) wait([]byte) (int, error) {
	close(h.reached)
	<-h.goOn
	return 0, io.EOF
}

func (h *heldSource) request(o object) comm.Request {
	r := request(o)
	r.Open = func() (comm.Object, error) { return comm.Object{Body: io.NopCloser(h), Size: h.size}, nil }
	return r
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
