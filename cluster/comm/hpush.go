package comm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

const hpushName = "hpush://"

// pusher is the target's end of types that send the object in a PUT to
// /{bucket}/{name} and relay the reply.
type pusher struct {
	c     *client
	fixed url.Values // query of every request
}

var _ Link = (*pusher)(nil)

func dialHpush(base string, o Options) Link { return &pusher{c: newClient(base, o)} }

// replays is how often an object is sent again to a pod that could not pass
// its result on for the moment.
const replays = 3

// Inline sends the object and relays the reply.
func (p *pusher) Inline(ctx context.Context, r Request) (Reply, error) {
	u := url.URL{Path: "/" + r.Bucket + "/" + r.Name}
	c := call{method: http.MethodPut, target: u.EscapedPath() + query(p.fixed, r, false), open: r.Open, stops: r.Stops}
	if r.Path != "" {
		c.open = nil
	}
	again := replays
	if c.open == nil { // there is nothing that was lost on the way
		again = 0
	}
	for wait := newBackOff(again); ; {
		resp, err := p.c.do(ctx, c)
		if err != nil {
			return Reply{}, err
		}
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get(hdrRetryReason) != directPutTransient || !wait(ctx) {
			return reply(resp, r.Stops)
		}
		resp.Body.Close()
	}
}

// Offline is the same as Inline.
func (p *pusher) Offline(ctx context.Context, r Request) (Reply, error) { return p.Inline(ctx, r) }

// Close drops idle connections.
func (p *pusher) Close() error {
	p.c.closeIdle()
	return nil
}

// query is the query that a pod is asked with, with its "?", or "". Only pods
// that fetch the object are told of latest-ver.
func query(fixed url.Values, r Request, fetches bool) string {
	q := url.Values{}
	for k, v := range fixed {
		q[k] = v
	}
	if r.Args != "" {
		q.Set(qparamArgs, r.Args)
	}
	if r.Path != "" {
		// Escaped twice: the query's own escaping comes on top.
		q.Set(api.QparamETLFQN, url.PathEscape(r.Path))
	}
	if r.LatestVer && fetches {
		q.Set(api.QparamLatestVer, "true")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// maxErrorText bounds how much of an error reply is kept.
const maxErrorText = 4 << 10

// reply makes a Reply of a pod's response. 200 and 202 carry a result, 204
// tells that it was delivered to the stops; every other status is a
// TransformError, so that nothing else is taken for a result.
func reply(resp *http.Response, stops []string) (Reply, error) {
	switch {
	case resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted:
		return Reply{Body: resp.Body, Size: resp.ContentLength}, nil
	case resp.StatusCode == http.StatusNoContent && len(stops) > 0:
		defer resp.Body.Close()
		size, err := strconv.ParseInt(resp.Header.Get(hdrDirectPutLength), 10, 64)
		if err != nil {
			size = -1
		}
		return Reply{Delivered: true, Size: size}, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err != nil && len(text) == 0 {
		return Reply{}, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return Reply{}, &TransformError{Status: http.StatusBadGateway,
			Text: fmt.Sprintf("the transformer answered %s, which is no result: %s", resp.Status, text)}
	}
	return Reply{}, &TransformError{Status: resp.StatusCode, Text: string(text)}
}

// serveHpush is the transformer's end: PUT as targets send it, and POST as the
// reference says.
func serveHpush(s *Server) {
	push := func(ctx *fasthttp.RequestCtx) {
		o := s.describe(ctx)
		size := int64(ctx.Request.Header.ContentLength())
		if size < 0 {
			size = -1 // chunked
		}
		body := RequestBody(ctx)
		if body == nil {
			body = http.NoBody
		}
		after := func() { _, _ = Copy(io.Discard, body) }
		file, err := s.openFQN(ctx)
		if err != nil {
			s.fail(ctx, o, err)
			return
		}
		o.Size = size
		if file != nil {
			o.Size = file.size
			s.run(ctx, o, file, func() { after(); file.Close() })
			return
		}
		s.run(ctx, o, body, after)
	}
	s.handle(fasthttp.MethodPut, push)
	s.handle(fasthttp.MethodPost, push)
}

func init() {
	Register(Type{Name: hpushName, Dial: dialHpush, Serve: serveHpush})
}
