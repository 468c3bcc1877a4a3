package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// forward is a port of this machine's loopback that the API server takes to a
// pod, as kubectl port-forward does.
type forward struct {
	address string
	stop    chan struct{}
	done    chan struct{} // closed when nothing is forwarded any more
}

func (c *Cluster) forward(ctx context.Context, pod string, port int) (*forward, error) {
	dialer, err := c.podDialer(pod)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s/%s: %w", c.namespace, pod, err)
	}
	f := &forward{stop: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan struct{})
	fw, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, f.stop, ready, io.Discard, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("reach pod %s/%s: %w", c.namespace, pod, err)
	}
	go func() {
		defer close(f.done)
		err = fw.ForwardPorts()
	}()
	select {
	case <-f.done:
		return nil, fmt.Errorf("reach pod %s/%s through the API server: %w", c.namespace, pod, err)
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
	socket, err := portforward.NewSPDYOverWebsocketDialer(url, c.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	return portforward.NewFallbackDialer(socket, older, func(err error) bool {
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
	close(f.stop)
	<-f.done
}
