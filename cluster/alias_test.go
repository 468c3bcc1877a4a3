package cluster_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// TestXactionIDsAreNames holds that wherever an ETL's name is accepted, the id
// of its xaction is too: some clients take init's reply for the name.
func TestXactionIDsAreNames(t *testing.T) {
	c := filled(t, "a")
	ctx := t.Context()
	src, dst := api.AIS("src"), api.AIS("dst")
	xact, err := c.Client.InitETL(ctx, spec("etl-secret", "secret", "hpush"))
	require.NoError(t, err)
	require.Regexp(t, `^etl-[a-z0-9]{9,10}$`, xact)
	second, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)

	secret, err := get(t, c, "src", "a", url.Values{"etl_name": {xact}})
	require.NoError(t, err)
	m, err := c.Client.Map(ctx)
	require.NoError(t, err)
	owner, err := m.Owner(src, "a")
	require.NoError(t, err)
	for _, u := range []string{
		c.URL + "/v1/etl/" + xact,
		c.URL + "/v1/etl/" + xact + "?uuid=" + xact,
		c.URL + "/v1/etl/" + xact + "/logs",
		c.URL + "/v1/etl/" + xact + "/logs/tgt00001",
		c.URL + "/v1/etl/" + xact + "/health",
		c.URL + "/v1/etl/" + xact + "/metrics",
		owner.PubNet.URL + "/v1/objects/src/a?uuid=" + xact,
		owner.PubNet.URL + "/v1/objects/src/a?etl_name=" + xact + "&etl_pipeline=" + second,
		owner.PubNet.URL + "/v1/etl/_object/" + xact + "/" + string(secret) + "/src/a",
	} {
		resp, body := raw(t, http.MethodGet, u, nil)
		require.Equal(t, 200, resp.StatusCode, "%s: %s", u, body)
	}
	id, err := c.Client.TransformBucket(ctx, src, dst, api.TransformMsg{ID: xact, Pipeline: []string{second}})
	done(t, c, id, err)
	id, err = c.Client.TransformObjects(ctx, src, dst, api.TransformMsg{ID: xact, Objects: []string{"a"}})
	done(t, c, id, err)
	require.NoError(t, c.Client.DeriveObject(ctx, src, "a", dst, "b", xact, url.Values{"etl_pipeline": {second}}))
	require.NoError(t, c.Client.StopETL(ctx, xact))
	require.ErrorIs(t, c.Client.StopETL(ctx, xact), api.ErrNotFound, "the xaction is over")
	require.NoError(t, c.Client.DeleteETL(ctx, second))
	resp, body := raw(t, http.MethodPost, c.URL+"/v1/etl/etl-secret/start", nil)
	require.Equal(t, 200, resp.StatusCode, body)
	resp, body = raw(t, http.MethodDelete, c.URL+"/v1/etl/"+body+"/stop", nil)
	require.Equal(t, 200, resp.StatusCode, body)
	_, err = c.Client.ETL(ctx, "etl-secret")
	require.NoError(t, err, "it is stopped, not deleted")
}

// TestNamesAreJobIDs holds the other direction: clients of two versions take
// the reply to init, a name, for the id of a job.
func TestNamesAreJobIDs(t *testing.T) {
	c := filled(t)
	ctx := t.Context()
	s := spec("", "echo", "hpush")
	s.Name, s.ID = "", "etl-echo"
	name, err := c.Client.InitETL(ctx, s)
	require.NoError(t, err)
	require.Equal(t, "etl-echo", name)
	ask := func(what string) string {
		resp, body := raw(t, http.MethodGet, c.URL+"/v1/cluster?what="+what, strings.NewReader(`{"id":"etl-echo"}`))
		require.Equal(t, 200, resp.StatusCode, body)
		return body
	}
	for _, what := range []string{"status", "status_all", "qryxstats"} {
		require.Contains(t, ask(what), `"kind":"etl-inline"`, what)
	}
	require.Contains(t, ask("running_all"), "etl-inline[etl-")
	require.NoError(t, c.Client.StopJob(ctx, name))
	st, err := c.Client.JobStatus(ctx, name)
	require.NoError(t, err, "also of one that is stopped")
	require.True(t, st.Aborted)
	require.NotZero(t, st.EndTime)
	require.JSONEq(t, "[]", ask("running_all"))
	d, err := c.Client.ETL(ctx, name)
	require.NoError(t, err)
	require.Equal(t, api.StageAborted, d.Stage)

	s = spec("etl-deaf", "nosuch", "hpush")
	_, err = c.Client.InitETL(ctx, s)
	require.Error(t, err)
	st, err = c.Client.JobStatus(ctx, "etl-deaf")
	require.NoError(t, err)
	require.True(t, st.Aborted)
	require.Contains(t, st.Err, "image table")
}
