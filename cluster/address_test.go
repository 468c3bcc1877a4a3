package cluster_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/node"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// serving runs a node's Serve until stop, which returns when it is gone.
func serving(t *testing.T, ln net.Listener, serve func(context.Context, net.Listener) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln) }()
	stop = func() {
		cancel()
		require.NoError(t, <-done)
	}
	return stop
}

func listen(t *testing.T, addr string) net.Listener {
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	return ln
}

// TestTargetMoves: a target with a name among nodes comes back with another
// public address, while the one that it had still leads to it, as the node port
// of a Kubernetes Service does. Clients are sent to the new one.
func TestTargetMoves(t *testing.T) {
	const id, secret = "target-0", "secret"
	dir, log := t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil))
	ln := listen(t, "127.0.0.1:0")
	proxyURL := "http://" + ln.Addr().String()
	p, err := node.NewProxy(node.ProxyConfig{Config: node.Config{ID: "proxy-00", Secret: secret, Log: log}, Dir: filepath.Join(dir, "proxy")})
	require.NoError(t, err)
	stopProxy := serving(t, ln, p.Serve)
	defer stopProxy()
	client := api.NewClient(proxyURL)
	defer client.Close()

	ln = listen(t, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	clusterURL := "http://localhost:" + port
	for _, public := range []string{"http://127.0.0.1:" + port, "http://127.0.0.9:1"} {
		st, err := store.Open(store.Config{Dir: filepath.Join(dir, "target"), Log: log})
		require.NoError(t, err)
		pods, err := pod.NewProcess(pod.ProcessConfig{Dir: filepath.Join(dir, "pods"), Log: log})
		require.NoError(t, err)
		target, err := node.NewTarget(node.TargetConfig{Config: node.Config{ID: id, Primary: proxyURL, PublicURL: public, ClusterURL: clusterURL, Secret: secret, Log: log},
			Dir: filepath.Join(dir, "target"), Store: st, Pods: pods})
		require.NoError(t, err)
		if ln == nil {
			ln = listen(t, "127.0.0.1:"+port)
		}
		stop := serving(t, ln, target.Serve)
		require.Eventually(t, func() bool {
			m, err := client.Map(t.Context())
			return err == nil && m.Targets[id] != nil && m.Targets[id].PubNet.URL == public
		}, 10*time.Second, 10*time.Millisecond)
		m, err := client.Map(t.Context())
		require.NoError(t, err)
		require.Equal(t, clusterURL, m.Targets[id].ControlNet.URL)
		require.Equal(t, clusterURL, m.Targets[id].DataNet.URL)
		// The first one keeps the bucket for the second.
		err = client.CreateBucket(t.Context(), api.AIS("kept"))
		if public == "http://127.0.0.9:1" {
			require.ErrorIs(t, err, api.ErrExists)
		} else {
			require.NoError(t, err)
			require.NoError(t, client.Put(t.Context(), api.AIS("kept"), "o", strings.NewReader("x"), 1))
		}
		stop()
		require.NoError(t, pods.Close())
		require.NoError(t, st.Close())
		ln = nil
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, cfg := range []node.Config{
		{ID: "proxy-00", Secret: "s", PublicURL: "127.0.0.1:80"},
		{ID: "proxy-00", Secret: "s", ClusterURL: "http://name-without-port"},
	} {
		_, err := node.NewProxy(node.ProxyConfig{Config: cfg})
		require.ErrorContains(t, err, "is not a node's URL")
	}
}
