package pod_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/etlbench/etlbench/cluster/pod"
	"github.com/etlbench/etlbench/cluster/pod/podtest"
)

func TestMain(m *testing.M) {
	podtest.Main()
	goleak.VerifyTestMain(m)
}

func TestProcessConformance(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	images := pod.Images{}
	for _, role := range []string{"serve", "announce", "crash", "deaf"} {
		images["test/"+role] = pod.Image{Entrypoint: []string{self}, Env: map[string]string{podtest.EnvRole: role, podtest.EnvHost: "127.0.0.1"}, Announces: role == "announce"}
	}
	open := func(t *testing.T) pod.Runtime {
		rt, err := pod.NewProcess(pod.ProcessConfig{Dir: t.TempDir() + "/pods", Images: images, Node: "here",
			Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		return rt
	}
	spec := func(role string) pod.Spec {
		return pod.Spec{Image: "test/" + role, Probe: pod.Probe{Path: "/health", Timeout: time.Second, Period: time.Second}}
	}
	for _, serve := range []string{"serve", "announce"} {
		t.Run(serve, func(t *testing.T) {
			podtest.Run(t, open, podtest.Programs{Serve: spec(serve), Crash: spec("crash"), Deaf: spec("deaf"),
				Unknown: pod.Spec{Image: "test/nosuch", Command: []string{self}}, Readable: t.TempDir()})
		})
	}
}

// TestSocket: a pod that listens on the socket that it was offered is asked there,
// another one is not.
func TestSocket(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	images := pod.Images{}
	for _, role := range []string{"serve", "announce"} {
		images[role] = pod.Image{Entrypoint: []string{self}, Env: map[string]string{podtest.EnvRole: role, podtest.EnvHost: "127.0.0.1"}, Announces: role == "announce"}
	}
	rt, err := pod.NewProcess(pod.ProcessConfig{Dir: t.TempDir() + "/pods", Images: images, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	sockets := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		p, err := rt.Start(t.Context(), pod.Spec{Name: name, Image: "announce"})
		require.NoError(t, err)
		socket := p.Info().Socket
		sockets[socket] = true
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
		resp, err := client.Get("http://pod/health")
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.Len(t, sockets, 2, "each has its own")
	p, err := rt.Start(t.Context(), pod.Spec{Name: "c", Image: "serve"})
	require.NoError(t, err)
	require.Empty(t, p.Info().Socket)
}

// TestTargetSocket: a pod learns of its target's socket when there is one, and the
// user has no say in it.
func TestTargetSocket(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	images := pod.Images{"serve": {Entrypoint: []string{self}, Env: map[string]string{podtest.EnvRole: "serve", podtest.EnvHost: "127.0.0.1"}}}
	rt, err := pod.NewProcess(pod.ProcessConfig{Dir: t.TempDir() + "/pods", Images: images, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	for name, socket := range map[string]string{"with": "@some", "without": ""} {
		p, err := rt.Start(t.Context(), pod.Spec{Name: name, Image: "serve", TargetSocket: socket})
		require.NoError(t, err)
		resp, err := http.Get(p.Info().URL + "/env/" + pod.EnvTargetSocket)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, socket, string(got))
	}
}

const good = `
apiVersion: v1
kind: Pod
metadata:
  name: transformer-md5
  annotations:
    communication_type: "hpull://"
    wait_timeout: 5m
spec:
  containers:
    - name: server
      image: etlbench/md5:latest
      ports: [{name: default, containerPort: 80}]
      command: ['/code/server.py', '--listen', '0.0.0.0']
      env: [{name: A, value: "1"}]
      readinessProbe: {httpGet: {path: /health, port: default}}
`

func TestParseYAML(t *testing.T) {
	isIO := func(comm string) bool { return comm == "io://" }
	p, err := pod.ParseYAML([]byte(good), isIO)
	require.NoError(t, err)
	require.Equal(t, "transformer-md5", p.MetaName)
	require.Equal(t, "hpull://", p.Comm)
	require.Equal(t, 5*time.Minute, p.Wait)
	require.Equal(t, pod.Probe{Path: "/health", Timeout: 5 * time.Second, Period: 10 * time.Second}, p.Probe)
	require.Equal(t, "A", p.Env[0].Name)

	tests := []struct {
		name     string
		old, new string
		want     []string // "" fine
	}{
		{"not YAML", "kind: Pod", "kind: [", []string{"failed to parse pod spec"}},
		{"not a Pod", "kind: Pod", "kind: Job", []string{`kind: is "Job", must be Pod`}},
		{"no container", "containers:", "initContainers:", []string{"spec.containers: has 0 containers"}},
		{"no image", "image: etlbench/md5:latest", "workingDir: /", []string{"spec.containers[0].image: is required"}},
		{"port name", "name: default, containerPort: 80", "name: http, containerPort: 80", []string{"spec.containers[0].ports[0].name"}},
		{"no ports", "ports: [{name: default, containerPort: 80}]", "", []string{"spec.containers[0].ports: at least one"}},
		{"port number", "containerPort: 80", "containerPort: 0", []string{"spec.containers[0].ports[0].containerPort"}},
		{"no probe", "readinessProbe: {httpGet: {path: /health, port: default}}", "", []string{"spec.containers[0].readinessProbe: is required"}},
		{"probe by command", "{httpGet: {path: /health, port: default}}", "{exec: {command: [ls]}}", []string{"readinessProbe.httpGet: is required"}},
		{"probe path", "{path: /health, port", "{port", []string{"readinessProbe.httpGet.path: is required"}},
		{"probe port", "port: default}", "port: 80}", []string{`readinessProbe.httpGet.port: is "80"`}},
		{"wait", "wait_timeout: 5m", "wait_timeout: soon", []string{`wait_timeout: "soon" is not a duration`}},
		{"affinity", "spec:\n", "spec:\n  affinity: {nodeAffinity: {}}\n", []string{"spec.affinity.nodeAffinity: is forbidden"}},
		{"env from elsewhere", `value: "1"`, "valueFrom: {fieldRef: {fieldPath: x}}", []string{"spec.containers[0].env[0].valueFrom: is not supported: give A a value"}},
		{"several at once", "image: etlbench/md5:latest\n      ports: [{name: default", "ports: [{name: x", []string{"image", "ports[0].name"}},
		{"io needs neither port nor probe", good[strings.Index(good, "      ports"):], "      command: [cat]\n", nil},
		{"capitals as in the reference", "ports: [{name", "ports: [{Name", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			require.NotEqual(t, good, text)
			if strings.Contains(tt.name, "io") && tt.want == nil {
				text = strings.Replace(text, "hpull", "io", 1)
			}
			_, err := pod.ParseYAML([]byte(text), isIO)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, pod.ErrSpec)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("kind: Pod\nspec: {containers: [{readinessProbe: {httpGet: {port: {}}}}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = pod.ParseYAML(data, func(string) bool { return false })
	})
}

func TestImages(t *testing.T) {
	images := pod.Images{"etlbench/md5": {}, "host:5000/x:v1": {}}
	for _, name := range []string{"etlbench/md5", "etlbench/md5:latest", "etlbench/md5@sha256:aa", "etlbench/md5:v1@sha256:aa", "host:5000/x:v1"} {
		_, err := images.Find(name)
		require.NoError(t, err, name)
	}
	_, err := images.Find("/bin/sh")
	require.ErrorIs(t, err, pod.ErrSpec)
	require.ErrorContains(t, err, "etlbench/md5, host:5000/x:v1")
}

func TestOrphansOfAnEarlierLifeAreEnded(t *testing.T) {
	dir := t.TempDir() + "/pods"
	cmd := exec.Command("sleep", "60")
	cmd.Env = []string{"ETLBENCH_POD=" + dir + "/etl-x-tgt00001"}
	require.NoError(t, cmd.Start())
	other := exec.Command("sleep", "60")
	other.Env = []string{"ETLBENCH_POD=" + dir + "-other/etl-x-tgt00001"}
	require.NoError(t, other.Start())
	_, err := pod.NewProcess(pod.ProcessConfig{Dir: dir})
	require.NoError(t, err)
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.NoError(t, other.Process.Kill(), "it still runs")
	_ = other.Wait()
}

func TestImageDir(t *testing.T) {
	rt, err := pod.NewProcess(pod.ProcessConfig{Dir: t.TempDir() + "/pods", Log: slog.New(slog.DiscardHandler),
		Images: pod.Images{"pwd": {Entrypoint: []string{"sh", "-c", "pwd; exit 1"}, Dir: "/"}}})
	require.NoError(t, err)
	_, err = rt.Start(t.Context(), pod.Spec{Name: "pwd-1", Image: "pwd", Probe: pod.Probe{Timeout: time.Second, Period: time.Second}})
	require.ErrorContains(t, err, "message: /, exitCode: 1")
	require.NoError(t, rt.Close())
}
