package comm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// puller is the target's end of types whose pod fetches the object itself: a
// GET of /{escaped uname}.
type puller struct {
	base string
	c    *client
	rev  bool // relay inline as well, in place of a redirect
}

var _ Link = (*puller)(nil)

func dialHpull(base string, o Options) Link {
	return &puller{base: base, c: newClient(base, o)}
}

// Inline redirects the client to the pod, or, for hrev, asks the pod itself.
func (p *puller) Inline(ctx context.Context, r Request) (Reply, error) {
	path := "/" + url.PathEscape(r.Uname)
	if !p.rev {
		return Reply{Redirect: p.base + path + query(nil, r, true)}, nil
	}
	if r.Query != "" {
		path += "?" + r.Query
	}
	return p.relay(ctx, path, r)
}

// Offline asks the pod.
func (p *puller) Offline(ctx context.Context, r Request) (Reply, error) {
	resp, err := p.c.do(ctx, call{method: http.MethodGet, target: "/" + url.PathEscape(r.Uname) + query(nil, r, true), stops: r.Stops})
	if err != nil {
		return Reply{}, err
	}
	return reply(resp, r.Stops)
}

// relay passes a client's request on, and the reply back as it is. Only what
// the pod calls an error is one.
func (p *puller) relay(ctx context.Context, target string, r Request) (Reply, error) {
	c := call{method: http.MethodGet, target: target, stops: r.Stops}
	if r.Header != nil {
		c.header = r.Header()
		dropHeaders(c.header, "Host", "Expect", hdrNodeURL)
	}
	resp, err := p.c.do(ctx, c)
	if err != nil {
		return Reply{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest || resp.StatusCode == http.StatusNoContent && len(r.Stops) > 0 {
		return reply(resp, r.Stops)
	}
	dropHeaders(resp.Header, "Date")
	return Reply{Body: resp.Body, Size: resp.ContentLength, ContentType: resp.Header.Get("Content-Type"),
		Status: resp.StatusCode, Header: resp.Header}, nil
}

// dropHeaders takes out what is a connection's own, and others.
func dropHeaders(h http.Header, others ...string) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range append([]string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}, others...) {
		h.Del(name)
	}
}

// Close drops idle connections.
func (p *puller) Close() error {
	p.c.closeIdle()
	return nil
}

// source is a pod's view of its target.
type source struct {
	base string // path of AIS_TARGET_URL
	c    *client
}

func newSource(targetURL, socket string) (*source, error) {
	u, err := url.Parse(targetURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("AIS_TARGET_URL is not a URL: %q", targetURL)
	}
	return &source{base: strings.TrimRight(u.EscapedPath(), "/"), c: newClient(targetURL, Options{Socket: socket})}, nil
}

// serveHpull is the transformer's end: fetch what the path names from the
// target, transform it, answer whoever asked.
func serveHpull(s *Server) {
	s.handle(fasthttp.MethodGet, func(ctx *fasthttp.RequestCtx) {
		o := s.describe(ctx)
		file, err := s.openFQN(ctx)
		if file != nil {
			o.Size = file.size
			s.run(ctx, o, file, func() { file.Close() })
			return
		}
		var resp *http.Response
		if err == nil {
			resp, err = s.fetch(ctx)
		}
		if err != nil {
			s.fail(ctx, o, err)
			return
		}
		o.Size = resp.ContentLength
		s.run(ctx, o, ExactReader(resp.Body, resp.ContentLength), func() { resp.Body.Close() })
	})
}

// fetch gets the object of a request from the target.
func (s *Server) fetch(ctx *fasthttp.RequestCtx) (*http.Response, error) {
	if s.source == nil {
		return nil, errors.New("this transformer does not know its target: AIS_TARGET_URL is not set")
	}
	path, _, _ := strings.Cut(string(ctx.Request.Header.RequestURI()), "?")
	resp, err := s.source.c.do(s.ctx, call{method: http.MethodGet, target: s.source.base + path})
	if err != nil {
		return nil, fmt.Errorf("fetch from the target: %w", err)
	}
	_, err = reply(resp, nil)
	var refused *TransformError
	if errors.As(err, &refused) {
		return nil, &fetchError{refused}
	}
	return resp, err
}

// fetchError is the target's refusal to give the object.
type fetchError struct{ *TransformError }

func (e *fetchError) Error() string { return "fetch from the target: " + strings.TrimSpace(e.Text) }

func (e *fetchError) Unwrap() error { return e.TransformError }

func init() {
	Register(Type{Name: "hpull://", Dial: dialHpull, Serve: serveHpull, Redirects: true})
}
