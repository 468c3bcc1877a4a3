package comm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

// wsPath is where a pod takes WebSocket connections.
const wsPath = "/ws"

// maxControl bounds the message in front of an object, bytes.
const maxControl = 64 << 10

// wsControl is the message in front of an object. Empty keys are left out.
type wsControl struct {
	Stops string `json:"pipeline,omitempty"` // comma-separated
	Args  string `json:"etl_args,omitempty"`
	Path  string `json:"fqn,omitempty"` // escaped; no object follows
	Name  string `json:"path,omitempty"`
}

// wsLink keeps connections to a pod. Each has one object at a time on it:
// control message and object one way, the reply the other.
type wsLink struct {
	url     string
	retries int
	connect Dialer
	mu      sync.Mutex
	idle    []*websocket.Conn // guarded by mu; last in, first out
}

var _ Link = (*wsLink)(nil)

func dialWS(base string, o Options) Link {
	return &wsLink{url: "ws" + strings.TrimPrefix(base, "http") + wsPath, retries: o.Retries, connect: o.dialer()}
}

// Close closes the idle connections.
func (l *wsLink) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.idle {
		c.Close()
	}
	l.idle = nil
	return nil
}

// get gives a connection, and whether it was used before.
func (l *wsLink) get(ctx context.Context) (*websocket.Conn, bool, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, true, nil
	}
	l.mu.Unlock()
	d := websocket.Dialer{NetDialContext: l.connect, ReadBufferSize: wsBuffer, WriteBufferSize: wsBuffer, WriteBufferPool: &wsBuffers}
	for wait := newBackOff(l.retries); ; {
		c, resp, err := d.DialContext(ctx, l.url, nil)
		if resp != nil {
			resp.Body.Close()
		}
		if err == nil {
			return c, false, nil
		}
		if !wait(ctx) {
			return nil, false, l.explain(ctx, err)
		}
	}
}

// wsBuffer is the size of a connection's buffers, and of the frames that a
// large object is cut into.
const wsBuffer = 64 << 10

var wsBuffers sync.Pool

func (l *wsLink) put(c *websocket.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) >= maxIdle {
		c.Close()
		return
	}
	l.idle = append(l.idle, c)
}

// Inline sends the object and relays the reply.
func (l *wsLink) Inline(ctx context.Context, r Request) (Reply, error) {
	for {
		c, reused, err := l.get(ctx)
		if err != nil {
			return Reply{}, err
		}
		reply, err := l.exchange(ctx, c, r)
		var closed *websocket.CloseError
		// A pod closes idle connections as it likes; a new one tells.
		if err != nil && reused && (errors.Is(err, errStale) || errors.As(err, &closed)) && ctx.Err() == nil {
			_ = l.Close()
			continue
		}
		return reply, err
	}
}

// Offline is the same as Inline.
func (l *wsLink) Offline(ctx context.Context, r Request) (Reply, error) { return l.Inline(ctx, r) }

// exchange sends an object and waits for the first byte of the reply.
func (l *wsLink) exchange(ctx context.Context, c *websocket.Conn, r Request) (Reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.NetConn().SetDeadline(time.Unix(1, 0)) })
	sent := &sending{done: make(chan struct{})}
	go func() {
		defer close(sent.done)
		sent.err = wsSend(c, r)
		if errors.Is(sent.err, errSource) {
			c.Close() // the pod was promised more
		}
	}()
	kind, body, err := c.NextReader()
	if err == nil && kind == websocket.BinaryMessage {
		return Reply{Size: -1, Body: &wsBody{Reader: body, l: l, c: c, ctx: ctx, sent: sent, stop: stop}}, nil
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(body, maxErrorText))
	}
	if err != nil {
		stop()
		c.Close()
		if serr := sent.wait(); errors.Is(serr, errSource) {
			return Reply{}, serr
		} else if errors.Is(serr, errStale) && context.Cause(ctx) == nil {
			return Reply{}, fmt.Errorf("%w: %w", ErrPod, serr)
		}
		return Reply{}, l.explain(ctx, err)
	}
	if _, rest := io.Copy(io.Discard, body); rest == nil && stop() && sent.wait() == nil {
		l.put(c)
	} else {
		c.Close()
		_ = sent.wait()
	}
	return wsText(string(text), r)
}

// wsText reads a text reply: how many bytes were delivered, or an error.
// AIStore's own Go server acknowledges in words, its Python server by the
// number, and by 0 when it failed.
func wsText(text string, r Request) (Reply, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case len(r.Stops) > 0 && err == nil && n > 0:
		return Reply{Delivered: true, Size: n}, nil
	case len(r.Stops) > 0 && text == "direct put success":
		return Reply{Delivered: true, Size: -1}, nil
	case err == nil:
		text = "the transformer could not deliver the result"
	}
	return Reply{}, &TransformError{Status: http.StatusInternalServerError, Text: text}
}

func (l *wsLink) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: %s: %w", ErrPod, l.url, err)
}

// wsSend sends the control message and the object.
func wsSend(c *websocket.Conn, r Request) error {
	m := wsControl{Stops: strings.Join(r.Stops, ","), Args: r.Args, Name: r.Name}
	if r.Path != "" {
		m.Path = url.PathEscape(r.Path)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := c.WriteMessage(websocket.BinaryMessage, data); err != nil {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	if m.Path != "" {
		return nil
	}
	o, err := r.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	defer o.Body.Close()
	w, err := c.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	src := &sourceReader{r: ExactReader(o.Body, o.Size)}
	_, err = Copy(w, src)
	if src.err != nil {
		return fmt.Errorf("%w: %w", errSource, src.err)
	}
	return errors.Join(err, w.Close())
}

// wsBody is a reply; its Close returns the connection when both directions are
// through.
type wsBody struct {
	io.Reader
	l    *wsLink
	c    *websocket.Conn
	ctx  context.Context // the exchange's own
	sent *sending
	stop func() bool
	eof  bool
	once sync.Once
}

func (b *wsBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	switch {
	case err == io.EOF:
		b.eof = true
	case err != nil:
		err = b.l.explain(b.ctx, err)
	}
	return n, err
}

// Close ends the exchange.
func (b *wsBody) Close() error {
	b.once.Do(func() {
		clean := b.stop() && b.eof && b.sent.finished()
		if !clean {
			b.c.Close()
		}
		_ = b.sent.wait()
		if clean {
			b.l.put(b.c)
		}
	})
	return nil
}

// serveWS is the transformer's end.
func serveWS(s *Server) {
	up := websocket.FastHTTPUpgrader{ReadBufferSize: wsBuffer, WriteBufferSize: wsBuffer, WriteBufferPool: &wsBuffers}
	s.handlePath(wsPath, func(ctx *fasthttp.RequestCtx) {
		s.running.Add(1)
		// fasthttp takes back the connection that the handler gets.
		conn := ctx.Conn()
		err := up.Upgrade(ctx, func(c *websocket.Conn) {
			defer s.running.Done()
			defer c.Close()
			stop := context.AfterFunc(s.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
			defer stop()
			for s.wsObject(c) == nil {
			}
		})
		if err != nil { // Upgrade has answered
			s.running.Done()
		}
	})
}

// wsObject answers one object. An error ends the connection.
func (s *Server) wsObject(c *websocket.Conn) error {
	m, err := readControl(c)
	if err != nil {
		return err
	}
	o := Info{Name: m.Name, Size: -1, Args: m.Args}
	var (
		src   io.Reader
		after = func() {}
	)
	if m.Path != "" {
		f, err := s.openFile(m.Path)
		if err != nil {
			return s.wsFail(c, o, err)
		}
		src, after, o.Size = f, func() { f.Close() }, f.size
	} else {
		_, body, err := c.NextReader()
		if err != nil {
			return err
		}
		// What a transform leaves is read away: the next message follows it.
		src, after = body, func() { _, _ = Copy(io.Discard, body) }
	}
	out, cancel := s.start(src, o, after)
	defer cancel(nil)
	err, done := out.wait()
	if err != nil {
		return s.wsFail(c, o, err)
	}
	result := out.result(done)
	// An empty result is answered: 0 delivered bytes mean a failure.
	if stops := s.stops(m.Stops); len(stops) > 0 && result.Size != 0 {
		p, err := s.pass(s.ctx, stops, "/"+(&url.URL{Path: m.Name}).EscapedPath(), o, result)
		switch {
		case err != nil:
			return s.wsFail(c, o, err)
		case p.delivered:
			return c.WriteMessage(websocket.TextMessage, strconv.AppendInt(nil, p.size, 10))
		}
		result.Body = p.body
	}
	defer result.Body.Close()
	w, err := c.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	// A result that breaks off ends the connection, so that it is not taken
	// for a shorter one.
	if to, ok := result.Body.(io.WriterTo); ok {
		_, err = to.WriteTo(w)
	} else {
		_, err = Copy(w, result.Body)
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// readControl reads the message in front of an object.
func readControl(c *websocket.Conn) (m wsControl, err error) {
	_, body, err := c.NextReader()
	if err != nil {
		return m, err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxControl+1))
	if err != nil {
		return m, err
	}
	if m, err = parseControl(data); err != nil {
		_ = c.WriteMessage(websocket.TextMessage, []byte(err.Error()))
	}
	return m, err
}

func parseControl(data []byte) (m wsControl, err error) {
	if len(data) > maxControl {
		return m, fmt.Errorf("control message: larger than %d KiB", maxControl>>10)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("control message: %w", err)
	}
	return m, nil
}

func (s *Server) wsFail(c *websocket.Conn, o Info, err error) error {
	s.log.Warn("transform", "object", o.Name, "err", err)
	return c.WriteMessage(websocket.TextMessage, []byte(err.Error()))
}

func init() {
	Register(Type{Name: "ws" + suffix, Dial: dialWS, Serve: serveWS, NeedsDirectPut: true})
}
