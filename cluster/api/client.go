package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client talks to a cluster through one proxy. It is made for control and for
// single objects; load is issued by the loader's own drivers. Methods may be
// called concurrently. Error replies come back as *Error.
type Client struct {
	base string
	http *http.Client // follows no redirects: see send
}

// NewClient returns a client of the proxy at base ("http://host:port").
func NewClient(base string) *Client {
	return &Client{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{
			// Nodes are near and named by the user: a proxy from the
			// environment would only stand in between. Objects come as they are:
			// nothing is unpacked on the way.
			Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// URL is the base that the client was made with.
func (c *Client) URL() string { return c.base }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxReply bounds what is read of a control reply.
const maxReply = 64 << 20

// maxRedirects is one more than any path needs: proxy, target, pod.
const maxRedirects = 4

// request is one call; body is marshalled unless it is an io.Reader.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any
	size         int64 // of an io.Reader body, -1 when unknown
}

// send follows redirects, which keep their method here, and turns replies of
// 400 and above into errors. The caller closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	first := c.base + r.path
	if len(r.query) > 0 {
		first += "?" + r.query.Encode()
	}
	target := first
	stream, streamed := r.body.(io.Reader)
	for range maxRedirects {
		var body io.Reader
		var size int64
		switch {
		case streamed && target == first:
			// The first hop only says where to go; it gets no body.
		case streamed:
			body, size = stream, r.size
		case r.body != nil:
			data, err := json.Marshal(r.body)
			if err != nil {
				return nil, err
			}
			body, size = bytes.NewReader(data), int64(len(data))
		}
		resp, err := c.once(ctx, r, target, body, size)
		if err != nil {
			return nil, err
		}
		loc := resp.Header.Get("Location")
		if resp.StatusCode/100 != 3 || loc == "" {
			err := replyError(resp)
			if err == nil && streamed && target == first {
				drop(resp.Body)
				err = fmt.Errorf("%s %s: no redirect to a target: not a proxy of AIStore", r.method, target)
			}
			return resp, err
		}
		drop(resp.Body)
		target = loc
	}
	return nil, fmt.Errorf("%s %s: more than %d redirects", r.method, r.path, maxRedirects)
}

func (c *Client) once(ctx context.Context, r request, target string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	for k, v := range r.header {
		req.Header[k] = v
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// url.Error repeats method and URL, which callers say better.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("%s %s: %w", r.method, target, err)
	}
	return resp, nil
}

// replyError closes the body of a failed reply.
func replyError(resp *http.Response) error {
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	defer resp.Body.Close()
	if h := resp.Header.Get(HdrError); h != "" {
		return ParseError(resp.StatusCode, []byte(h))
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return ParseError(resp.StatusCode, data)
}

func drop(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}

// call sends and decodes: out is nil, a *string (the bare body) or a pointer
// that JSON decodes into.
func (c *Client) call(ctx context.Context, r request, out any) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *string:
		*out = string(data)
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: reply: %w", r.method, r.path, err)
	}
	return nil
}

func bucketPath(b Bucket) string { return PathBuckets + "/" + url.PathEscape(b.Name) }

// ObjectPath is the URL path of an object. Slashes in its name stay.
func ObjectPath(b Bucket, name string) string {
	p := (&url.URL{Path: name}).EscapedPath()
	return PathObjects + "/" + url.PathEscape(b.Name) + "/" + p
}

func provider(b Bucket) url.Values {
	p := b.Provider
	if p == "" {
		p = ProviderAIS
	}
	return url.Values{QparamProvider: {p}}
}

// Healthy asks a node whether it is ready to serve.
func (c *Client) Healthy(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodGet, path: PathHealth, query: url.Values{"readiness": {"true"}}}, nil)
}

// Map asks for the cluster map.
func (c *Client) Map(ctx context.Context) (*Map, error) {
	m := &Map{}
	return m, c.call(ctx, request{method: http.MethodGet, path: PathDaemon, query: url.Values{QparamWhat: {"smap"}}}, m)
}

// Node asks a node who it is.
func (c *Client) Node(ctx context.Context) (*NodeInfo, error) {
	n := &NodeInfo{}
	return n, c.call(ctx, request{method: http.MethodGet, path: PathDaemon, query: url.Values{QparamWhat: {"snode"}}}, n)
}

// NodeUse is what a node's process has used.
type NodeUse struct {
	CPU      float64 // seconds, since it began
	Resident int64   // bytes, at the moment
}

// NodeUse asks a node what it has used.
func (c *Client) NodeUse(ctx context.Context) (u NodeUse, err error) {
	var status struct {
		Sys struct {
			Proc *struct {
				CPU struct {
					Total float64 // ms
				}
				Mem struct {
					Resident int64
				}
			} `json:"proc"`
		} `json:"sys_info"`
	}
	err = c.call(ctx, request{method: http.MethodGet, path: PathDaemon, query: url.Values{QparamWhat: {"node_status"}}}, &status)
	if err == nil && status.Sys.Proc == nil {
		err = fmt.Errorf("%s says nothing of its process", c.URL())
	}
	if err == nil {
		u = NodeUse{CPU: status.Sys.Proc.CPU.Total / 1e3, Resident: status.Sys.Proc.Mem.Resident}
	}
	return u, err
}

// CreateBucket fails with ErrExists when the bucket is there.
func (c *Client) CreateBucket(ctx context.Context, b Bucket) error {
	return c.call(ctx, request{method: http.MethodPost, path: bucketPath(b), query: provider(b),
		body: ActMsg{Action: ActCreateBucket}}, nil)
}

// DestroyBucket removes a bucket with all its objects.
func (c *Client) DestroyBucket(ctx context.Context, b Bucket) error {
	return c.call(ctx, request{method: http.MethodDelete, path: bucketPath(b), query: provider(b),
		body: ActMsg{Action: ActDestroyBucket}}, nil)
}

// Buckets lists the ais buckets, sorted by name.
func (c *Client) Buckets(ctx context.Context) ([]Bucket, error) {
	var list []Bucket
	return list, c.call(ctx, request{method: http.MethodGet, path: PathBuckets,
		query: url.Values{QparamProvider: {ProviderAIS}, "presence": {"2"}}, body: ActMsg{Action: ActList}}, &list)
}

// List asks for one page of a bucket's objects, in msgpack.
func (c *Client) List(ctx context.Context, b Bucket, msg ListMsg) (*ListPage, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: bucketPath(b), query: provider(b),
		header: http.Header{"Accept": {MimeMsgpack}}, body: ActMsg{Action: ActList, Value: msg}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", b, err)
	}
	return ParseMsgpackPage(data)
}

// ListAll calls fn for every object of a bucket, in byte order of the names.
func (c *Client) ListAll(ctx context.Context, b Bucket, fn func(*ListEntry) error) error {
	return c.ListEach(ctx, b, ListMsg{}, fn)
}

// ListEach is ListAll of the objects, and with the properties, that msg asks
// for; its PageSize is the size of one request's reply.
func (c *Client) ListEach(ctx context.Context, b Bucket, msg ListMsg, fn func(*ListEntry) error) error {
	for {
		page, err := c.List(ctx, b, msg)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if page.Token == "" {
			return nil
		}
		msg.UUID, msg.Token = page.UUID, page.Token
	}
}

// Put stores an object of size bytes, or of unknown size with -1. It asks the
// proxy where to go first, so the body is sent once.
func (c *Client) Put(ctx context.Context, b Bucket, name string, body io.Reader, size int64) error {
	return c.call(ctx, putRequest(b, name, body, size), nil)
}

func putRequest(b Bucket, name string, body io.Reader, size int64) request {
	return request{method: http.MethodPut, path: ObjectPath(b, name), query: provider(b),
		header: http.Header{"Content-Type": {MimeBinary}}, body: body, size: size}
}

// Get opens an object, or what an ETL makes of it when query has etl_name. The
// caller closes the body; the length is -1 when unknown.
func (c *Client) Get(ctx context.Context, b Bucket, name string, query url.Values) (io.ReadCloser, int64, error) {
	q := provider(b)
	for k, v := range query {
		q[k] = v
	}
	resp, err := c.send(ctx, request{method: http.MethodGet, path: ObjectPath(b, name), query: q})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, b Bucket, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: ObjectPath(b, name), query: provider(b)}, nil)
}

// InitETL starts an ETL on every target and waits until it runs. It returns
// the reply: a name in the old dialect, a xaction id in the new one; both are
// accepted wherever a name is.
func (c *Client) InitETL(ctx context.Context, s *ETLSpec) (string, error) {
	var id string
	return id, c.call(ctx, request{method: http.MethodPut, path: PathETL, body: s}, &id)
}

func etlPath(name string, more ...string) string {
	return strings.Join(append([]string{PathETL, url.PathEscape(name)}, more...), "/")
}

// ETLs lists all ETLs, stopped ones too.
func (c *Client) ETLs(ctx context.Context) ([]ETLInfo, error) {
	var list []ETLInfo
	return list, c.call(ctx, request{method: http.MethodGet, path: PathETL}, &list)
}

// ETL tells how an ETL was made and what it failed on.
func (c *Client) ETL(ctx context.Context, name string) (*ETLDetails, error) {
	d := &ETLDetails{}
	return d, c.call(ctx, request{method: http.MethodGet, path: etlPath(name), query: url.Values{QparamStarts: {"true"}}}, d)
}

// ETLLogs gives the end of each pod's log.
func (c *Client) ETLLogs(ctx context.Context, name string) ([]ETLLogs, error) {
	var list []ETLLogs
	return list, c.call(ctx, request{method: http.MethodGet, path: etlPath(name, "logs")}, &list)
}

// ETLMetrics tells what each pod of an ETL takes of its machine.
func (c *Client) ETLMetrics(ctx context.Context, name string) ([]ETLMetrics, error) {
	var list []ETLMetrics
	return list, c.call(ctx, request{method: http.MethodGet, path: etlPath(name, "metrics")}, &list)
}

// StopETL stops an ETL's pods and keeps its definition.
func (c *Client) StopETL(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodPost, path: etlPath(name, "stop")}, nil)
}

// StartETL starts a stopped or aborted ETL again.
func (c *Client) StartETL(ctx context.Context, name string) (string, error) {
	var id string
	return id, c.call(ctx, request{method: http.MethodPost, path: etlPath(name, "start")}, &id)
}

// DeleteETL stops an ETL and forgets it.
func (c *Client) DeleteETL(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: etlPath(name)}, nil)
}
