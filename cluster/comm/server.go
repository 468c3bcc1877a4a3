package comm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

const (
	qparamArgs         = api.QparamETLArgs
	hdrNodeURL         = api.HdrNodeURL
	hdrDirectPutLength = api.HdrDirectPutLength
	hdrRetryReason     = api.HdrRetryReason
	directPutTransient = "direct-put-transient"
)

// ServerConfig of a transformer.
type ServerConfig struct {
	Transform Transform
	TargetURL string // AIS_TARGET_URL; "" where no type that fetches is used
	// TargetSocket is a unix socket on which what is at TargetURL listens, too;
	// "" for none.
	TargetSocket string
	// DirectPut lets results be sent to targets; otherwise they are answered.
	DirectPut bool
	// FQNRoot is the folder that files are read from when a target names one
	// in place of bytes; "" refuses them.
	FQNRoot string
	Log     *slog.Logger
}

// Server is a transformer's process: it answers every registered type that has
// an end of its own, and GET /health.
type Server struct {
	transform Transform
	source    *source
	log       *slog.Logger
	handlers  map[string]fasthttp.RequestHandler // by HTTP method
	paths     map[string]fasthttp.RequestHandler // by path, before the methods
	ctx       context.Context                    // the server's life
	running   sync.WaitGroup                     // transforms under way
	next      nextStops
	direct    bool
	fqnRoot   string
}

// NewServer checks the configuration; it does no I/O.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Transform == nil {
		return nil, errors.New("comm: a Server needs a Transform")
	}
	s := &Server{transform: cfg.Transform, log: cfg.Log, direct: cfg.DirectPut, fqnRoot: cfg.FQNRoot,
		handlers: map[string]fasthttp.RequestHandler{}, paths: map[string]fasthttp.RequestHandler{}}
	if cfg.TargetURL != "" {
		src, err := newSource(cfg.TargetURL, cfg.TargetSocket)
		if err != nil {
			return nil, err
		}
		s.source = src
		s.next.byHost = map[string]*client{src.c.addr: src.c}
	}
	s.paths["/health"] = func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType(api.MimeText)
		ctx.SetBodyString("Running")
	}
	for _, name := range Names() {
		if t := registry[name]; t.Serve != nil {
			t.Serve(s)
		}
	}
	return s, nil
}

// handle adds an HTTP method; a second handler for one panics, since two types
// would answer each other's requests.
func (s *Server) handle(method string, h fasthttp.RequestHandler) {
	if _, ok := s.handlers[method]; ok {
		panic("comm: two types serve " + method)
	}
	s.handlers[method] = h
}

// handlePath adds a path that is answered whatever the method; a second handler
// for one panics.
func (s *Server) handlePath(path string, h fasthttp.RequestHandler) {
	if _, ok := s.paths[path]; ok {
		panic("comm: two types serve " + path)
	}
	s.paths[path] = h
}

// shutdownTime bounds how long Serve waits for requests when ctx ends.
const shutdownTime = 5 * time.Second

// Serve answers on all listeners, TCP or unix sockets, until ctx ends or one
// fails; then it cancels what still runs and returns when all of it is gone. It
// closes them.
func (s *Server) Serve(ctx context.Context, lns ...net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ctx = ctx
	srv := &fasthttp.Server{
		Handler:                       s.serve,
		Name:                          "etlbench-transformer",
		StreamRequestBody:             true,
		DisablePreParseMultipartForm:  true,
		DisableHeaderNamesNormalizing: false,
		NoDefaultContentType:          true,
		ReadBufferSize:                16 << 10,
		WriteBufferSize:               16 << 10,
		CloseOnShutdown:               true,
		Logger:                        quiet{},
	}
	var serving sync.WaitGroup
	errs := make([]error, len(lns))
	tracked := make([]*Listener, len(lns))
	for i, ln := range lns {
		tracked[i] = Track(ln)
		serving.Go(func() {
			defer cancel()
			if err := srv.Serve(tracked[i]); !errors.Is(err, net.ErrClosed) {
				errs[i] = err
			}
		})
	}
	<-ctx.Done()
	end, done := context.WithTimeout(context.Background(), shutdownTime)
	defer done()
	for _, ln := range lns { // Serve may not have taken them over yet
		_ = ln.Close()
	}
	_ = srv.ShutdownWithContext(end)
	for _, ln := range tracked {
		ln.CloseConns()
	}
	serving.Wait()
	s.running.Wait()
	s.next.closeIdle() // the source's, too
	return errors.Join(errs...)
}

// quiet drops fasthttp's own messages: they tell of clients that hung up.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// serve answers, and tells who asks for it how long it took until the answer
// began.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	// Before: a transform may still read the body's trailer, which is put into
	// the same header.
	timing := string(ctx.Request.Header.Peek(api.HdrTiming)) == "1"
	s.answer(ctx)
	if timing {
		ctx.Response.Header.SetBytesV(api.HdrServerTiming, api.ServerTiming(nil, api.TimingPod, time.Since(ctx.Time())))
	}
}

func (s *Server) answer(ctx *fasthttp.RequestCtx) {
	uri := string(ctx.Request.Header.RequestURI())
	if ctx.IsGet() && ctx.Request.Header.ContentLength() != 0 && ctx.RequestBodyStream() != nil {
		ctx.SetConnectionClose() // nobody reads the body of a GET here
	}
	path, _, _ := strings.Cut(uri, "?")
	if h := s.paths[path]; h != nil {
		h(ctx)
		return
	}
	h := s.handlers[string(ctx.Method())]
	if h == nil {
		ctx.Error("method not allowed", fasthttp.StatusMethodNotAllowed)
		ctx.SetConnectionClose()
		return
	}
	h(ctx)
}

// describe takes bucket, object and etl_args from a request, whose path is
// /bucket/object or /{escaped uname}.
func (s *Server) describe(ctx *fasthttp.RequestCtx) (o Info) {
	path, q, _ := strings.Cut(string(ctx.Request.Header.RequestURI()), "?")
	path, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err == nil {
		o.Bucket, o.Name, _ = api.ParseUname(path)
	}
	if v, err := url.ParseQuery(q); err == nil {
		o.Args = v.Get(qparamArgs)
	}
	return o
}

// start begins to transform src; after runs when src is done with.
func (s *Server) start(src io.Reader, o Info, after func()) (*spool, context.CancelCauseFunc) {
	tctx, cancel := context.WithCancelCause(s.ctx)
	out := newSpool(cancel)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		err := s.safely(tctx, out, src, o)
		after()
		out.finish(err)
	}()
	return out, cancel
}

// run transforms src and answers: a result of up to 64 KiB at once and with
// its length, a larger one as it comes. A result that has somewhere to go is
// sent there. after runs when src is done with.
func (s *Server) run(ctx *fasthttp.RequestCtx, o Info, src io.Reader, after func()) {
	stops := s.stops(string(ctx.Request.Header.Peek(hdrNodeURL)))
	out, cancel := s.start(src, o, after)
	err, done := out.wait()
	switch {
	case err != nil:
		s.fail(ctx, o, err)
	case len(stops) > 0:
		s.forward(ctx, o, stops, out, done)
	default:
		result := out.result(done)
		ctx.Response.SetBodyStream(result.Body, int(result.Size))
	}
	if done {
		cancel(nil)
	}
	ctx.Response.Header.SetContentType(api.MimeBinary)
	if ctx.Response.StatusCode() >= fasthttp.StatusBadRequest {
		ctx.Response.Header.SetContentType(api.MimeText)
	}
}

// safely keeps a panic in a transform from taking the other objects along.
func (s *Server) safely(ctx context.Context, dst io.Writer, src io.Reader, o Info) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transform panicked: %v", p)
		}
	}()
	return s.transform(ctx, dst, src, o)
}

func (s *Server) fail(ctx *fasthttp.RequestCtx, o Info, err error) {
	status := fasthttp.StatusInternalServerError
	var refused *TransformError
	if errors.As(err, &refused) {
		status = refused.Status
	}
	s.log.Warn("transform", "object", o.Bucket+"/"+o.Name, "err", err)
	ctx.Response.Reset()
	ctx.SetStatusCode(status)
	if errors.Is(err, errTransient) {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		ctx.Response.Header.Set(hdrRetryReason, directPutTransient)
	}
	ctx.SetBodyString(err.Error())
}
