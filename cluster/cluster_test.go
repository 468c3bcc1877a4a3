package cluster_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/store"
)

// roleEnv makes the test binary a transformer.
const roleEnv = "CLUSTER_TEST_TRANSFORM"

func TestMain(m *testing.M) {
	if name := os.Getenv(roleEnv); name != "" {
		os.Exit(transformer(name))
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*Client).mCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean"))
}

var transforms = map[string]comm.Transform{
	"echo": func(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
		_, err := io.Copy(dst, src)
		return err
	},
	"md5": func(_ context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		h := md5.New()
		_, err := io.Copy(h, src)
		fmt.Fprintf(dst, "%x%s", h.Sum(nil), o.Args)
		return err
	},
	"fail": func(_ context.Context, _ io.Writer, src io.Reader, o comm.Info) error {
		_, _ = io.Copy(io.Discard, src)
		return errors.New("cannot transform this")
	},
	"exit": func(context.Context, io.Writer, io.Reader, comm.Info) error {
		fmt.Fprintln(os.Stderr, "out of cheese")
		os.Exit(7)
		return nil
	},
	// The secret of the ETL, which only its pods know.
	"secret": func(_ context.Context, dst io.Writer, src io.Reader, _ comm.Info) error {
		_, _ = io.Copy(io.Discard, src)
		_, err := io.WriteString(dst, path.Base(os.Getenv(api.EnvTargetURL)))
		return err
	},
	"hang": func(ctx context.Context, _ io.Writer, _ io.Reader, _ comm.Info) error {
		<-ctx.Done()
		return ctx.Err()
	},
}

func transformer(name string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch name {
	case "deaf":
		<-ctx.Done() // never ready
		return 0
	case "wire":
		return wirePod(ctx)
	}
	t := transforms[name]
	if argv := os.Args[1:]; name == "shim" {
		t = comm.Command(argv, os.Environ(), os.Stderr)
	}
	s, err := comm.NewServer(comm.ServerConfig{Transform: t, TargetURL: os.Getenv(api.EnvTargetURL), TargetSocket: os.Getenv(pod.EnvTargetSocket),
		DirectPut: os.Getenv(api.EnvDirectPut) == "true", FQNRoot: os.Getenv(api.EnvFQNRoot),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	socket, err := net.Listen("unix", os.Getenv(pod.EnvSocket))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(os.NewFile(3, "announce"), "http://%s\n", ln.Addr())
	if err := s.Serve(ctx, ln, socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const (
	md5Prog  = "md5sum | cut -c -32 | tr -d '\\n'"
	failProg = "cat > /dev/null; echo cannot transform this >&2; exit 1"
)

// programs are the transforms as commands, for io://.
var programs = map[string]string{"echo": "cat", "md5": md5Prog, "fail": failProg}

func pods(t testing.TB) func(dir string) (pod.Runtime, error) {
	self, err := os.Executable()
	require.NoError(t, err)
	images := pod.Images{}
	for name := range transforms {
		images["test/"+name] = pod.Image{Entrypoint: []string{self}, Env: map[string]string{roleEnv: name}, Announces: true}
	}
	images["test/deaf"] = pod.Image{Entrypoint: []string{self}, Env: map[string]string{roleEnv: "deaf"}}
	images["test/wire"] = pod.Image{Entrypoint: []string{self}, Env: map[string]string{roleEnv: "wire"}, Announces: true}
	images["test/shim"] = pod.Image{Env: map[string]string{roleEnv: "shim"}}
	return func(dir string) (pod.Runtime, error) {
		return pod.NewProcess(pod.ProcessConfig{Dir: dir, Images: images, Shim: []string{self}, Node: "here",
			Log: slog.New(slog.DiscardHandler),
			// Code, whatever it says, is md5: interpreters are another package's.
			Code: func(s pod.Spec) (pod.Image, error) {
				if s.Runtime != "python3" {
					return pod.Image{}, fmt.Errorf("no interpreters in this test for %s", s.Runtime)
				}
				return pod.Image{Entrypoint: []string{"env", roleEnv + "=md5", self}, Announces: true}, nil
			}})
	}
}

func start(t testing.TB, proxies, targets int, change ...func(*cluster.LocalConfig)) *cluster.LocalCluster {
	cfg := cluster.LocalConfig{Proxies: proxies, Targets: targets, Dir: t.TempDir(), Sync: store.SyncNone,
		Pods: pods(t), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := cluster.Local(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, c.Close())
	})
	return c
}

func spec(name, transform, commType string) *api.ETLSpec {
	image, command := "test/"+transform, ""
	if commType == "io" {
		image, command = "test/shim", fmt.Sprintf("      command: [sh, -c, %q]\n", programs[transform])
	}
	return &api.ETLSpec{Name: name, Communication: commType + "://", DirectPut: commType == "ws", Spec: fmt.Appendf(nil, `
kind: Pod
metadata: {name: %s}
spec:
  containers:
    - name: server
      image: %s
%s      ports: [{name: default, containerPort: 80}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`, transform, image, command)}
}

func put(t testing.TB, c *cluster.LocalCluster, bucket, name string, data []byte) {
	require.NoError(t, c.Client.Put(t.Context(), api.AIS(bucket), name, bytes.NewReader(data), int64(len(data))))
}

func get(t testing.TB, c *cluster.LocalCluster, bucket, name string, q url.Values) ([]byte, error) {
	body, _, err := c.Client.Get(t.Context(), api.AIS(bucket), name, q)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func fill(n int) []byte { return bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n] }

func TestObjects(t *testing.T) {
	c := start(t, 1, 3)
	ctx := t.Context()
	b := api.AIS("gold")
	require.NoError(t, c.Client.CreateBucket(ctx, b))
	require.ErrorIs(t, c.Client.CreateBucket(ctx, b), api.ErrExists)
	names := []string{"a.txt", "dir/b.txt", "sp ace#?%41.txt", "a//b", "ünï.jpg", "empty", "big"}
	want := map[string][]byte{}
	for i, name := range names {
		want[name] = fill(i * 1000)
	}
	want["empty"], want["big"] = nil, fill(5<<20)
	for name, data := range want {
		put(t, c, "gold", name, data)
	}
	for name, data := range want {
		got, err := get(t, c, "gold", name, nil)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(data, got), name)
	}
	var listed []string
	require.NoError(t, c.Client.ListAll(ctx, b, func(e *api.ListEntry) error {
		listed = append(listed, e.Name)
		require.EqualValues(t, len(want[e.Name]), e.Size, e.Name)
		return nil
	}))
	require.Equal(t, []string{"a.txt", "a//b", "big", "dir/b.txt", "empty", "sp ace#?%41.txt", "ünï.jpg"}, listed)
	require.NoError(t, c.Client.Delete(ctx, b, "a//b"))
	require.ErrorIs(t, c.Client.Delete(ctx, b, "a//b"), api.ErrNotFound)
	_, err := get(t, c, "gold", "a//b", nil)
	require.ErrorContains(t, err, "ais://gold/a//b does not exist")
	require.NoError(t, c.Client.DestroyBucket(ctx, b))
	_, err = get(t, c, "gold", "big", nil)
	require.ErrorIs(t, err, api.ErrBucketNotFound)
	require.NoError(t, c.Client.CreateBucket(ctx, b))
	require.NoError(t, c.Client.ListAll(ctx, b, func(e *api.ListEntry) error {
		return fmt.Errorf("%s is still there", e.Name)
	}))
}

func TestListPages(t *testing.T) {
	c := start(t, 1, 3)
	b := api.AIS("pages")
	require.NoError(t, c.Client.CreateBucket(t.Context(), b))
	var want []string
	for i := range 57 {
		want = append(want, fmt.Sprintf("d%d/o-%03d", i%3, i))
		put(t, c, "pages", want[i], nil)
	}
	for _, size := range []int64{1, 7, 56, 57, 58, 0} {
		var got []string
		msg := api.ListMsg{PageSize: size}
		for {
			page, err := c.Client.List(t.Context(), b, msg)
			require.NoError(t, err)
			for _, e := range page.Entries {
				got = append(got, e.Name)
			}
			if page.Token == "" {
				break
			}
			require.Equal(t, page.Token, page.Entries[len(page.Entries)-1].Name)
			msg.UUID, msg.Token = page.UUID, page.Token
		}
		require.ElementsMatch(t, want, got, "page size %d", size)
		require.IsIncreasing(t, got)
	}
	page, err := c.Client.List(t.Context(), b, api.ListMsg{Prefix: "d1/"})
	require.NoError(t, err)
	require.Len(t, page.Entries, 19)
}

// raw sends one request without following redirects.
func raw(t testing.TB, method, u string, body io.Reader, header ...string) (*http.Response, string) {
	req, err := http.NewRequestWithContext(t.Context(), method, u, body)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(data)
}

func TestWire(t *testing.T) {
	c := start(t, 1, 2)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("gold")))
	put(t, c, "gold", "d.txt", []byte("hello world"))

	resp, body := raw(t, "GET", c.URL+"/v1/objects/gold/d.txt?provider=ais", nil)
	require.Equal(t, 301, resp.StatusCode)
	loc := resp.Header.Get("Location")
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/v1/objects/gold/d\.txt\?provider=ais&pid=prx00001&utm=[0-9a-z]+$`, loc)
	require.Equal(t, `<a href="`+strings.ReplaceAll(loc, "&", "&amp;")+"\">Moved Permanently</a>.\n\n", body)

	resp, body = raw(t, "GET", loc, nil, "Range", "bytes=2-5")
	require.Equal(t, 206, resp.StatusCode)
	require.Equal(t, "llo ", body)
	require.Equal(t, "bytes 2-5/11", resp.Header.Get("Content-Range"))
	require.Equal(t, "45ab6734b21e6968", resp.Header.Get("Ais-Checksum-Value"))
	require.Equal(t, "xxhash2", resp.Header.Get("Ais-Checksum-Type"))

	resp, body = raw(t, "GET", loc, nil, "Range", "bytes=100-200")
	require.Equal(t, 416, resp.StatusCode)
	require.Equal(t, "bytes */11", resp.Header.Get("Content-Range"))
	require.Contains(t, body, "ErrRangeNotSatisfiable")

	resp, _ = raw(t, "HEAD", c.URL+"/v1/objects/gold/d.txt", nil)
	require.Equal(t, 307, resp.StatusCode)
	resp, body = raw(t, "HEAD", resp.Header.Get("Location"), nil)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 11, resp.ContentLength)
	require.Empty(t, body)
	require.Equal(t, "true", resp.Header.Get("Ais-Present"))

	missing := strings.Replace(loc, "d.txt", "nosuch", 1)
	resp, body = raw(t, "HEAD", missing, nil)
	require.Equal(t, 404, resp.StatusCode)
	require.Empty(t, body)
	var e api.Error
	require.NoError(t, json.Unmarshal([]byte(resp.Header.Get("Hdr-Error")), &e))
	require.Equal(t, "ErrNotFound", e.Kind)
	require.Equal(t, 404, e.Status)
	require.Equal(t, "HEAD", e.Method)

	resp, _ = raw(t, "HEAD", c.URL+"/v1/buckets/gold", nil)
	require.Contains(t, resp.Header.Get("Ais-Bucket-Props"), `"type":"xxhash2"`)

	resp, _ = raw(t, "PUT", c.URL+"/v1/objects/gold/chunked", io.MultiReader(strings.NewReader("hello "), strings.NewReader("world")))
	require.Equal(t, 307, resp.StatusCode)
	resp, _ = raw(t, "PUT", resp.Header.Get("Location"), io.MultiReader(strings.NewReader("hello "), strings.NewReader("world")))
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "45ab6734b21e6968", resp.Header.Get("Ais-Checksum-Value"))

	resp, body = raw(t, "PUT", strings.Replace(loc, "pid=", "xid=", 1), strings.NewReader("x"))
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, body, "PUT(obj) is expected to be redirected")

	resp, body = raw(t, "PUT", loc, strings.NewReader("x"), "Ais-Checksum-Type", "md5", "Ais-Checksum-Value", strings.Repeat("0", 32))
	require.Equal(t, 500, resp.StatusCode)
	require.Contains(t, body, "BAD DATA CHECKSUM: md5("+strings.Repeat("0", 32)+" != 9dd4e461268c8034f5c8564e155c67a6) (context: ais://gold/d.txt)")
	got, err := get(t, c, "gold", "d.txt", nil)
	require.NoError(t, err)
	require.Equal(t, "hello world", string(got))

	tests := []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"garbage", "POST", "/v1/buckets/gold", "garbage", 400, "failed to unmarshal"},
		{"no body", "POST", "/v1/buckets/gold", "", 400, "EOF"},
		{"bad action", "POST", "/v1/buckets/gold", `{"action":"nosuch"}`, 400, `invalid action \"nosuch\"`},
		{"bad name", "POST", "/v1/buckets/bad%20name", `{"action":"create-bck"}`, 400, "bucket name is invalid"},
		{"no bucket", "GET", "/v1/buckets/nosuch", "", 404, `bucket \"ais://nosuch\" does not exist`},
		{"method", "TRACE", "/v1/buckets/gold", "", 405, "Method Not Allowed"},
		{"path", "GET", "/v1/nosuch", "", 400, "invalid request URI: 'GET /v1/nosuch' from"},
		{"going up", "PUT", "/v1/objects/gold/../../etc", "x", 400, `invalid object name \"../../etc\"`},
		{"provider", "GET", "/v1/objects/gold/d.txt?provider=s3", "", 400, "invalid bucket provider"},
		{"no selector", "GET", "/v1/cluster?what=status", `{}`, 400, "invalid x-"},
		{"unknown job", "GET", "/v1/cluster?what=status", `{"id":"nosuch1234"}`, 404, "x-[nosuch1234] does not exist"},
		{"internal without the secret", "POST", "/v1/internal/join", `{}`, 403, "not a node of this cluster"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := raw(t, tt.method, c.URL+tt.path, strings.NewReader(tt.body))
			require.Equal(t, tt.status, resp.StatusCode, body)
			require.Contains(t, body, tt.text)
		})
	}
}

func TestPutToAProxyThatDoesNotReadIt(t *testing.T) {
	c := start(t, 1, 1)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("b")))
	for _, size := range []int{10, 100 << 10, 8 << 20} {
		data := fill(size)
		for _, chunked := range []bool{false, true} {
			var body io.Reader = bytes.NewReader(data)
			req, err := http.NewRequestWithContext(t.Context(), "PUT", c.URL+"/v1/objects/b/o", body)
			require.NoError(t, err)
			if chunked {
				req.ContentLength = -1
			}
			resp, err := http.DefaultClient.Do(req) // sends the body to both hops
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode)
			got, err := get(t, c, "b", "o", nil)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
	}
}

func TestETL(t *testing.T) {
	c := start(t, 1, 3)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	objects := map[string][]byte{}
	for i, size := range []int{0, 5, 70_000, 1 << 20} {
		for _, ext := range []string{".jpg", ".txt"} {
			objects[fmt.Sprintf("d/o %d%s", i, ext)] = fill(size + len(ext))
		}
	}
	for name, data := range objects {
		put(t, c, "src", name, data)
	}
	for _, commType := range []string{"hpush", "hpull", "hrev", "io", "shm", "ws"} {
		t.Run(commType, func(t *testing.T) {
			for _, transform := range []string{"echo", "md5"} {
				name := "etl-" + transform + "-" + commType
				_, err := c.Client.InitETL(ctx, spec(name, transform, commType))
				require.NoError(t, err)
				want := func(data []byte) []byte {
					if transform == "echo" {
						return data
					}
					return fmt.Appendf(nil, "%x", md5.Sum(data))
				}
				for object, data := range objects {
					for _, key := range []string{"etl_name", "uuid"} {
						got, err := get(t, c, "src", object, url.Values{key: {name}})
						require.NoError(t, err, object)
						require.True(t, bytes.Equal(want(data), got), object)
					}
				}
				_, err = get(t, c, "src", "nosuch", url.Values{"etl_name": {name}})
				require.ErrorIs(t, err, api.ErrNotFound)
				require.ErrorContains(t, err, "ais://src/nosuch does not exist")

				dst := api.AIS("dst-" + name)
				id, err := c.Client.TransformBucket(ctx, api.AIS("src"), dst, api.TransformMsg{ID: name, Ext: []byte(`{"jpg":"out"}`), Prepend: "x-"})
				require.NoError(t, err)
				require.NoError(t, c.Client.WaitJob(ctx, id))
				for object, data := range objects {
					got, err := get(t, c, dst.Name, "x-"+strings.Replace(object, ".jpg", ".out", 1), nil)
					require.NoError(t, err)
					require.True(t, bytes.Equal(want(data), got), object)
				}
				checkSnaps(t, c, id, objects)
				checkUsage(t, c, name)
				require.NoError(t, c.Client.DestroyBucket(ctx, dst))
				require.NoError(t, c.Client.StopETL(ctx, name))
				_, err = get(t, c, "src", "d/o 1.txt", url.Values{"etl_name": {name}})
				require.ErrorContains(t, err, name+" does not exist - try starting new ETL")
				require.NoError(t, c.Client.DeleteETL(ctx, name))
				_, err = c.Client.ETL(ctx, name)
				require.ErrorIs(t, err, api.ErrNotFound)
			}
		})
	}
}

// checkUsage asks what an ETL's pods take of the machine.
func checkUsage(t *testing.T, c *cluster.LocalCluster, name string) {
	metrics, err := c.Client.ETLMetrics(t.Context(), name)
	require.NoError(t, err)
	require.Len(t, metrics, 3)
	require.True(t, slices.IsSortedFunc(metrics, func(a, b api.ETLMetrics) int { return strings.Compare(a.TargetID, b.TargetID) }))
	for _, m := range metrics {
		require.Positive(t, m.Memory)
		require.GreaterOrEqual(t, m.CPU, 0.0)
	}
	_, err = c.Client.ETLMetrics(t.Context(), "nosuch-etl")
	require.ErrorIs(t, err, api.ErrNotFound)
}

func checkSnaps(t *testing.T, c *cluster.LocalCluster, id string, objects map[string][]byte) {
	snaps, err := c.Client.JobSnaps(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, snaps, 3)
	var n, bytes, out, in int64
	for _, list := range snaps {
		require.Len(t, list, 1)
		require.NotEmpty(t, list[0].Ext.ObjectTimes)
		n += list[0].Ext.Objects
		bytes += list[0].Ext.SourceBytes
		out += list[0].Stats.OutObjs
		in += list[0].Stats.InObjs
	}
	require.EqualValues(t, len(objects), n)
	want := 0
	for _, data := range objects {
		want += len(data)
	}
	require.EqualValues(t, want, bytes)
	require.Equal(t, out, in)
}

func TestETLDialects(t *testing.T) {
	c := start(t, 1, 1)
	ctx := t.Context()
	old := spec("", "md5", "hpush")
	old.Name, old.ID = "", "ETL_old"
	id, err := c.Client.InitETL(ctx, old)
	require.NoError(t, err)
	require.Equal(t, "ETL_old", id)
	xact, err := c.Client.InitETL(ctx, spec("etl-new", "md5", "hpush"))
	require.NoError(t, err)
	require.Regexp(t, `^etl-[0-9a-z]{10}$`, xact)
	_, err = c.Client.InitETL(ctx, &api.ETLSpec{Name: "etl-run", Runtime: []byte(`{"image":"test/md5"}`)})
	require.NoError(t, err)
	d, err := c.Client.ETL(ctx, xact)
	require.NoError(t, err, "a xaction id is an alias")
	require.Equal(t, "etl-new", d.Init.Name)
	require.Equal(t, "hpush://", d.Init.Communication)
	require.Equal(t, string(d.Init.Spec), string(d.Spec))
	list, err := c.Client.ETLs(ctx)
	require.NoError(t, err)
	require.Len(t, list, 3)
	for _, e := range list {
		require.Equal(t, "Running", e.Stage)
	}
	_, err = c.Client.InitETL(ctx, spec("etl-new", "md5", "hpush"))
	require.ErrorIs(t, err, api.ErrExists)
	require.ErrorContains(t, err, "etl job etl-new already exists")
	logs, err := c.Client.ETLLogs(ctx, "etl-new")
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.NoError(t, c.Client.StopETL(ctx, "etl-new"))
	require.NoError(t, c.Client.StopETL(ctx, "etl-new"), "stop is idempotent")
	_, err = c.Client.StartETL(ctx, "etl-run")
	require.ErrorContains(t, err, "can't start ETL[etl-run] during Running stage")
	_, err = c.Client.StartETL(ctx, "etl-new")
	require.NoError(t, err)
}

func TestETLRefusals(t *testing.T) {
	c := start(t, 1, 2)
	tests := []struct {
		name string
		spec *api.ETLSpec
		text string
	}{
		{"no name", &api.ETLSpec{Code: []byte("x")}, "has no name"},
		{"bad name", spec("Etl!", "md5", "hpush"), "invalid etl name"},
		{"nothing to run", &api.ETLSpec{Name: "etl-none"}, "needs one of code, spec (a Pod) and runtime"},
		{"no container", &api.ETLSpec{Name: "etl-none", Spec: []byte("kind: Pod\nspec: {}\n")}, "spec.containers: has 0 containers"},
		{"broken YAML", &api.ETLSpec{Name: "etl-none", Spec: []byte("kind: [")}, "failed to parse pod spec"},
		{"unknown comm type", spec("etl-none", "md5", "carrier-pigeon"), "hpull://, hpush://, hrev://, io://"},
		{"unknown image", &api.ETLSpec{Name: "etl-image", Runtime: []byte(`{"image":"nosuch:1"}`)}, "is not in the image table"},
		{"unknown runtime", &api.ETLSpec{Name: "etl-code1", Code: []byte("x"), Runtime: []byte(`"ruby"`)}, `runtime: "ruby", must be python2 or python3`},
		{"runtime that is not there", &api.ETLSpec{Name: "etl-code", Code: []byte("x"), Runtime: []byte(`"python2"`)}, "no interpreters in this test"},
		{"code without runtime", &api.ETLSpec{Name: "etl-code2", Code: []byte("x")}, "runtime: is required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Client.InitETL(t.Context(), tt.spec)
			require.ErrorIs(t, err, api.ErrBadRequest)
			require.ErrorContains(t, err, tt.text)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	d, err := c.Client.ETL(t.Context(), "etl-image")
	require.NoError(t, err, "an ETL that failed to start stays, as Aborted, until it is deleted")
	require.Equal(t, "Aborted", d.Stage)
	require.Contains(t, d.Reason, "image table")
	require.NoError(t, c.Client.DeleteETL(t.Context(), "etl-image"))
}

func TestTransformErrors(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "o", []byte("x"))
	for _, commType := range []string{"hpush", "hpull", "hrev", "io", "shm", "ws"} {
		name := "etl-fail-" + commType
		_, err := c.Client.InitETL(ctx, spec(name, "fail", commType))
		require.NoError(t, err)
		_, err = get(t, c, "src", "o", url.Values{"etl_name": {name}})
		require.ErrorContains(t, err, "cannot transform this")
		id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: name})
		require.NoError(t, err)
		require.ErrorContains(t, c.Client.WaitJob(ctx, id), "cannot transform this")
		st, err := c.Client.JobStatus(ctx, id)
		require.NoError(t, err)
		require.True(t, st.Aborted)
		errs, err := c.Client.ETLErrors(ctx, name, id)
		require.NoError(t, err)
		require.Equal(t, "ais://src/o", errs[0].Object)
		require.Contains(t, errs[0].Msg, "cannot transform this")
		id, err = c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: name, ContinueOnErr: true})
		require.NoError(t, err)
		require.Error(t, c.Client.WaitJob(ctx, id))
		st, err = c.Client.JobStatus(ctx, id)
		require.NoError(t, err)
		require.False(t, st.Aborted)
		require.NoError(t, c.Client.DeleteETL(ctx, name))
	}
	_, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "nosuch-etl"})
	require.ErrorContains(t, err, "ETL nosuch-etl doesn't exist")
	_, err = c.Client.TransformBucket(ctx, api.AIS("nosuch"), api.AIS("dst"), api.TransformMsg{ID: "nosuch-etl"})
	require.ErrorIs(t, err, api.ErrBucketNotFound)
}

func TestPodThatDies(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "o", []byte("x"))
	_, err := c.Client.InitETL(ctx, spec("etl-exit", "exit", "hpush"))
	require.NoError(t, err)
	_, err = get(t, c, "src", "o", url.Values{"etl_name": {"etl-exit"}})
	require.Error(t, err)
	require.Eventually(t, func() bool {
		d, err := c.Client.ETL(ctx, "etl-exit")
		return err == nil && d.Stage == "Aborted" && strings.Contains(d.Reason, "out of cheese") && strings.Contains(d.Reason, "exitCode: 7")
	}, 10*time.Second, 10*time.Millisecond)
	_, err = get(t, c, "src", "o", url.Values{"etl_name": {"etl-exit"}})
	require.ErrorContains(t, err, "it was aborted")
	require.ErrorContains(t, err, "out of cheese")
	_, err = c.Client.StartETL(ctx, "etl-exit")
	require.NoError(t, err)
}

func TestTransformerThatHangs(t *testing.T) {
	c := start(t, 1, 1)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "o", []byte("x"))
	s := spec("etl-hang", "hang", "hpush")
	s.ObjTimeout = api.Duration(100 * time.Millisecond)
	_, err := c.Client.InitETL(ctx, s)
	require.NoError(t, err)
	_, err = get(t, c, "src", "o", url.Values{"etl_name": {"etl-hang"}})
	require.ErrorContains(t, err, "no progress within the object timeout of 100ms")
	var e *api.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 504, e.Status)
}

func TestJobIsAborted(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	for i := range 10 {
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
}

func TestDryRunStoresNothing(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "o", fill(1000))
	_, err := c.Client.InitETL(ctx, spec("etl-echo", "echo", "hpush"))
	require.NoError(t, err)
	id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("src"), api.TransformMsg{ID: "etl-echo", DryRun: true, Prepend: "x"})
	require.NoError(t, err)
	require.NoError(t, c.Client.WaitJob(ctx, id))
	page, err := c.Client.List(ctx, api.AIS("src"), api.ListMsg{})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	_, err = c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("src"), api.TransformMsg{ID: "etl-echo"})
	require.ErrorContains(t, err, "onto itself")
}

func TestTransformBucketAsTheReferenceSays(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("from-name")))
	put(t, c, "from-name", "a.jpg", []byte("x"))
	_, err := c.Client.InitETL(ctx, spec("etl-echo", "echo", "hpush"))
	require.NoError(t, err)
	resp, id := raw(t, "POST", c.URL+"/v1/buckets/from-name", strings.NewReader(
		`{"action": "etl-bck", "name": "to-name", "value":{"id":"etl-echo", "ext":"destext", "prefix":"prefix", "suffix": "suffix"}}`))
	require.Equal(t, 200, resp.StatusCode, id)
	require.NoError(t, c.Client.WaitJob(ctx, id))
	got, err := get(t, c, "to-name", "prefixa.destextsuffix", nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	resp, body := raw(t, "POST", c.URL+"/v1/buckets/from-name", strings.NewReader(`{"action":"etl-bck","value":{"id":"etl-echo"}}`))
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, body, `missing \"bck_to\" query parameter`)
}

func TestSecondProxyAnswersEverything(t *testing.T) {
	c := start(t, 2, 2)
	var m *api.Map
	require.Eventually(t, func() bool {
		var err error
		m, err = c.Client.Map(t.Context())
		return err == nil && len(m.Proxies) == 2
	}, 5*time.Second, 5*time.Millisecond)
	other := api.NewClient(m.Proxies["prx00002"].PubNet.URL)
	defer other.Close()
	ctx := t.Context()
	require.NoError(t, other.CreateBucket(ctx, api.AIS("b")))
	require.NoError(t, other.Put(ctx, api.AIS("b"), "o", strings.NewReader("hello"), 5))
	_, err := other.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	body, _, err := other.Get(ctx, api.AIS("b"), "o", url.Values{"uuid": {"etl-md5"}})
	require.NoError(t, err)
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	body.Close()
	require.Equal(t, "5d41402abc4b2a76b9719d911017c592", string(got))
}

func TestTargetThatComesBack(t *testing.T) {
	c := start(t, 1, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("gone")))
	for i := range 20 {
		put(t, c, "b", fmt.Sprint("o", i), fill(i*100))
		put(t, c, "gone", fmt.Sprint("o", i), nil)
	}
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.StopNode("tgt00001"))
	require.NoError(t, c.Client.DestroyBucket(ctx, api.AIS("gone")))
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("gone")))
	require.NoError(t, c.StartTarget(0))
	require.Eventually(t, func() bool {
		d, err := c.Client.ETL(ctx, "etl-md5")
		// Or unreachable, when its absence was noticed.
		return err == nil && d.Stage == "Aborted" && strings.Contains(d.Reason, "t[tgt00001] ")
	}, 10*time.Second, 10*time.Millisecond)
	for i := range 20 {
		require.Eventually(t, func() bool {
			got, err := get(t, c, "b", fmt.Sprint("o", i), nil)
			return err == nil && bytes.Equal(fill(i*100), got)
		}, 5*time.Second, 10*time.Millisecond)
	}
	page, err := c.Client.List(ctx, api.AIS("gone"), api.ListMsg{})
	require.NoError(t, err)
	require.Empty(t, page.Entries, "objects of a bucket destroyed meanwhile do not come back")
}

func TestSyncsBeforeTheReply(t *testing.T) {
	for level, want := range map[store.Sync][2]int64{store.SyncNone: {0, 0}, store.SyncData: {1, 0}, store.SyncFull: {1, 1}} {
		t.Run(level.String(), func(t *testing.T) {
			var data, dirs atomic.Int64
			var armed atomic.Bool
			gate := make(chan struct{})
			c := start(t, 1, 1, func(cfg *cluster.LocalConfig) {
				cfg.Sync = level
				cfg.FS = store.FS{
					Datasync: func(f *os.File) error { data.Add(1); return f.Sync() },
					SyncDir: func(string) error {
						if armed.Load() && level == store.SyncData {
							<-gate // a reply that waited for this would never come
						}
						dirs.Add(1)
						return nil
					},
				}
			})
			require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("b")))
			data.Store(0)
			dirs.Store(0)
			armed.Store(true)
			put(t, c, "b", "o", []byte("x"))
			require.Equal(t, want, [2]int64{data.Load(), dirs.Load()})
			close(gate)
		})
	}
}

func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	c := start(t, 1, 1, func(cfg *cluster.LocalConfig) {
		cfg.FS = store.FS{Write: func(f *os.File, p []byte) (int, error) {
			if full.Load() {
				return 0, syscall.ENOSPC
			}
			return f.Write(p)
		}}
	})
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	put(t, c, "b", "o", []byte("old"))
	full.Store(true)
	err := c.Client.Put(ctx, api.AIS("b"), "o", strings.NewReader("new"), 3)
	var e *api.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 507, e.Status)
	require.NotContains(t, e.Message, "\n")
	require.Contains(t, e.Message, "no space left")
	got, err := get(t, c, "b", "o", nil)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	full.Store(false)
	put(t, c, "b", "o", []byte("new"))
}

func TestBodyThatEndsEarlyStoresNothing(t *testing.T) {
	c := start(t, 1, 1)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("b")))
	resp, _ := raw(t, "PUT", c.URL+"/v1/objects/b/o", nil)
	loc, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	for _, head := range []string{"Content-Length: 100000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"} {
		conn, err := net.Dial("tcp", loc.Host)
		require.NoError(t, err)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\n%s", loc.RequestURI(), head)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		reply, err := io.ReadAll(conn)
		require.NoError(t, err)
		conn.Close()
		require.NotContains(t, string(reply), "200 OK")
	}
	_, err = get(t, c, "b", "o", nil)
	require.ErrorIs(t, err, api.ErrNotFound)
}

func TestExpectOnEveryCall(t *testing.T) {
	c := start(t, 1, 1)
	calls := []struct {
		method, path, body, reply string
	}{
		{"POST", "/v1/buckets/exb", `{"action":"create-bck"}`, "HTTP/1.1 200 OK"},
		{"PUT", "/v1/etl", `{"name":"etl-exp","runtime":{"image":"test/md5"}}`, "HTTP/1.1 200 OK"},
		{"PUT", "/v1/objects/exb/o", "hello", "HTTP/1.1 307 Temporary Redirect"},
		{"PUT", "/v1/objects/nosuch/o", "hello", "HTTP/1.1 404 Not Found"},
	}
	for _, call := range calls {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", call.method, call.path, len(call.body))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		if reply := string(buf[:n]); strings.HasPrefix(reply, "HTTP/1.1 100") {
			fmt.Fprint(conn, call.body)
			n, err = conn.Read(buf)
			require.NoError(t, err)
		}
		require.Contains(t, string(buf[:n]), call.reply, call.path)
		conn.Close()
	}
}

func TestJobWhosePodDiesDoesNotEndWell(t *testing.T) {
	c := start(t, 1, 1)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("src")))
	put(t, c, "src", "o", []byte("x"))
	_, err := c.Client.InitETL(ctx, spec("etl-exit", "exit", "hpush"))
	require.NoError(t, err)
	id, err := c.Client.TransformBucket(ctx, api.AIS("src"), api.AIS("dst"), api.TransformMsg{ID: "etl-exit"})
	require.NoError(t, err)
	require.Error(t, c.Client.WaitJob(ctx, id))
	st, err := c.Client.JobStatus(ctx, id)
	require.NoError(t, err)
	require.True(t, st.Aborted)
}

func TestGetWithABodyThatNobodyReads(t *testing.T) {
	c := start(t, 1, 1)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("b")))
	data := fill(3 << 20)
	put(t, c, "b", "o", data)
	resp, _ := raw(t, "GET", c.URL+"/v1/objects/b/o", nil)
	loc, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	conn, err := net.Dial("tcp", loc.Host)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", loc.RequestURI(), fill(20_000))
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	reply, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(reply, data))
	require.Contains(t, string(reply[:1000]), "Connection: close")
}

func TestStopDoesNotWaitForAStalledUpload(t *testing.T) {
	c := start(t, 1, 1)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("b")))
	resp, _ := raw(t, "PUT", c.URL+"/v1/objects/b/o", nil)
	loc, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	conn, err := net.Dial("tcp", loc.Host)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", loc.RequestURI(), fill(20_000))
	done := make(chan error, 1)
	go func() { done <- c.StopNode("tgt00001") }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the target does not stop")
	}
}

func TestInitEndsWhenTheClientHangsUp(t *testing.T) {
	c := start(t, 2, 2)
	s := spec("", "deaf", "hpush")
	s.Name, s.ID = "", "etl-deaf" // the old dialect waits for ever
	is := func() string {
		is, reason := stage(t, c, "etl-deaf")
		return is + " " + reason
	}
	for _, id := range []string{"prx00001", "prx00002"} { // the primary, and one that passes it on
		client := clientOf(t, c, id)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := client.InitETL(ctx, s)
			failed <- err
		}()
		require.Eventually(t, func() bool { return is() == "Initializing " }, patience, 5*time.Millisecond)
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		require.Eventually(t, func() bool { return strings.HasPrefix(is(), "Aborted the client hung up") }, patience, 5*time.Millisecond, id)
		require.NoError(t, c.Client.DeleteETL(t.Context(), "etl-deaf"))
	}
	s.InitTimeout = api.Duration(300 * time.Millisecond)
	_, err := c.Client.InitETL(t.Context(), s)
	require.ErrorContains(t, err, "init timeout of 300ms")
}

// TestWhatElseClientsAsk holds the calls that AIStore's clients make beside
// those of buckets, objects, ETLs and jobs.
func TestWhatElseClientsAsk(t *testing.T) {
	c := start(t, 2, 2)
	m, err := c.Client.Map(t.Context())
	require.NoError(t, err)
	tests := []struct {
		method, uri, body string
		status            int
		want              string // part of the reply
	}{
		{"GET", "/v1/cluster?what=remote", "", 200, `{"a":null,"ver":0}`},
		{"GET", "/v1/cluster?what=backends", "", 200, `[]`},
		{"GET", "/v1/cluster?what=target_ips", "", 200, "127.0.0.1"},
		{"GET", "/v1/cluster?what=nosuch", "", 400, "unexpected query [what=nosuch]"},
		{"GET", "/v1/download", `{"id":"","regex":"","only_active_tasks":true}`, 200, `[]`},
		{"POST", "/v1/download", `{}`, 501, "not part of a reference cluster"},
		{"GET", "/v1/sort?only_active=true&regex=", "", 200, `[]`},
		{"GET", "/v1/health?cii=true", "", 200, `"id":"` + m.Primary.ID + `"`},
		{"GET", "/v1/health?prr=true", "", 200, ""},
		{"POST", "/v1/buckets/b?provider=ais&namespace=@x%23y", `{"action":"create-bck"}`, 400, "the global one only"},
		{"POST", "/v1/buckets/b?provider=ais", `{"action":"create-bck","value":{"mirror":{"enabled":true}}}`, 501, "mirror.enabled cannot be true"},
		{"POST", "/v1/buckets/b?provider=ais", `{"action":"create-bck","value":{"checksum":{"type":"sha1"}}}`, 400, "checksum.type"},
		{"POST", "/v1/buckets/b?provider=ais", `{"action":"create-bck","value":{"nosuch":1}}`, 400, "there is none called \\\"nosuch\\\""},
		{"POST", "/v1/buckets/b?provider=ais&namespace=", `{"action":"create-bck","value":null}`, 200, ""},
		{"GET", "/v1/buckets?provider=ais", "", 200, `"name":"b"`},
		{"PUT", "/v1/objects/b/o?namespace=@x%23y", "", 400, "the global one only"},
	}
	for id := range m.Proxies {
		for _, tt := range tests {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, m.Proxies[id].PubNet.URL+tt.uri, strings.NewReader(tt.body))
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			require.NoError(t, err)
			require.Equal(t, tt.status, resp.StatusCode, "%s %s: %s", tt.method, tt.uri, body)
			require.Contains(t, string(body), tt.want, tt.uri)
		}
		require.NoError(t, c.Client.DestroyBucket(t.Context(), api.AIS("b")))
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestNodeUse: every node tells what it has used.
func TestNodeUse(t *testing.T) {
	c := start(t, 1, 1)
	m, err := c.Client.Map(t.Context())
	require.NoError(t, err)
	for _, n := range []*api.NodeInfo{m.Proxies["prx00001"], m.Targets["tgt00001"]} {
		client := api.NewClient(n.PubNet.URL)
		defer client.Close()
		u, err := client.NodeUse(t.Context())
		require.NoError(t, err)
		require.Positive(t, u.CPU)
		require.Less(t, u.CPU, 3600.0, "seconds")
		require.Greater(t, u.Resident, int64(1<<20))
	}
}
