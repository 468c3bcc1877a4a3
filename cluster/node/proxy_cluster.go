package node

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// cluster answers /v1/cluster: jobs, mostly.
func (p *Proxy) cluster(ctx *fasthttp.RequestCtx, _ string, q url.Values) error {
	switch string(ctx.Method()) {
	case fasthttp.MethodPut:
		return p.putCluster(ctx)
	case fasthttp.MethodGet:
	default:
		methodNotAllowed(ctx, "GET, PUT")
		return nil
	}
	switch what := q.Get(api.QparamWhat); what {
	case "smap":
		return writeJSON(ctx, &p.state().Map)
	case "cluster_config":
		c, err := clusterConfig(p.state())
		if err != nil {
			return err
		}
		return writeJSON(ctx, c)
	case "target_ips":
		writeText(ctx, p.targetIPs())
		return nil
	case "backends": // of other providers' buckets: there are none
		return writeJSON(ctx, []string{})
	case "remote": // other clusters
		return writeJSON(ctx, map[string]any{"a": nil, "ver": 0})
	case "status", "status_all", "qryxstats", "running_all":
		return p.getJobs(ctx, what)
	default:
		return api.Errorf(fasthttp.StatusBadRequest, "", "unexpected query [what=%s]", what)
	}
}

// targetIPs lists the addresses of the targets: of each, those of its three
// networks.
func (p *Proxy) targetIPs() string {
	var ips []string
	targets := p.state().Map.Targets
	for _, id := range sortedKeys(targets) {
		t := targets[id]
		ips = append(ips, t.PubNet.Addr, t.ControlNet.Addr, t.DataNet.Addr)
	}
	return strings.Join(ips, ",")
}

// noJobs answers for downloads and sorts, which a reference cluster never has;
// clients ask for them whenever they list jobs.
func (p *Proxy) noJobs(ctx *fasthttp.RequestCtx, path string, _ url.Values) error {
	if !ctx.IsGet() {
		return api.Errorf(fasthttp.StatusNotImplemented, api.KindUnsupported, "%s: %s %s is not part of a reference cluster", p.name(), ctx.Method(), path)
	}
	ctx.Response.Header.SetContentType(api.MimeText)
	if path == pathSort {
		ctx.Response.Header.SetContentType(api.MimeErr)
	}
	ctx.Response.SetBodyString("[]")
	return nil
}

// Paths of other kinds of jobs.
const (
	pathDownload = "/v1/download"
	pathSort     = "/v1/sort"
)
