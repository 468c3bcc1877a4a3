package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/meta"
)

// addressBook is where other proxies said they are, before the metadata can
// have it: there may be no majority to note it.
type addressBook struct {
	mu   sync.Mutex
	urls map[string]string // by ID; guarded by mu
}

func (b *addressBook) note(id, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.urls == nil {
		b.urls = map[string]string{}
	}
	b.urls[id] = url
}

func (b *addressBook) get(id string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.urls[id]
}

// proxyURLs are the addresses at which another proxy may be.
func (p *Proxy) proxyURLs(id string) []string {
	var urls []string
	if o := p.state().Map.Proxies[id]; o != nil {
		urls = append(urls, o.ControlNet.URL)
	}
	if u := p.book.get(id); u != "" {
		urls = append(urls, u)
	}
	return urls
}

// dialMember opens a stream of the log to another proxy: an HTTP connection
// with the cluster's secret, which turns into a plain one.
func (p *Proxy) dialMember(ctx context.Context, id string) (net.Conn, error) {
	err := fmt.Errorf("%w: nobody knows where %s is", errPeer, api.NodeName(api.TypeProxy, id))
	for _, u := range p.proxyURLs(id) {
		var c net.Conn
		if c, err = p.dialStream(ctx, u, id); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (p *Proxy) dialStream(ctx context.Context, base, id string) (net.Conn, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	req, err := http.NewRequest(http.MethodPost, base+pathRaft, nil)
	if err == nil {
		req.Header.Set(hdrSecret, p.cfg.Secret)
		req.Header.Set(hdrMember, id)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "raft")
		err = req.Write(c)
	}
	var resp *http.Response
	if err == nil {
		// The other side speaks only when it was spoken to: nothing of the
		// stream is in the reader.
		resp, err = http.ReadResponse(bufio.NewReader(c), req)
	}
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("%s: status %d", base, resp.StatusCode)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// stream takes a stream of the log from another proxy.
func (p *Proxy) stream(ctx *fasthttp.RequestCtx) error {
	if id := string(ctx.Request.Header.Peek(hdrMember)); id != p.cfg.ID {
		return api.Errorf(fasthttp.StatusNotFound, api.KindNodeNotFound, "%s is not %s", p.name(), id)
	}
	ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
	ctx.Response.Header.Set("Connection", "Upgrade")
	ctx.Response.Header.Set("Upgrade", "raft")
	ctx.Hijack(p.meta.Accept)
	return nil
}

// lead makes this proxy the primary for as long as it leads the others.
func (p *Proxy) lead(ctx context.Context) {
	retry := time.NewTicker(beat)
	defer retry.Stop()
	for {
		if !p.meta.Leading() {
			p.leads.Store(false)
		} else if !p.leads.Load() {
			if err := p.takeOver(); err != nil {
				p.log.Warn("take over", keyErr, err)
			}
		}
		select {
		case <-ctx.Done():
			p.leads.Store(false)
			return
		case <-p.meta.Leads():
			p.leads.Store(false)
		case <-retry.C:
		}
	}
}

// takeOver makes the leader the primary. ETLs that run go on; those that were
// starting have lost whoever started them.
func (p *Proxy) takeOver() error {
	if err := p.meta.CatchUp(); err != nil {
		return err
	}
	before := p.state()
	self := *p.self
	self.Flags |= api.FlagIC
	if _, err := p.change(meta.Command{Join: &self}); err != nil {
		return err
	}
	for name, e := range before.ETLs {
		if e.Stage != api.StageInitializing {
			continue
		}
		if err := p.stopETL(name, e, "the primary was lost while it started"); err != nil {
			return err
		}
	}
	p.leads.Store(true)
	p.log.Info("is the primary", "map", p.state().Map.Version)
	return nil
}

// comeBack tells the primary where this proxy is now, until the map has it.
func (p *Proxy) comeBack(ctx context.Context) {
	for wait := joinWait; ; wait = min(2*wait, joinMost) {
		if is := p.state().Map.Proxies[p.cfg.ID]; is != nil && is.ControlNet.URL == p.self.ControlNet.URL && is.PubNet.URL == p.self.PubNet.URL {
			return
		}
		// Whoever it reaches notes the address, also when there is no primary.
		for _, u := range p.proxies() {
			var s meta.State
			c, cancel := context.WithTimeout(ctx, primaryTime)
			err := p.peers.call(c, u, pathJoin, joinMsg{NodeInfo: *p.self}, &s)
			cancel()
			if err == nil {
				_ = p.replaceState(&s) // nothing refuses it on a proxy
				break
			}
			p.log.Debug("come back", keyErr, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Times of passing a call on.
const (
	forwardTimeout = time.Hour       // an ETL may take as long to start as its creator allows
	electionTime   = 8 * time.Second // for the others to find a new primary
	electionPoll   = 20 * time.Millisecond
)

// forward passes a call on to the primary, and waits for an election if it
// must. It tells whether it did: without a primary, reads are answered here,
// and so is everything when this proxy has become the primary.
func (p *Proxy) forward(ctx *fasthttp.RequestCtx) (passed bool, err error) {
	data, err := readBody(ctx)
	if err != nil {
		return false, err
	}
	ctx.SetUserValue(bodyKey{}, bodyOf(data))
	read := ctx.IsGet() || ctx.IsHead()
	end := time.Now().Add(electionTime)
	for {
		if p.primary() {
			return false, nil
		}
		err := error(meta.ErrNoLeader)
		// What was passed on once is not passed on again: the others may still
		// have it wrong.
		if base := p.leaderURL(); base != "" && len(ctx.Request.Header.Peek(hdrPassed)) == 0 {
			if err = p.pass(ctx, base, data); err == nil {
				return true, nil
			}
			// Only a call that has not reached anybody may be sent again.
			if !read && !errors.Is(err, syscall.ECONNREFUSED) {
				return false, err
			}
		}
		if read {
			return false, nil
		}
		if time.Now().After(end) {
			return false, err
		}
		select {
		case <-p.ctx.Done():
			return false, err
		case <-time.After(electionPoll):
		}
	}
}

// leaderURL is where the leader of the proxies is, "" when there is none or it
// is this one.
func (p *Proxy) leaderURL() string {
	id := p.meta.Leader()
	if id == "" || id == p.cfg.ID {
		return ""
	}
	if urls := p.proxyURLs(id); len(urls) > 0 {
		return urls[0]
	}
	return ""
}

// pass sends a call to the primary on a connection of its own: a call on one
// that its other end has just closed may have been heard or not, and cannot be
// repeated. The connection ends with the client's, so that the primary sees
// the client hang up.
func (p *Proxy) pass(ctx *fasthttp.RequestCtx, base string, data []byte) error {
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	ctx.Request.Header.CopyTo(&req.Header)
	req.Header.Set(hdrPassed, p.cfg.ID)
	req.SetRequestURI(base + string(ctx.Request.Header.RequestURI()))
	req.SetBodyRaw(data)
	req.SetConnectionClose()
	conn, err := dialPeer(string(req.URI().Host()))
	if err != nil {
		return fmt.Errorf("%w: %s: the primary %s: %w", errPeer, p.name(), base, err)
	}
	defer conn.Close()
	client := &fasthttp.HostClient{Addr: string(req.URI().Host()), Dial: func(string) (net.Conn, error) { return conn, nil }, RetryIfErr: neverRetry,
		NoDefaultUserAgentHeader: true, DisablePathNormalizing: true, ReadBufferSize: headerSize, WriteBufferSize: writeSize}
	stop := p.watchClient(ctx, func() { conn.Close() })
	err = client.DoTimeout(req, &ctx.Response, forwardTimeout)
	stop()
	if err != nil {
		return fmt.Errorf("%w: %s: the primary %s: %w", errPeer, p.name(), base, err)
	}
	// What the primary has not said is not said here either.
	ctx.Response.Header.SetNoDefaultContentType(true)
	// That end is the primary's business; the client's connection goes on.
	ctx.Response.Header.ResetConnectionClose()
	return nil
}

func neverRetry(*fasthttp.Request, int, error) (resetTimeout, retry bool) { return false, false }

// gonePoll is how often a client that waits is looked after.
const gonePoll = 200 * time.Millisecond

// watchClient calls gone when a client hangs up, or the node stops, before stop
// is called. stop must be called before the handler ends.
func (n *node) watchClient(ctx *fasthttp.RequestCtx, gone func()) (stop func()) {
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(gonePoll)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-n.ctx.Done():
				gone()
				return
			case <-tick.C:
			}
			if comm.ClientGone(ctx) {
				gone()
				return
			}
		}
	}()
	return func() {
		close(done)
		<-watched // it looks at ctx, which ends with the handler
	}
}
