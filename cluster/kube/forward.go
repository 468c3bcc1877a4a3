package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// forward is a port of this machine's loopback that the API server takes to a
// pod, as kubectl port-forward does.
type forward struct {
	address string
	stop    context.CancelFunc
	done    chan struct{} // closed when nothing is forwarded any more
}

func (c *Cluster) forward(ctx context.Context, pod string, port int) (*forward, error) {
	dialer, err := c.podDialer(pod)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s/%s: %w", c.namespace, pod, err)
	}
	// What breaks is told by who uses the connection: nothing is logged. It lasts
	// longer than ctx.
	quiet, stop := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), klog.Logger{}))
	f := &forward{stop: stop, done: make(chan struct{})}
	ready := make(chan struct{})
	fw, err := portforward.NewOnAddressesForStreamingWithContext(quiet, dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, ready, io.Discard, io.Discard)
	if err != nil {
		stop()
		return nil, fmt.Errorf("reach pod %s/%s: %w", c.namespace, pod, err)
	}
	var ended error // known when done is closed
	go func() {
		defer close(f.done)
		ended = fw.ForwardPorts()
	}()
	select {
	case <-f.done:
		stop()
		return nil, fmt.Errorf("reach pod %s/%s through the API server: %w", c.namespace, pod, ended)
	case <-ctx.Done():
		f.close()
		return nil, context.Cause(ctx)
	case <-ready:
	}
	ports, err := fw.GetPorts()
	if err != nil {
		f.close()
		return nil, fmt.Errorf("reach pod %s/%s: %w", c.namespace, pod, err)
	}
	f.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local)))
	return f, nil
}

// podDialer speaks to a pod's ports on a WebSocket, or by what older API servers
// know.
func (c *Cluster) podDialer(pod string) (httpstream.Dialer, error) {
	url := c.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.namespace).Name(pod).SubResource("portforward").URL()
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, c.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	return portforward.NewFallbackDialerForStreaming(socket, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

func (f *forward) dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-f.done:
		return nil, errors.New("the connection to the pod through the API server was cut")
	default:
		return (&net.Dialer{}).DialContext(ctx, "tcp", f.address)
	}
}

// close ends it, and returns when it has ended.
func (f *forward) close() {
	f.stop()
	<-f.done
}
