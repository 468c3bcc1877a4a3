package comm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/valyala/fasthttp"
)

// errTransient is a next stop that cannot be reached: the object may be sent
// again.
var errTransient = errors.New("the next stop cannot be reached")

// nextStops are the clients of the nodes that results are sent to.
type nextStops struct {
	mu     sync.Mutex
	byHost map[string]*client // guarded by mu
}

func (n *nextStops) client(host string) *client {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byHost == nil {
		n.byHost = map[string]*client{}
	}
	if n.byHost[host] == nil {
		n.byHost[host] = newClient("http://"+host, Options{})
	}
	return n.byHost[host]
}

func (n *nextStops) closeIdle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.byHost {
		c.closeIdle()
	}
}

// stops reads where a result goes. Where direct put is off a target is no
// stop: it gets the result as the answer.
func (s *Server) stops(header string) []string {
	list := strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ' ' })
	if len(list) == 0 || s.direct {
		return list
	}
	if u, err := url.Parse(list[0]); err == nil && isTarget(u) {
		return nil
	}
	return list
}

// checkStops refuses stops of which one is no URL, and gives the first one's.
// The others go into a header as they are.
func checkStops(stops []string) (first *url.URL, err error) {
	for i, stop := range stops {
		u, err := url.Parse(stop)
		if err != nil || hasControl(stop) || u.Host == "" || u.Scheme != "http" {
			return nil, &TransformError{Status: http.StatusBadRequest, Text: fmt.Sprintf("%s: %q is not a URL", hdrNodeURL, stop)}
		}
		if i == 0 {
			first = u
		}
	}
	return first, nil
}

// hasControl tells whether a text could end a header's line, or garble it.
func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// isTarget tells the URL of an object on a target from a pod's, which has no
// path.
func isTarget(u *url.URL) bool { return strings.Trim(u.Path, "/") != "" }

// passed is what a next stop made of a result.
type passed struct {
	body      io.ReadCloser // the result of further pods; nil when delivered
	size      int64         // of body, or of what was delivered
	delivered bool
}

// pass sends a result to the first of stops, and closes it once it is sent:
// that may be after the reply has begun. path is what the object is called in
// pods' URLs.
func (s *Server) pass(ctx context.Context, stops []string, path string, o Info, result Object) (passed, error) {
	counted := &countingBody{ReadCloser: result.Body}
	defer func() {
		if !counted.opened {
			result.Body.Close()
		}
	}()
	u, err := checkStops(stops)
	if err != nil {
		return passed{}, err
	}
	c := call{method: http.MethodPut, open: func() (Object, error) {
		// Once only: what was read of a result cannot be read again.
		if counted.opened {
			return Object{}, errTransient
		}
		counted.opened = true
		return Object{Body: counted, Size: result.Size}, nil
	}}
	if c.target, c.stops, err = s.nextTarget(u, stops, path, o); err != nil {
		return passed{}, err
	}
	resp, err := s.next.client(u.Host).do(ctx, c)
	if errors.Is(err, ErrPod) && counted.n == 0 {
		return passed{}, fmt.Errorf("%w: %w", errTransient, err)
	}
	if err != nil {
		return passed{}, err
	}
	if isTarget(u) && resp.StatusCode == http.StatusOK {
		resp.Body.Close()
		return passed{delivered: true, size: counted.n}, nil
	}
	r, err := reply(resp, stops)
	return passed{body: r.Body, size: r.Size, delivered: r.Delivered}, err
}

// nextTarget is what is asked of the first stop, and the stops behind it.
func (s *Server) nextTarget(u *url.URL, stops []string, path string, o Info) (target string, more []string, err error) {
	if !isTarget(u) {
		return path + query(nil, Request{Args: o.Args}, false), stops[1:], nil
	}
	// The target's own part of the path holds the secret, which only its pods
	// know.
	if s.source == nil {
		return "", nil, errors.New("this transformer does not know its target: AIS_TARGET_URL is not set")
	}
	return s.source.base + u.EscapedPath() + "?" + u.Query().Encode(), nil, nil
}

// countingBody counts what is read of a result.
type countingBody struct {
	io.ReadCloser
	n      int64
	opened bool
}

func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// forward sends a result on and answers with what became of it.
func (s *Server) forward(ctx *fasthttp.RequestCtx, o Info, stops []string, out *spool, done bool) {
	path, _, _ := strings.Cut(string(ctx.Request.Header.RequestURI()), "?")
	p, err := s.pass(s.ctx, stops, path, o, out.result(done))
	switch {
	case err != nil:
		s.fail(ctx, o, err)
	case p.delivered:
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		ctx.Response.Header.Set(hdrDirectPutLength, strconv.FormatInt(p.size, 10))
	default:
		ctx.Response.SetBodyStream(&Stream{Reader: p.body, Done: p.body.Close}, int(p.size))
	}
}
