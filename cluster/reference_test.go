package cluster_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// The reference's tables that take a cluster: a row of the document is a row
// of the test. Those that only take an init message are in cluster/node.

const (
	md5OfHello = "5d41402abc4b2a76b9719d911017c592"
	podOfMD5   = `apiVersion: v1
kind: Pod
metadata:
  name: compute-md5
spec:
  containers:
    - image: test/md5
      ports: [{Name: default, containerPort: 80}]
      readinessProbe: {httpGet: {Path: /health, Port: default}}
`
)

func TestReferenceOperations(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("shards")))
	put(t, c, "shards", "shard01.tar", []byte("hello"))
	put(t, c, "shards", "noext", []byte("hello"))
	pod := base64.StdEncoding.EncodeToString([]byte(podOfMD5))
	job := func(t *testing.T, id string) { require.NoError(t, c.Client.WaitJob(ctx, id)) }
	tests := []struct {
		operation, method, path, body string
		reply                         string
		then                          func(t *testing.T, reply string)
	}{
		{"Init spec ETL", "PUT", "/v1/etl", fmt.Sprintf(`{"spec": %q, "id": "etl-spec"}`, pod), "etl-spec", nil},
		{"Init code ETL", "PUT", "/v1/etl", `{"code": "...", "dependencies": "", "runtime": "python3", "id": "etl-code"}`, "etl-code", nil},
		{"List ETLs", "GET", "/v1/etl", "", `"id":"etl-code"`, func(t *testing.T, reply string) { require.Contains(t, reply, `"id":"etl-spec"`) }},
		{"View ETLs Init spec", "GET", "/v1/etl/etl-spec", "", fmt.Sprintf(`"spec":%q`, pod), nil},
		{"View ETLs Init code", "GET", "/v1/etl/etl-code", "", `"code":"Li4u"`, nil},
		{"Transform object", "GET", "/v1/objects/shards/shard01.tar?uuid=etl-spec", "", md5OfHello, nil},
		{"Transform bucket", "POST", "/v1/buckets/shards",
			`{"action": "etl-bck", "name": "to-name", "value":{"id":"etl-spec", "ext":"destext", "prefix":"prefix", "suffix": "suffix"}}`, "", func(t *testing.T, id string) {
				job(t, id)
				require.Equal(t, []string{"prefixnoextsuffix", "prefixshard01.destextsuffix"}, names(t, c, "to-name"))
			}},
		{"Dry run transform bucket", "POST", "/v1/buckets/shards",
			`{"action": "etl-bck", "name": "dry-name", "value":{"id":"etl-spec", "ext":"destext", "dry_run": true}}`, "", func(t *testing.T, id string) {
				job(t, id)
				snaps, err := c.Client.JobSnaps(ctx, id)
				require.NoError(t, err)
				s := counts(snaps)
				require.EqualValues(t, 2, s.LocObjs, "how many objects would be created")
				require.EqualValues(t, 2*32, s.LocBytes, "and how many bytes")
				_, err = c.Client.List(ctx, api.AIS("dry-name"), api.ListMsg{})
				require.ErrorIs(t, err, api.ErrBucketNotFound, "without actually doing it")
			}},
		{"Stop ETL, as its example", "POST", "/v1/etl/etl-spec/stop", "", "", nil},
		{"Stop ETL, as its action", "DELETE", "/v1/etl/etl-code/stop", "", "", func(t *testing.T, _ string) {
			for _, name := range []string{"etl-spec", "etl-code"} {
				is, _ := stage(t, c, name)
				require.Equal(t, api.StageAborted, is)
			}
		}},
		{"Delete ETL", "DELETE", "/v1/etl/etl-spec", "", "", func(t *testing.T, _ string) {
			is, _ := stage(t, c, "etl-spec")
			require.Equal(t, "gone", is)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.operation, func(t *testing.T) {
			req, err := http.NewRequestWithContext(ctx, tt.method, c.URL+tt.path, strings.NewReader(tt.body))
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req) // curl -L
			require.NoError(t, err)
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, string(data))
			require.Contains(t, string(data), tt.reply)
			if tt.method == http.MethodPut {
				require.Equal(t, tt.reply, string(data), "returns ETL_ID")
			}
			if tt.then != nil {
				tt.then(t, string(data))
			}
		})
	}
}

// wirePod is a transformer that tells how it was asked. A GET makes it fetch
// the object as the reference says: AIS_TARGET_URL/<bucket-name>/<object-name>.
func wirePod(ctx context.Context) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			resp, err := http.Get(os.Getenv(api.EnvTargetURL) + "/src/a")
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer resp.Body.Close()
			body, _ = io.ReadAll(resp.Body)
		}
		// A client's header that arrives is told by another one.
		for _, name := range []string{"X-Client", "X-Hop", "Range", "Ais-Node-Url", "User-Agent", "Etlbench-Timing"} {
			if v := r.Header.Get(name); v != "" {
				w.Header().Add("X-Seen", name+": "+v)
			}
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusPartialContent)
		}
		fmt.Fprintf(w, "%s %s [%s]", r.Method, r.RequestURI, body)
	})}
	fmt.Fprintf(os.NewFile(3, "announce"), "http://%s\n", ln.Addr())
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	_ = srv.Serve(ln)
	return 0
}

func TestReferenceCommunicationMechanisms(t *testing.T) {
	c := filled(t, "a")
	ctx := t.Context()
	owner := func() string {
		resp, _ := raw(t, http.MethodGet, c.URL+"/v1/objects/src/a?provider=ais&etl_name=etl-wire&etl_args=x%20y&command=sh&latest-ver=true", nil)
		return resp.Header.Get("Location")
	}
	const fetched = "GET /ais%2F@%23%2Fsrc%2Fa"
	tests := []struct {
		row, value string
		status     int    // of the target's answer
		asked      string // what the pod was asked, and what it had of the object
	}{
		{"post", "hpush://", 200, "PUT /src/a?etl_args=x+y [a]"},
		{"reverse proxy", "hrev://", 200, fetched + "?provider=ais&etl_args=x%20y&latest-ver=true [a]"},
		{"redirect", "hpull://", 307, fetched + "?etl_args=x+y&latest-ver=true [a]"},
		{"input/output", "io://", 200, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			s := spec("etl-wire", "wire", strings.TrimSuffix(tt.value, "://"))
			if tt.value == "io://" {
				s = spec("etl-wire", "echo", "io")
			}
			_, err := c.Client.InitETL(ctx, s)
			require.NoError(t, err)
			resp, body := raw(t, http.MethodGet, owner(), nil)
			require.Equal(t, tt.status, resp.StatusCode, body)
			if tt.status == http.StatusTemporaryRedirect {
				at, err := url.Parse(resp.Header.Get("Location"))
				require.NoError(t, err)
				resp, body = raw(t, http.MethodGet, at.String(), nil)
				require.Equal(t, 200, resp.StatusCode)
				// A container is asked by POST as well, the reference says.
				_, posted := raw(t, http.MethodPost, "http://"+at.Host+"/src/a", strings.NewReader("b"))
				require.Equal(t, "POST /src/a [b]", posted)
			}
			require.Equal(t, tt.asked, body)
			require.NoError(t, c.Client.DeleteETL(ctx, "etl-wire"))
		})
	}

	// The reverse proxy keeps the client's headers and relays status and
	// headers, but not those that are a connection's, or would have the pod
	// send its result elsewhere.
	_, err := c.Client.InitETL(ctx, spec("etl-wire", "wire", "hrev"))
	require.NoError(t, err)
	resp, body := raw(t, http.MethodGet, owner(), nil, "X-Client", "yes", "Connection", "X-Hop", "X-Hop", "1", "Range", "bytes=0-1",
		"Ais-Node-Url", "http://127.0.0.1:1/x", "User-Agent", "me", "Etlbench-Timing", "1")
	require.Equal(t, http.StatusPartialContent, resp.StatusCode, body)
	require.Equal(t, []string{"X-Client: yes", "Range: bytes=0-1", "User-Agent: me"}, resp.Header["X-Seen"])
	require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Len(t, resp.Header["Server-Timing"], 1)
	require.Contains(t, body, "[a]")
	require.NoError(t, c.Client.DeleteETL(ctx, "etl-wire"))

	// Our own containers take PUT and POST alike.
	_, err = c.Client.InitETL(ctx, spec("etl-wire", "md5", "hpull"))
	require.NoError(t, err)
	resp, _ = raw(t, http.MethodGet, owner(), nil)
	at, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		_, body := raw(t, method, "http://"+at.Host+"/src/a", strings.NewReader("hello"))
		require.Equal(t, md5OfHello, body)
	}
}
