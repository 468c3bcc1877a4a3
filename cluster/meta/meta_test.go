package meta_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

func ptr[T any](v T) *T { return &v }

func node(t *testing.T, kind, id string) *api.NodeInfo {
	n, err := api.NewNode(kind, id, "http://127.0.0.1:1")
	require.NoError(t, err)
	return n
}

func etl(name string) *meta.ETL {
	return &meta.ETL{Spec: api.ETLSpec{Name: name}, XactID: "etl-123456789", Stage: api.StageInitializing}
}

func TestApply(t *testing.T) {
	s := single(t, t.TempDir())
	steps := []struct {
		name string
		cmd  meta.Command
		err  error
	}{
		{"a target joins", meta.Command{Join: node(t, api.TypeTarget, "tgt00001")}, nil},
		{"a bucket is made", meta.Command{CreateBucket: &meta.CreateBucket{Name: "b"}}, nil},
		{"again", meta.Command{CreateBucket: &meta.CreateBucket{Name: "b"}}, meta.ErrExists},
		{"it is destroyed", meta.Command{DestroyBucket: ptr("b")}, nil},
		{"again", meta.Command{DestroyBucket: ptr("b")}, meta.ErrNotFound},
		{"an ETL is added", meta.Command{AddETL: etl("etl-md5")}, nil},
		{"one whose pods would collide", meta.Command{AddETL: etl("ETL_md5")}, meta.ErrExists},
		{"it runs", meta.Command{SetETL: &meta.SetETL{Name: "etl-md5", XactID: "etl-123456789", Stage: api.StageRunning}}, nil},
		{"an older run of it ends", meta.Command{SetETL: &meta.SetETL{Name: "etl-md5", If: "etl-other", Stage: api.StageAborted}}, meta.ErrNotFound},
		{"nothing", meta.Command{}, nil},
	}
	for _, step := range steps {
		before := s.State()
		after, err := s.Do(step.cmd)
		switch {
		case step.name == "nothing":
			require.Error(t, err)
		case step.err != nil:
			require.ErrorIs(t, err, step.err, step.name)
			require.Same(t, before, s.State(), "a refused command changes nothing")
		default:
			require.NoError(t, err, step.name)
			require.Equal(t, before.Version+1, after.Version)
		}
	}
	name, e, ok := s.State().ETL("etl-123456789")
	require.True(t, ok, "a xaction id is an alias")
	require.Equal(t, "etl-md5", name)
	require.Equal(t, api.StageRunning, e.Stage)
}

func TestApplyLeavesTheOldStateAlone(t *testing.T) {
	a := meta.New("u", "c")
	b, err := meta.Apply(a, meta.Command{CreateBucket: &meta.CreateBucket{Name: "b"}})
	require.NoError(t, err)
	c, err := meta.Apply(b, meta.Command{Join: node(t, api.TypeTarget, "tgt00001")})
	require.NoError(t, err)
	require.Empty(t, a.Buckets)
	require.Empty(t, b.Map.Targets)
	require.Len(t, c.Map.Targets, 1)
}

func TestReplaceTakesNewerOnly(t *testing.T) {
	s := meta.NewCopy()
	require.True(t, s.Replace(&meta.State{Version: 3}))
	require.False(t, s.Replace(&meta.State{Version: 3}))
	require.False(t, s.Replace(&meta.State{Version: 2}))
	require.EqualValues(t, 3, s.State().Version)
}

func TestPrimaryIsOneProxy(t *testing.T) {
	s := meta.New("u", "c")
	join := func(id string, flags uint64) {
		n := node(t, api.TypeProxy, id)
		n.Flags = flags
		var err error
		s, err = meta.Apply(s, meta.Command{Join: n})
		require.NoError(t, err)
	}
	join("prx00001", api.FlagIC)
	join("prx00002", 0)
	require.Equal(t, "prx00001", s.Map.Primary.ID)
	join("prx00001", 0)
	require.EqualValues(t, api.FlagIC, s.Map.Proxies["prx00001"].Flags, "the primary comes back as what it is")
	join("prx00002", api.FlagIC)
	require.Equal(t, "prx00002", s.Map.Primary.ID)
	require.Zero(t, s.Map.Proxies["prx00001"].Flags)
	join("prx00001", 0)
	require.Equal(t, "prx00002", s.Map.Primary.ID)
	require.EqualValues(t, 5, s.Map.Version)
}
