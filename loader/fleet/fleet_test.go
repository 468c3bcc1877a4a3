package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/loader"
	"github.com/etlbench/etlbench/loader/fleet"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// TestMain: what fasthttp leaves behind for a while is not ours.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*Client).mCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean"))
}

// agent is one that serves in this process.
type agent struct {
	name string
	stop func() // and wait
}

func startAgent(t *testing.T, change ...func(*fleet.AgentConfig)) agent {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := fleet.AgentConfig{Version: "v1"}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fleet.NewAgent(cfg).Serve(ctx, ln) }()
	stopped := false
	a := agent{name: ln.Addr().String(), stop: func() {
		if cancel(); !stopped {
			require.NoError(t, <-done)
		}
		stopped = true
	}}
	t.Cleanup(a.stop)
	return a
}

func startAgents(t *testing.T, n int) (list []agent) {
	for range n {
		list = append(list, startAgent(t))
	}
	return list
}

func local(t *testing.T) string {
	t.Helper()
	c, err := cluster.Local(t.Context(), cluster.LocalConfig{Targets: 2, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Pods: func(dir string) (pod.Runtime, error) { return pod.NewProcess(pod.ProcessConfig{Dir: dir}) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c.URL
}

const plain = `apiVersion: etlbench/v1
name: plain
seed: 42
dataset: {objects: 12, size: {dist: uniform, min: 1KiB, max: 8KiB}}
load: {model: open, arrival: poisson, rate: 100/s, in-flight: 256, mix: {get: 6, put: 1, head: 1}}
phases: {warmup: 300ms, measure: 600ms}
trials: {blocks: 2}
collect: {interval: 300ms}
`

func scenario(t *testing.T, sets ...string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.ParseWith("plain", []byte(plain), sets)
	require.NoError(t, err)
	return s
}

// run is a run of a scenario on a cluster, by agents if there are any.
type run struct {
	sc     *scenarios.Scenario
	url    string
	agents []agent
	token  string
	change func(*loader.Config)
	fleet  func(*fleet.Config)
}

// do returns what Run and Prepare have to say, and the folder.
func (r run) do(t *testing.T, ctx context.Context) (*results.Summary, string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	yaml, err := r.sc.YAML()
	require.NoError(t, err)
	w, err := results.Create(dir, yaml, results.Env{})
	require.NoError(t, err)
	defer w.Close()
	data, err := dataset.New(r.sc.Dataset, r.sc.Seed, r.sc.Arms.Size...)
	require.NoError(t, err)
	c := loader.Config{Scenario: r.sc, Data: data, Proxies: []string{r.url}, Results: w}
	if r.agents != nil {
		var names []string
		for _, a := range r.agents {
			names = append(names, a.name)
		}
		cfg := fleet.Config{Agents: names, Token: r.token, Version: "v1", Scenario: r.sc}
		if r.fleet != nil {
			r.fleet(&cfg)
		}
		co, err := fleet.New(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, co.Close()) }()
		c.Fleet = co
	}
	if r.change != nil {
		r.change(&c)
	}
	s, err := loader.Run(ctx, c)
	return s, dir, err
}

// numbers are what must be equal, however many loaders issued it.
type numbers struct {
	intended, verified, comparable int64
	results.Counts
	samples int
	service int64 // values in the histogram
}

func numbersOf(t *testing.T, s *results.Summary, dir string) map[string]numbers {
	t.Helper()
	read, err := results.Read(dir)
	require.NoError(t, err)
	out := map[string]numbers{}
	for _, r := range s.Rows {
		require.Equal(t, r.Intended, r.Accounted())
		n := numbers{r.Intended, r.Verified, r.Comparable, r.Counts, r.Samples, 0}
		if h := read.Latency[results.Key{Arm: r.Name, Op: r.Op, Phase: results.PhaseMeasure, Metric: results.MetricService}]; h != nil {
			n.service = h.TotalCount()
		}
		var written results.Counts
		for _, iv := range read.Intervals {
			if iv.Key.Arm == r.Name && iv.Key.Op == r.Op && iv.Key.Phase == results.PhaseMeasure && iv.Key.Target == "" {
				written.Add(iv.Counts)
			}
		}
		require.Equal(t, r.Counts, written, "rows and intervals tell the same")
		out[r.Name+" "+r.Op] = n
	}
	return out
}

// TestAgentsAreOneLoader: the same seed gives the same operations and the same
// counts, whoever issues them.
func TestAgentsAreOneLoader(t *testing.T) {
	url := local(t)
	for _, c := range []struct {
		name string
		sets []string
	}{
		{"open", nil},
		{"epoch", []string{"load={model: epoch, epochs: 5, workers: 9, mix: {get: 6, put: 1, head: 1}}", "phases={warmup: 300ms}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := scenario(t, c.sets...)
			s, dir, err := run{sc: sc, url: url}.do(t, t.Context())
			require.NoError(t, err)
			one := numbersOf(t, s, dir)
			require.NotEmpty(t, one)
			for _, n := range []int{2, 4} {
				s, dir, err := run{sc: sc, url: url, agents: startAgents(t, n)}.do(t, t.Context())
				require.NoError(t, err)
				require.Equal(t, one, numbersOf(t, s, dir), "%d agents", n)
				requireFleet(t, s, n)
			}
		})
	}
}

// requireFleet checks what is told of n agents.
func requireFleet(t *testing.T, s *results.Summary, n int) {
	t.Helper()
	require.Len(t, s.Loaders, n)
	require.Len(t, s.Blocks, 2*n, "one a block and agent")
	for i, l := range s.Loaders {
		require.Equal(t, results.Share{Number: i + 1, Of: n}, l.Share)
		require.Positive(t, l.CPUs)
		require.NotNil(t, l.OffsetMs)
		require.Positive(t, *l.UncertaintyMs)
		require.Less(t, *l.OffsetMs, 1000.0, "it is the same machine's clock")
		require.Empty(t, l.Lost)
	}
	for _, b := range s.Blocks {
		require.NotEmpty(t, b.Loader)
		require.NotNil(t, b.Generator.InFlightMean)
	}
	require.Equal(t, n, s.Rows[0].Resources[0].Processes, "the client is all agents")
}

// TestClosedLoopIsSharedOut: workers are, and nothing is lost.
func TestClosedLoopIsSharedOut(t *testing.T) {
	sc := scenario(t, "load={model: closed, workers: 5, mix: {get: 1}}", "phases.measure=500ms")
	s, dir, err := run{sc: sc, url: local(t), agents: startAgents(t, 2)}.do(t, t.Context())
	require.NoError(t, err)
	numbersOf(t, s, dir)
	require.Positive(t, s.Rows[0].Ops)
	most := map[string]int64{}
	for _, b := range s.Blocks {
		most[b.Loader] = max(most[b.Loader], b.Generator.InFlightMax)
	}
	require.LessOrEqual(t, most[s.Loaders[0].Name], int64(3))
	require.LessOrEqual(t, most[s.Loaders[1].Name], int64(2))
}

func TestWhoRefusesIsNamed(t *testing.T) {
	url := local(t)
	secret := func(c *fleet.AgentConfig) { c.Token = "secret" }
	other := func(c *fleet.AgentConfig) { c.Version = "v0" }
	for _, c := range []struct {
		name   string
		second func(*testing.T) agent
		want   string
	}{
		{"wrong token", func(t *testing.T) agent { return startAgent(t, secret) }, "wrong token"},
		{"another version", func(t *testing.T) agent { return startAgent(t, other) }, `another version of etlbench: the agent has "v0", the coordinator "v1"`},
		{"not there", func(t *testing.T) agent {
			a := startAgent(t)
			a.stop()
			return a
		}, "connection refused"},
		{"busy", func(t *testing.T) agent {
			a := startAgent(t, func(c *fleet.AgentConfig) { c.Lease = time.Hour })
			require.Equal(t, http.StatusOK, begin(t, a.name, url, plain).StatusCode)
			return a
		}, "busy: a run of 127.0.0.1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, second := startAgent(t), c.second(t)
			s, _, err := run{sc: scenario(t), url: url, agents: []agent{first, second}}.do(t, t.Context())
			require.Nil(t, s, "nothing was measured")
			require.ErrorContains(t, err, "agent "+second.name)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), first.name)
			require.Equal(t, http.StatusOK, begin(t, first.name, url, plain).StatusCode, "the other one is free")
		})
	}
}

// begin asks for a session, as a coordinator does.
func begin(t *testing.T, name, url, file string, change ...func(map[string]any)) *http.Response {
	t.Helper()
	c, err := http.Get(url + "/v1/daemon?what=smap")
	require.NoError(t, err)
	defer c.Body.Close()
	var smap struct {
		Tmap map[string]any `json:"tmap"`
	}
	require.NoError(t, json.NewDecoder(c.Body).Decode(&smap))
	targets := []string{}
	for id := range smap.Tmap {
		targets = append(targets, id)
	}
	if len(targets) == 2 && targets[0] > targets[1] {
		targets[0], targets[1] = targets[1], targets[0]
	}
	order := map[string]any{"version": "v1", "scenario": scenarios.APIVersion, "results": results.Schema, "file": []byte(file),
		"share": results.Share{Number: 1, Of: 1}, "order": loader.PartOrder{Proxies: []string{url}, Targets: targets}}
	for _, f := range change {
		f(order)
	}
	data, err := json.Marshal(order)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+name+"/v1/session", bytes.NewReader(data))
	require.NoError(t, err)
	req.Header.Set("Etlbench-Fleet", "1")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() {
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return resp
}

// TestForeignOrders: what an agent does not do for anybody.
func TestForeignOrders(t *testing.T) {
	url := local(t)
	a := startAgent(t)
	set := func(key string, v any) func(map[string]any) {
		return func(o map[string]any) { o[key] = v }
	}
	file := func(lines string) func(map[string]any) {
		return set("file", []byte("apiVersion: etlbench/v1\n"+lines))
	}
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		status int
		want   string
	}{
		{"a folder of its machine", file("dataset: {kind: folder, dir: /etc}\nload: {mix: {get: 1}}\n"), 400, `dataset.dir names the file "/etc"`},
		{"a trace of its machine", file("load: {model: open, arrival: trace, trace: /etc/passwd, mix: {get: 1}}\n"), 400, `load.trace names the file "/etc/passwd"`},
		{"sizes of its machine", file("dataset: {size: {dist: trace, file: /etc/passwd}}\nload: {mix: {get: 1}}\n"), 400, "dataset.size"},
		{"no scenario", set("file", []byte("{")), 400, "scenario"},
		{"other scenario files", set("scenario", "etlbench/v9"), 409, "another version of scenario files"},
		{"other results", set("results", "v9"), 409, "another version of results"},
		{"a share of nothing", set("share", results.Share{Number: 3, Of: 2}), 422, "share 3/2: there is none"},
		{"more shares than workers", set("share", results.Share{Number: 1, Of: 1000}), 422, "cannot be shared by 1000 loaders"},
		{"other targets", set("order", loader.PartOrder{Proxies: []string{url}, Targets: []string{"t"}}), 422, "the cluster has the targets"},
		{"no proxy", set("order", loader.PartOrder{}), 422, "no proxy"},
		{"a word too many", set("more", 1), 400, "not understood"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := begin(t, a.name, url, plain, c.change)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode, "%s", body)
			require.Contains(t, string(body), c.want)
		})
	}
	require.Equal(t, http.StatusOK, begin(t, a.name, url, plain).StatusCode, "it is free after all of them")

	resp, err := http.Get("http://" + a.name + "/v1/clock")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusConflict, resp.StatusCode, "a browser does not say which protocol it speaks")
}

// TestSilentCoordinatorLosesItsAgent: the agent is free again.
func TestSilentCoordinatorLosesItsAgent(t *testing.T) {
	url := local(t)
	a := startAgent(t, func(c *fleet.AgentConfig) { c.Lease = 3 * time.Second })
	require.Equal(t, http.StatusOK, begin(t, a.name, url, plain).StatusCode)
	require.Equal(t, http.StatusConflict, begin(t, a.name, url, plain).StatusCode)
	require.Eventually(t, func() bool { return begin(t, a.name, url, plain).StatusCode == http.StatusOK }, time.Minute, 50*time.Millisecond)
}

// whileMeasuring calls fn once when the measured time of a run is under way.
func whileMeasuring(fn func()) func(*loader.Config) {
	return func(c *loader.Config) {
		called := false
		c.Progress = func(p loader.Progress) {
			if p.Phase == results.PhaseMeasure && p.Ops > 0 && !called {
				called = true
				fn()
			}
		}
	}
}

func TestInterruptedFleetKeepsWhatItMeasured(t *testing.T) {
	url := local(t)
	agents := startAgents(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, dir, err := run{sc: scenario(t, "phases.measure=10m"), url: url, agents: agents, change: whileMeasuring(cancel)}.do(t, ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "agent", "none is to blame")
	require.True(t, s.Interrupted)
	for _, l := range s.Loaders {
		require.Empty(t, l.Lost)
	}
	numbersOf(t, s, dir)
	require.Positive(t, s.Rows[0].Ops)
	require.Zero(t, s.Rows[0].Errors, "what was under way was finished")
	_, _, err = run{sc: scenario(t), url: url, agents: agents}.do(t, t.Context())
	require.NoError(t, err, "both are free")
}

func TestStoppedAgentIsNamed(t *testing.T) {
	url := local(t)
	agents := startAgents(t, 2)
	why := func(c *fleet.Config) { c.Why = func(agent string) string { return "what befell " + agent } }
	s, dir, err := run{sc: scenario(t, "phases.measure=10m"), url: url, agents: agents, fleet: why, change: whileMeasuring(func() { go agents[1].stop() })}.do(t, t.Context())
	require.ErrorContains(t, err, fmt.Sprintf("agent %s: it was stopped before the end (what befell %[1]s)", agents[1].name))
	require.NotContains(t, err.Error(), agents[0].name)
	require.Empty(t, s.Loaders[0].Lost)
	require.Contains(t, s.Loaders[1].Lost, "stopped")
	require.Contains(t, s.Loaders[1].Lost, "what befell")
	require.Contains(t, strings.Join(s.Notes, "\n"), agents[1].name)
	numbersOf(t, s, dir)
	require.True(t, s.Samples[0].Partial)
	agents[1].stop()
}

// TestAgentsElsewhere have names that only Dial understands, and a way of their own
// to the cluster.
func TestAgentsElsewhere(t *testing.T) {
	cluster := local(t)
	behind, err := url.Parse(cluster)
	require.NoError(t, err)
	var asked atomic.Int64
	pass := httputil.NewSingleHostReverseProxy(behind)
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		pass.ServeHTTP(w, r)
	}))
	defer inside.Close()
	agents := startAgents(t, 2)
	away := func(c *fleet.Config) {
		at := map[string]string{"pod-0:9000": c.Agents[0], "pod-1:9000": c.Agents[1]}
		c.Agents, c.Proxies = []string{"pod-0:9000", "pod-1:9000"}, []string{inside.URL}
		c.Dial = func(ctx context.Context, agent string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", at[agent])
		}
	}
	s, dir, err := run{sc: scenario(t), url: cluster, agents: agents, fleet: away}.do(t, t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, numbersOf(t, s, dir))
	requireFleet(t, s, 2)
	require.Equal(t, "pod-1:9000", s.Loaders[1].Name)
	require.Positive(t, asked.Load(), "agents ask the proxies that they were told")
}

// TestCutStreamIsNoBadJSON: what is said is that the connection was cut.
func TestCutStreamIsNoBadJSON(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/step") {
			_, _ = w.Write([]byte(`{"id":"1","cpus":1}`))
			return
		}
		_, _ = w.Write([]byte(`{"ready":tr`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	name := cut.Listener.Addr().String()
	_, _, err := run{sc: scenario(t), url: local(t), agents: []agent{{name: name}}}.do(t, t.Context())
	require.ErrorContains(t, err, "agent "+name+": the connection was cut")
}

func TestAgentsAreNamedOnce(t *testing.T) {
	names, err := fleet.ParseAgents("h1:9000,[::1]:9000")
	require.NoError(t, err)
	require.Equal(t, []string{"h1:9000", "[::1]:9000"}, names)
	for list, want := range map[string]string{
		"":                  `agent "": must be HOST:PORT`,
		"h1":                `agent "h1": must be HOST:PORT`,
		"h1:9000,":          `agent "": must be HOST:PORT`,
		"h1:9000,h1:9000":   "named twice",
		"user@h1:9000":      "must be HOST:PORT",
		"h1:9000/v1":        "must be HOST:PORT",
		"http://h1:9000":    "must be HOST:PORT",
		"h1:9000, h2:9000 ": "must be HOST:PORT",
	} {
		_, err := fleet.ParseAgents(list)
		require.ErrorContains(t, err, want, "%q", list)
	}
}

func TestOnlyLoopbackNeedsNoToken(t *testing.T) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer ln.Close()
	require.ErrorContains(t, fleet.Check(ln, ""), "it needs a token")
	require.NoError(t, fleet.Check(ln, "secret"))
	require.ErrorContains(t, fleet.NewAgent(fleet.AgentConfig{}).Serve(t.Context(), ln), "it needs a token")
}
