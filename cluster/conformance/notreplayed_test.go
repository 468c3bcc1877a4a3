package conformance

// notReplayed are the recordings that mean nothing here, each with the reason.
// cluster-api.md says what clients call.
var notReplayed = map[string]string{
	"cluster/cluster-stats.json":      "node_stats: no client in cluster-api.md 3 or 8 asks for it, and its counters are AIStore's own",
	"cluster/cluster-sysinfo.json":    "sysinfo: no client in cluster-api.md 3 or 8 asks for it; node_status tells the same of each node",
	"cluster/metrics.json":            "/metrics: no client in cluster-api.md 8 asks for it, and its counters are AIStore's own",
	"transformer/service-create.json": "a local process has an address of its own and no Kubernetes service",
}
