package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/store"
)

// object answers /v1/objects/….
func (t *Target) object(ctx *fasthttp.RequestCtx, path, query string) error {
	bucket, object, err := objectPath(path)
	if err != nil {
		return err
	}
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	if err := checkProvider(q); err != nil {
		return err
	}
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		etl := q.Get(api.QparamETLName)
		if etl == "" {
			etl = q.Get(api.QparamUUID)
		}
		if etl != "" {
			return t.inline(ctx, etl, bucket, object, query, q)
		}
		return t.getObject(ctx, bucket, object)
	case fasthttp.MethodHead:
		return t.headObject(ctx, bucket, object)
	case fasthttp.MethodPut:
		if err := t.checkRedirected(ctx, q); err != nil {
			return err
		}
		_, err := t.putObject(ctx, bucket, object, q)
		return err
	case fasthttp.MethodDelete:
		if err := t.checkRedirected(ctx, q); err != nil {
			return err
		}
		return t.deleteObject(bucket, object)
	}
	methodNotAllowed(ctx, "DELETE, GET, HEAD, PUT")
	return nil
}

// checkRedirected refuses changes that no proxy of this cluster sent here.
func (t *Target) checkRedirected(ctx *fasthttp.RequestCtx, q url.Values) error {
	if _, ok := t.state().Map.Proxies[q.Get(api.QparamProxyID)]; ok {
		return nil
	}
	return api.Errorf(fasthttp.StatusBadRequest, "", "%s: %s(obj) is expected to be redirected", t.name(), ctx.Method())
}

// openObject opens an object, or says in AIStore's words that it is not there.
func (t *Target) openObject(bucket, object string) (*store.Object, error) {
	o, err := t.store.Open(bucket, object)
	return o, t.explainMissing(bucket, object, err)
}

func (t *Target) explainMissing(bucket, object string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotExist):
		return api.Errorf(fasthttp.StatusNotFound, api.KindNotFound, "%s: %s/%s does not exist", t.name(), api.AIS(bucket), object)
	case errors.Is(err, store.ErrBucketNotExist):
		return errNoBucket(bucket)
	}
	return err
}

// objectHeaders tells what is stored of an object.
func objectHeaders(h *fasthttp.ResponseHeader, i *store.Info) {
	h.Set(api.HdrAtime, strconv.FormatInt(i.Atime, 10))
	h.Set(api.HdrChecksumType, i.Checksum.Type)
	h.Set(api.HdrChecksumValue, i.Checksum.Value)
	h.Set(api.HdrVersion, strconv.FormatInt(i.Version, 10))
	for _, k := range sortedKeys(i.Custom) {
		h.Add(api.HdrCustomMD, k+"="+i.Custom[k])
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// getObject sends an object, or a range of it.
func (t *Target) getObject(ctx *fasthttp.RequestCtx, bucket, object string) error {
	o, err := t.openObject(bucket, object)
	if err != nil {
		return err
	}
	first, length, err := t.byteRange(ctx, o.Size)
	if err != nil {
		o.Close()
		return err
	}
	objectHeaders(&ctx.Response.Header, &o.Info)
	ctx.Response.Header.SetContentType(api.MimeBinary)
	return sendFile(ctx, o, first, length)
}

// byteRange reads a request's Range: what to send, and for a range the status
// and headers too.
func (t *Target) byteRange(ctx *fasthttp.RequestCtx, size int64) (first, length int64, err error) {
	r := ctx.Request.Header.Peek(fasthttp.HeaderRange)
	if !bytes.HasPrefix(r, []byte("bytes=")) { // none, or a unit that nobody knows
		return 0, size, nil
	}
	start, end, err := fasthttp.ParseByteRange(r, int(size))
	if err != nil || end < start {
		ctx.Response.Header.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes */%d", size))
		return 0, 0, api.Errorf(fasthttp.StatusRequestedRangeNotSatisfiable, api.KindRange, "size=%d: not satisfiable range [%s]",
			size, strings.TrimPrefix(string(r), "bytes="))
	}
	ctx.SetStatusCode(fasthttp.StatusPartialContent)
	ctx.Response.Header.Set(fasthttp.HeaderAcceptRanges, "bytes")
	ctx.Response.Header.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", start, end, size))
	return int64(start), int64(end-start) + 1, nil
}

// smallReply is the largest body that is sent in one write with its header.
const smallReply = 64 << 10

// sendFile answers with length bytes of an object and closes it.
func sendFile(ctx *fasthttp.RequestCtx, o *store.Object, first, length int64) error {
	if length > smallReply {
		if _, err := o.File().Seek(first, io.SeekStart); err != nil {
			o.Close()
			return err
		}
		ctx.Response.SetBodyStream(&fileBody{o: o, left: length}, int(length))
		return nil
	}
	defer o.Close()
	buf := make([]byte, length)
	if n, err := o.ReadAt(buf, first); n < len(buf) {
		return fmt.Errorf("read %s: %w", o.Name, err)
	}
	ctx.Response.SetBodyRaw(buf)
	return nil
}

// fileBody is an open object as a stream: from the file's offset, left bytes.
type fileBody struct {
	o    *store.Object
	left int64
}

func (f *fileBody) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n, err := f.o.File().Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

// WriteTo hands the file to the connection, which can send it without a copy
// through this process. fasthttp's buffer must be empty for that.
func (f *fileBody) WriteTo(w io.Writer) (int64, error) {
	r := &io.LimitedReader{R: f.o.File(), N: f.left}
	bw, ok := w.(*bufio.Writer)
	if !ok {
		return comm.Copy(w, r)
	}
	if err := bw.Flush(); err != nil {
		return 0, err
	}
	n, err := bw.ReadFrom(r)
	f.left -= n
	return n, err
}

// SupportsBodyWriteTo tells fasthttp that WriteTo may replace Read.
func (f *fileBody) SupportsBodyWriteTo() bool { return true }

// Close closes the object.
func (f *fileBody) Close() error { return f.o.Close() }

func (t *Target) headObject(ctx *fasthttp.RequestCtx, bucket, object string) error {
	i, err := t.store.Stat(bucket, object)
	if err != nil {
		return t.explainMissing(bucket, object, err)
	}
	h := &ctx.Response.Header
	objectHeaders(h, &i)
	h.Set(api.HdrPresent, "true")
	h.Set(api.HdrName, object)
	h.Set(api.HdrBucketName, bucket)
	h.Set(api.HdrBucketProv, api.ProviderAIS)
	h.Set(api.HdrMirrorCopies, "1")
	h.Set(api.HdrMirrorPaths, "["+t.dir+"]")
	h.Set(api.HdrLocation, t.location())
	h.SetContentLength(int(min(i.Size, math.MaxInt)))
	return nil
}

// location is where this target says that its objects are.
func (t *Target) location() string { return t.name() + ":mp[" + t.dir + "]" }

// putObject stores a request's body.
func (t *Target) putObject(ctx *fasthttp.RequestCtx, bucket, object string, q url.Values) (i store.Info, err error) {
	b := requestBody(ctx)
	opt := store.PutOptions{Size: int64(ctx.Request.Header.ContentLength()), SkipVersion: q.Has(api.QparamSkipVC),
		Expect: store.Checksum{
			Type:  string(ctx.Request.Header.Peek(api.HdrChecksumType)),
			Value: string(ctx.Request.Header.Peek(api.HdrChecksumValue)),
		}}
	if opt.Custom, err = customMD(ctx); err != nil {
		return i, err
	}
	if opt.Size < 0 { // chunked
		opt.Size = -1
	}
	var src io.Reader = bytes.NewReader(nil)
	if b != nil {
		src = b
	}
	i, err = t.store.Put(t.ctx, bucket, object, src, opt)
	if err != nil {
		return i, t.putFailed(bucket, object, err)
	}
	objectHeaders(&ctx.Response.Header, &i)
	return i, nil
}

// putFailed words a failed PUT.
func (t *Target) putFailed(bucket, object string, err error) error {
	var sum *store.ChecksumError
	if errors.As(err, &sum) {
		return api.Errorf(fasthttp.StatusInternalServerError, api.KindBadChecksum, "BAD DATA CHECKSUM: %s(%s != %s) (context: %s/%s)",
			sum.Type, sum.Want, sum.Got, api.AIS(bucket), object)
	}
	if errors.Is(err, store.ErrBucketNotExist) {
		return errNoBucket(bucket)
	}
	return fmt.Errorf("%s: PUT %s/%s: %w", t.name(), api.AIS(bucket), object, err)
}

// customMD reads the "k=v" headers of custom metadata.
func customMD(ctx *fasthttp.RequestCtx) (map[string]string, error) {
	var md map[string]string
	for _, line := range ctx.Request.Header.PeekAll(api.HdrCustomMD) {
		k, v, ok := strings.Cut(string(line), "=")
		if !ok || k == "" {
			return nil, api.Errorf(fasthttp.StatusBadRequest, "", "invalid %s header %q: must be key=value", api.HdrCustomMD, line)
		}
		if md == nil {
			md = map[string]string{}
		}
		md[k] = v
	}
	return md, nil
}

func (t *Target) deleteObject(bucket, object string) error {
	err := t.store.Delete(bucket, object)
	if errors.Is(err, store.ErrNotExist) {
		return api.Errorf(fasthttp.StatusNotFound, "", "%s/%s doesn't exist", api.AIS(bucket), object)
	}
	return t.explainMissing(bucket, object, err)
}

// podObject answers this target's pods, and other targets that store what a
// job made: /v1/etl/_object/{etl}/{secret}/{uname}.
func (t *Target) podObject(ctx *fasthttp.RequestCtx, path, query string) error {
	parts := strings.SplitN(strings.TrimPrefix(path, api.PathETLObject+"/"), "/", 3)
	if len(parts) != 3 {
		return t.errURI(ctx)
	}
	if err := t.checkPod(parts[0], parts[1]); err != nil {
		return err
	}
	uname, err := url.PathUnescape(parts[2])
	if err != nil {
		return t.errURI(ctx)
	}
	bucket, object, err := api.ParseUname(uname)
	if err == nil {
		err = api.CheckObjectName(object)
	}
	if err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, api.KindInvalidPath, "%v", err)
	}
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		return t.getObject(ctx, bucket, object)
	case fasthttp.MethodHead:
		return t.headObject(ctx, bucket, object)
	case fasthttp.MethodPut:
		q, err := parseQuery(query)
		if err != nil {
			return err
		}
		i, err := t.putObject(ctx, bucket, object, q)
		if err == nil {
			t.jobs.received(q.Get(api.QparamUUID), i.Size)
		}
		return err
	}
	methodNotAllowed(ctx, "GET, HEAD, PUT")
	return nil
}

// checkPod checks the name and the secret in a pod's URL.
func (t *Target) checkPod(etl, secret string) error {
	e, ok := t.state().ETLs[etl]
	if !ok || e.Stage == api.StageAborted {
		return t.errNoETL(etl)
	}
	if secret != e.Secret {
		return api.Errorf(fasthttp.StatusBadRequest, "", "unrecognized request source")
	}
	return nil
}

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
	x, err := t.transform(r.ctx, r, bucket, object, true, comm.Request{Args: q.Get(api.QparamETLArgs), Query: podQuery(query)}, r.timeout)
	if err != nil {
		return err
	}
	if x.Redirect != "" {
		x.done(t, nil)
		ctx.SetStatusCode(fasthttp.StatusTemporaryRedirect)
		ctx.Response.Header.Set("Location", x.Redirect)
		return nil
	}
	return t.relay(ctx, x)
}

// podQuery is a client's query without what selects the ETL or was added on
// the way here.
func podQuery(query string) string {
	var keep []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		switch key {
		case "", api.QparamETLName, api.QparamUUID, api.QparamProxyID, api.QparamUnixTime, api.QparamCommand:
		default:
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, "&")
}

// relay answers with a pod's reply: a small one whole, so that it carries its
// length and a failure half way is still an error, a larger one as it comes.
func (t *Target) relay(ctx *fasthttp.RequestCtx, x *transformation) error {
	ctx.Response.Header.SetContentType(api.MimeBinary)
	if x.ContentType != "" {
		ctx.Response.Header.SetContentType(x.ContentType)
	}
	var head []byte
	if x.Size <= smallReply {
		head = make([]byte, smallReply)
		n, err := io.ReadFull(x.body, head)
		head = head[:n]
		if err == io.EOF || err == io.ErrUnexpectedEOF && (x.Size < 0 || x.Size == int64(n)) {
			x.done(t, nil)
			ctx.Response.SetBodyRaw(head)
			return nil
		}
		if err != nil {
			x.done(t, err)
			return fmt.Errorf("%s: %s: %w", t.name(), x.name, err)
		}
	}
	s := &relayStream{Reader: io.MultiReader(bytes.NewReader(head), x.body), x: x, t: t}
	ctx.Response.SetBodyStream(s, int(x.Size))
	return nil
}

// relayStream is a large reply on its way to the client.
type relayStream struct {
	io.Reader
	x   *transformation
	t   *Target
	err error // of reading
	eof bool
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
	return comm.Copy(&pausingWriter{w, s.x.body.stall}, s)
}

// pausingWriter stops a transformation's clock while it writes.
type pausingWriter struct {
	io.Writer
	stall *stall
}

func (w *pausingWriter) Write(p []byte) (int, error) {
	w.stall.pause()
	defer w.stall.progress()
	return w.Writer.Write(p)
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
	return nil
}

// list answers the primary's request for this target's part of a page.
func (t *Target) list(r *listRequest) (any, error) {
	infos, more, err := t.store.List(r.Bucket, store.ListOptions{Prefix: r.Prefix, After: r.After, Limit: r.Limit, Detail: r.Detail})
	if err != nil {
		return nil, t.explainMissing(r.Bucket, "", err)
	}
	reply := listReply{More: more, Entries: make([]*api.ListEntry, 0, len(infos))}
	for i := range infos {
		reply.Entries = append(reply.Entries, t.entry(&infos[i], r.Detail))
	}
	return reply, nil
}

func (t *Target) entry(i *store.Info, detail bool) *api.ListEntry {
	e := &api.ListEntry{Name: i.Name, Flags: api.EntryInCluster}
	if !detail {
		return e
	}
	e.Size, e.Checksum, e.Copies, e.Location = i.Size, i.Checksum.Value, 1, t.location()
	e.Version = strconv.FormatInt(i.Version, 10)
	e.Atime = time.Unix(0, i.Atime).UTC().Format(time.RFC822)
	if len(i.Custom) > 0 {
		var md []string
		for _, k := range sortedKeys(i.Custom) {
			md = append(md, k+":"+i.Custom[k])
		}
		e.Custom = "[" + strings.Join(md, ", ") + "]"
	}
	return e
}
