package comm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/valyala/fasthttp"
)

const hpushName = "hpush://"

// pusher is the target's end of types that send the object in a PUT to
// /{bucket}/{name} and relay the reply.
type pusher struct {
	c     *client
	fixed url.Values // query of every request
}

var _ Link = (*pusher)(nil)

func dialHpush(base string, _ Options) Link { return &pusher{c: newClient(base)} }

// Inline sends the object and relays the reply.
func (p *pusher) Inline(ctx context.Context, r Request) (Reply, error) {
	u := url.URL{Path: "/" + r.Bucket + "/" + r.Name}
	resp, err := p.c.do(ctx, call{
		method: http.MethodPut,
		target: u.EscapedPath() + query(p.fixed, r.Args),
		open:   r.Open,
	})
	if err != nil {
		return Reply{}, err
	}
	return reply(resp)
}

// Offline is the same as Inline.
func (p *pusher) Offline(ctx context.Context, r Request) (Reply, error) { return p.Inline(ctx, r) }

// Close drops idle connections.
func (p *pusher) Close() error {
	p.c.closeIdle()
	return nil
}

// query is the query that a pod is asked with, with its "?", or "".
func query(fixed url.Values, args string) string {
	if len(fixed) == 0 && args == "" {
		return ""
	}
	q := url.Values{}
	for k, v := range fixed {
		q[k] = v
	}
	if args != "" {
		q.Set(qparamArgs, args)
	}
	return "?" + q.Encode()
}

// maxErrorText bounds how much of an error reply is kept.
const maxErrorText = 4 << 10

// reply makes a Reply of a pod's response. 200 and 202 carry a result; every
// other status is a TransformError, so that nothing else is taken for one.
func reply(resp *http.Response) (Reply, error) {
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted {
		return Reply{Body: resp.Body, Size: resp.ContentLength, ContentType: resp.Header.Get("Content-Type")}, nil
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
		bucket, name, args := splitTarget(ctx)
		size := int64(ctx.Request.Header.ContentLength())
		if size < 0 {
			size = -1 // chunked
		}
		body := RequestBody(ctx)
		if body == nil {
			body = http.NoBody
		}
		s.run(ctx, Info{Bucket: bucket, Name: name, Size: size, Args: args}, body,
			func() { _, _ = Copy(io.Discard, body) })
	}
	s.handle(fasthttp.MethodPut, push)
	s.handle(fasthttp.MethodPost, push)
}

func init() {
	Register(Type{Name: hpushName, Dial: dialHpush, Serve: serveHpush})
}
