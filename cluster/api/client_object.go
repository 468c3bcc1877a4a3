package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// ObjectInfo is what a reply's headers tell of an object. What they do not
// tell is zero; Size is then -1.
type ObjectInfo struct {
	Size          int64
	ChecksumType  string
	ChecksumValue string
	Version       string
	Atime         time.Time
	Custom        map[string]string
	Location      string
}

func objectInfo(resp *http.Response) ObjectInfo {
	h := resp.Header
	i := ObjectInfo{Size: resp.ContentLength, ChecksumType: h.Get(HdrChecksumType), ChecksumValue: h.Get(HdrChecksumValue),
		Version: h.Get(HdrVersion), Location: h.Get(HdrLocation)}
	if ns, err := strconv.ParseInt(h.Get(HdrAtime), 10, 64); err == nil {
		i.Atime = time.Unix(0, ns)
	}
	for _, line := range h.Values(HdrCustomMD) {
		if k, v, ok := strings.Cut(line, "="); ok {
			if i.Custom == nil {
				i.Custom = map[string]string{}
			}
			i.Custom[k] = v
		}
	}
	return i
}

// newHash makes the hash of a checksum type, or nil for one that is not
// checked here. A bucket's own type is xxhash2 unless somebody changed it.
func newHash(checksumType string) hash.Hash64 {
	if checksumType == "xxhash" || checksumType == "xxhash2" { // one function, two names
		return xxhash.New()
	}
	return nil
}

// ErrChecksum is content that is not what its checksum says.
var ErrChecksum = errors.New("the checksums differ")

// check compares what was sent or received with what the cluster has.
func (i *ObjectInfo) check(sum uint64) error {
	if got := fmt.Sprintf("%016x", sum); newHash(i.ChecksumType) != nil && got != i.ChecksumValue {
		return fmt.Errorf("%w: %s here, %s in the cluster", ErrChecksum, got, i.ChecksumValue)
	}
	return nil
}

// HeadObject asks what a cluster knows of an object.
func (c *Client) HeadObject(ctx context.Context, b Bucket, name string) (*ObjectInfo, error) {
	resp, err := c.send(ctx, request{method: http.MethodHead, path: ObjectPath(b, name), query: provider(b)})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	i := objectInfo(resp)
	return &i, nil
}

// HeadBucket gives the properties of a bucket, as JSON.
func (c *Client) HeadBucket(ctx context.Context, b Bucket) (json.RawMessage, error) {
	resp, err := c.send(ctx, request{method: http.MethodHead, path: bucketPath(b), query: provider(b)})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	props := json.RawMessage(resp.Header.Get(HdrBucketProps))
	if !json.Valid(props) {
		return nil, fmt.Errorf("HEAD %s: no properties in the reply", b)
	}
	return props, nil
}

// PutObject is Put that also compares the checksum of what was stored with
// what was sent. Size -1 means unknown; the info has the size that was sent.
func (c *Client) PutObject(ctx context.Context, b Bucket, name string, body io.Reader, size int64) (*ObjectInfo, error) {
	sent := &counter{h: xxhash.New()}
	resp, err := c.send(ctx, putRequest(b, name, io.TeeReader(body, sent), size))
	if err != nil {
		return nil, err
	}
	drop(resp.Body)
	i := objectInfo(resp)
	i.Size = sent.n
	return &i, i.check(sent.h.Sum64())
}

// counter counts and digests what is written to it.
type counter struct {
	h hash.Hash64
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.h.Write(p)
}

// GetOptions says what of an object is asked for.
type GetOptions struct {
	// Query holds what an ETL is told: etl_name, etl_args, etl_pipeline.
	Query url.Values
	// Offset and Length are a range of bytes; Length 0 means to the end.
	Offset, Length int64
}

func (o *GetOptions) ranged() bool { return o.Offset > 0 || o.Length > 0 }

func (o *GetOptions) header() http.Header {
	if !o.ranged() {
		return nil
	}
	last := ""
	if o.Length > 0 {
		last = strconv.FormatInt(o.Offset+o.Length-1, 10)
	}
	return http.Header{"Range": {fmt.Sprintf("bytes=%d-%s", o.Offset, last)}}
}

// Object is an object's content on its way. The caller closes it.
type Object struct {
	ObjectInfo // of the whole object; Size is that of what comes
	body       io.ReadCloser
	part       bool // of the object: the checksum is not of this
}

// GetObject opens an object, a range of it, or what an ETL makes of it.
func (c *Client) GetObject(ctx context.Context, b Bucket, name string, opt GetOptions) (*Object, error) {
	q := provider(b)
	for k, v := range opt.Query {
		q[k] = v
	}
	resp, err := c.send(ctx, request{method: http.MethodGet, path: ObjectPath(b, name), query: q, header: opt.header()})
	if err != nil {
		return nil, err
	}
	if opt.ranged() && resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s/%s: asked for a range, the reply is not one (status %d)", b, name, resp.StatusCode)
	}
	return &Object{ObjectInfo: objectInfo(resp), body: resp.Body, part: opt.ranged()}, nil
}

// Close ends the transfer.
func (o *Object) Close() error { return o.body.Close() }

// CopyTo writes the content to w and checks it: its length, and the checksum if
// the reply has one. With an error, what w has got is not the object.
func (o *Object) CopyTo(w io.Writer) (int64, error) {
	got := &counter{h: xxhash.New()}
	n, err := io.Copy(io.MultiWriter(w, got), o.body)
	switch {
	case err != nil:
		return n, fmt.Errorf("after %d bytes: %w", n, err)
	case o.Size >= 0 && n != o.Size:
		return n, fmt.Errorf("after %d of %d bytes: %w", n, o.Size, io.ErrUnexpectedEOF)
	case o.part:
		return n, nil
	}
	return n, o.check(got.h.Sum64())
}
