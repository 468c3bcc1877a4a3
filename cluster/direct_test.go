package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// commTypes are all, with what each may be told of a pod.
var commTypes = []string{"hpush", "hpull", "hrev", "io", "shm", "ws"}

func TestDirectPutOffline(t *testing.T) {
	c := filled(t)
	ctx := t.Context()
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("d/o %02d", i)
		put(t, c, "src", name, []byte(name))
		want = append(want, name)
	}
	for _, commType := range commTypes {
		for _, direct := range []bool{true, false} {
			if commType == "ws" && !direct {
				continue // it needs it
			}
			t.Run(fmt.Sprint(commType, " ", direct), func(t *testing.T) {
				s := spec("etl-direct", "echo", commType)
				s.DirectPut = direct
				_, err := c.Client.InitETL(ctx, s)
				require.NoError(t, err)
				id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-direct", Prepend: "x-"})
				n := counts(done(t, c, id, err))
				require.Positive(t, n.InObjs)
				require.Equal(t, n.OutObjs, n.InObjs, "each object that is sent arrives and is credited")
				if direct { // what a pod sends is not processed here
					require.EqualValues(t, 30, n.LocObjs+n.OutObjs)
					require.Zero(t, n.OutBytes)
				} else {
					require.EqualValues(t, 30, n.LocObjs)
					require.Equal(t, n.OutBytes, n.InBytes)
				}
				require.EqualValues(t, n.LocObjs*int64(len(want[0])), n.LocBytes)
				for _, name := range want {
					got, err := get(t, c, "dst", "x-"+name, nil)
					require.NoError(t, err)
					require.Equal(t, name, string(got))
				}
				require.NoError(t, c.Client.DestroyBucket(ctx, api.AIS("dst")))
				require.NoError(t, c.Client.DeleteETL(ctx, "etl-direct"))
			})
		}
	}
}

func TestPipelines(t *testing.T) {
	c := filled(t, "a", "b", "c", "d", "e", "f")
	ctx := t.Context()
	for i, commType := range commTypes {
		_, err := c.Client.InitETL(ctx, spec(fmt.Sprintf("etl-%d-echo", i), "echo", commType))
		require.NoError(t, err)
	}
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	const md5OfA = "0cc175b9c0f1b6a831c399e269772661"
	for i, commType := range commTypes {
		t.Run(commType, func(t *testing.T) {
			first := fmt.Sprintf("etl-%d-echo", i)
			inline := func(pipeline string) ([]byte, error) {
				return get(t, c, "src", "a", url.Values{"etl_name": {first}, "etl_pipeline": {pipeline}})
			}
			got, err := inline("")
			require.NoError(t, err)
			require.Equal(t, "a", string(got), "an empty pipeline is none")
			got, err = inline("etl-0-echo,etl-md5")
			if commType == "hpull" {
				require.ErrorIs(t, err, api.ErrBadRequest)
				require.ErrorContains(t, err, "a pipeline cannot begin with hpull://")
			} else {
				require.NoError(t, err)
				require.Equal(t, md5OfA, string(got))
				_, err = inline("etl-md5,nosuch-etl")
				require.ErrorIs(t, err, api.ErrBadRequest)
				require.ErrorContains(t, err, `etl="nosuch-etl"] entry not found in the target`)
			}

			id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: first, Pipeline: []string{"etl-md5"}})
			n := counts(done(t, c, id, err))
			require.EqualValues(t, 6*32, n.LocBytes)
			require.Equal(t, n.OutObjs, n.InObjs)
			got, err = get(t, c, "dst", "a", nil)
			require.NoError(t, err)
			require.Equal(t, md5OfA, string(got))
			require.NoError(t, c.Client.DeriveObject(ctx, api.AIS("src"), "a", api.AIS("dst"), "one", first, url.Values{"etl_pipeline": {"etl-md5"}}))
			got, err = get(t, c, "dst", "one", nil)
			require.NoError(t, err)
			require.Equal(t, md5OfA, string(got))
			require.NoError(t, c.Client.DestroyBucket(ctx, api.AIS("dst")))
		})
	}
}

// elsewhereRuntime is a runtime whose pods may not see the objects' folder.
type elsewhereRuntime struct {
	pod.Runtime
	elsewhere *bool
}

func (r elsewhereRuntime) Start(ctx context.Context, s pod.Spec) (pod.Pod, error) {
	if s.Reads != "" && *r.elsewhere {
		s.Reads += "/not here"
	}
	return r.Runtime.Start(ctx, s)
}

func TestArgumentFQN(t *testing.T) {
	elsewhere := false
	here := pods(t)
	c := start(t, 1, 3, func(cfg *cluster.LocalConfig) {
		cfg.Pods = func(dir string) (pod.Runtime, error) {
			rt, err := here(dir)
			return elsewhereRuntime{rt, &elsewhere}, err
		}
	})
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	for _, name := range []string{"a b", "d/%41"} {
		put(t, c, "src", name, []byte(name))
	}
	for _, commType := range commTypes {
		s := spec("etl-fqn", "echo", commType)
		s.Argument = "fqn"
		_, err := c.Client.InitETL(ctx, s)
		require.NoError(t, err)
		for _, name := range []string{"a b", "d/%41"} {
			for _, q := range []url.Values{{}, {"latest-ver": {"true"}}} {
				q.Set("etl_name", "etl-fqn")
				got, err := get(t, c, "src", name, q)
				require.NoError(t, err, commType)
				require.Equal(t, name, string(got))
			}
		}
		require.NoError(t, c.Client.DeleteETL(ctx, "etl-fqn"))
	}
	elsewhere = true
	s := spec("etl-fqn", "echo", "hpush")
	s.Argument = "fqn"
	_, err := c.Client.InitETL(ctx, s)
	require.ErrorIs(t, err, api.ErrBadRequest)
	require.ErrorContains(t, err, "argument: the pod cannot read the objects' folder")
	d, err := c.Client.ETL(ctx, "etl-fqn")
	require.NoError(t, err)
	require.Equal(t, api.StageAborted, d.Stage)
	s.Argument, s.Name = "", "etl-bytes"
	_, err = c.Client.InitETL(ctx, s)
	require.NoError(t, err, "bytes need no folder")

	s = spec("etl-file", "echo", "hpush")
	s.Argument = "file"
	_, err = c.Client.InitETL(ctx, s)
	require.ErrorContains(t, err, `argument: "file", must be`)
	s = spec("etl-ws", "echo", "ws")
	s.DirectPut = false
	_, err = c.Client.InitETL(ctx, s)
	require.ErrorIs(t, err, api.ErrBadRequest)
	require.ErrorContains(t, err, "ws:// needs support_direct_put")
}

func TestPodsAskForObjects(t *testing.T) {
	c := filled(t, "d/a b")
	ctx := t.Context()
	_, err := c.Client.InitETL(ctx, spec("etl-echo", "echo", "hpull"))
	require.NoError(t, err)
	m, err := c.Client.Map(ctx)
	require.NoError(t, err)
	owner, err := m.Owner(api.AIS("src"), "d/a b")
	require.NoError(t, err)

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	ask := func(method, path string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, method, owner.DataNet.URL+"/v1/etl/_object/"+path, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	uname := url.PathEscape(api.AIS("src").Uname("d/a b"))
	for _, tt := range []struct {
		path   string
		status int
		text   string
	}{
		{"etl-echo/wrong/" + uname, 400, "unrecognized request source"},
		{"nosuch-etl/wrong/" + uname, 404, "nosuch-etl does not exist"},
		{"wrong/" + uname, 400, "unrecognized request source"},
	} {
		status, body := ask(http.MethodGet, tt.path)
		require.Equal(t, tt.status, status, tt.path)
		require.Contains(t, body, tt.text)
	}
	_, err = c.Client.InitETL(ctx, spec("etl-secret", "secret", "hpush"))
	require.NoError(t, err)
	secret, err := get(t, c, "src", "d/a b", url.Values{"etl_name": {"etl-secret"}})
	require.NoError(t, err)
	for _, path := range []string{"etl-secret/" + string(secret) + "/" + uname, string(secret) + "/" + uname,
		string(secret) + "/src/d/a%20b", "etl-secret/" + string(secret) + "/src/d/a%20b"} {
		status, body := ask(http.MethodGet, path)
		require.Equal(t, 200, status, strings.ReplaceAll(path, string(secret), "SECRET")+body)
		require.Equal(t, "d/a b", body)
		status, _ = ask(http.MethodHead, path)
		require.Equal(t, 200, status)
		status, _ = ask(http.MethodDelete, path)
		require.Equal(t, 405, status)
	}
}

// TestSharedMemoryNeedsASocket: a pod that listens on TCP alone is refused when
// its ETL is made, in one line, and does not stay.
func TestSharedMemoryNeedsASocket(t *testing.T) {
	c := start(t, 1, 1)
	_, err := c.Client.InitETL(t.Context(), spec("etl-tcp", "wire", "shm"))
	require.ErrorContains(t, err, "communication: shm:// needs a pod that runs on its target's machine and listens on the unix socket it is offered")
	require.NotContains(t, err.Error(), "\n")
	_, err = c.Client.InitETL(t.Context(), spec("etl-both", "echo", "shm"))
	require.NoError(t, err)
}
