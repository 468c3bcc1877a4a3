package cluster_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
)

// names lists a bucket's objects.
func names(t *testing.T, c *cluster.LocalCluster, bucket string) (list []string) {
	require.NoError(t, c.Client.ListAll(t.Context(), api.AIS(bucket), func(e *api.ListEntry) error {
		list = append(list, e.Name)
		return nil
	}))
	return list
}

// filled starts a cluster with the bucket src of some objects, whose content is
// their name.
func filled(t *testing.T, objects ...string) *cluster.LocalCluster {
	c := start(t, 2, 3)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("src")))
	for _, name := range objects {
		put(t, c, "src", name, []byte(name))
	}
	return c
}

func done(t *testing.T, c *cluster.LocalCluster, id string, err error) map[string][]api.Snap {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, c.Client.WaitJob(t.Context(), id))
	snaps, err := c.Client.JobSnaps(t.Context(), id)
	require.NoError(t, err)
	return snaps
}

// counts adds the targets' parts of a job up.
func counts(snaps map[string][]api.Snap) (s api.SnapStats) {
	for _, list := range snaps {
		for _, one := range list {
			s.LocObjs += one.Stats.LocObjs
			s.LocBytes += one.Stats.LocBytes
			s.OutObjs += one.Stats.OutObjs
			s.InObjs += one.Stats.InObjs
			s.OutBytes += one.Stats.OutBytes
			s.InBytes += one.Stats.InBytes
		}
	}
	return s
}

func TestCopyBucket(t *testing.T) {
	objects := []string{"a", "d/b.jpg", "d/c.jpg", "d/e/f.jpg"}
	src, dst := api.AIS("src"), api.AIS("dst")
	tests := []struct {
		name string
		msg  api.TransformMsg
		want string
	}{
		{"all", api.TransformMsg{}, "a d/b.jpg d/c.jpg d/e/f.jpg"},
		{"renamed", api.TransformMsg{Prepend: "x/", Ext: []byte(`{"jpg":"png"}`)}, "x/a x/d/b.png x/d/c.png x/d/e/f.png"},
		{"prefix", api.TransformMsg{Prefix: "d/", Workers: -1}, "d/b.jpg d/c.jpg d/e/f.jpg"},
		{"not below", api.TransformMsg{Prefix: "d/", NonRecursive: true}, "d/b.jpg d/c.jpg"},
		{"dry run", api.TransformMsg{DryRun: true}, ""},
	}
	c := filled(t, objects...)
	ctx := t.Context()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := c.Client.CopyBucket(ctx, src, dst, tt.msg)
			s := counts(done(t, c, id, err))
			if tt.msg.DryRun {
				require.EqualValues(t, 4, s.LocObjs)
				require.EqualValues(t, len(strings.Join(objects, "")), s.LocBytes)
				_, err := c.Client.List(ctx, dst, api.ListMsg{})
				require.ErrorIs(t, err, api.ErrNotFound, "a dry run makes no bucket")
				return
			}
			require.Equal(t, strings.Fields(tt.want), names(t, c, "dst"))
			require.EqualValues(t, len(strings.Fields(tt.want)), s.LocObjs)
			require.Equal(t, s.OutObjs, s.InObjs)
			require.Equal(t, s.OutBytes, s.InBytes)
			require.NoError(t, c.Client.DestroyBucket(ctx, dst))
		})
	}
}

func TestCopyBucketSynchronizes(t *testing.T) {
	c := filled(t, "a", "b", "c")
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("dst")))
	for i := range 20 {
		put(t, c, "dst", fmt.Sprint("old", i), []byte("x"))
	}
	put(t, c, "dst", "b", []byte("old"))
	id, err := c.Client.CopyBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{Sync: true})
	done(t, c, id, err)
	require.Equal(t, []string{"a", "b", "c"}, names(t, c, "dst"))
	got, err := get(t, c, "dst", "b", nil)
	require.NoError(t, err)
	require.Equal(t, "b", string(got))
}

func TestListedJobs(t *testing.T) {
	c := filled(t, "s-1", "s-2", "s-10", "t/1", "t/2")
	ctx := t.Context()
	src, dst := api.AIS("src"), api.AIS("dst")
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	tests := []struct {
		name string
		msg  api.TransformMsg
		want string
	}{
		{"names", api.TransformMsg{Objects: []string{"s-1", "t/2"}}, "s-1 t/2"},
		{"template, of which some are missing", api.TransformMsg{Template: "s-{1..10}"}, "s-1 s-10 s-2"},
		{"prefix", api.TransformMsg{Template: "t/", Prepend: "x-"}, "x-t/1 x-t/2"},
		{"not below", api.TransformMsg{Template: "*", NonRecursive: true}, "s-1 s-10 s-2"},
		{"everything", api.TransformMsg{}, "s-1 s-10 s-2 t/1 t/2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := c.Client.CopyObjects(ctx, src, dst, tt.msg)
			require.True(t, strings.HasPrefix(id, "tco-"), id)
			for _, list := range done(t, c, id, err) {
				require.True(t, list[0].Idle)
				require.Equal(t, "copy-listrange", list[0].Kind)
			}
			require.Equal(t, strings.Fields(tt.want), names(t, c, "dst"))
			running, err := c.Client.RunningJobs(ctx)
			require.NoError(t, err)
			require.Contains(t, running, "copy-listrange["+id+"]", "it idles")
			require.NoError(t, c.Client.DestroyBucket(ctx, dst))

			tt.msg.ID = "etl-md5"
			id, err = c.Client.TransformObjects(ctx, src, dst, tt.msg)
			s := counts(done(t, c, id, err))
			n := len(strings.Fields(tt.want))
			require.EqualValues(t, n, s.LocObjs)
			require.EqualValues(t, 32*n, s.LocBytes)
			require.NoError(t, c.Client.DestroyBucket(ctx, dst))
		})
	}
	id, err := c.Client.CopyObjects(ctx, src, dst, api.TransformMsg{Objects: []string{"s-1", "nosuch"}, ContinueOnErr: true})
	require.NoError(t, err)
	require.ErrorContains(t, c.Client.WaitJob(ctx, id), "ais://src/nosuch does not exist", "a list names what must be there")
	require.Equal(t, []string{"s-1"}, names(t, c, "dst"))

	id, err = c.Client.DeleteObjects(ctx, src, nil, "s-{0..9}")
	done(t, c, id, err)
	require.Equal(t, []string{"s-10", "t/1", "t/2"}, names(t, c, "src"))
	id, err = c.Client.DeleteObjects(ctx, src, []string{"t/1"}, "")
	done(t, c, id, err)
	require.Equal(t, []string{"s-10", "t/2"}, names(t, c, "src"))
}

func TestJobsAreRefused(t *testing.T) {
	c := filled(t, "a")
	ctx := t.Context()
	src, dst, none := api.AIS("src"), api.AIS("dst"), api.AIS("nosuch")
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	_, err = c.Client.InitETL(ctx, spec("etl-off", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.Client.StopETL(ctx, "etl-off"))
	etl := func(from, to api.Bucket, m api.TransformMsg) error {
		_, err := c.Client.TransformBucket(ctx, from, to, m)
		return err
	}
	listed := func(m api.TransformMsg) error {
		_, err := c.Client.CopyObjects(ctx, src, dst, m)
		return err
	}
	tests := []struct {
		name string
		err  error
		is   error
		text string
	}{
		{"no source", etl(none, dst, api.TransformMsg{ID: "etl-md5"}), api.ErrBucketNotFound, `bucket "ais://nosuch" does not exist`},
		{"no ETL", etl(src, dst, api.TransformMsg{}), api.ErrNotFound, `ETL name "" is empty`},
		{"unknown ETL", etl(src, dst, api.TransformMsg{ID: "nosuch-etl"}), api.ErrNotFound, "ETL nosuch-etl doesn't exist"},
		{"stopped ETL", etl(src, dst, api.TransformMsg{ID: "etl-off"}), api.ErrNotFound, "etl-off does not exist"},
		{"unknown in the pipeline", etl(src, dst, api.TransformMsg{ID: "etl-md5", Pipeline: []string{"nosuch-etl"}}), api.ErrBadRequest, `etl="nosuch-etl"] entry not found`},
		{"onto itself", etl(src, src, api.TransformMsg{ID: "etl-md5"}), api.ErrBadRequest, `cannot etl-bck bucket "ais://src" onto itself`},
		{"ext", etl(src, dst, api.TransformMsg{ID: "etl-md5", Ext: []byte("7")}), api.ErrBadRequest, "failed to unmarshal etl-bck"},
		{"prepend and synchronize", etl(src, dst, api.TransformMsg{ID: "etl-md5", Prepend: "x", Sync: true}), api.ErrBadRequest, "synchronize"},
		{"names and template", listed(api.TransformMsg{Objects: []string{"a"}, Template: "b"}), api.ErrBadRequest, "not both"},
		{"bad template", listed(api.TransformMsg{Template: "{2..1}"}), api.ErrBadRequest, "begins behind its end"},
		{"bad name", listed(api.TransformMsg{Objects: []string{"../a"}}), api.ErrBadRequest, "objnames"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorIs(t, tt.err, tt.is)
			require.ErrorContains(t, tt.err, tt.text)
		})
	}
	buckets, err := c.Client.Buckets(ctx)
	require.NoError(t, err)
	require.Equal(t, []api.Bucket{src}, buckets, "what is refused leaves nothing behind")
}

func TestSingleObjects(t *testing.T) {
	c := filled(t, "a", "d/b c")
	ctx := t.Context()
	src, dst := api.AIS("src"), api.AIS("dst")
	require.NoError(t, c.Client.CreateBucket(ctx, dst))
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpull"))
	require.NoError(t, err)
	for i := range 8 { // some of them on another target
		to := fmt.Sprint("copy/", i)
		require.NoError(t, c.Client.DeriveObject(ctx, src, "d/b c", dst, to, "", nil))
		got, err := get(t, c, "dst", to, nil)
		require.NoError(t, err)
		require.Equal(t, "d/b c", string(got))
		require.NoError(t, c.Client.DeriveObject(ctx, src, "a", dst, to, "etl-md5", nil))
		got, err = get(t, c, "dst", to, nil)
		require.NoError(t, err)
		require.Equal(t, "0cc175b9c0f1b6a831c399e269772661", string(got))
	}
	require.ErrorIs(t, c.Client.DeriveObject(ctx, src, "a", api.AIS("nosuch"), "x", "", nil), api.ErrBucketNotFound)
	require.ErrorContains(t, c.Client.DeriveObject(ctx, src, "nosuch", dst, "x", "", nil), "ais://src/nosuch does not exist")
	err = c.Client.DeriveObject(ctx, src, "a", dst, "x", "nosuch-etl", nil)
	require.ErrorIs(t, err, api.ErrBadRequest)
	require.ErrorContains(t, err, "ETL nosuch-etl doesn't exist")
	require.ErrorIs(t, c.Client.DeriveObject(ctx, src, "a", dst, "../x", "", nil), api.ErrBadRequest)

	require.NoError(t, c.Client.RenameObject(ctx, src, "d/b c", "new/name"))
	require.Equal(t, []string{"a", "new/name"}, names(t, c, "src"))
	require.ErrorIs(t, c.Client.RenameObject(ctx, src, "nosuch", "x"), api.ErrNotFound)
	require.ErrorIs(t, c.Client.RenameObject(ctx, src, "a", "a"), api.ErrBadRequest)
}

func TestJobQueries(t *testing.T) {
	c := filled(t, "a", "b", "c", "d", "e")
	ctx := t.Context()
	src := api.AIS("src")
	xact, err := c.Client.InitETL(ctx, spec("etl-fail", "fail", "hpush"))
	require.NoError(t, err)

	// An ETL is a job, under its id and, for clients that take the reply to
	// init for one, under its name.
	for _, id := range []string{xact, "etl-fail"} {
		st, err := c.Client.JobStatus(ctx, id)
		require.NoError(t, err)
		require.Equal(t, &api.JobStatus{Kind: "etl-inline", UUID: xact}, st)
	}
	running, err := c.Client.RunningJobs(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"etl-inline[" + xact + "]"}, running)

	// Inspection: every object is tried, nothing is written.
	id, err := c.Client.TransformBucket(ctx, src, src, api.TransformMsg{ID: "etl-fail", DryRun: true, ContinueOnErr: true})
	require.NoError(t, err)
	require.Error(t, c.Client.WaitJob(ctx, id))
	st, err := c.Client.JobStatus(ctx, id)
	require.NoError(t, err)
	require.False(t, st.Aborted)
	require.Contains(t, st.Err, "ETL error: ")
	errs, err := c.Client.ETLErrors(ctx, "etl-fail", id)
	require.NoError(t, err)
	require.Len(t, errs, 5)
	require.Equal(t, "ais://src/a", errs[0].Object)
	require.Equal(t, 500, errs[0].Code)
	errs, err = c.Client.ETLErrors(ctx, "etl-fail", "")
	require.NoError(t, err)
	require.Empty(t, errs, "those of inline requests are another matter")

	copied, err := c.Client.CopyBucket(ctx, src, api.AIS("dst"), api.TransformMsg{})
	done(t, c, copied, err)
	for _, tt := range []struct {
		q    api.JobQuery
		want []string
	}{
		{api.JobQuery{Kind: "copy-bck"}, []string{copied}},
		{api.JobQuery{Kind: "etl-bck"}, []string{id}},
		{api.JobQuery{Kind: "lru"}, nil},
		{api.JobQuery{ID: copied}, []string{copied}},
		{api.JobQuery{Bck: &api.Bucket{Name: "dst"}}, []string{copied}},
		{api.JobQuery{Bck: &api.Bucket{}}, []string{xact, id, copied}},
		{api.JobQuery{Buckets: []api.Bucket{src}}, []string{id, copied}},
		{api.JobQuery{Buckets: []api.Bucket{src, {Name: "dst"}}}, []string{copied}},
		{api.JobQuery{ID: "etl-fail"}, []string{xact}},
	} {
		list, err := c.Client.Jobs(ctx, tt.q)
		require.NoError(t, err)
		var ids []string
		for _, s := range list {
			ids = append(ids, s.UUID)
		}
		require.Equal(t, tt.want, ids, "%+v", tt.q)
	}
	require.NoError(t, c.Client.StopJob(ctx, copied), "it has ended")
	require.NoError(t, c.Client.StopJob(ctx, "nosuch1234"))
	_, err = c.Client.JobStatus(ctx, "nosuch1234")
	require.ErrorIs(t, err, api.ErrNotFound)
	_, err = c.Client.JobSnaps(ctx, "nosuch1234")
	require.ErrorIs(t, err, api.ErrNotFound)
	require.ErrorContains(t, err, `"x-[nosuch1234]" not found`)
}

func TestJobIsStopped(t *testing.T) {
	c := filled(t)
	ctx := t.Context()
	for i := range 64 {
		put(t, c, "src", fmt.Sprint("o", i), []byte("x"))
	}
	_, err := c.Client.InitETL(ctx, spec("etl-hang", "hang", "hpush"))
	require.NoError(t, err)
	id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-hang"})
	require.NoError(t, err)
	st, err := c.Client.JobStatus(ctx, id)
	require.NoError(t, err)
	require.False(t, st.Done())
	require.NoError(t, c.Client.StopJob(ctx, id))
	require.ErrorContains(t, c.Client.WaitJob(ctx, id), "user abort")
	require.Eventually(t, func() bool {
		st, err = c.Client.JobStatus(ctx, id)
		return err == nil && st.EndTime != 0
	}, 10*time.Second, 10*time.Millisecond)
	require.True(t, st.Aborted)
	require.Equal(t, "user abort", st.Err)
	_, err = get(t, c, "src", "o1", url.Values{})
	require.NoError(t, err)

	// Stopping an ETL aborts the jobs that use it, deleting it likewise.
	for _, end := range []func(context.Context, string) error{c.Client.StopETL, c.Client.DeleteETL} {
		id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-hang"})
		require.NoError(t, err)
		require.NoError(t, end(ctx, "etl-hang"))
		require.ErrorContains(t, c.Client.WaitJob(ctx, id), "ETL etl-hang was stopped")
		st, err := c.Client.JobStatus(ctx, id)
		require.NoError(t, err)
		require.True(t, st.Aborted)
		if _, err := c.Client.StartETL(ctx, "etl-hang"); err != nil {
			require.ErrorIs(t, err, api.ErrNotFound)
		}
	}
}
