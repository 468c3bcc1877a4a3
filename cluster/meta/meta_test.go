package meta_test

import (
	"os"
	"path/filepath"
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
	s, err := meta.Open(t.TempDir(), meta.New("uuid", "now"))
	require.NoError(t, err)
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

func TestStoreSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, err := meta.Open(dir, meta.New("u", "c"))
	require.NoError(t, err)
	_, err = s.Do(meta.Command{CreateBucket: &meta.CreateBucket{Name: "b"}})
	require.NoError(t, err)
	_, err = s.Do(meta.Command{AddETL: etl("etl-md5")})
	require.NoError(t, err)
	again, err := meta.Open(dir, meta.New("other", "other"))
	require.NoError(t, err)
	require.Equal(t, s.State(), again.State())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary files are left")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "meta.json"), []byte("{"), 0o644))
	_, err = meta.Open(dir, meta.New("u", "c"))
	require.ErrorContains(t, err, "meta.json")
}

func TestReplaceTakesNewerOnly(t *testing.T) {
	s, err := meta.Open("", meta.New("u", "c"))
	require.NoError(t, err)
	require.True(t, s.Replace(&meta.State{Version: 3}))
	require.False(t, s.Replace(&meta.State{Version: 3}))
	require.False(t, s.Replace(&meta.State{Version: 2}))
	require.EqualValues(t, 3, s.State().Version)
}
