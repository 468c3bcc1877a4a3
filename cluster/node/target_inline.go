package node

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

// inline answers a GET with what an ETL makes of the object.
func (t *Target) inline(ctx *fasthttp.RequestCtx, etl, bucket, object, query string, q url.Values) error {
	r := t.etls.get(etl)
	if r == nil {
		return t.errNoETL(etl)
	}
	select {
	case <-r.ready:
	default:
		return api.Errorf(fasthttp.StatusServiceUnavailable, api.KindETL, "%s: etl job %s is still being initialized", t.name(), r.name)
	}
	if r.link == nil {
		return t.errNoETL(etl)
	}
	members := pipeline(q)
	if len(members) > 0 && r.typ.Redirects {
		return api.Errorf(fasthttp.StatusBadRequest, api.KindETL, "[%s,etl=%q] a pipeline cannot begin with %s inline: its client is sent to the pod", t.name(), r.name, r.typ.Name)
	}
	stops, err := t.podStops(members)
	if err != nil {
		return err
	}
	x, err := t.transform(r.ctx, r, bucket, object, true, comm.Request{Args: q.Get(api.QparamETLArgs), Query: podQuery(query),
		Header: func() http.Header { return clientHeader(ctx) }, Stops: stops, LatestVer: q.Get(api.QparamLatestVer) == "true"}, r.timeout)
	if err != nil {
		return err
	}
	defer timePod(ctx, x)
	if x.Delivered {
		err := fmt.Errorf("%w: it answered an inline request without a result", comm.ErrPod)
		x.done(t, err)
		return err
	}
	if x.Redirect != "" {
		x.done(t, nil)
		redirect(ctx, fasthttp.StatusTemporaryRedirect, x.Redirect)
		return nil
	}
	return t.relay(ctx, x)
}

// podStops are the addresses of the pods that an object passes through behind
// the first.
func (t *Target) podStops(members []string) (stops []string, err error) {
	for _, name := range members {
		r := t.etls.get(name)
		if r == nil {
			return nil, t.errNoMember(name)
		}
		select {
		case <-r.ready:
		default:
			return nil, api.Errorf(fasthttp.StatusServiceUnavailable, api.KindETL, "%s: etl job %s is still being initialized", t.name(), r.name)
		}
		if r.pod == nil {
			return nil, t.errNoMember(name)
		}
		stops = append(stops, r.pod.Info().URL)
	}
	return stops, nil
}

// podQuery is a client's query without what selects the ETL or was added on
// the way here.
func podQuery(query string) string {
	var keep []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain // which the pod would see
		}
		switch key {
		case "", api.QparamETLName, api.QparamUUID, api.QparamProxyID, api.QparamUnixTime, api.QparamCommand,
			api.QparamPipeline, api.QparamETLFQN:
		default:
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, "&")
}

// sniffSize is how much of a result tells what it is.
const sniffSize = 512

// clientHeader are a client's headers, without those that are a matter
// between it and this cluster.
func clientHeader(ctx *fasthttp.RequestCtx) http.Header {
	h := http.Header{}
	for k, v := range ctx.Request.Header.All() {
		h.Add(string(k), string(v))
	}
	h.Del(api.HdrTiming)
	return h
}

// relay answers with a pod's reply: a small one whole, so that it carries its
// length and a failure half way is still an error, a larger one as it comes.
// Its type is told from its first bytes, as AIStore does, unless the pod's own
// reply is passed on.
func (t *Target) relay(ctx *fasthttp.RequestCtx, x *transformation) error {
	if h, ok := x.Body.(comm.Held); ok && (x.Size < 0 || x.Size > writeSize) {
		t.relayHeld(ctx, x, h)
		return nil
	}
	size := comm.SmallSize
	if x.Size > comm.SmallSize {
		size = sniffSize
	}
	if x.Status != 0 {
		ctx.SetStatusCode(x.Status)
	}
	for k, list := range x.Header {
		for _, v := range list {
			ctx.Response.Header.Add(k, v)
		}
	}
	head := comm.NewSmallBody()
	n, err := io.ReadFull(x.body, head.Space()[:size])
	head.Add(n)
	ctx.Response.Header.SetContentType(cmp.Or(x.ContentType, http.DetectContentType(head.Bytes())))
	if err == io.EOF || err == io.ErrUnexpectedEOF && (x.Size < 0 || x.Size == int64(n)) {
		x.done(t, nil)
		ctx.Response.SetBodyStream(head, n)
		return nil
	}
	if err != nil {
		head.Close()
		x.done(t, err)
		return fmt.Errorf("%s: %s: %w", t.name(), x.name, err)
	}
	s := &relayStream{Reader: io.MultiReader(head, x.body), head: head, x: x, t: t}
	ctx.Response.SetBodyStream(s, int(x.Size))
	return nil
}

// relayHeld answers with a large reply from where it lies.
func (t *Target) relayHeld(ctx *fasthttp.RequestCtx, x *transformation, h comm.Held) {
	ctx.Response.Header.SetContentType(http.DetectContentType(h.Head()))
	ctx.Response.SetBodyStream(&heldStream{relayStream{Reader: x.body, x: x, t: t}, h, ctx.Conn()}, int(x.Size))
}

// heldStream is a relayStream of what lies in memory.
type heldStream struct {
	relayStream
	held comm.Held
	conn net.Conn // the client's
}

// WriteTo writes it from there: what is all there together with the header.
func (s *heldStream) WriteTo(w io.Writer) (int64, error) {
	out := &pausingWriter{Writer: w, stall: s.x.body.stall}
	bw, ok := w.(*bufio.Writer)
	if head := s.held.Head(); ok && s.x.Size == int64(len(head)) && bw.Buffered() > 0 && comm.WriteAlong(s.conn, head) {
		out.Writer = flusher{bw}
	}
	n, err := s.held.WriteTo(out)
	s.x.body.n += n
	if s.eof = err == nil; !s.eof && out.err == nil {
		s.err = err
	}
	return n, err
}

// flusher is a writer of bytes that go along when it is flushed.
type flusher struct{ *bufio.Writer }

func (f flusher) Write(p []byte) (int, error) {
	if err := f.Flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// relayStream is a large reply on its way to the client.
type relayStream struct {
	io.Reader
	head *comm.SmallBody // the begin of it; nil when there is none apart
	x    *transformation
	t    *Target
	err  error // of reading
	eof  bool
}

func (s *relayStream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		s.eof = true
	} else if err != nil {
		s.err = err
	}
	return n, err
}

// WriteTo copies with a large buffer. A client that takes its time is not the
// transformer's stall.
func (s *relayStream) WriteTo(w io.Writer) (int64, error) {
	return comm.Copy(&pausingWriter{Writer: w, stall: s.x.body.stall}, s)
}

// pausingWriter stops a transformation's clock while it writes.
type pausingWriter struct {
	io.Writer
	stall *stall
	err   error
}

func (w *pausingWriter) Write(p []byte) (int, error) {
	w.stall.pause()
	defer w.stall.progress()
	n, err := w.Writer.Write(p)
	w.err = err
	return n, err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (s *relayStream) SupportsBodyWriteTo() bool { return true }

// errClientGone is a client that did not take all of a reply.
var errClientGone = errors.New("the client hung up")

// Close ends the transformation.
func (s *relayStream) Close() error {
	if s.err == nil && !s.eof {
		s.err = errClientGone
	}
	s.x.done(s.t, s.err)
	if s.head != nil {
		s.head.Close()
	}
	return nil
}
