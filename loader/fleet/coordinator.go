package fleet

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// Config says whom a coordinator gives which run.
type Config struct {
	Agents   []string // host:port, each once; at least one
	Token    string   // what they want to know
	Version  string   // of etlbench
	Scenario *scenarios.Scenario

	// Dial connects to an agent by its name; nil is TCP.
	Dial func(ctx context.Context, agent string) (net.Conn, error)
	// Proxies are the base URLs by which agents reach the cluster's proxies; nil:
	// as the coordinator does.
	Proxies []string
	// Why tells what is known, beyond the error, of an agent that was lost; ""
	// is nothing. It may take some seconds. nil: nothing ever is.
	Why func(agent string) string
}

// Coordinator is a fleet of agents. New connects to none; Prepare does.
type Coordinator struct {
	Config
	file  []byte
	links []*link

	mu      sync.Mutex // guards loaders
	loaders []results.Loader

	quit    chan struct{} // ends what renews sessions
	renewed sync.WaitGroup
}

var _ loader.Fleet = (*Coordinator)(nil)

const (
	connectTime = 5 * time.Second
	readyTime   = time.Minute            // for all to be ready for a step
	lead        = 100 * time.Millisecond // from the order to begin to the moment, besides round trips
	endTime     = 5 * time.Second        // for a session to end, besides what is under way
)

// New checks the scenario. The caller closes the Coordinator.
func New(c Config) (*Coordinator, error) {
	file, err := c.Scenario.YAML()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(CheckScenario(c.Scenario), loader.CheckShare(c.Scenario, len(c.Agents))); err != nil {
		return nil, err
	}
	co := &Coordinator{Config: c, file: file, quit: make(chan struct{})}
	dial := (&net.Dialer{Timeout: connectTime}).DialContext
	if c.Dial != nil {
		dial = func(ctx context.Context, _, agent string) (net.Conn, error) { return c.Dial(ctx, agent) }
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4}}
	for i, name := range c.Agents {
		co.links = append(co.links, &link{name: name, token: c.Token, http: client})
		co.loaders = append(co.loaders, results.Loader{Name: name, Share: results.Share{Number: i + 1, Of: len(c.Agents)}})
	}
	return co, nil
}

// Size is how many agents there are.
func (c *Coordinator) Size() int { return len(c.links) }

// Loaders tells what is known of the agents.
func (c *Coordinator) Loaders() []results.Loader {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]results.Loader{}, c.loaders...)
}

// Prepare begins a session on every agent. The error names all that refuse or
// cannot be reached.
func (c *Coordinator) Prepare(ctx context.Context, o loader.PartOrder) error {
	if c.Proxies != nil {
		o.Proxies = c.Proxies
	}
	errs := c.all(func(i int, l *link) error {
		b := begin{Version: c.Version, Scenario: scenarios.APIVersion, Results: results.Schema, File: c.file, Share: c.loaders[i].Share, Order: o}
		var r begun
		if err := l.post(ctx, pathSession, b, &r); err != nil {
			return err
		}
		l.id = r.ID
		c.mu.Lock()
		c.loaders[i].CPUs = r.CPUs
		c.mu.Unlock()
		return nil
	})
	for _, l := range c.links {
		if l.id != "" {
			c.renewed.Go(func() { c.renew(l) })
		}
	}
	c.explain(errs)
	return errors.Join(errs...)
}

// explain adds to the errors of agents what else is known of each.
func (c *Coordinator) explain(errs []error) {
	if c.Why == nil {
		return
	}
	copy(errs, c.all(func(i int, l *link) error {
		if errs[i] == nil {
			return nil
		}
		if why := c.Why(l.name); why != "" {
			return fmt.Errorf("%w (%s)", errs[i], why)
		}
		return errs[i]
	}))
}

// all calls fn for all agents at once.
func (c *Coordinator) all(fn func(i int, l *link) error) []error {
	errs := make([]error, len(c.links))
	var g errgroup.Group
	for i, l := range c.links {
		g.Go(func() error {
			errs[i] = fn(i, l)
			return nil
		})
	}
	_ = g.Wait()
	return errs
}

// renew keeps a session alive. That an agent is lost shows in the steps.
func (c *Coordinator) renew(l *link) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), Lease)
			_ = l.post(ctx, l.session(opRenew), nil, nil)
			cancel()
		case <-c.quit:
			return
		}
	}
}

// Close ends all sessions, and forgets them.
func (c *Coordinator) Close() error {
	close(c.quit)
	c.renewed.Wait()
	errs := c.all(func(i int, l *link) error {
		if l.id == "" {
			return nil
		}
		limit := c.drainTime()
		if c.lost(i) {
			limit = endTime
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		err := l.do(ctx, http.MethodDelete, l.session(""), nil, nil)
		if c.lost(i) {
			return nil // that it does not answer is no news
		}
		return err
	})
	c.links[0].http.CloseIdleConnections()
	return errors.Join(errs...)
}

func (c *Coordinator) lost(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loaders[i].Lost != ""
}

// drainTime is how long an agent may take to finish what is under way.
func (c *Coordinator) drainTime() time.Duration {
	return time.Duration(c.Scenario.Load.Timeout) + endTime
}

// stepping is a step under way.
type stepping struct {
	*Coordinator
	to    loader.StepSink
	ctx   context.Context // ends when nothing more is waited for
	ready chan int        // agents that are

	mu       sync.Mutex // guards the rest, and calls to
	ended    []*loader.Ended
	errs     []error // by agent
	stopping bool
}

// Step does a step: see loader.Fleet.
func (c *Coordinator) Step(ctx context.Context, o loader.StepOrder, to loader.StepSink) ([]*loader.Ended, error) {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s := &stepping{Coordinator: c, to: to, ctx: hard, ready: make(chan int, len(c.links)),
		ended: make([]*loader.Ended, len(c.links)), errs: make([]error, len(c.links))}
	failed := make(chan struct{}, len(c.links))
	var streams sync.WaitGroup
	for i, l := range c.links {
		streams.Go(func() {
			if err := s.follow(i, l, o); err != nil {
				s.fail(i, err)
				failed <- struct{}{}
			}
		})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		streams.Wait()
	}()
	begun := s.start(ctx, o, failed)
	if begun {
		select {
		case <-over:
		case <-ctx.Done():
		case <-failed:
		}
	}
	s.stop()
	select {
	case <-over:
	case <-time.After(c.drainTime()):
	}
	cut()
	<-over
	return s.outcome(begun)
}

// start waits until all are ready, and names the moment. False: it has not.
func (s *stepping) start(ctx context.Context, o loader.StepOrder, failed <-chan struct{}) bool {
	limit := time.After(readyTime)
	for range s.links {
		select {
		case <-s.ready:
		case <-failed:
			return false
		case <-ctx.Done():
			return false
		case <-limit:
			s.failSlow()
			return false
		}
	}
	clocks, slowest, ok := s.compare(ctx, o)
	if !ok {
		return false
	}
	at := time.Now().Add(lead + 4*slowest)
	s.mu.Lock()
	s.to.Began(at)
	s.mu.Unlock()
	for i, err := range s.all(func(i int, l *link) error {
		return l.post(s.ctx, l.session(opGo), goOrder{At: at.Add(clocks[i].ahead).UnixNano()}, nil)
	}) {
		if err != nil {
			s.fail(i, err)
			s.stop()
		}
	}
	return true
}

// failSlow blames those that are not ready.
func (s *stepping) failSlow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.links {
		if s.errs[i] == nil && s.ended[i] == nil {
			s.errs[i] = fmt.Errorf("agent %s: not all agents were ready within %s", l.name, readyTime)
		}
	}
}

// compare compares all clocks, and refuses to split phases by one that may be
// wrong by a tenth of them.
func (s *stepping) compare(ctx context.Context, o loader.StepOrder) (clocks []clock, slowest time.Duration, ok bool) {
	clocks, ok = make([]clock, len(s.links)), true
	for i, err := range s.all(func(i int, l *link) (err error) {
		clocks[i], err = l.compare(ctx)
		return err
	}) {
		c := clocks[i]
		if most := time.Duration(maxUnsure * float64(o.Shortest)); err == nil && o.Shortest > 0 && c.unsure > most {
			err = fmt.Errorf("agent %s: its clock is known to %s, which is more than a tenth of a phase of %s (measure longer, or use a nearer agent)",
				s.links[i].name, c.unsure, o.Shortest)
		}
		if err != nil {
			s.fail(i, err)
			ok = false
			continue
		}
		slowest = max(slowest, 2*c.unsure)
		ahead, unsure := float64(c.ahead)/1e6, float64(c.unsure)/1e6
		s.Coordinator.mu.Lock()
		s.loaders[i].OffsetMs = &ahead
		if before := s.loaders[i].UncertaintyMs; before == nil || *before < unsure {
			s.loaders[i].UncertaintyMs = &unsure // the worst of all steps
		}
		s.Coordinator.mu.Unlock()
	}
	return clocks, slowest, ok
}

// stop tells all agents to finish what is under way. What they answer is in
// their streams.
func (s *stepping) stop() {
	s.mu.Lock()
	again := s.stopping
	s.stopping = true
	s.mu.Unlock()
	if again {
		return
	}
	s.all(func(i int, l *link) error {
		for range stopTries {
			s.mu.Lock()
			open := s.ended[i] == nil && s.errs[i] == nil
			s.mu.Unlock()
			ctx, cancel := context.WithTimeout(s.ctx, endTime)
			if !open || l.post(ctx, l.session(opStop), nil, nil) == nil {
				cancel()
				break
			}
			cancel()
		}
		return nil
	})
}

// stopTries is how often an agent is told to stop until it has heard: one that has
// not is waited for as long as its requests may take.
const stopTries = 3

// follow reads an agent's stream to its end, beyond the last message: to the agent
// a stream that is closed before is a coordinator that has gone.
func (s *stepping) follow(i int, l *link, o loader.StepOrder) error {
	ctx, cut := context.WithCancelCause(s.ctx)
	defer cut(nil)
	silent := time.AfterFunc(readyTime, func() { cut(fmt.Errorf("nothing was heard of it for %s", Lease)) })
	defer silent.Stop()
	resp, err := l.send(ctx, http.MethodPost, l.session(opStep), o)
	if err != nil {
		return s.because(ctx, l, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	ended := false
	for lines.Scan() {
		silent.Reset(Lease)
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return s.because(ctx, l, cmp.Or(lines.Err(), err)) // half a line is the last of a stream that is cut
		}
		if m.Error != "" {
			return fmt.Errorf("agent %s: %s", l.name, m.Error)
		}
		if err := s.take(i, &m); err != nil {
			return l.failed(err)
		}
		ended = m.Ended != nil
	}
	if ended {
		return nil
	}
	if err = lines.Err(); err == nil {
		err = io.ErrUnexpectedEOF
	}
	return s.because(ctx, l, err)
}

// because is the reason why a stream was cut, if it was cut from here.
func (s *stepping) because(ctx context.Context, l *link, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			cause = errors.New("it did not finish in time what was under way")
		}
		return l.failed(cause)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return l.failed(errors.New("the connection was cut"))
	}
	return l.failed(err)
}

// take takes a message.
func (s *stepping) take(i int, m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Ready:
		select {
		case s.ready <- i:
		default: // it has said so before
		}
	case m.Phase != nil:
		s.to.Phase(i, m.Phase.Index, m.Phase.At)
	case m.Slice != nil:
		return s.to.Slice(i, m.Slice)
	case m.Progress != nil:
		s.to.Progress(i, loader.Progress{Ops: m.Progress.Ops, Errors: m.Progress.Errors, Shed: m.Progress.Shed, Bytes: m.Progress.Bytes})
	case m.Ended != nil:
		s.ended[i] = m.Ended
		s.Coordinator.late(i, m.Ended.Late)
		if m.Ended.Partial && !s.stopping {
			return errors.New("it was stopped before the end")
		}
	}
	return nil
}

func (c *Coordinator) late(i int, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaders[i].LateMs = max(c.loaders[i].LateMs, float64(d)/1e6)
}

// fail notes that an agent is lost.
func (s *stepping) fail(i int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errs[i] == nil {
		s.errs[i] = err
	}
}

// outcome is what is known in the end.
func (s *stepping) outcome(begun bool) ([]*loader.Ended, error) {
	s.explain(s.errs)
	s.Coordinator.mu.Lock()
	for i, err := range s.errs {
		if err != nil && begun {
			s.loaders[i].Lost = err.Error()
		}
	}
	s.Coordinator.mu.Unlock()
	if !begun {
		return nil, errors.Join(s.errs...)
	}
	return s.ended, errors.Join(s.errs...)
}
