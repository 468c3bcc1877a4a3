package node

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
	"github.com/etlbench/etlbench/cluster/store"
)

// fuzzSecret is the secret of the ETL that fuzzed nodes know.
const fuzzSecret = "abcdefghijklmnopqrstuvwxyz012345"

// fuzzState has a bucket, a proxy, a target and an ETL.
func fuzzState(t testing.TB) *meta.State {
	s := meta.New("fuzz", "now")
	s.Version = 1
	s.Buckets["b"] = meta.Bucket{ID: 1}
	for kind, id := range map[string]string{api.TypeProxy: "prx00001", api.TypeTarget: "tgt00001"} {
		n, err := api.NewNode(kind, id, "http://127.0.0.1:1")
		require.NoError(t, err)
		next, err := meta.Apply(s, meta.Command{Join: n})
		require.NoError(t, err)
		s = next
	}
	s.Map.Primary = s.Map.Proxies["prx00001"]
	s.ETLs["etl-md5"] = meta.ETL{Spec: api.ETLSpec{Name: "etl-md5"}, XactID: "etl-0123456789", Secret: fuzzSecret, Stage: api.StageRunning}
	return s
}

// fuzzProxy is a primary that nobody can reach.
func fuzzProxy(t testing.TB) *Proxy {
	p, err := NewProxy(ProxyConfig{Config: Config{ID: "prx00001", Secret: "s", Log: quietLog}})
	require.NoError(t, err)
	p.meta, p.ctx = meta.NewCopy(), t.Context()
	p.leads.Store(true)
	require.NoError(t, p.replaceState(fuzzState(t)))
	return p
}

// fuzzTarget is a target with the object b/o.
func fuzzTarget(t testing.TB) *Target {
	dir := t.TempDir()
	st, err := store.Open(store.Config{Dir: dir, Sync: store.SyncNone})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	tg, err := NewTarget(TargetConfig{Config: Config{ID: "tgt00001", Primary: "http://127.0.0.1:1", Secret: "s", Log: quietLog}, Dir: dir, Store: st})
	require.NoError(t, err)
	tg.ctx = t.Context()
	require.NoError(t, tg.replaceState(fuzzState(t)))
	for _, name := range []string{"o", "d/a b", "d/e/f"} {
		_, err = st.Put(t.Context(), "b", name, strings.NewReader("hello"), store.PutOptions{Size: 5})
		require.NoError(t, err)
	}
	return tg
}

// call makes a request with a raw URI.
func fuzzCall(method, uri string, header ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.Header.SetRequestURI(uri)
	for i := 0; i < len(header); i += 2 {
		ctx.Request.Header.Set(header[i], header[i+1])
	}
	return ctx
}

// FuzzRedirect: where a proxy sends a client is the same object, on a target of
// the map.
func FuzzRedirect(f *testing.F) {
	for _, uri := range []string{"/v1/objects/b/d/a%20b?provider=ais&uuid=x", "/v1/objects/b/a//b", "/v1/objects/b/%2e%2e/x", "/v1/objects/b/%23?pid=x&utm=1",
		"/v1/objects/b/a%2Fb?etl_args=%7B%7D", "/v1/objects//", "/v1/objects/b/o?a;b", "/v1/objects/b/\x00", "/v1/objects/b/o\r\nX: 1", "/v1/objects/b/o?a\x00=\x01"} {
		f.Add(uri)
	}
	p := fuzzProxy(f)
	f.Fuzz(func(t *testing.T, uri string) {
		ctx := fuzzCall("GET", uri)
		path, query := rawPath(ctx)
		if !strings.HasPrefix(path, api.PathObjects+"/") {
			return
		}
		if err := p.redirectObject(ctx, path, query); err != nil {
			require.Less(t, p.apiError(err).Status, 500, "%v", err)
			return
		}
		bucket, object, _, err := objectCall(path, query)
		require.NoError(t, err)
		loc, err := url.Parse(string(ctx.Response.Header.Peek("Location")))
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:1", loc.Host)
		toBucket, toObject, q, err := objectCall(loc.EscapedPath(), loc.RawQuery)
		require.NoError(t, err)
		require.Equal(t, [2]string{bucket, object}, [2]string{toBucket, toObject})
		require.Contains(t, q[api.QparamProxyID], "prx00001")
	})
}

// FuzzTargetURI: what a stranger asks a target for by GET and HEAD is an
// object, or it is a refusal; never a failure of the target.
func FuzzTargetURI(f *testing.F) {
	const uname = "ais%2F@%23%2Fb%2Fo"
	for _, uri := range []string{"/v1/objects/b/o", "/v1/objects/b/o?etl_name=etl-md5", "/v1/objects/b/..%2Fo", "/v1/etl/_object/etl-md5/" + fuzzSecret + "/" + uname,
		"/v1/etl/_object/" + fuzzSecret + "/" + uname, "/v1/etl/_object/" + fuzzSecret + "/b/o", "/v1/etl/_object/etl-0123456789/" + fuzzSecret + "/b/d/a%20b",
		"/v1/etl/_object/etl-md5/wrong/" + uname, "/v1/etl/_object/etl-md5", "/v1/internal/list", "/v1/health", "/v1/daemon?what=smap"} {
		f.Add(uri, "bytes=0-1")
	}
	f.Add("/v1/objects/b/o", "bytes=99999999999999999999-")
	f.Add("/v1/objects/b/o", "bytes=-18446744073709551615")
	tg := fuzzTarget(f)
	f.Fuzz(func(t *testing.T, uri, byteRange string) {
		for _, method := range []string{"GET", "HEAD"} {
			ctx := fuzzCall(method, uri, "Range", byteRange)
			path, _ := rawPath(ctx)
			err := tg.route(ctx)
			if err != nil {
				require.Less(t, tg.apiError(err).Status, 500, "%v", err)
				tg.fail(ctx, err)
			} else if strings.HasPrefix(path, api.PathETLObject+"/") && ctx.Response.StatusCode() < 300 {
				require.Contains(t, path, fuzzSecret, "nobody else is given objects")
			}
			body := ctx.Response.Body() // reads a stream to its end
			if err == nil && method == "GET" && strings.HasPrefix(path, api.PathObjects+"/") {
				require.Contains(t, "hello", string(body))
			}
		}
	})
}

// FuzzPodPut: a pod's PUT of a result, whose URL its transformer may have
// been given by anybody, stores an object of a bucket that there is, or nothing.
func FuzzPodPut(f *testing.F) {
	f.Add("ais%2F@%23%2Fb%2Fnew", "owt=3&uuid=x", "k=v")
	f.Add("b/new", "", "")
	f.Add("ais%2F@%23%2Fnosuch%2Fnew", "%zz", "=")
	tg := fuzzTarget(f)
	f.Fuzz(func(t *testing.T, uname, query, custom string) {
		ctx := fuzzCall("PUT", api.PathETLObject+"/etl-md5/"+fuzzSecret+"/"+uname+"?"+query, api.HdrCustomMD, custom)
		if err := tg.route(ctx); err != nil {
			require.Less(t, tg.apiError(err).Status, 500, "%v", err)
			return
		}
		buckets, err := tg.store.Buckets()
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, buckets)
	})
}

// FuzzListBody: a list's body, with whatever token, gives names in order that
// are behind it, or is refused.
func FuzzListBody(f *testing.F) {
	f.Add(`{"action":"list","value":{"flags":"2048","props":"name","prefix":"d/","continuation_token":"d/a b","pagesize":1}}`)
	f.Add(`{"action":"list","value":{"start_after":"../..","continuation_token":"\u0000","time_format":"%"}}`)
	f.Add(`{"action":"list","value":{"pagesize":-9223372036854775808,"flags":"18446744073709551615"}}`)
	p, tg := fuzzProxy(f), fuzzTarget(f)
	f.Fuzz(func(t *testing.T, body string) {
		ctx := fuzzCall("GET", "/v1/buckets/b")
		ctx.SetUserValue(bodyKey{}, bodyOf([]byte(body)))
		_, msg, err := p.listMsg(ctx)
		if err != nil {
			require.ErrorIs(t, err, api.ErrBadRequest)
			return
		}
		reply, err := tg.list(&listRequest{Bucket: "b", Prefix: msg.Prefix, After: max(msg.Token, msg.StartAfter), Limit: 2, Detail: true})
		require.NoError(t, err)
		list := reply.(listReply).Entries
		require.True(t, slices.IsSortedFunc(list, func(a, b *api.ListEntry) int { return strings.Compare(a.Name, b.Name) }))
		for _, e := range list {
			require.True(t, strings.HasPrefix(e.Name, msg.Prefix))
			trim(e, listProps(msg))
		}
		page := api.ListPage{Entries: list}
		_, err = api.ParseMsgpackPage(page.AppendMsgpack(nil))
		require.NoError(t, err)
	})
}

// FuzzAction: the body of a control call, whatever it asks for.
func FuzzAction(f *testing.F) {
	for _, body := range []string{
		`{"action":"etl-bck","name":"to-name","value":{"id":"etl-md5","ext":"destext","prefix":"p","suffix":"s"}}`,
		`{"action":"etl-listrange","value":{"id":"etl-md5","tobck":{"name":"dst"},"template":"s-{1..3}","num-workers":8,"coer":true}}`,
		`{"action":"copy-listrange","value":{"tobck":{"name":"dst","namespace":{"uuid":"","name":""}},"objnames":["a","b"]}}`,
		`{"action":"copy-bck","value":{"bck_to":{"name":"dst"},"ext":{"jpg":".txt"},"prepend":"x"}}`,
		`{"action":"delete-listrange","value":{"objnames":["a"]}}`,
		`{"action":"create-bck","value":{"checksum":{"type":"md5"}}}`,
	} {
		f.Add([]byte(body), "bck_to=ais%2F%40%23%2Fdst%2F")
	}
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		var a action
		q, err := url.ParseQuery(query)
		if err != nil || json.Unmarshal(body, &a) != nil {
			return
		}
		j, err := planBucketJob("b", &a, q)
		if err != nil {
			require.ErrorIs(t, err, api.ErrBadRequest)
			return
		}
		if !j.deletes() {
			require.NoError(t, api.CheckBucketName(j.To))
		}
		for _, name := range j.Objects {
			require.NoError(t, api.CheckObjectName(name))
		}
		// Targets are sent the plan, and must read the same.
		data, err := json.Marshal(j)
		require.NoError(t, err)
		var back bucketJob
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, j.Prefix, back.Prefix)
		require.Equal(t, j.Rename.apply("d/a.jpg"), back.Rename.apply("d/a.jpg"))
	})
}

// FuzzJobSelector: which jobs a client means.
func FuzzJobSelector(f *testing.F) {
	f.Add([]byte(`{"id":"x","kind":"etl-bck","show_active":true,"bck":{"name":"b"}}`))
	f.Add([]byte(`{"ID":"x","Kind":"","DaemonID":"","Bck":null,"Buckets":null}`))
	p := fuzzProxy(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := p.jobSelector(data)
		if err != nil {
			require.Equal(t, http.StatusBadRequest, p.apiError(err).Status)
			return
		}
		s := api.Snap{ID: "x", Kind: "etl-bck", SrcBck: api.AIS("b")}
		if q.Matches(&s) {
			require.Contains(t, []string{"", "x"}, q.ID)
		}
	})
}

// FuzzPodQuery: what is passed on to a pod selects no ETL, no file and no
// command.
func FuzzPodQuery(f *testing.F) {
	f.Add("uuid=etl-md5&etl_args=x&command=sh&pid=1&utm=2&etl_fqn=/x&a=b")
	f.Add("%75uid=x&com%6dand=sh&;=1")
	f.Add("%75uid=x&com%6dand=sh")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(podQuery(query))
		if err != nil {
			return
		}
		for _, key := range []string{api.QparamETLName, api.QparamUUID, api.QparamCommand, api.QparamETLFQN, api.QparamPipeline, api.QparamProxyID} {
			require.False(t, q.Has(key), "%s in %q", key, query)
		}
	})
}
