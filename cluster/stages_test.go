package cluster_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
)

// stage is an ETL's stage, and why it is in it; "gone" without it.
func stage(t *testing.T, c *cluster.LocalCluster, name string) (is, reason string) {
	d, err := c.Client.ETL(t.Context(), name)
	if err != nil {
		require.ErrorIs(t, err, api.ErrNotFound)
		return "gone", ""
	}
	return d.Stage, d.Reason
}

// TestStages holds every call of an ETL's life in every stage.
func TestStages(t *testing.T) {
	c := start(t, 1, 3) // one proxy: it never looks for a majority
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "a", []byte("a"))
	// initializing begins an init that does not come to an end by itself.
	initializing := func(t *testing.T) (ended chan error) {
		ended = make(chan error, 1)
		go func() {
			_, err := c.Client.InitETL(ctx, &api.ETLSpec{Name: "etl-life", InitTimeout: api.Duration(time.Minute), Runtime: []byte(`{"image":"test/deaf"}`)})
			ended <- err
		}()
		require.Eventually(t, func() bool { is, _ := stage(t, c, "etl-life"); return is == api.StageInitializing }, patience, 5*time.Millisecond)
		return ended
	}
	// aborted leaves an ETL whose init has failed.
	aborted := func(t *testing.T) {
		_, err := c.Client.InitETL(ctx, &api.ETLSpec{Name: "etl-life", InitTimeout: api.Duration(50 * time.Millisecond), Runtime: []byte(`{"image":"test/deaf"}`)})
		require.ErrorIs(t, err, api.ErrBadRequest)
		require.ErrorContains(t, err, "init timeout of 50ms")
	}
	const newInit = `{"name":"etl-life","runtime":{"image":"test/md5"}}`
	tests := []struct {
		from, method, path, body string
		status                   int
		reply                    string // part of it
		to                       string
	}{
		{"gone", "POST", "/etl-life/stop", "", 404, "etl job etl-life does not exist", "gone"},
		{"gone", "POST", "/etl-life/start", "", 404, "etl job etl-life does not exist", "gone"},
		{"gone", "DELETE", "/etl-life", "", 404, "etl job etl-life does not exist", "gone"},
		{"gone", "DELETE", "/etl-life/stop", "", 404, "etl job etl-life does not exist", "gone"},
		{"gone", "PUT", "", newInit, 200, "etl-", "Running"},
		{"Initializing", "PUT", "", newInit, 409, "etl job etl-life already exists", "Initializing"},
		{"Initializing", "POST", "/etl-life/start", "", 400, `can't start ETL[etl-life] during Initializing stage`, "Initializing"},
		{"Initializing", "POST", "/etl-life/stop", "", 200, "", "Aborted"},
		{"Initializing", "DELETE", "/etl-life/stop", "", 200, "", "Aborted"},
		{"Initializing", "DELETE", "/etl-life", "", 200, "", "gone"},
		{"Running", "PUT", "", newInit, 409, "etl job etl-life already exists", "Running"},
		{"Running", "POST", "/etl-life/start", "", 400, `can't start ETL[etl-life] during Running stage`, "Running"},
		{"Running", "POST", "/etl-life/stop", "", 200, "", "Aborted"},
		{"Running", "DELETE", "/etl-life/stop", "", 200, "", "Aborted"},
		{"Running", "DELETE", "/etl-life", "", 200, "", "gone"},
		{"stopped", "PUT", "", newInit, 409, "etl job etl-life already exists", "Aborted"},
		{"stopped", "POST", "/etl-life/start", "", 200, "etl-", "Running"},
		{"stopped", "POST", "/etl-life/stop", "", 200, "", "Aborted"},
		{"stopped", "DELETE", "/etl-life/stop", "", 200, "", "Aborted"},
		{"stopped", "DELETE", "/etl-life", "", 200, "", "gone"},
		{"Aborted", "PUT", "", newInit, 409, "etl job etl-life already exists; it is Aborted", "Aborted"},
		{"Aborted", "POST", "/etl-life/stop", "", 200, "", "Aborted"},
		{"Aborted", "POST", "/etl-life/start", "", 400, "init timeout of 50ms", "Aborted"},
		{"Aborted", "DELETE", "/etl-life", "", 200, "", "gone"},
	}
	for _, tt := range tests {
		t.Run(tt.from+" "+tt.method+" "+tt.path, func(t *testing.T) {
			var ended chan error
			switch tt.from {
			case "Initializing":
				ended = initializing(t)
			case "Running", "stopped":
				_, err := c.Client.InitETL(ctx, spec("etl-life", "md5", "hpush"))
				require.NoError(t, err)
				if tt.from == "stopped" {
					require.NoError(t, c.Client.StopETL(ctx, "etl-life"))
				}
			case "Aborted":
				aborted(t)
			}
			resp, body := raw(t, tt.method, c.URL+"/v1/etl"+tt.path, strings.NewReader(tt.body))
			require.Equal(t, tt.status, resp.StatusCode, body)
			require.Contains(t, body, tt.reply)
			if tt.reply == "" {
				require.Empty(t, body)
			}
			is, _ := stage(t, c, "etl-life")
			require.Equal(t, tt.to, is)
			if ended != nil && is != api.StageInitializing {
				err := <-ended
				require.ErrorIs(t, err, api.ErrBadRequest, "a start that is ended tells so")
				ended = nil
			}
			_, err := get(t, c, "src", "a", url.Values{"etl_name": {"etl-life"}})
			require.Equal(t, is == api.StageRunning, err == nil, "%v", err)
			if is != "gone" {
				require.NoError(t, c.Client.DeleteETL(ctx, "etl-life"))
			}
			if ended != nil {
				require.Error(t, <-ended)
			}
		})
	}
}

// TestStoppedETLKeepsWhatItWas holds that a start makes the same pods again,
// under a new xaction and with a new secret.
func TestStoppedETLKeepsWhatItWas(t *testing.T) {
	c := filled(t, "a")
	ctx := t.Context()
	first, err := c.Client.InitETL(ctx, spec("etl-secret", "secret", "hpush"))
	require.NoError(t, err)
	q := url.Values{"etl_name": {"etl-secret"}}
	one, err := get(t, c, "src", "a", q)
	require.NoError(t, err)
	before, err := c.Client.ETL(ctx, "etl-secret")
	require.NoError(t, err)
	require.NoError(t, c.Client.StopETL(ctx, "etl-secret"))
	_, err = get(t, c, "src", "a", q)
	require.ErrorIs(t, err, api.ErrNotFound)
	for _, sub := range []string{"logs", "health", "metrics"} {
		resp, body := raw(t, http.MethodGet, c.URL+"/v1/etl/etl-secret/"+sub, nil)
		require.Equal(t, 404, resp.StatusCode, body)
		require.Contains(t, body, `"tcode":"ErrNotFound"`)
	}
	list, err := c.Client.ETLs(ctx)
	require.NoError(t, err)
	require.Equal(t, []api.ETLInfo{{ID: "etl-secret", Stage: api.StageAborted}}, list)
	second, err := c.Client.StartETL(ctx, "etl-secret")
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	two, err := get(t, c, "src", "a", q)
	require.NoError(t, err)
	require.NotEqual(t, string(one), string(two))
	after, err := c.Client.ETL(ctx, "etl-secret")
	require.NoError(t, err)
	require.Equal(t, before.Init, after.Init)
}

// TestProxyRestartEndsNoETL: the pods are beside the targets.
func TestProxyRestartEndsNoETL(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "a", []byte("hello"))
	xact, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.StopNode("prx00001"))
	require.NoError(t, c.StartProxy(0))
	require.Eventually(t, func() bool {
		got, err := get(t, c, "src", "a", url.Values{"etl_name": {xact}})
		return err == nil && string(got) == "5d41402abc4b2a76b9719d911017c592"
	}, patience, 5*time.Millisecond)
	is, reason := stage(t, c, "etl-md5")
	require.Equal(t, api.StageRunning, is, reason)
	require.NoError(t, c.Client.StopETL(ctx, "etl-md5"))
}

// TestPodNamesCollide: two names that would give their pods one name.
func TestPodNamesCollide(t *testing.T) {
	c := start(t, 1, 1)
	ctx := t.Context()
	old := func(id string) *api.ETLSpec { return &api.ETLSpec{ID: id, Runtime: []byte(`{"image":"test/echo"}`)} }
	_, err := c.Client.InitETL(ctx, old("Etl_Echo"))
	require.NoError(t, err)
	for _, s := range []*api.ETLSpec{old("etl-echo"), old("ETL_echo"), {Name: "etl-echo", Runtime: []byte(`{"image":"test/echo"}`)}} {
		_, err := c.Client.InitETL(ctx, s)
		require.ErrorIs(t, err, api.ErrExists)
		require.ErrorContains(t, err, "p[prx00001]: etl job Etl_Echo already exists")
	}
	both := *old("etl-two")
	both.Name = "etl-two"
	reply, err := c.Client.InitETL(ctx, &both)
	require.NoError(t, err)
	require.NotEqual(t, "etl-two", reply, "a name in both dialects is in the new one, which replies a xaction's id")
	both.Name = "etl-three"
	_, err = c.Client.InitETL(ctx, &both)
	require.ErrorContains(t, err, `id: is "etl-two" but name is "etl-three"`)
}

// TestTargetCatchesUp: what a target was not told it asks for by itself.
func TestTargetCatchesUp(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	require.NoError(t, c.StopNode("tgt00002"))
	for _, b := range []string{"c", "d"} {
		require.NoError(t, c.Client.CreateBucket(ctx, api.AIS(b)))
	}
	require.NoError(t, c.Client.DestroyBucket(ctx, api.AIS("b")))
	require.NoError(t, c.StartTarget(1))
	other := api.NewClient(c.NodeURL("tgt00002"))
	defer other.Close()
	require.Eventually(t, func() bool { // of the bucket, not of the object
		_, _, err := other.Get(ctx, api.AIS("b"), "o", nil)
		_, _, err2 := other.Get(ctx, api.AIS("d"), "o", nil)
		return err != nil && err2 != nil && strings.Contains(err.Error(), `bucket "ais://b" does not exist`) && strings.Contains(err2.Error(), "ais://d/o does not exist")
	}, patience, 5*time.Millisecond)
}
