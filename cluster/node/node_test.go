package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

var quietLog = slog.New(slog.DiscardHandler)

// target is a Target that has joined nobody.
func target(t *testing.T, dir string) (*Target, func()) {
	st, err := store.Open(store.Config{Dir: dir, Sync: store.SyncNone})
	require.NoError(t, err)
	tg, err := NewTarget(TargetConfig{Config: Config{ID: "tgt00001", Primary: "http://127.0.0.1:1", Secret: "s", Log: quietLog},
		Dir: dir, Store: st})
	require.NoError(t, err)
	return tg, func() { require.NoError(t, st.Close()) }
}

func state(t *testing.T, uuid string, buckets map[string]int64) *meta.State {
	s := meta.New(uuid, "now")
	for name, id := range buckets {
		s.Buckets[name] = meta.Bucket{ID: id}
		s.Version += id
	}
	return s
}

func TestTargetFollowsBuckets(t *testing.T) {
	dir := t.TempDir()
	tg, done := target(t, dir)
	put := func() {
		_, err := tg.store.Put(t.Context(), "b", "o", strings.NewReader("x"), store.PutOptions{Size: 1})
		require.NoError(t, err)
	}
	has := func(tg *Target) bool { _, err := tg.store.Stat("b", "o"); return err == nil }
	require.NoError(t, tg.replaceState(state(t, "one", map[string]int64{"b": 3})))
	put()
	require.NoError(t, tg.replaceState(state(t, "one", map[string]int64{"b": 3, "c": 4})))
	require.True(t, has(tg))
	require.NoError(t, tg.replaceState(state(t, "one", map[string]int64{"b": 9})))
	require.False(t, has(tg), "made anew while nobody told")
	put()

	err := tg.replaceState(state(t, "other", map[string]int64{"x": 99}))
	require.ErrorContains(t, err, "belongs to cluster one")
	require.True(t, has(tg), "another cluster's metadata changes nothing")
	done()

	// A crash between the making of a bucket and the record of it.
	record := filepath.Join(dir, "applied.json")
	require.NoError(t, os.WriteFile(record, []byte(`{"cluster":"one","buckets":{}}`), 0o644))
	tg, done = target(t, dir)
	require.NoError(t, tg.replaceState(state(t, "one", map[string]int64{"b": 9})))
	require.True(t, has(tg), "taken over, not destroyed")
	done()

	require.NoError(t, os.WriteFile(record, nil, 0o644))
	_, err = readApplied(dir)
	require.ErrorContains(t, err, "applied.json")
}

func TestServeEndsWhenItsStartFails(t *testing.T) {
	for range 20 {
		n := newNode(api.TypeProxy, Config{ID: "prx00001", Secret: "s", Log: quietLog}, nil)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			done <- n.serve(t.Context(), []net.Listener{ln}, func(*fasthttp.RequestCtx) {}, nil,
				func(context.Context) error { return errors.New("cannot start") })
		}()
		select {
		case err := <-done:
			require.ErrorContains(t, err, "cannot start")
		case <-time.After(20 * time.Second):
			t.Fatal("serve hangs")
		}
	}
}

func TestRename(t *testing.T) {
	tests := []struct {
		name string
		r    rename
		want string
	}{
		{"d.x/a.jpg", rename{}, "d.x/a.jpg"},
		{"a.jpg", rename{Ext: map[string]string{"jpg": ".txt"}}, "a.txt"},
		{"a.png", rename{Ext: map[string]string{"jpg": "txt"}}, "a.png"},
		{"a.tar.gz", rename{AllExt: "out"}, "a.tar.out"},
		{"noext", rename{AllExt: "out"}, "noext"},
		{"v1.2/noext", rename{AllExt: "out"}, "v1.2/noext"},
		{"v1.2/", rename{AllExt: "out"}, "v1.2/"},
		{"d/a.jpg", rename{Ext: map[string]string{"jpg": "txt"}, Prepend: "x/", Suffix: "-s"}, "x/d/a.txt-s"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.r.apply(tt.name), tt.name)
	}
}

func TestPlanBucketJob(t *testing.T) {
	to := url.Values{"bck_to": {"ais/@#/dst/"}}
	tests := []struct {
		name, value, toName string
		q                   url.Values
		want                bucketJob
		err                 string
	}{
		{name: "today's", value: `{"id":"etl-md5","ext":{"jpg":"txt"},"prepend":"x-","prefix":"d/","num-workers":3,"coer":true,"request_timeout":"5m"}`, q: to,
			want: bucketJob{ETL: "etl-md5", To: "dst", Prefix: "d/", Workers: 3, Continue: true, Timeout: api.Duration(5 * time.Minute),
				Rename: rename{Ext: map[string]string{"jpg": "txt"}, Prepend: "x-"}}},
		{name: "the reference's", value: `{"id":"etl-md5","ext":"destext","prefix":"p","suffix":"s"}`, toName: "dst",
			want: bucketJob{ETL: "etl-md5", To: "dst", Rename: rename{AllExt: "destext", Prepend: "p", Suffix: "s"}}},
		{name: "bare prefix with bck_to filters", value: `{"id":"e","prefix":"p"}`, q: to, want: bucketJob{ETL: "e", To: "dst", Prefix: "p"}},
		{name: "keys in any case", value: `{"ID":"e","Prefix":"p","NUM-workers":0}`, q: to, want: bucketJob{ETL: "e", To: "dst", Prefix: "p"}},
		{name: "ETL in the query", value: `null`, q: url.Values{"bck_to": {"ais/@#/dst/"}, "uuid": {"etl-q"}}, want: bucketJob{ETL: "etl-q", To: "dst"}},
		{name: "bck_to in the value", value: `{"id":"e","bck_to":{"name":"dst"}}`, want: bucketJob{ETL: "e", To: "dst"}},
		{name: "another provider's destination", value: `{"id":"e","bck_to":{"name":"dst","provider":"aws"}}`, err: `bck_to: invalid bucket provider "aws"`},
		{name: "a destination in a namespace", value: `{"id":"e","bck_to":{"name":"dst","namespace":{"uuid":"","name":"ml"}}}`, err: `bck_to: invalid namespace "@#ml"`},
		{name: "no destination", value: `{"id":"e"}`, err: `missing "bck_to" query parameter`},
		{name: "bad destination", value: `{"id":"e"}`, toName: "../x", err: "bucket name is invalid"},
		{name: "bad ext", value: `{"id":"e","ext":7}`, q: to, err: "failed to unmarshal etl-bck"},
		{name: "no workers is one", value: `{"id":"e","num-workers":-1}`, q: to, want: bucketJob{ETL: "e", To: "dst", Workers: 1}},
		{name: "synchronize asks for the latest", value: `{"id":"e","synchronize":true}`, q: to, want: bucketJob{ETL: "e", To: "dst", Sync: true, LatestVer: true}},
		{name: "prepend and synchronize", value: `{"id":"e","prepend":"x","synchronize":true}`, q: to, err: "synchronize needs the same names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, err := planBucketJob("src", &action{Action: "etl-bck", Name: tt.toName, Value: json.RawMessage(tt.value)}, tt.q)
			if tt.err != "" {
				require.ErrorIs(t, err, api.ErrBadRequest)
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			tt.want.Kind, tt.want.From = "etl-bck", "src"
			require.Equal(t, &tt.want, j)
		})
	}
}

func FuzzPlanBucketJob(f *testing.F) {
	f.Add(`{"id":"etl-md5","ext":"destext","prefix":"p","suffix":"s"}`, "dst", "bck_to=ais%2F%40%23%2Fdst%2F")
	f.Fuzz(func(t *testing.T, value, name, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		j, err := planBucketJob("src", &action{Action: "etl-bck", Name: name, Value: json.RawMessage(value)}, q)
		if err == nil {
			require.NoError(t, api.CheckBucketName(j.To))
		}
	})
}

const podYAML = `kind: Pod
metadata: {annotations: {communication_type: "hrev://", wait_timeout: 7m, support_direct_put: "true"}}
spec:
  containers:
    - image: x
      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`

func TestPlanETL(t *testing.T) {
	pod := api.Blob(podYAML)
	tests := []struct {
		name         string
		spec         api.ETLSpec
		comm         string
		init, object time.Duration
	}{
		{"annotations", api.ETLSpec{Name: "etl-a1", Spec: pod}, "hrev://", 7 * time.Minute, 10 * time.Second},
		{"a field wins over its annotation", api.ETLSpec{Name: "etl-a1", Spec: pod, Communication: "io", InitTimeout: api.Duration(time.Second)}, "io://", time.Second, 10 * time.Second},
		{"the old name of the timeout", api.ETLSpec{ID: "etl-a1", Spec: pod, Timeout: api.Duration(3 * time.Second)}, "hrev://", 3 * time.Second, 10 * time.Second},
		{"old and without a limit", api.ETLSpec{ID: "etl-a1", Code: []byte("x"), Runtime: []byte(`"python3"`)}, "hpush://", unlimitedInit, 10 * time.Second},
		{"new and default", api.ETLSpec{Name: "etl-a1", Runtime: []byte(`{"image":"x"}`), ObjTimeout: api.Duration(time.Minute)}, "hpush://", 45 * time.Second, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := planETL(tt.spec)
			require.NoError(t, err)
			require.Equal(t, tt.comm, p.typ.Name)
			require.Equal(t, tt.init, p.init)
			require.Equal(t, tt.object, p.object)
			require.Equal(t, len(tt.spec.Spec) > 0, p.spec.DirectPut)
			again, err := planETL(p.spec)
			require.NoError(t, err, "what is stored can be planned again")
			require.Equal(t, p.spec, again.spec)
		})
	}
}

func FuzzInit(f *testing.F) {
	f.Add([]byte(`{"id":"etl-md5","spec":"` + "a2luZDogUG9k" + `","communication":"hpush://","timeout":"5m"}`))
	f.Add([]byte(`{"name":"etl-md5","runtime":{"image":"x","env":[{"name":"a"}]},"init_timeout":"45s"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := api.ParseETLSpec(body)
		if err != nil {
			return
		}
		p, err := planETL(s)
		if err != nil {
			require.ErrorIs(t, err, pod.ErrSpec)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		_, err = planETL(p.spec)
		require.NoError(t, err)
	})
}

func TestByteRange(t *testing.T) {
	tests := []struct {
		header        string
		first, length int64
		status        int
	}{
		{"", 0, 10, 200},
		{"bytes=2-5", 2, 4, 206},
		{"bytes=5-", 5, 5, 206},
		{"bytes=-3", 7, 3, 206},
		{"bytes=0-99", 0, 10, 206},
		{"items=0-5", 0, 10, 200},
		{"bytes=10-", 0, 0, 416},
		{"bytes=-0", 0, 0, 416},
		{"bytes=5-2", 0, 0, 416},
		{"bytes=0-1,3-4", 0, 0, 416},
	}
	tg := &Target{}
	for _, tt := range tests {
		t.Run(tt.header, func(t *testing.T) {
			var ctx fasthttp.RequestCtx
			if tt.header != "" {
				ctx.Request.Header.Set("Range", tt.header)
			}
			first, length, err := tg.byteRange(&ctx, 10)
			if tt.status == 416 {
				require.Error(t, err)
				require.Equal(t, "bytes */10", string(ctx.Response.Header.Peek("Content-Range")))
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int64{tt.first, tt.length, int64(tt.status)}, []int64{first, length, int64(ctx.Response.StatusCode())})
		})
	}
}

func TestStoppedETLLeavesEndedJobsAlone(t *testing.T) {
	tg, done := target(t, t.TempDir())
	defer done()
	ctx, cancel := context.WithCancelCause(t.Context())
	j := &targetJob{job: bucketJob{ID: "job-00001", XactID: "etl-00001"}, ctx: ctx, cancel: cancel, start: time.Now(), end: time.Now(),
		times: hdrhistogram.New(minObjectTime, maxObjectTime, 3)}
	tg.jobs.add(j.job.ID, j)
	tg.jobs.abortOf("etl-00001", "the ETL was stopped")
	s, err := j.snap()
	require.NoError(t, err)
	require.False(t, s.Aborted)
	_, err = tg.abortJob(&jobRef{ID: j.job.ID, Reason: "another target failed"})
	require.NoError(t, err)
	s, err = j.snap()
	require.NoError(t, err)
	require.True(t, s.Aborted)
	require.Equal(t, "another target failed", s.AbortErr)
}

func TestObjectHeadersAllocateNothing(t *testing.T) {
	var h fasthttp.ResponseHeader
	i := store.Info{Size: 1, Atime: 1795892338125377955, Version: 1234567, Checksum: store.Checksum{Type: "xxhash2", Value: "6da84128ef02c16e"}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h.Reset()
		objectHeaders(&h, &i)
	}))
	require.Equal(t, "1795892338125377955", string(h.Peek(api.HdrAtime)))
	require.Equal(t, "1234567", string(h.Peek(api.HdrVersion)))
	require.Equal(t, "xxhash2", string(h.Peek(api.HdrChecksumType)))
	require.Equal(t, "6da84128ef02c16e", string(h.Peek(api.HdrChecksumValue)))
}
