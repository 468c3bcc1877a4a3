package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// object answers /v1/objects/….
func (t *Target) object(ctx *fasthttp.RequestCtx, path, query string) error {
	bucket, object, q, err := objectCall(path, query)
	if err != nil {
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
		return t.headObject(ctx, bucket, object, q)
	case fasthttp.MethodPut:
		if err := t.checkRedirected(ctx, q); err != nil {
			return err
		}
		if to := q.Get(api.QparamObjTo); to != "" {
			return t.deriveObject(bucket, object, to, q)
		}
		i, err := t.putObject(ctx, bucket, object, q)
		if err == nil {
			objectHeaders(&ctx.Response.Header, &i)
		}
		return err
	case fasthttp.MethodPost:
		if err := t.checkRedirected(ctx, q); err != nil {
			return err
		}
		return t.objectAction(ctx, bucket, object)
	case fasthttp.MethodDelete:
		if err := t.checkRedirected(ctx, q); err != nil {
			return err
		}
		return t.deleteObject(bucket, object)
	}
	methodNotAllowed(ctx, objectMethods)
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

// objectHeaders tells what is stored of an object. It allocates nothing for one
// without metadata of its own.
func objectHeaders(h *fasthttp.ResponseHeader, i *store.Info) {
	var number [20]byte
	h.Set(api.HdrAtime, string(strconv.AppendInt(number[:0], i.Atime, 10)))
	if i.Checksum.Value != "" {
		h.Set(api.HdrChecksumType, i.Checksum.Type)
		h.Set(api.HdrChecksumValue, i.Checksum.Value)
	}
	h.Set(api.HdrVersion, string(strconv.AppendInt(number[:0], i.Version, 10)))
	if len(i.Custom) == 0 {
		return
	}
	for _, k := range sortedKeys(i.Custom) {
		h.Add(api.HdrCustomMD, k+"="+i.Custom[k])
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

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

// headObject tells of an object: everything, or the properties that are asked
// for.
func (t *Target) headObject(ctx *fasthttp.RequestCtx, bucket, object string, q url.Values) error {
	i, err := t.store.Stat(bucket, object)
	if err != nil {
		return t.explainMissing(bucket, object, err)
	}
	h := &ctx.Response.Header
	h.Set(api.HdrPresent, "true")
	h.SetContentLength(int(min(i.Size, math.MaxInt)))
	if q.Get(api.QparamProps) != "" {
		t.headProps(h, &i, strings.Split(q.Get(api.QparamProps), ","))
		return nil
	}
	objectHeaders(h, &i)
	h.Set(api.HdrName, object)
	h.Set(api.HdrBucketName, bucket)
	h.Set(api.HdrBucketProv, api.ProviderAIS)
	h.Set(api.HdrMirrorCopies, "1")
	h.Set(api.HdrMirrorPaths, "["+t.dir+"]")
	h.Set(api.HdrLocation, t.location())
	return nil
}

// headProps tells what is asked for of an object; name and size are in every
// reply, and what this cluster does not have is left out.
func (t *Target) headProps(h *fasthttp.ResponseHeader, i *store.Info, props []string) {
	var all fasthttp.ResponseHeader
	objectHeaders(&all, i)
	take := func(names ...string) {
		for _, n := range names {
			for _, v := range all.PeekAll(n) {
				h.AddBytesV(n, v)
			}
		}
	}
	for _, p := range props {
		switch strings.TrimSpace(p) {
		case "checksum":
			take(api.HdrChecksumType, api.HdrChecksumValue)
		case "atime":
			take(api.HdrAtime)
		case "version":
			take(api.HdrVersion)
		case "custom":
			take(api.HdrCustomMD)
		case "copies":
			h.Set(api.HdrMirrorCopies, "1")
			h.Set(api.HdrMirrorPaths, t.dir)
		case "location":
			h.Set(api.HdrLocation, t.location())
		case "last-modified":
			h.Set(fasthttp.HeaderLastModified, time.Unix(0, i.Atime).UTC().Format(http.TimeFormat))
		case "etag":
			h.Set(fasthttp.HeaderETag, fmt.Sprintf("\"v1-%s-%s\"", i.Checksum.Value, strconv.FormatInt(i.Atime, 36)))
		}
	}
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
	if !t.writing.enter() {
		return i, t.errLeaving()
	}
	defer t.writing.exit()
	i, err = t.store.Put(t.ctx, bucket, object, src, t.putOptions(bucket, opt))
	if err != nil {
		return i, t.putFailed(bucket, object, err)
	}
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
