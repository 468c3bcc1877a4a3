package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports/results"
)

// TestMain is the yardsticks too: they are processes of this program.
func TestMain(m *testing.M) {
	if url := os.Getenv(loadEnv); url != "" {
		if err := load(url, os.Getenv(loadForEnv)); err != nil {
			panic(err)
		}
		return
	}
	if kind := os.Getenv(serveEnv); kind != "" {
		println(serve(kind).Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestYardsticks: what was put comes back, byte by byte, over kept connections.
func TestYardsticks(t *testing.T) {
	work := t.TempDir()
	endpoints, stop, err := yardsticks(work, "")
	defer stop()
	require.NoError(t, err)
	require.Contains(t, endpoints, "epoll")
	for name, url := range endpoints {
		if url == "cluster" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			do(t, http.MethodPost, url+"/v1/buckets/b", nil)
			for i, size := range []int{0, 1, 4 << 10, inOneWrite, inOneWrite + 1, 3<<20 + 7} {
				at := url + "/v1/objects/b/" + string(rune('a'+i)) + "?provider=ais"
				data := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
				do(t, http.MethodPut, at, data)
				for range 3 {
					require.True(t, bytes.Equal(data, do(t, http.MethodGet, at, nil)), "%d bytes", size)
				}
			}
		})
	}
}

func do(t *testing.T, method, url string, body []byte) []byte {
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	require.NoError(t, err)
	if method == http.MethodPut {
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 2, resp.StatusCode/100, "%s", got)
	return got
}

// summary is of six blocks in which arms make so many operations a second, and
// take so many microseconds of CPU for each; clients take 1.
func summary(ops, cpu map[string]float64) *results.Summary {
	s := &results.Summary{}
	us := func(v float64) *float64 { return &v }
	for arm := range ops {
		s.Arms = append(s.Arms, results.Arm{Name: arm, Comm: arm, Size: "4KiB", Workers: demandAt})
		for b := 1; b <= 6; b++ {
			m := results.Measured{OpsPerS: ops[arm] * (1 + float64(b)/100)}
			m.Resources = []results.Resource{{Component: results.ComponentClient, CPUUsPerOp: us(1)},
				{Component: results.ComponentTarget, CPUUsPerOp: us(cpu[arm])}}
			s.Samples = append(s.Samples, results.Sample{Arm: arm, Block: b, Measured: m})
		}
	}
	return s
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name     string
		ops, cpu map[string]float64
		err      string
	}{
		{"met", map[string]float64{"get": 100, "get-again": 100, "epoll": 110}, map[string]float64{"get": 10, "epoll": 9}, ""},
		{"missed", map[string]float64{"get": 100, "get-again": 100, "epoll": 200}, map[string]float64{"get": 10, "epoll": 9}, "1 ratios are below"},
		{"missed, but the client is what is slow", map[string]float64{"get": 100, "get-again": 100, "epoll": 200}, map[string]float64{"get": .9, "epoll": .8}, ""},
		{"noise", map[string]float64{"get": 100, "get-again": 120}, nil, "void"},
		{"no pair", map[string]float64{"get": 100}, nil, "void"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := judge(&out, summary(tt.ops, tt.cpu), nil)
			if tt.err == "" {
				require.NoError(t, err, out.String())
				return
			}
			require.ErrorContains(t, err, tt.err)
		})
	}
}

func TestJudgeMemory(t *testing.T) {
	s := summary(map[string]float64{"get": 100, "get-again": 100}, nil)
	m := &results.Summary{Samples: []results.Sample{{Arm: "hpush", Measured: results.Measured{
		Resources: []results.Resource{{Component: results.ComponentTarget, PeakBytes: mostMemory + 1}}}}}}
	require.ErrorContains(t, judge(io.Discard, s, m), "1 ratios")
	m.Samples[0].Resources[0].PeakBytes--
	require.NoError(t, judge(io.Discard, s, m))
	m.Samples[0].Errors = 1
	require.ErrorContains(t, judge(io.Discard, s, m), "1 ratios")
}

func TestJudgePython(t *testing.T) {
	// Of both runs: how often less CPU than exec, and how often more than Go.
	for _, tt := range []struct {
		less, more float64
		failed     int
	}{{9, 1.5, 0}, {7, 1.5, 1}, {7, 2.5, 2}} {
		arms := func(python float64) *results.Summary {
			s := summary(map[string]float64{"go": 100, "py": 100 / python}, map[string]float64{"go": 100, "py": 100 * python})
			for i := range s.Arms {
				s.Arms[i].Transform = map[string]string{"go": "md5", "py": "md5/python"}[s.Arms[i].Name]
			}
			return s
		}
		var out strings.Builder
		r := &pythonRuns{io: arms(1 / tt.less), code: arms(tt.more)}
		require.Equal(t, tt.failed, r.write(newTable(&out, "")), "%v", tt)
	}
	require.Zero(t, (*pythonRuns)(nil).write(newTable(io.Discard, "")))
}

// TestLoaders: the loaders beside ours make requests and tell what they cost.
func TestLoaders(t *testing.T) {
	dir := t.TempDir()
	server, err := start("epoll", dir)
	require.NoError(t, err)
	defer server.Stop(t.Context(), patience)
	redirect, err := start("redirect", dir, toEnv+"="+server.URL)
	require.NoError(t, err)
	defer redirect.Stop(t.Context(), patience)
	require.NoError(t, store{dir}.put("/v1/objects/b/o", strings.NewReader("object")))
	require.Equal(t, "object", string(do(t, http.MethodGet, redirect.URL+"/v1/objects/b/o", nil)))
	o := &options{measure: 100 * time.Millisecond}
	us, err := o.nethttp(t.Context(), redirect.URL+"/v1/objects/b/o")
	require.NoError(t, err)
	require.Positive(t, us)
	_, err = o.nethttp(t.Context(), redirect.URL+"/v1/objects/b/none")
	require.Error(t, err)
	us, err = o.wrk(t.Context(), server.URL+"/v1/objects/b/o")
	require.NoError(t, err)
	if _, err := exec.LookPath("wrk"); err == nil {
		require.Positive(t, us)
	} else {
		require.Zero(t, us)
	}
}

func TestJudgeOthers(t *testing.T) {
	c := &loaderCosts{straight: []float64{10, 10}, redirected: []float64{20, 20}, nethttp: []float64{50, 50}, wrk: []float64{9, 9}}
	require.Zero(t, c.write(newTable(io.Discard, "")))
	c.wrk = nil
	require.Zero(t, c.write(newTable(io.Discard, "")), "not installed")
	c.nethttp = []float64{30, 30}
	require.Equal(t, 1, c.write(newTable(io.Discard, "")))

	s := &results.Summary{Arms: []results.Arm{{Name: "w1", Workers: oneByOne}, {Name: "w16", Workers: inHand}}}
	for b := 1; b <= 3; b++ {
		s.Samples = append(s.Samples, results.Sample{Arm: "w1", Block: b, Measured: results.Measured{OpsPerS: 100}},
			results.Sample{Arm: "w16", Block: b, Measured: results.Measured{OpsPerS: 350}})
	}
	require.Zero(t, writeOffline(s)(newTable(io.Discard, "")))
	s.Samples[1].OpsPerS, s.Samples[3].OpsPerS, s.Samples[5].OpsPerS = 250, 250, 250
	require.Equal(t, 1, writeOffline(s)(newTable(io.Discard, "")))
	require.Zero(t, writeOffline(nil)(newTable(io.Discard, "")))
}
