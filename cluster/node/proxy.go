package node

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// ProxyConfig of a Proxy.
type ProxyConfig struct {
	Config
	// Dir keeps the log of the metadata.
	Dir string
	// Copies is a URL whose host stands for all targets, in DNS, or several with
	// commas between: a proxy that begins takes over the newest copy of the
	// metadata that they have. "": it begins an empty cluster.
	Copies string
	// Heartbeat of the proxies' group; see meta.Config.
	Heartbeat time.Duration
}

// Proxy is a gateway: it redirects object calls to their owners and answers
// all others. The proxies replicate the metadata among themselves; the one
// that leads them is the primary, which alone changes it and to which the
// others pass such calls on.
type Proxy struct {
	*node
	dir       string
	copies    string
	heartbeat time.Duration
	jobs      jobList
	// push lets one state go out at a time, so that targets see versions rise.
	push sync.Mutex
	// leads is set while this proxy is the primary and has taken over.
	leads atomic.Bool
	book  addressBook
	alive liveness
}

// NewProxy checks the configuration.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Proxy{node: newNode(api.TypeProxy, cfg.Config, nil), dir: cfg.Dir, copies: cfg.Copies, heartbeat: cfg.Heartbeat}, nil
}

// Serve reads the stored metadata, answers on ln until ctx ends, and returns
// when all is done. It closes ln.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) (err error) {
	p.meta, err = meta.Open(meta.Config{ID: p.cfg.ID, Dir: p.dir, Bootstrap: p.cfg.Primary == "",
		Initial: meta.New(randomID(9), time.Now().UTC().Format(time.DateTime)), Dial: p.dialMember,
		Copy: func() *meta.State { return p.newestCopy(ctx) }, Heartbeat: p.heartbeat, Log: p.log})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	err = p.serve(ctx, []net.Listener{ln}, p.handle, p.expect, p.start)
	return errors.Join(err, p.meta.Close())
}

// primary tells whether this proxy is the primary.
func (p *Proxy) primary() bool { return p.leads.Load() }

func (p *Proxy) start(ctx context.Context) error {
	p.task(p.lead)
	p.task(p.watchTargets)
	if p.meta.Fresh() && p.cfg.Primary != "" {
		return p.join(ctx, true)
	}
	// The others may not run yet, or this proxy may become the primary.
	p.task(p.comeBack)
	return nil
}

// change applies a command and tells every node. Nodes that cannot be reached
// catch up by themselves.
func (p *Proxy) change(c meta.Command) (*meta.State, error) {
	p.push.Lock()
	defer p.push.Unlock()
	s, err := p.meta.Do(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, pushTimeout)
	defer cancel()
	nodes := map[string]*api.NodeInfo{}
	for id, t := range s.Map.Targets {
		nodes[id] = t
	}
	for id, o := range s.Map.Proxies {
		if id != p.cfg.ID {
			nodes[id] = o
		}
	}
	for id, err := range each(nodes, func(o *api.NodeInfo) error {
		return p.peers.call(ctx, o.ControlNet.URL, pathState, s, nil)
	}) {
		p.log.Warn("push state", keyTarget, id, keyErr, err)
	}
	return s, nil
}

// pushTimeout bounds how long a change waits for slow nodes.
const pushTimeout = 5 * time.Second

// handle answers every request of a proxy.
func (p *Proxy) handle(ctx *fasthttp.RequestCtx) {
	if err := p.route(ctx); err != nil {
		p.fail(ctx, err)
	}
}

func (p *Proxy) route(ctx *fasthttp.RequestCtx) error {
	path, query := rawPath(ctx)
	switch {
	case strings.HasPrefix(path, pathInternal):
		return p.internal(ctx, path)
	case path == api.PathHealth:
		return p.health(ctx, query)
	case path == api.PathDaemon:
		return p.daemon(ctx, query)
	}
	if easy, ok := strings.CutPrefix(path, "/"+api.ProviderAIS+"/"); ok {
		path, query = easyPath(easy, query)
	}
	if err := p.hasState(); err != nil {
		return err
	}
	if strings.HasPrefix(path, api.PathObjects+"/") {
		return p.redirectObject(ctx, path, query)
	}
	if path == api.PathReverse {
		return p.reverse(ctx, query)
	}
	h := p.control(path)
	if h == nil {
		return p.errURI(ctx)
	}
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	if !p.primary() {
		passed, err := p.forward(ctx)
		if passed || err != nil {
			return err
		}
	}
	return h(ctx, path, q)
}

// easyPath is the path of an object that is asked for as /ais/bucket/object.
func easyPath(rest, query string) (string, string) {
	if query != "" {
		query = "&" + query
	}
	return api.PathObjects + "/" + rest, api.QparamProvider + "=" + api.ProviderAIS + query
}

type controlHandler func(ctx *fasthttp.RequestCtx, path string, q url.Values) error

// control finds the handler of a call that the primary answers.
func (p *Proxy) control(path string) controlHandler {
	in := func(root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
	switch {
	case in(api.PathBuckets):
		return p.buckets
	case in(api.PathETL):
		return p.etl
	case path == api.PathCluster:
		return p.cluster
	case path == pathDownload || path == pathSort:
		return p.noJobs
	}
	return nil
}

func (n *node) errURI(ctx *fasthttp.RequestCtx) error {
	path, _ := rawPath(ctx)
	return api.Errorf(fasthttp.StatusBadRequest, "", "invalid request URI: '%s %s' from %s", ctx.Method(), path, ctx.RemoteAddr())
}

// expect answers a client that waits for leave to send its object: the
// redirect comes at once, and the object is never sent here.
func (p *Proxy) expect(ctx *fasthttp.RequestCtx) int {
	path, query := rawPath(ctx)
	if !strings.HasPrefix(path, api.PathObjects+"/") {
		return fasthttp.StatusContinue
	}
	err := p.hasState()
	if err == nil {
		err = p.redirectObject(ctx, path, query)
	}
	if err != nil {
		p.fail(ctx, err)
	}
	return ctx.Response.StatusCode()
}

const objectMethods = "DELETE, GET, HEAD, POST, PUT"

// redirectObject sends a client to the target that owns the object.
func (p *Proxy) redirectObject(ctx *fasthttp.RequestCtx, path, query string) error {
	status := fasthttp.StatusTemporaryRedirect
	switch string(ctx.Method()) {
	case fasthttp.MethodGet:
		status = fasthttp.StatusMovedPermanently
	case fasthttp.MethodHead, fasthttp.MethodPut, fasthttp.MethodDelete, fasthttp.MethodPost:
	case fasthttp.MethodOptions:
		ctx.Response.Header.Set("Allow", objectMethods)
		return nil
	default:
		methodNotAllowed(ctx, objectMethods)
		return nil
	}
	bucket, object, q, err := objectCall(path, query)
	if err != nil {
		return err
	}
	s := p.state()
	if _, ok := s.Buckets[bucket]; !ok {
		return errNoBucket(bucket)
	}
	// A PUT that makes another object of this one.
	if etl := q.Get(api.QparamETLName); etl != "" && ctx.IsPut() && q.Get(api.QparamObjTo) != "" {
		if _, _, ok := s.ETL(etl); !ok {
			return api.Errorf(fasthttp.StatusBadRequest, "", "ETL %s doesn't exist", etl)
		}
	}
	owner, err := s.Map.Owner(api.AIS(bucket), object)
	if err != nil {
		return err
	}
	if err := p.checkAlive(owner); err != nil {
		return err
	}
	loc := owner.PubNet.URL + p.targetURI(path, query, q)
	redirect(ctx, status, loc)
	return nil
}

// redirect sends a client elsewhere, with the body that Go's own servers send
// along.
func redirect(ctx *fasthttp.RequestCtx, status int, to string) {
	ctx.SetStatusCode(status)
	ctx.Response.Header.Set("Location", to)
	if !ctx.IsGet() && !ctx.IsHead() {
		return
	}
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	if ctx.IsGet() {
		ctx.Response.SetBodyString(`<a href="` + html.EscapeString(to) + `">` + fasthttp.StatusMessage(status) + "</a>.\n\n")
	}
}

// targetURI is the redirected path and query: as the client sent them, with
// this proxy's id and the time. A path that needs escaping is escaped anew and
// its query sorted, as AIStore does.
func (p *Proxy) targetURI(path, query string, q url.Values) string {
	utm := strconv.FormatInt(time.Now().UnixNano(), 36)
	plain, err := url.PathUnescape(path)
	hasControl := strings.ContainsFunc(query, unicode.IsControl) // which a URL must not have
	if err == nil && !hasControl && plain == path && (&url.URL{Path: plain}).EscapedPath() == path {
		if query != "" {
			query += "&"
		}
		return path + "?" + query + api.QparamProxyID + "=" + p.cfg.ID + "&" + api.QparamUnixTime + "=" + utm
	}
	q.Set(api.QparamProxyID, p.cfg.ID)
	q.Set(api.QparamUnixTime, utm)
	return (&url.URL{Path: plain}).EscapedPath() + "?" + q.Encode()
}

// health answers probes; with readiness or prr only once there are targets
// to serve with.
func (p *Proxy) health(ctx *fasthttp.RequestCtx, query string) error {
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	s := p.state()
	ns := strconv.FormatInt(int64(time.Since(p.started)), 10)
	ctx.Response.Header.Set(api.HdrNodeUptime, ns)
	ctx.Response.Header.Set(api.HdrClusterUptime, ns)
	if (q.Has("readiness") || q.Has("prr")) && len(s.Map.Targets) == 0 {
		return api.Errorf(fasthttp.StatusServiceUnavailable, "", "%s: no target has joined yet", p.name())
	}
	if q.Has("cii") {
		if err := p.hasState(); err != nil {
			return err
		}
		return writeJSON(ctx, clusterInfo(s))
	}
	return nil
}

// hasState refuses what a node cannot answer before it has the cluster's
// metadata: nothing in it is not the same as nothing in the cluster.
func (n *node) hasState() error {
	if n.state().Map.Primary == nil {
		return api.Errorf(fasthttp.StatusServiceUnavailable, "", "%s is starting: the cluster's metadata is not here yet", n.name())
	}
	return nil
}

// firstError is the error of the first target by ID, with how many others
// failed too; nil when there is none.
func firstError(errs map[string]error) error {
	first := ""
	for id := range errs {
		if first == "" || id < first {
			first = id
		}
	}
	switch {
	case first == "":
		return nil
	case len(errs) == 1:
		return errs[first]
	}
	return fmt.Errorf("%w (and %d more targets)", errs[first], len(errs)-1)
}
