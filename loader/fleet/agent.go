package fleet

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// AgentConfig says what an agent is.
type AgentConfig struct {
	Version string // of etlbench: a coordinator must have the same
	// Token is what a coordinator must know; "" is nothing, for loopback only.
	Token string
	// Expect is as in loader.Config.
	Expect func(transform, name string, src io.Reader) (loader.Digest, error)
	// Lease is how long a silent coordinator is waited for; 0 is Lease.
	Lease time.Duration
	Log   *slog.Logger // nil: nothing is logged
}

// Agent does a coordinator's orders, one run at a time. It writes nothing to
// disk, and reads no file that a coordinator names.
type Agent struct {
	AgentConfig
	mu      sync.Mutex // guards the rest
	session *session   // nil: free
}

// NewAgent returns an agent that is free.
func NewAgent(c AgentConfig) *Agent {
	if c.Lease == 0 {
		c.Lease = Lease
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{AgentConfig: c}
}

// Check refuses to listen without a token where others than this machine may
// connect.
func Check(ln net.Listener, token string) error {
	a, ok := ln.Addr().(*net.TCPAddr)
	if token == "" && (!ok || !a.IP.IsLoopback()) {
		return fmt.Errorf("%s is not loopback, and an agent runs load for whoever connects: it needs a token", ln.Addr())
	}
	return nil
}

// shutDown bounds how long a run that is cut short may take to tell what it did.
const shutDown = 30 * time.Second

// Serve takes orders until ctx ends. A step that is under way then is stopped,
// and told; Serve returns when nothing runs any more.
func (a *Agent) Serve(ctx context.Context, ln net.Listener) error {
	if err := Check(ln, a.Token); err != nil {
		return errors.Join(err, ln.Close())
	}
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: a.Lease, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return base }}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		if s := a.current(); s != nil {
			s.stopStep(errors.New("the agent was stopped"))
		}
		limit, cancel := context.WithTimeout(base, shutDown)
		defer cancel()
		if srv.Shutdown(limit) != nil {
			_ = srv.Close()
		}
		cut()
	})
	err := srv.Serve(ln)
	if !stop() {
		<-done
	}
	if s := a.current(); s != nil {
		a.end(s, errors.New("the agent was stopped"))
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (a *Agent) current() *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

func (a *Agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathClock, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, clockReply{time.Now().UnixNano()})
	})
	mux.HandleFunc("POST "+pathSession, a.begin)
	mux.HandleFunc("DELETE "+pathSession+"/{id}", a.in(func(s *session, w http.ResponseWriter, _ *http.Request) {
		a.end(s, errors.New("the coordinator ended the run"))
		reply(w, struct{}{})
	}))
	mux.HandleFunc("POST "+pathSession+"/{id}"+opRenew, a.in(func(_ *session, w http.ResponseWriter, _ *http.Request) { reply(w, struct{}{}) }))
	mux.HandleFunc("POST "+pathSession+"/{id}"+opStep, a.in((*session).serveStep))
	mux.HandleFunc("POST "+pathSession+"/{id}"+opGo, a.in((*session).serveGo))
	mux.HandleFunc("POST "+pathSession+"/{id}"+opStop, a.in(func(s *session, w http.ResponseWriter, _ *http.Request) {
		s.stopStep(nil)
		reply(w, struct{}{})
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := a.admit(r); err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
		mux.ServeHTTP(w, r)
	})
}

// admit refuses who has no business here.
func (a *Agent) admit(r *http.Request) (status int, err error) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if a.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(a.Token)) != 1 {
		return http.StatusUnauthorized, errors.New("wrong token: start the coordinator with the agent's")
	}
	if p := r.Header.Get(hdrProtocol); p != fmt.Sprint(protocol) {
		return http.StatusConflict, fmt.Errorf("the agent speaks version %d of the protocol, not %q: use the same etlbench on both sides", protocol, p)
	}
	return 0, nil
}

// in finds the session that a request names. Every request renews it.
func (a *Agent) in(serve func(*session, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := a.current()
		if s == nil || s.id != r.PathValue("id") {
			http.Error(w, "the run is not known here: it has ended, or its coordinator was silent for too long", http.StatusNotFound)
			return
		}
		s.renew()
		serve(s, w, r)
	}
}

// begin makes a session, and answers when the agent is ready for steps.
func (a *Agent) begin(w http.ResponseWriter, r *http.Request) {
	var b begin
	if !read(w, r, &b) {
		return
	}
	if err := a.agrees(b); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	sc, err := parse(b.File)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := newSession(a, r.RemoteAddr)
	if other := a.claim(s); other != nil {
		s.cancel(nil)
		http.Error(w, fmt.Sprintf("busy: a run of %s has been under way for %s", other.from, time.Since(other.began).Round(time.Second)), http.StatusConflict)
		return
	}
	if err := s.prepare(r.Context(), sc, b); err != nil {
		a.end(s, err)
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	a.Log.Info("a run begins", "from", s.from, "scenario", sc.Name, "share", b.Share.String())
	s.renew()
	reply(w, begun{ID: s.id, CPUs: runtime.NumCPU()})
}

// agrees compares what both sides must have in common.
func (a *Agent) agrees(b begin) error {
	for _, c := range []struct{ what, here, there string }{
		{"etlbench", a.Version, b.Version},
		{"scenario files", scenarios.APIVersion, b.Scenario},
		{"results", results.Schema, b.Results},
	} {
		if c.here != c.there {
			return fmt.Errorf("another version of %s: the agent has %q, the coordinator %q; use the same etlbench on both sides", c.what, c.here, c.there)
		}
	}
	return nil
}

// parse reads a scenario, and refuses one that names files: they would be this
// machine's.
func parse(file []byte) (*scenarios.Scenario, error) {
	sc, err := scenarios.Parse("scenario", file)
	if err != nil {
		return nil, err
	}
	return sc, CheckScenario(sc)
}

// CheckScenario refuses a scenario that agents cannot run: they read no files
// of theirs for a coordinator.
func CheckScenario(sc *scenarios.Scenario) error {
	for _, f := range []struct{ key, file string }{
		{"dataset.dir", sc.Dataset.Dir}, {"dataset.size", sc.Dataset.Size.File}, {"load.trace", sc.Load.Trace},
	} {
		if f.file != "" {
			return fmt.Errorf("%s names the file %q, and agents read none that a coordinator names (run it without agents)", f.key, f.file)
		}
	}
	return nil
}

// claim makes s the agent's session, unless it has one.
func (a *Agent) claim(s *session) (other *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil {
		return a.session
	}
	a.session = s
	return nil
}

// end ends a session, and frees the agent when nothing of it runs any more.
func (a *Agent) end(s *session, why error) {
	if !s.end(why) {
		return
	}
	a.mu.Lock()
	a.session = nil
	a.mu.Unlock()
	a.Log.Info("a run ends", "from", s.from, "why", why.Error())
}

// dataSet makes the objects of a scenario that names no files.
func dataSet(sc *scenarios.Scenario) (dataset.Set, error) {
	return dataset.New(sc.Dataset, sc.Seed, sc.Arms.Size...)
}

// read takes a request's body.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		http.Error(w, "the order is not understood: "+err.Error(), http.StatusBadRequest)
		return false
	}
	_, _ = io.Copy(io.Discard, r.Body) // its end, so that a connection that is cut is noticed
	return true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the one who asked has gone
}

// newID cannot be guessed: who knows it may end the session.
func newID() string { return rand.Text() }
