package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/scenarios"
)

// session is one run, as an agent has it. It ends with its ctx; see Agent.end.
type session struct {
	*Agent
	id, from string
	began    time.Time
	ctx      context.Context // of all that the session does
	cancel   context.CancelCauseFunc
	silent   *time.Timer // fires when the coordinator was silent for too long
	running  sync.WaitGroup

	mu    sync.Mutex // guards the rest
	ended bool
	part  *loader.Part
	step  *step // under way
}

// step is one that is under way.
type step struct {
	out   chan message
	at    chan time.Time // holds one
	stop  context.CancelCauseFunc
	begun bool // at was given
}

const (
	queued   = 4096            // messages that wait to be sent
	patience = 5 * time.Second // of a load with a coordinator that does not read
)

func newSession(a *Agent, from string) *session {
	s := &session{Agent: a, id: newID(), from: from, began: time.Now()}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.silent = time.AfterFunc(time.Hour, func() { a.end(s, errors.New("the coordinator was silent for too long")) })
	s.silent.Stop() // until the session has been answered
	return s
}

func (s *session) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.silent.Reset(s.Lease)
	}
}

// end stops what runs and waits for it; false when somebody else did.
func (s *session) end(why error) bool {
	s.mu.Lock()
	mine := !s.ended
	s.ended = true
	s.silent.Stop()
	s.mu.Unlock()
	if !mine {
		return false
	}
	s.cancel(why)
	s.running.Wait()
	if s.part != nil {
		s.part.Close()
	}
	return true
}

// enter counts one more that runs in the session; false when it has ended.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.running.Add(1)
	}
	return !s.ended
}

// prepare makes the session's part. It ends with ctx, that of the request: the
// coordinator has gone.
func (s *session) prepare(ctx context.Context, sc *scenarios.Scenario, b begin) error {
	if !s.enter() {
		return context.Cause(s.ctx)
	}
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	data, err := dataSet(sc)
	if err != nil {
		return err
	}
	part, err := loader.NewPart(ctx, loader.PartConfig{Scenario: sc, Data: data, Share: b.Share, Order: b.Order,
		Expect: s.Expect, Progress: s.progress, Log: s.Log})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.part = part
	s.mu.Unlock()
	return nil
}

// progress goes to the step under way, if there is room: the next one tells
// all that this one does.
func (s *session) progress(p loader.Progress) {
	s.mu.Lock() // a step that has ended takes nothing more
	defer s.mu.Unlock()
	if s.step == nil {
		return
	}
	select {
	case s.step.out <- message{Progress: &progress{p.Ops, p.Errors, p.Shed, p.Bytes}}:
	default:
	}
}

// stopStep has the step under way end, if there is one.
func (s *session) stopStep(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step != nil {
		s.step.stop(why)
	}
}

func (s *session) serveGo(w http.ResponseWriter, r *http.Request) {
	var g goOrder
	if !read(w, r, &g) {
		return
	}
	// By the monotonic clock from here on: the other may be set.
	now := time.Now()
	at := now.Add(time.Duration(g.At - now.UnixNano()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step == nil || s.step.begun {
		http.Error(w, "no step is waiting to begin", http.StatusConflict)
		return
	}
	s.step.begun = true
	s.step.at <- at
	reply(w, struct{}{})
}

// serveStep issues the share of a step and streams what comes of it. It ends
// with the request, too: the coordinator has gone.
func (s *session) serveStep(w http.ResponseWriter, r *http.Request) {
	var o loader.StepOrder
	if !read(w, r, &o) {
		return
	}
	defer func() {
		if r.Context().Err() != nil {
			s.Agent.end(s, errors.New("the coordinator has gone"))
		}
	}()
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	st := &step{out: make(chan message, queued), at: make(chan time.Time, 1), stop: stop}
	if !s.enter() {
		http.Error(w, "the run has ended", http.StatusNotFound)
		return
	}
	defer s.running.Done()
	defer context.AfterFunc(s.ctx, func() { stop(context.Cause(s.ctx)) })()
	if !s.claimStep(st) {
		http.Error(w, "busy with another step", http.StatusConflict)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.issue(ctx, o, st)
	}()
	s.stream(w, st, stop)
	<-done
}

func (s *session) claimStep(st *step) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step != nil {
		return false
	}
	s.step = st
	return true
}

// issue runs the step, and closes its stream with how it ended.
func (s *session) issue(ctx context.Context, o loader.StepOrder, st *step) {
	ended, err := s.part.Step(ctx, o, func(ctx context.Context) (time.Time, error) {
		st.out <- message{Ready: true}
		select {
		case at := <-st.at:
			return at, nil
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}, loader.PartSink{
		Phase: func(i int, at time.Duration) { _ = st.send(message{Phase: &phase{i, at}}) },
		Slice: func(sl loader.Slice) error { return st.send(message{Slice: &sl}) },
	})
	s.mu.Lock()
	s.step = nil // no progress any more
	s.mu.Unlock()
	last := message{Ended: ended}
	if err != nil {
		last = message{Error: err.Error()}
	}
	_ = st.send(last)
	close(st.out)
}

// send queues a message. A coordinator that does not read may not hold the
// load up for long.
func (st *step) send(m message) error {
	select {
	case st.out <- m:
		return nil
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case st.out <- m:
		return nil
	case <-t.C:
		return errors.New("the coordinator does not take what is recorded")
	}
}

// stream writes messages until there are no more. When the coordinator has
// gone, the load is stopped, and what it still says is dropped.
func (s *session) stream(w http.ResponseWriter, st *step, stop context.CancelCauseFunc) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	var broken error
	for m := range st.out {
		if broken != nil {
			continue
		}
		_ = rc.SetWriteDeadline(time.Now().Add(s.Lease))
		broken = enc.Encode(m)
		if broken == nil && len(st.out) == 0 {
			broken = errors.Join(buf.Flush(), rc.Flush())
		}
		if broken != nil {
			stop(broken)
		}
	}
}
