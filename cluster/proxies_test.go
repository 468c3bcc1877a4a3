package cluster_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
)

const patience = 20 * time.Second

func clientOf(t *testing.T, c *cluster.LocalCluster, id string) *api.Client {
	client := api.NewClient(c.NodeURL(id))
	t.Cleanup(client.Close)
	return client
}

// awaitPrimary waits until a proxy's map has another primary than one.
func awaitPrimary(t *testing.T, client *api.Client, not string) string {
	var id string
	require.Eventually(t, func() bool {
		m, err := client.Map(t.Context())
		if err != nil || m.Primary == nil || m.Primary.ID == not {
			return false
		}
		id = m.Primary.ID
		return m.Proxies[id].Flags&api.FlagIC != 0
	}, patience, 5*time.Millisecond)
	return id
}

func TestPrimaryIsLost(t *testing.T) {
	c := start(t, 3, 2)
	ctx := t.Context()
	second := clientOf(t, c, "prx00002")
	require.NoError(t, second.CreateBucket(ctx, api.AIS("b")))
	_, err := second.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	put(t, c, "b", "o", []byte("hello"))

	// Buckets are made all the while; those that were acknowledged must stay.
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		acked []string
		stop  = make(chan struct{})
	)
	for w := range 3 {
		wg.Go(func() {
			client := api.NewClient(c.NodeURL([]string{"prx00001", "prx00002", "prx00003"}[w]))
			defer client.Close()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("w%d-%d", w, i)
				if client.CreateBucket(ctx, api.AIS(name)) != nil {
					continue
				}
				mu.Lock()
				acked = append(acked, name)
				mu.Unlock()
			}
		})
	}
	made := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) >= n }
	}
	require.Eventually(t, made(10), patience, time.Millisecond)
	require.NoError(t, c.StopNode("prx00001"))
	next := awaitPrimary(t, second, "prx00001")
	mu.Lock()
	before := len(acked)
	mu.Unlock()
	require.Eventually(t, made(before+10), patience, time.Millisecond, "changes go on")
	close(stop)
	wg.Wait()
	list, err := second.Buckets(ctx)
	require.NoError(t, err)
	have := map[string]bool{}
	for _, b := range list {
		have[b.Name] = true
	}
	for _, name := range acked {
		require.True(t, have[name], "%s was acknowledged", name)
	}
	d, err := second.ETL(ctx, "etl-md5")
	require.NoError(t, err)
	require.Equal(t, api.StageRunning, d.Stage, "a new primary ends no ETL")

	// The old one comes back as one of the others and knows everything.
	require.NoError(t, c.StartProxy(0))
	require.Eventually(t, func() bool {
		got, err := c.Client.Buckets(ctx)
		return err == nil && len(got) == len(list)
	}, patience, 5*time.Millisecond)
	require.Equal(t, next, awaitPrimary(t, c.Client, ""))
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("last")))
}

func TestNoMajority(t *testing.T) {
	c := start(t, 3, 1)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	put(t, c, "b", "o", []byte("hello"))
	require.NoError(t, c.StopNode("prx00002"))
	require.NoError(t, c.StopNode("prx00003"))
	err := c.Client.CreateBucket(ctx, api.AIS("c"))
	require.ErrorIs(t, err, api.ErrUnavailable)
	require.ErrorContains(t, err, "no majority")
	require.NotContains(t, err.Error(), "\n")
	got, err := get(t, c, "b", "o", nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	page, err := c.Client.List(ctx, api.AIS("b"), api.ListMsg{})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	require.NoError(t, c.StartProxy(1))
	require.Eventually(t, func() bool {
		err := c.Client.CreateBucket(ctx, api.AIS("d"))
		return err == nil
	}, patience, 5*time.Millisecond)
}

func TestWholeClusterRestarts(t *testing.T) {
	c := start(t, 3, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	put(t, c, "b", "o", []byte("hello"))
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	for _, id := range []string{"tgt00001", "tgt00002", "prx00001", "prx00002", "prx00003"} {
		require.NoError(t, c.StopNode(id))
	}
	for i := range 3 {
		require.NoError(t, c.StartProxy(i))
	}
	for i := range 2 {
		require.NoError(t, c.StartTarget(i))
	}
	require.Eventually(t, func() bool {
		d, err := c.Client.ETL(ctx, "etl-md5")
		return err == nil && d.Stage == api.StageAborted && d.Reason != ""
	}, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		got, err := get(t, c, "b", "o", nil)
		return err == nil && string(got) == "hello"
	}, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := c.Client.StartETL(ctx, "etl-md5")
		return err == nil
	}, patience, 50*time.Millisecond)
}

func TestStrangerMayNotSpeakToTheLog(t *testing.T) {
	c := start(t, 1, 1)
	for _, secret := range []string{"", "guess"} {
		resp, body := raw(t, http.MethodPost, c.URL+"/v1/internal/raft", nil, "Etlbench-Secret", secret, "Etlbench-Member", "prx00001")
		require.Equal(t, http.StatusForbidden, resp.StatusCode, body)
	}
}

func TestUnreachableTarget(t *testing.T) {
	c := start(t, 2, 2)
	ctx := t.Context()
	b := api.AIS("b")
	require.NoError(t, c.Client.CreateBucket(ctx, b))
	m, err := c.Client.Map(ctx)
	require.NoError(t, err)
	names := map[string]string{} // one object on each target
	for i := 0; len(names) < 2; i++ {
		name := fmt.Sprint("o", i)
		owner, err := m.Owner(b, name)
		require.NoError(t, err)
		if names[owner.ID] == "" {
			names[owner.ID] = name
			put(t, c, "b", name, []byte("hello"))
		}
	}
	_, err = c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.StopNode("tgt00002"))
	for _, proxy := range []string{"prx00001", "prx00002"} {
		client := clientOf(t, c, proxy)
		require.Eventually(t, func() bool {
			_, _, err := client.Get(ctx, b, names["tgt00002"], nil)
			var e *api.Error
			return asError(err, &e) && e.Status == http.StatusServiceUnavailable && strings.Contains(e.Message, "t[tgt00002] is unreachable")
		}, patience, 5*time.Millisecond)
		err = client.Put(ctx, b, names["tgt00002"], strings.NewReader("x"), 1)
		require.ErrorContains(t, err, "t[tgt00002] is unreachable")
		_, err = client.List(ctx, b, api.ListMsg{})
		require.ErrorIs(t, err, api.ErrUnavailable, "not a short list")
		require.ErrorContains(t, err, "t[tgt00002] is unreachable")
		body, _, err := client.Get(ctx, b, names["tgt00001"], nil)
		require.NoError(t, err, "what is elsewhere stays there")
		body.Close()
	}
	require.Eventually(t, func() bool {
		d, err := c.Client.ETL(ctx, "etl-md5")
		return err == nil && d.Stage == api.StageAborted && strings.Contains(d.Reason, "t[tgt00002] is unreachable")
	}, patience, 5*time.Millisecond)
	_, err = c.Client.InitETL(ctx, spec("etl-new", "md5", "hpush"))
	require.ErrorIs(t, err, api.ErrUnavailable)
	require.ErrorContains(t, err, "t[tgt00002] is unreachable")
	_, err = c.Client.ETL(ctx, "etl-new")
	require.ErrorIs(t, err, api.ErrNotFound, "it leaves nothing behind")
	_, err = c.Client.StartETL(ctx, "etl-md5")
	require.ErrorIs(t, err, api.ErrUnavailable)
	_, err = c.Client.CopyBucket(ctx, b, api.AIS("c"), api.TransformMsg{})
	require.ErrorIs(t, err, api.ErrUnavailable)
	require.ErrorContains(t, err, "t[tgt00002] is unreachable")
	list, err := c.Client.Buckets(ctx)
	require.NoError(t, err)
	require.Equal(t, []api.Bucket{b}, list, "nor does that")
	after, err := c.Client.Map(ctx)
	require.NoError(t, err)
	require.Contains(t, after.Targets, "tgt00002", "it keeps its place")
	require.NoError(t, c.StartTarget(1))
	require.Eventually(t, func() bool {
		got, err := get(t, c, "b", names["tgt00002"], nil)
		return err == nil && string(got) == "hello"
	}, patience, 5*time.Millisecond)
}

func asError(err error, e **api.Error) bool {
	a, ok := err.(*api.Error)
	*e = a
	return ok
}

func TestDecommission(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	b := api.AIS("b")
	require.NoError(t, c.Client.CreateBucket(ctx, b))
	m, err := c.Client.Map(ctx)
	require.NoError(t, err)
	var held []string
	for i := range 40 {
		name := fmt.Sprint("o", i)
		put(t, c, "b", name, nil)
		if owner, err := m.Owner(b, name); err == nil && owner.ID == "tgt00002" {
			held = append(held, name)
		}
	}
	call := func(value string) (int, string) {
		resp, body := raw(t, http.MethodPut, c.URL+"/v1/cluster", strings.NewReader(`{"action":"decommission-node","value":`+value+`}`))
		return resp.StatusCode, body
	}
	tests := []struct {
		name, value string
		status      int
		text        string
	}{
		{"one with objects", `{"sid":"tgt00002","skip_rebalance":false,"rm_user_data":true}`, 409, fmt.Sprintf("t[tgt00002] still has %d objects", len(held))},
		{"nobody", `{"sid":"tgt00009"}`, 404, "node tgt00009 does not exist"},
		{"a proxy", `{"sid":"prx00001"}`, 400, "only targets"},
		{"no id", `{}`, 400, "sid"},
		{"no value", `null`, 400, "sid"},
		{"garbage", `7`, 400, "unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := call(tt.value)
			require.Equal(t, tt.status, status, body)
			require.Contains(t, body, tt.text)
		})
	}
	put(t, c, "b", held[0], nil) // it takes objects as before
	after, err := c.Client.Map(ctx)
	require.NoError(t, err)
	require.Equal(t, m, after, "a refusal changes nothing")
	for _, name := range held {
		require.NoError(t, c.Client.Delete(ctx, b, name))
	}
	status, body := call(`{"sid":"tgt00002"}`)
	require.Equal(t, 200, status, body)
	after, err = c.Client.Map(ctx)
	require.NoError(t, err)
	require.NotContains(t, after.Targets, "tgt00002")
	require.Greater(t, after.Version, m.Version)
	put(t, c, "b", held[0], []byte("hello"))
	got, err := get(t, c, "b", held[0], nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

// TestProxyWithoutItsData: the only proxy comes back without its log, and
// learns from the targets what the cluster was.
func TestProxyWithoutItsData(t *testing.T) {
	var dir string
	c := start(t, 1, 2, func(cfg *cluster.LocalConfig) { dir = cfg.Dir })
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	put(t, c, "b", "o", []byte("hello"))
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("gone")))
	require.NoError(t, c.Client.DestroyBucket(ctx, api.AIS("gone")))
	before, err := c.Client.Map(ctx)
	require.NoError(t, err)

	require.NoError(t, c.StopNode("prx00001"))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "prx00001")))
	require.NoError(t, c.StartProxy(0))
	require.Eventually(t, func() bool {
		m, err := c.Client.Map(ctx)
		return err == nil && m.Primary != nil && m.Version > before.Version
	}, patience, 5*time.Millisecond)
	after, err := c.Client.Map(ctx)
	require.NoError(t, err)
	require.Equal(t, before.UUID, after.UUID)
	require.Len(t, after.Targets, 2)
	buckets, err := c.Client.Buckets(ctx)
	require.NoError(t, err)
	require.Equal(t, []api.Bucket{api.AIS("b")}, buckets)
	got, err := get(t, c, "b", "o", nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	got, err = get(t, c, "b", "o", url.Values{api.QparamETLName: {"etl-md5"}})
	require.NoError(t, err, "its ETL has not been stopped")
	require.Len(t, got, 32)

	// Everybody follows it again.
	put(t, c, "b", "o", []byte("again"))
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("c")))
	put(t, c, "c", "o", []byte("new"))
	got, err = get(t, c, "c", "o", nil)
	require.NoError(t, err)
	require.Equal(t, "new", string(got))
}
