package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/store"
)

// Paths of calls between nodes. They are this cluster's own: no client sees
// them, and they are refused without the cluster's secret.
const (
	pathInternal   = "/v1/internal/"
	pathJoin       = pathInternal + "join"
	pathBeat       = pathInternal + "beat"
	pathState      = pathInternal + "state"
	pathRaft       = pathInternal + "raft"
	pathPing       = pathInternal + "ping"
	pathCopy       = pathInternal + "copy"
	pathLeave      = pathInternal + "leave"
	pathList       = pathInternal + "list"
	pathETLStart   = pathInternal + "etl/start"
	pathETLStop    = pathInternal + "etl/stop"
	pathETLInfo    = pathInternal + "etl/info"
	pathETLLogs    = pathInternal + "etl/logs"
	pathETLAborted = pathInternal + "etl/aborted"
	pathJobBegin   = pathInternal + "job/begin"
	pathJobCommit  = pathInternal + "job/commit"
	pathJobAbort   = pathInternal + "job/abort"
	pathJobQuery   = pathInternal + "job/query"
	pathJobErrors  = pathInternal + "job/errors"
	pathJobFailed  = pathInternal + "job/failed"
	pathSummary    = pathInternal + "summary"
	pathMissing    = pathInternal + "missing"
	pathObject     = pathInternal + "object/" // and the escaped uname
)

// Headers of calls between nodes.
const (
	hdrSecret = "Etlbench-Secret"
	hdrCaller = "Etlbench-Caller" // the calling node's name
	hdrMember = "Etlbench-Member" // the proxy that a stream of the log is meant for
	hdrPassed = "Etlbench-Passed" // set on calls that a proxy has passed on to the primary
)

// peers is a node's client of the other nodes.
type peers struct {
	secret, caller string
	http           *fasthttp.Client
}

// peerTimeout bounds a call between nodes that no context bounds.
const peerTimeout = 30 * time.Second

func newPeers(secret, caller string) *peers {
	return &peers{secret: secret, caller: caller, http: &fasthttp.Client{
		NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		MaxConnsPerHost: 1024, MaxIdleConnDuration: idleTime / 2, Dial: dialPeer,
		ReadBufferSize: headerSize, WriteBufferSize: writeSize,
	}}
}

// peerConn gives every write a deadline of its own. fasthttp has one for a
// whole request, which a large object needs more time than.
type peerConn struct{ net.Conn }

func (c peerConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(peerTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// dialPeer connects. fasthttp's own dialer remembers for a minute where a name
// led, and a node may be back elsewhere sooner.
func dialPeer(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, peerTimeout)
	if err != nil {
		return nil, err
	}
	return peerConn{conn}, nil
}

func (p *peers) close() { p.http.CloseIdleConnections() }

// call posts in as JSON to a node and decodes the answer into out, if any.
func (p *peers) call(ctx context.Context, base, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(base + path)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetBodyRaw(body)
	if err := p.do(ctx, req, resp); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Body(), out); err != nil {
		return fmt.Errorf("%s%s: reply: %w", base, path, err)
	}
	return nil
}

// get asks a node what any client may ask.
func (p *peers) get(ctx context.Context, url string) ([]byte, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(url)
	if err := p.do(ctx, req, resp); err != nil {
		return nil, err
	}
	return bytes.Clone(resp.Body()), nil
}

// put sends an object to another target.
func (p *peers) put(url string, body io.Reader, opt store.PutOptions) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(url)
	req.URI().DisablePathNormalizing = true
	req.Header.SetMethod(fasthttp.MethodPut)
	if opt.Expect.Value != "" {
		req.Header.Set(api.HdrChecksumType, opt.Expect.Type)
		req.Header.Set(api.HdrChecksumValue, opt.Expect.Value)
	}
	for k, v := range opt.Custom {
		req.Header.Add(api.HdrCustomMD, k+"="+v)
	}
	req.SetBodyStream(body, int(opt.Size))
	// However long the object takes: its transformer's stalls end it, and a
	// target that does not take it makes every single write time out.
	return p.send(req, resp, p.http.Do)
}

// do sends req, for as long as ctx allows.
func (p *peers) do(ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(peerTimeout)
	}
	return p.send(req, resp, func(req *fasthttp.Request, resp *fasthttp.Response) error {
		return p.http.DoDeadline(req, resp, deadline)
	})
}

// errPeer is a node that does not answer.
var errPeer = errors.New("node does not answer")

// send sends req by do. Error replies become *api.Error.
func (p *peers) send(req *fasthttp.Request, resp *fasthttp.Response, do func(*fasthttp.Request, *fasthttp.Response) error) error {
	req.Header.Set(hdrSecret, p.secret)
	req.Header.Set(hdrCaller, p.caller)
	if err := do(req, resp); err != nil {
		return fmt.Errorf("%w: %s: %w", errPeer, req.URI().Host(), err)
	}
	if status := resp.StatusCode(); status >= fasthttp.StatusBadRequest {
		return api.ParseError(status, resp.Body())
	}
	return nil
}

// each calls fn for every target at once and waits for all. The errors have
// the targets' IDs as keys; targets without one are left out.
func each(targets map[string]*api.NodeInfo, fn func(*api.NodeInfo) error) map[string]error {
	var (
		mu   sync.Mutex
		errs = map[string]error{}
		wg   sync.WaitGroup
	)
	for id, t := range targets {
		wg.Go(func() {
			if err := fn(t); err != nil {
				if errors.Is(err, errPeer) {
					err = fmt.Errorf("%s is unreachable: %w", t.Name(), err)
				}
				mu.Lock()
				defer mu.Unlock()
				errs[id] = err
			}
		})
	}
	wg.Wait()
	return errs
}
