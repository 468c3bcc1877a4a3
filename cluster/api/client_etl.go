package api

import (
	"context"
	"net/http"
	"net/url"
)

// ETLHealth tells how each pod of an ETL is.
func (c *Client) ETLHealth(ctx context.Context, name string) ([]ETLHealth, error) {
	var list []ETLHealth
	return list, c.call(ctx, request{method: http.MethodGet, path: etlPath(name, "health")}, &list)
}

// ETLLogsOf gives the end of the log of the pod on one target.
func (c *Client) ETLLogsOf(ctx context.Context, name, target string) ([]ETLLogs, error) {
	var list []ETLLogs
	return list, c.call(ctx, request{method: http.MethodGet, path: etlPath(name, "logs", url.PathEscape(target))}, &list)
}
