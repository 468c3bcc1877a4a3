package cluster_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

func TestClientObjects(t *testing.T) {
	c := filled(t)
	ctx, src := t.Context(), api.AIS("src")

	props, err := c.Client.HeadBucket(ctx, src)
	require.NoError(t, err)
	require.Contains(t, string(props), `"provider":"ais"`)
	_, err = c.Client.HeadBucket(ctx, api.AIS("nosuch"))
	require.ErrorIs(t, err, api.ErrBucketNotFound)

	put, err := c.Client.PutObject(ctx, src, "a b/#1", strings.NewReader("hello world"), -1)
	require.NoError(t, err)
	require.EqualValues(t, 11, put.Size)
	require.Equal(t, "45ab6734b21e6968", put.ChecksumValue)

	head, err := c.Client.HeadObject(ctx, src, "a b/#1")
	require.NoError(t, err)
	require.EqualValues(t, 11, head.Size)
	require.Equal(t, put.ChecksumValue, head.ChecksumValue)
	require.Equal(t, "1", head.Version)
	require.WithinDuration(t, time.Now(), head.Atime, time.Minute)
	require.Contains(t, head.Location, "t[tgt")
	_, err = c.Client.HeadObject(ctx, src, "nosuch")
	require.ErrorIs(t, err, api.ErrNotFound)

	for want, opt := range map[string]api.GetOptions{
		"hello world": {}, "world": {Offset: 6}, "hell": {Length: 4}, "lo": {Offset: 3, Length: 2},
	} {
		o, err := c.Client.GetObject(ctx, src, "a b/#1", opt)
		require.NoError(t, err, want)
		var got bytes.Buffer
		n, err := o.CopyTo(&got)
		o.Close()
		require.NoError(t, err, want)
		require.Equal(t, want, got.String())
		require.EqualValues(t, len(want), n)
	}
	_, err = c.Client.GetObject(ctx, src, "a b/#1", api.GetOptions{Offset: 11})
	require.ErrorContains(t, err, "not satisfiable range")

	// Times come in the layout that is asked for.
	msg := api.ListMsg{Props: "name,atime", TimeFormat: time.RFC3339, PageSize: 1}
	require.NoError(t, c.Client.ListEach(ctx, src, msg, func(e *api.ListEntry) error {
		at, err := time.Parse(time.RFC3339, e.Atime)
		require.WithinDuration(t, time.Now(), at, time.Minute)
		return err
	}))
}

func TestClientETL(t *testing.T) {
	c := filled(t, "a", "b", "c")
	ctx := t.Context()
	s := spec("etl-echo", "echo", "hpush")
	s.Resources = json.RawMessage(`{"limits":{"cpu":"1"}}`)
	_, err := c.Client.InitETL(ctx, s)
	require.NoError(t, err)

	health, err := c.Client.ETLHealth(ctx, "etl-echo")
	require.NoError(t, err)
	require.Len(t, health, 3)
	require.Equal(t, api.StageRunning, health[0].Status)

	logs, err := c.Client.ETLLogsOf(ctx, "etl-echo", "tgt00002")
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.Equal(t, "tgt00002", logs[0].TargetID)
	_, err = c.Client.ETLLogsOf(ctx, "etl-echo", "../x")
	require.ErrorContains(t, err, `unknown target "../x"`)

	for _, start := range []func() (string, error){
		func() (string, error) {
			return c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-echo"})
		},
		func() (string, error) {
			return c.Client.TransformObjects(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-echo", Objects: []string{"a", "b", "c"}})
		},
	} {
		id, err := start()
		require.NoError(t, err)
		snaps, err := c.Client.AwaitJob(ctx, id, nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, counts(snaps).LocObjs)
	}
	_, err = c.Client.AwaitJob(ctx, "nosuchjob", nil)
	require.ErrorIs(t, err, api.ErrNotFound)
	snaps, err := c.Client.Snaps(ctx, api.JobQuery{Kind: api.ActETLBucket})
	require.NoError(t, err)
	require.EqualValues(t, 3, counts(snaps).LocObjs)
}
