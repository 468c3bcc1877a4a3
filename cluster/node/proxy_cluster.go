package node

import (
	"net/url"
	"slices"
	"strconv"
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

// targetIPs lists the addresses of the targets, each once.
func (p *Proxy) targetIPs() string {
	var ips []string
	for _, t := range p.state().Map.Targets {
		ips = append(ips, t.PubNet.Addr, t.ControlNet.Addr, t.DataNet.Addr)
	}
	slices.Sort(ips)
	return strings.Join(slices.Compact(ips), ",")
}

// noJobs answers for downloads and sorts, which a reference cluster never has;
// clients ask for them whenever they list jobs.
func (p *Proxy) noJobs(ctx *fasthttp.RequestCtx, path string, _ url.Values) error {
	if !ctx.IsGet() {
		return api.Errorf(fasthttp.StatusNotImplemented, api.KindUnsupported, "%s: %s %s is not part of a reference cluster", p.name(), ctx.Method(), path)
	}
	return writeJSON(ctx, []string{})
}

// clusterInfo is what health answers when it is asked for all versions.
func (p *Proxy) clusterInfo(ctx *fasthttp.RequestCtx) error {
	if err := p.hasState(); err != nil {
		return err
	}
	s := p.state()
	version := strconv.FormatInt(s.Version, 10)
	return writeJSON(ctx, map[string]any{
		"smap": map[string]any{
			"Primary": map[string]string{"pub_url": s.Map.Primary.PubNet.URL, "control_url": s.Map.Primary.ControlNet.URL, "id": s.Map.Primary.ID},
			"uuid":    s.Map.UUID, "version": strconv.FormatInt(s.Map.Version, 10)},
		"bmd":    map[string]string{"uuid": s.Map.UUID, "version": version},
		"etlmd":  map[string]string{"version": version},
		"rmd":    map[string]string{"version": "0"},
		"config": map[string]string{"version": "0"},
		"flags":  0,
	})
}
