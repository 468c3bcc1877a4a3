package node

import (
	_ "embed"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// daemon answers what a node tells of itself and of what it knows.
func (n *node) daemon(ctx *fasthttp.RequestCtx, query string) error {
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	what := q.Get(api.QparamWhat)
	if what == "snode" {
		return writeJSON(ctx, n.self)
	}
	answer := map[string]func(*meta.State) (any, error){
		"smap": func(s *meta.State) (any, error) { return &s.Map, nil },
		"bmd":  bucketMetadata, "config": n.config, "node_status": n.status,
	}[what]
	if answer == nil {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid '%s' request: unrecognized 'what=%s' query", api.PathDaemon, what)
	}
	if err := n.hasState(); err != nil {
		return err
	}
	v, err := answer(n.state())
	if err != nil {
		return err
	}
	return writeJSON(ctx, v)
}

// bucketMetadata is all buckets with their properties.
func bucketMetadata(s *meta.State) (any, error) {
	global := map[string]json.RawMessage{}
	for name, b := range s.Buckets {
		global[name] = bucketProps(b)
	}
	return map[string]any{"providers": map[string]any{api.ProviderAIS: map[string]any{"@#": global}},
		"uuid": s.Map.UUID, "version": version(s.Version)}, nil
}

func version(n int64) string { return strconv.FormatInt(n, 10) }

// configJSON is AIStore's configuration with its defaults. Clients look into
// it; a reference cluster has nothing of it to set.
//
//go:embed config.json
var configJSON []byte

func clusterConfig(s *meta.State) (map[string]any, error) {
	var c map[string]any
	if err := json.Unmarshal(configJSON, &c); err != nil {
		return nil, err
	}
	c["uuid"] = s.Map.UUID
	p := c["proxy"].(map[string]any)
	p["primary_url"], p["original_url"] = s.Map.Primary.ControlNet.URL, s.Map.Primary.PubNet.URL
	return c, nil
}

// config is the cluster's configuration with what is this node's own.
func (n *node) config(s *meta.State) (any, error) {
	c, err := clusterConfig(s)
	if err != nil {
		return nil, err
	}
	c["fspaths"] = map[string]any{}
	if n.data != "" {
		c["fspaths"] = map[string]any{n.data: map[string]any{}}
	}
	c["confdir"], c["log_dir"] = n.data, n.data
	c["test_fspaths"] = map[string]any{"root": "", "count": 0, "instance": 0}
	c["host_net"] = map[string]string{
		"hostname": n.self.PubNet.Addr, "hostname_intra_control": n.self.ControlNet.Addr, "hostname_intra_data": n.self.DataNet.Addr,
		"port": n.self.PubNet.Port, "port_intra_control": n.self.ControlNet.Port, "port_intra_data": n.self.DataNet.Port,
	}
	return c, nil
}

// stateFlags tell that a node has started, and the cluster too.
const stateFlags = 2 | 4

// clusterInfo is the versions of everything that a cluster agrees on.
func clusterInfo(s *meta.State) map[string]any {
	return map[string]any{
		"smap": map[string]any{
			"Primary": map[string]string{"pub_url": s.Map.Primary.PubNet.URL, "control_url": s.Map.Primary.ControlNet.URL, "id": s.Map.Primary.ID},
			"uuid":    s.Map.UUID, "version": version(s.Map.Version)},
		"bmd":    map[string]string{"uuid": s.Map.UUID, "version": version(s.Version)},
		"etlmd":  map[string]string{"version": version(s.Version)},
		"rmd":    map[string]string{"version": "0"},
		"config": map[string]string{"version": "0"},
		"flags":  stateFlags,
	}
}

// reverse passes a question about a node on to it.
func (p *Proxy) reverse(ctx *fasthttp.RequestCtx, query string) error {
	if !ctx.IsGet() {
		methodNotAllowed(ctx, "GET")
		return nil
	}
	id := string(ctx.Request.Header.Peek(api.HdrNodeID))
	s := p.state()
	n := s.Map.Node(id)
	switch {
	case n == nil:
		e := api.Errorf(fasthttp.StatusNotFound, api.KindNodeNotFound,
			"%s: cannot forward request to node node %s not present in Smap v%d", p.name(), id, s.Map.Version)
		// AIStore's proxies take the path for the node's before they look for it.
		e.Method, e.Path, e.RemoteAddr, e.Node = string(ctx.Method()), api.PathDaemon, ctx.RemoteAddr().String(), p.name()
		return e
	case id == p.cfg.ID:
		return p.daemon(ctx, query)
	}
	what, err := url.Parse(n.PubNet.URL + api.PathDaemon + "?" + query)
	if err != nil {
		return api.Errorf(fasthttp.StatusBadRequest, "", "invalid query %q: %v", query, err)
	}
	data, err := p.peers.get(p.ctx, what.String())
	if err != nil {
		return err
	}
	ctx.Response.Header.SetContentType(api.MimeJSON)
	ctx.Response.SetBodyRaw(data)
	return nil
}
