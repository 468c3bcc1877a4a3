package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// rawPath splits a request's target. Nothing is normalised: object names may
// hold "//" and escaped slashes.
func rawPath(ctx *fasthttp.RequestCtx) (path, query string) {
	path, query, _ = strings.Cut(string(ctx.Request.Header.RequestURI()), "?")
	return path, query
}

func parseQuery(query string) (url.Values, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, api.Errorf(fasthttp.StatusBadRequest, "", "invalid query %q: %v", query, err)
	}
	return q, nil
}

// objectPath is the bucket and the object of /v1/objects/{bucket}/{object}.
func objectPath(path string) (bucket, object string, err error) {
	rest, err := url.PathUnescape(strings.TrimPrefix(path, api.PathObjects+"/"))
	if err != nil {
		return "", "", api.Errorf(fasthttp.StatusBadRequest, "", "invalid path %q: %v", path, err)
	}
	bucket, object, ok := strings.Cut(rest, "/")
	if !ok {
		return "", "", api.Errorf(fasthttp.StatusBadRequest, "", "missing the object's name in %q", path)
	}
	if err := api.CheckBucketName(bucket); err != nil {
		return "", "", api.Errorf(fasthttp.StatusBadRequest, "", "%v", err)
	}
	if err := api.CheckObjectName(object); err != nil {
		return "", "", api.Errorf(fasthttp.StatusBadRequest, api.KindInvalidPath, "%v", err)
	}
	return bucket, object, nil
}

// checkProvider refuses buckets that cannot be here. A name in a namespace is
// another bucket than the plain name.
func checkProvider(q url.Values) error {
	if ns := q.Get(api.QparamNamespace); ns != "" && ns != "@#" {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid namespace %q: this cluster has the global one only", ns)
	}
	switch p := q.Get(api.QparamProvider); p {
	case "", api.ProviderAIS:
		return nil
	case "aws", "s3", "gcp", "gs", "azure", "az", "oci", "oc":
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid bucket provider %q: this cluster has ais:// only", p)
	default:
		return api.Errorf(fasthttp.StatusBadRequest, api.KindProvider,
			"invalid backend provider %q: must be one of [ais, aws (s3://), gcp (gs://), azure (az://), oci (oc://)]", p)
	}
}

// checkBucket is checkProvider for a bucket in a body.
func checkBucket(b *api.Bucket) error {
	if b == nil {
		return nil
	}
	q := url.Values{api.QparamProvider: {b.Provider}}
	if b.Namespace.UUID != "" || b.Namespace.Name != "" {
		q.Set(api.QparamNamespace, "@"+b.Namespace.UUID+"#"+b.Namespace.Name)
	}
	return checkProvider(q)
}

// objectCall takes bucket, object and query of a call under /v1/objects.
func objectCall(path, query string) (bucket, object string, q url.Values, err error) {
	if bucket, object, err = objectPath(path); err != nil {
		return "", "", nil, err
	}
	if q, err = parseQuery(query); err != nil {
		return "", "", nil, err
	}
	return bucket, object, q, checkProvider(q)
}

func errNoBucket(bucket string) error {
	return api.Errorf(fasthttp.StatusNotFound, api.KindBucketNotFound, "bucket %q does not exist", api.AIS(bucket).String())
}

// maxControl bounds the body of a control call: code and specs are small.
const maxControl = 64 << 20

func readBody(ctx *fasthttp.RequestCtx) ([]byte, error) {
	b := requestBody(ctx)
	if b == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(b, maxControl+1))
	if err != nil {
		return nil, api.Errorf(fasthttp.StatusBadRequest, "", "read the request's body: %v", err)
	}
	if len(data) > maxControl {
		return nil, api.Errorf(fasthttp.StatusRequestEntityTooLarge, "", "the request's body is larger than %d MiB", maxControl>>20)
	}
	return data, nil
}

// readJSON decodes a request's body into v.
func (n *node) readJSON(ctx *fasthttp.RequestCtx, v any) error {
	data, err := readBody(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		if len(data) == 0 {
			err = io.EOF
		}
		return api.Errorf(fasthttp.StatusBadRequest, "", "%s: failed to unmarshal the request (%s), err: %v", n.name(), ctx.Method(), err)
	}
	return nil
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx.Response.Header.SetContentType(api.MimeJSON)
	ctx.Response.SetBodyRaw(append(data, '\n'))
	return nil
}

func writeText(ctx *fasthttp.RequestCtx, s string) {
	ctx.Response.Header.SetContentType(api.MimeText)
	ctx.Response.SetBodyString(s)
}

func methodNotAllowed(ctx *fasthttp.RequestCtx, allow string) {
	ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
	ctx.Response.Header.Set("Allow", allow)
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	writeText(ctx, "Method Not Allowed\n")
}

// fail answers with an error, as JSON in the body, or in Hdr-Error for a HEAD.
func (n *node) fail(ctx *fasthttp.RequestCtx, err error) {
	e := *n.apiError(err)
	// An error that another node reported keeps what that node said of itself.
	if e.Node == "" {
		path, _ := rawPath(ctx)
		if p, err := url.PathUnescape(path); err == nil {
			path = p
		}
		e.Method, e.Path = string(ctx.Method()), path
		e.RemoteAddr, e.Node = ctx.RemoteAddr().String(), n.name()
		e.Caller = string(ctx.Request.Header.Peek(hdrCaller))
	}
	data, err := json.Marshal(&e)
	if err != nil { // strings and an int: cannot be
		data = []byte(`{"message":"unknown error"}`)
	}
	keep := ctx.Response.Header.Peek(fasthttp.HeaderContentRange)
	ctx.Response.Reset()
	if len(keep) > 0 {
		ctx.Response.Header.SetBytesV(fasthttp.HeaderContentRange, keep)
	}
	ctx.SetStatusCode(e.Status)
	ctx.Response.Header.SetContentType(api.MimeErr)
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	if ctx.IsHead() {
		ctx.Response.Header.SetBytesV(api.HdrError, data)
		return
	}
	ctx.Response.SetBody(append(data, '\n'))
}

// apiError gives every error its status and kind. One place, so that the same
// failure looks the same wherever it happens.
func (n *node) apiError(err error) *api.Error {
	var (
		e       *api.Error
		refused *comm.TransformError
		sum     *store.ChecksumError
	)
	status, kind, msg := fasthttp.StatusInternalServerError, "", err.Error()
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &refused):
		status = refused.Status
	case errors.Is(err, comm.ErrPod):
		status, kind = fasthttp.StatusBadGateway, api.KindETL
	case errors.Is(err, errTimeout):
		status, kind = fasthttp.StatusGatewayTimeout, api.KindETL
	case errors.As(err, &sum):
		kind = api.KindBadChecksum
	case errors.Is(err, store.ErrNotExist), errors.Is(err, meta.ErrNotFound):
		status, kind = fasthttp.StatusNotFound, api.KindNotFound
	case errors.Is(err, store.ErrBucketNotExist):
		status, kind = fasthttp.StatusNotFound, api.KindBucketNotFound
	case errors.Is(err, meta.ErrExists):
		status = fasthttp.StatusConflict
	case errors.Is(err, store.ErrNoSpace), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		status = fasthttp.StatusInsufficientStorage
	case errors.Is(err, pod.ErrSpec), errors.Is(err, store.ErrChecksumType), errors.Is(err, store.ErrShortBody),
		errors.Is(err, store.ErrName), errors.Is(err, store.ErrCustom):
		status = fasthttp.StatusBadRequest
	case errors.Is(err, api.ErrNoTargets), errors.Is(err, errPeer), errors.Is(err, meta.ErrNoLeader):
		status = fasthttp.StatusServiceUnavailable
	}
	return api.Errorf(status, kind, "%s", strings.ReplaceAll(msg, "\n", "; "))
}

// Unread bodies: a keep-alive connection must not read the rest of one as the
// next request.
const (
	drainMost  = 256 << 10              // read away, to keep the connection
	drainTime  = 100 * time.Millisecond // likewise
	lingerTime = 5 * time.Second        // for reading on after the reply, so that it arrives
)

// body is a request's body that remembers whether its end was seen. It is nil
// for requests without one.
type body struct {
	io.Reader
	eof bool
}

type bodyKey struct{}

// requestBody is the body of a request, of ctx.Request.Header.ContentLength()
// bytes when that is not negative. All reading goes through it.
func requestBody(ctx *fasthttp.RequestCtx) *body {
	if b, ok := ctx.UserValue(bodyKey{}).(*body); ok {
		return b
	}
	stream := comm.RequestBody(ctx)
	if stream == nil {
		return nil
	}
	b := &body{Reader: stream}
	ctx.SetUserValue(bodyKey{}, b)
	return b
}

// bodyOf is a body that was read already, for whoever reads it again.
func bodyOf(data []byte) *body { return &body{Reader: bytes.NewReader(data), eof: true} }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.eof = true
	}
	return n, err
}

// finishing wraps a handler so that no request's body is left unread.
func (n *node) finishing(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		h(ctx)
		b := requestBody(ctx)
		if b == nil || b.eof || ctx.Request.Header.ContentLength() == 0 {
			return
		}
		// A body may be slow or without end: it gets a moment.
		conn := ctx.Conn()
		_ = conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, b, drainMost+1)
		if !b.eof {
			linger(ctx)
			return
		}
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// linger sends the reply, closes the sending side, and reads on for a while.
// Closing at once would make the kernel reset the connection, and a client that
// still sends would see that in place of the reply.
func linger(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetConnectionClose()
	if ctx.Response.IsBodyStream() {
		return // the server writes it; it may be large
	}
	conn := ctx.Conn()
	ctx.Response.SkipBody = ctx.IsHead()
	var head bytes.Buffer
	bw := bufio.NewWriter(&head)
	if err := errors.Join(ctx.Response.Write(bw), bw.Flush()); err != nil {
		ctx.SetConnectionClose()
		return
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(lingerTime))
		if _, err := conn.Write(head.Bytes()); err != nil {
			return
		}
		if tcp, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = comm.Copy(io.Discard, conn)
	})
}
