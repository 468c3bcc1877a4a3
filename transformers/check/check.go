// Package check runs somebody's transformer through the protocol between
// targets and transformers: each communication type that it claims, each rule
// of it as a check of its own.
//
// It plays the target: the types' own ends of cluster/comm talk to the
// transformer, and Target answers what the transformer asks. It starts nothing
// itself. Results of a transform that nobody has described are judged by
// consistency: the same object gives the same result, whatever the type and
// whoever asks at the same time. Read checks.go next, which is the list.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/etlbench/etlbench/cluster/comm"
)

// Config of a run. Zero values of sizes and times are not useful: see Default.
type Config struct {
	URL    string  // base URL of the transformer
	Target *Target // what its AIS_TARGET_URL names
	// Foreign: the transformer was started with another AIS_TARGET_URL, so that
	// it can neither fetch from Target nor deliver there.
	Foreign bool
	// Types are the communication types to check; none: those that a probe
	// finds it to serve.
	Types    []comm.Type
	Health   string        // path of the readiness probe
	Wait     time.Duration // for readiness
	Timeout  time.Duration // of one exchange
	Large    int           // size of the large object, bytes
	Parallel int           // requests at once, and clients that hang up
	Input    []byte        // an object's contents, where not any will do; nil: text
	Bad      []byte        // an object that must be refused; nil: none is known
	Args     string        // etl_args; "": some text
	FQNDir   string        // folder for objects that are named by their file; "": none are
	// Expect is what the transform should give, nil when nobody knows. It may
	// return ErrNoExpectation; with any other error the object must be refused.
	Expect comm.Transform
	// Varies: the same object need not give the same result.
	Varies bool
	// Gone is closed when the transformer's process has ended; nil when the
	// process is somebody else's.
	Gone <-chan struct{}
}

// Default returns a Config with the protocol's own times: of an exchange the
// default obj_timeout, for readiness the default init_timeout.
func Default() Config {
	return Config{Health: "/health", Wait: 45 * time.Second, Timeout: 10 * time.Second, Large: 8 << 20, Parallel: 16}
}

// ErrNoExpectation is Config.Expect's answer for objects that it knows no
// result of.
var ErrNoExpectation = errors.New("no expectation")

// Verdicts.
const (
	Passed        = "passed"
	Failed        = "failed"
	NotApplicable = "not applicable"
)

// Result is a check's outcome with one communication type.
type Result struct {
	Check    string    `json:"check"`
	Type     string    `json:"type,omitempty"` // "hpush://"; "" for checks of the whole
	Verdict  string    `json:"verdict"`
	Rule     string    `json:"rule"`             // of the protocol
	Detail   string    `json:"detail,omitempty"` // what was seen in its place
	Exchange *Exchange `json:"exchange,omitempty"`
}

// Claim says whether the transformer serves a type, and how that is known.
type Claim struct {
	Type    string `json:"type"`
	Claimed bool   `json:"claimed"`
	Why     string `json:"why"`
}

// Report is all that a run found.
type Report struct {
	URL     string   `json:"url"`
	Target  string   `json:"target_url"`
	Judged  string   `json:"judged"` // how results were judged
	Claims  []Claim  `json:"types"`
	Results []Result `json:"results"`
}

// Count is how many results have a verdict.
func (r *Report) Count(verdict string) (n int) {
	for _, res := range r.Results {
		if res.Verdict == verdict {
			n++
		}
	}
	return n
}

// NotReady is the report on a transformer that was started and did not become
// ready.
func NotReady(err error) *Report {
	return &Report{Results: []Result{{Check: ready.name, Rule: ready.rule, Verdict: Failed, Detail: err.Error()}}}
}

// Run checks a transformer. It returns an error only when it could not: when
// nothing listens at the URL, when the expected transform takes no object of
// the run, or when ctx ends. Every exchange is bounded in time.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	c := &checker{cfg: cfg, known: map[string]reference{}}
	c.report = &Report{URL: cfg.URL, Target: cfg.Target.URL(), Judged: c.judged()}
	if err := c.takes(c.object("expected.txt")); err != nil {
		return nil, fmt.Errorf("the expected transform refuses the objects of this check: %w: --input names a file that it takes", err)
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	for _, typ := range c.types(ctx) {
		c.all(ctx, typ)
	}
	return c.report, context.Cause(ctx)
}

// judged says how results are judged.
func (c *checker) judged() string {
	var by []string
	if c.cfg.Expect != nil {
		by = append(by, "by the expected result")
	}
	if c.cfg.Varies {
		by = append(by, "by status and length: results may vary")
	} else {
		by = append(by, "by consistency: the same object gives the same result, in every type")
	}
	return strings.Join(by, " and ")
}

// begin waits until the transformer is ready.
func (c *checker) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Wait)
	defer cancel()
	client := &http.Client{Timeout: c.cfg.Timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	var last error
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := health(ctx, client, c.cfg.URL+c.cfg.Health)
		if err != nil && ctx.Err() != nil && last != nil {
			err = last // it says more than that the time is over
		}
		last = err
		if err == nil {
			c.add(Result{Check: ready.name, Rule: ready.rule, Verdict: Passed})
			return nil
		}
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			return err
		}
		select {
		case <-ctx.Done():
			c.add(Result{Check: ready.name, Rule: ready.rule, Verdict: Failed,
				Detail: fmt.Sprintf("after %s still: %v", c.cfg.Wait, err)})
			c.dead = "it is not ready"
			return nil
		case <-time.After(wait):
		}
	}
}

func health(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxHead)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", req.URL.Path, resp.Status)
	}
	return nil
}

// checker is a run under way.
type checker struct {
	cfg    Config
	report *Report
	dead   string               // why nothing more can be asked; "" while it can
	known  map[string]reference // results by object and etl_args
}

func (c *checker) add(r Result) { c.report.Results = append(c.report.Results, r) }

// all runs every check with one type.
func (c *checker) all(ctx context.Context, typ comm.Type) {
	s := newSubject(c, typ)
	for _, k := range checks {
		if ctx.Err() != nil {
			return
		}
		res := Result{Check: k.name, Type: typ.Name, Rule: k.rule, Verdict: NotApplicable}
		switch {
		case c.dead != "":
			res.Detail = "not run: " + c.dead
		case s.blocked != "":
			res.Detail = "not run: " + s.blocked
		case !slices.Contains(k.kinds, s.kind):
			res.Detail = k.not
		default:
			c.one(ctx, k, s, &res)
		}
		c.add(res)
	}
}

// checkExchanges bounds a check's time, in exchanges that each take as long as
// they may.
const checkExchanges = 6

// one runs one check, and looks whether the transformer can go on after one
// that failed.
func (c *checker) one(ctx context.Context, k check, s *subject, res *Result) {
	bound := checkExchanges * c.cfg.Timeout
	within, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("the check took longer than %s", bound))
	defer cancel()
	err := k.run(within, s)
	var (
		not notApplicable
		ex  *exchangeError
	)
	switch {
	case err == nil:
		res.Verdict = Passed
		return
	case errors.As(err, &not):
		res.Detail = string(not)
		return
	}
	res.Verdict, res.Detail = Failed, s.explain(err)
	if errors.As(err, &ex) {
		res.Exchange = &ex.exchange
	}
	switch {
	case c.gone():
		c.dead = fmt.Sprintf("the transformer ended at the check %q of %s", k.name, s.typ.Name)
	case k.gate:
		s.blocked = fmt.Sprintf("the check %q failed", k.name)
	case !s.alive(ctx):
		c.dead = fmt.Sprintf("nothing is answered since the check %q of %s", k.name, s.typ.Name)
	}
}

// goneWait is how long a process has to be seen to have ended.
const goneWait = 500 * time.Millisecond

// gone tells whether the transformer's process has ended. A connection is
// closed a moment before its process has gone.
func (c *checker) gone() bool {
	if c.cfg.Gone == nil {
		return false
	}
	select {
	case <-c.cfg.Gone:
		return true
	case <-time.After(goneWait):
		return false
	}
}

// notApplicable is a check that says nothing about this transformer, and why.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }
