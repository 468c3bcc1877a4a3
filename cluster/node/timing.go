package node

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
)

// timed wraps a handler: a request with the header Etlbench-Timing: 1 is told
// in Server-Timing how long this node took until it began to answer, and how
// much longer it waited for a pod. What follows, the sending of a long body,
// is in neither.
func (n *node) timed(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		h(ctx)
		if !timing(ctx) {
			return
		}
		pod, waited := ctx.UserValue(podTimeKey{}).(time.Duration)
		shares := api.ServerTiming(nil, n.kind, time.Since(ctx.Time())-pod)
		if waited {
			shares = api.ServerTiming(shares, api.TimingPod, pod)
		}
		ctx.Response.Header.SetBytesV(api.HdrServerTiming, shares)
	}
}

func timing(ctx *fasthttp.RequestCtx) bool {
	return string(ctx.Request.Header.Peek(api.HdrTiming)) == "1"
}

type podTimeKey struct{}

// timePod notes for timed how long a pod has taken until now; a redirect to one
// has asked it nothing.
func timePod(ctx *fasthttp.RequestCtx, x *transformation) {
	if timing(ctx) && x.Redirect == "" {
		ctx.SetUserValue(podTimeKey{}, time.Since(x.began))
	}
}
