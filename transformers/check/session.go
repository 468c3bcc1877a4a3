package check

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

// kind is how a type's transformer gets an object.
type kind int

const (
	push    kind = iota // in a request's body
	pull                // it fetches it from the target
	message             // in a message on a WebSocket
)

func kindOf(typ comm.Type) kind {
	switch typ.Name {
	case "hpull://", "hrev://":
		return pull
	case "ws://":
		return message
	}
	return push
}

// subject is the transformer in one of its types.
type subject struct {
	*checker
	typ     comm.Type
	kind    kind
	blocked string // why no more checks make sense in this type; "" while they do
	base    object // an object that it takes
	large   object // what takes longest: of Config.Large bytes when it takes that
	args    string // etl_args that it takes
	direct  bool   // it has delivered a result by itself
}

func newSubject(c *checker, typ comm.Type) *subject {
	s := &subject{checker: c, typ: typ, kind: kindOf(typ), base: c.object("plain.txt")}
	s.large = s.base
	return s
}

// session is a target's connections to the transformer. It is for one exchange
// at a time.
type session struct {
	*subject
	link   comm.Link
	tap    *tap
	client *http.Client // of a client that was redirected
}

func (s *subject) session() *session {
	t := &tap{}
	return &session{subject: s, tap: t, link: s.typ.Dial(s.cfg.URL, comm.Options{Dial: t.dial}),
		client: &http.Client{
			Transport: &http.Transport{DialContext: t.dial, DisableCompression: true},
			// A redirect is no result; see get.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
}

func (s *session) close() {
	_ = s.link.Close()
	s.client.CloseIdleConnections()
}

// exchangeError is what went wrong, and the exchange in which it did.
type exchangeError struct {
	err      error
	exchange Exchange
}

func (e *exchangeError) Error() string { return e.err.Error() }

func (e *exchangeError) Unwrap() error { return e.err }

// with adds the exchange to an error.
func (s *session) with(err error) error {
	if err == nil {
		return nil
	}
	return &exchangeError{err, s.tap.exchange()}
}

// within bounds one exchange.
func (c *checker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.cfg.Timeout, fmt.Errorf("no complete reply within %s", c.cfg.Timeout))
}

func request(o object) comm.Request {
	return comm.Request{Bucket: bucket, Name: o.name, Uname: uname(o.name), Open: func() (comm.Object, error) {
		return comm.Object{Body: io.NopCloser(bytes.NewReader(o.data)), Size: int64(len(o.data))}, nil
	}}
}

func uname(name string) string { return api.AIS(bucket).Uname(name) }

// open begins an exchange: as a client's GET brings it about, redirects
// included, or as a job does when the result has somewhere to go.
func (s *session) open(ctx context.Context, r comm.Request) (comm.Reply, error) {
	s.tap.reset()
	if len(r.Stops) > 0 || r.Path != "" {
		return s.link.Offline(ctx, r)
	}
	q := url.Values{"provider": {api.ProviderAIS}} // of the client's own request
	if r.Args != "" {
		q.Set(api.QparamETLArgs, r.Args)
	}
	r.Query = q.Encode()
	reply, err := s.link.Inline(ctx, r)
	if err == nil && reply.Redirect != "" {
		return s.follow(ctx, reply.Redirect)
	}
	return reply, err
}

// follow is a client that was sent to the transformer.
func (s *session) follow(ctx context.Context, to string) (comm.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return comm.Reply{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return comm.Reply{}, cause(ctx, err)
	}
	if err := status(resp); err != nil {
		resp.Body.Close()
		return comm.Reply{}, err
	}
	return comm.Reply{Body: resp.Body, Size: resp.ContentLength}, nil
}

// status is nil for a result.
func status(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxHead)) // the status alone will do
	return &comm.TransformError{Status: resp.StatusCode, Text: string(text)}
}

// cause prefers why ctx has ended.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// get has an object transformed, and gives the reply and the whole result,
// which is nil when it was delivered to the request's stops.
func (s *session) get(ctx context.Context, r comm.Request) (comm.Reply, []byte, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	reply, err := s.open(ctx, r)
	if err != nil || reply.Body == nil {
		return reply, nil, s.with(err)
	}
	defer reply.Body.Close()
	data, err := readResult(reply.Body)
	if err != nil {
		return reply, nil, s.with(fmt.Errorf("the reply breaks off after %d bytes: %w", len(data), cause(ctx, err)))
	}
	return reply, data, nil
}

// check has an object transformed and judges the result.
func (s *session) check(ctx context.Context, o object, args string) error {
	r := request(o)
	r.Args = args
	_, data, err := s.get(ctx, r)
	return s.verdict(o, args, data, err)
}

// verdict judges a result, or the refusal to give one.
func (s *session) verdict(o object, args string, data []byte, err error) error {
	var refused *comm.TransformError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if jerr := s.judge(o, args, s.typ.Name, data, refused); jerr != nil {
		return s.with(jerr)
	}
	return nil
}

// fresh checks one object with connections of its own.
func (s *subject) fresh(ctx context.Context, o object, args string) error {
	one := s.session()
	defer one.close()
	return one.check(ctx, o, args)
}

// alive tells whether the transformer still answers.
func (s *subject) alive(ctx context.Context) bool {
	one := s.session()
	defer one.close()
	_, _, err := one.get(ctx, request(s.base))
	return err == nil || errors.Is(err, comm.ErrTransform)
}

// plain is a request as a client of HTTP sends it, for what links do not do.
func (s *session) plain(ctx context.Context, method string, o object) (*http.Request, error) {
	if s.kind == pull {
		return http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.URL+"/"+url.PathEscape(uname(o.name)), nil)
	}
	u := url.URL{Path: "/" + bucket + "/" + o.name}
	return http.NewRequestWithContext(ctx, method, s.cfg.URL+u.EscapedPath(), bytes.NewReader(o.data))
}

// closeWait is how long a transformer has to close a connection that it was
// asked to.
const closeWait = time.Second

// errNoReply is a request without a reply of any kind.
var errNoReply = errors.New("no reply")

// raw sends a request that ends its connection, and tells how many bytes came
// behind the end that the reply had announced.
func (s *session) raw(ctx context.Context, o object) (data []byte, extra int64, err error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	req, err := s.plain(ctx, http.MethodPut, o)
	if err != nil {
		return nil, 0, err
	}
	s.tap.reset()
	conn, err := s.tap.dial(ctx, "tcp", req.URL.Host)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req.Close = true
	if err := req.Write(conn); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errNoReply, cause(ctx, err))
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errNoReply, cause(ctx, err))
	}
	defer resp.Body.Close()
	if err := status(resp); err != nil {
		return nil, 0, s.with(err)
	}
	if data, err = readResult(resp.Body); err != nil {
		return nil, 0, s.with(fmt.Errorf("Content-Length is %d, and the body has %d bytes: %w", resp.ContentLength, len(data), cause(ctx, err)))
	}
	_ = conn.SetReadDeadline(time.Now().Add(closeWait))
	extra, _ = io.Copy(io.Discard, io.LimitReader(br, maxResult)) // ends in any case
	return data, extra, nil
}
