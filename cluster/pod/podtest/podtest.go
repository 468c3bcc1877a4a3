// Package podtest is the conformance suite of pod.Runtime. Every runtime's
// tests call Run.
package podtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/pod"
)

// Programs are specs of pods that behave in ways the suite needs. Run gives
// them names. Each prints "hello from NAME" when it starts, NAME being its
// environment variable of that name.
type Programs struct {
	// Serve answers /health with 200, and /env/X with the variable X.
	Serve pod.Spec
	// Crash exits with code 3 after printing "cannot go on".
	Crash pod.Spec
	// Deaf never becomes ready.
	Deaf pod.Spec
	// Unknown has an image that does not exist.
	Unknown pod.Spec
	// Readable is a folder that pods can read.
	Readable string
}

// patience bounds every wait of the suite.
const patience = 30 * time.Second

// Run checks a runtime. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) pod.Runtime, progs Programs) {
	tests := map[string]func(*testing.T, pod.Runtime, Programs){
		"a pod serves, logs and stops":     servesAndStops,
		"its environment arrives":          environment,
		"a crash is told with its reason":  crash,
		"a pod that dies later is noticed": diesLater,
		"one that is never ready gives up": neverReady,
		"an unknown image is refused":      unknownImage,
		"one that could not read":          cannotRead,
		"close stops everything":           closeStops,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rt := open(t)
			defer func() { require.NoError(t, rt.Close()) }()
			test(t, rt, progs)
		})
	}
}

func start(t *testing.T, rt pod.Runtime, s pod.Spec, name string) (pod.Pod, error) {
	s.Name = name
	s.Env = append(s.Env, api.EnvVar{Name: "NAME", Value: name})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return rt.Start(ctx, s)
}

func get(t *testing.T, url string) string {
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func wait(t *testing.T, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the pod did not go")
	}
}

func servesAndStops(t *testing.T, rt pod.Runtime, progs Programs) {
	p, err := start(t, rt, progs.Serve, "serve-a")
	require.NoError(t, err)
	require.Equal(t, "serve-a", p.Info().Name)
	list, err := rt.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []pod.Info{p.Info()}, list)
	require.NotEmpty(t, get(t, p.Info().URL+"/health"))
	var log bytes.Buffer
	require.Eventually(t, func() bool {
		log.Reset()
		return p.Logs(t.Context(), &log) == nil && bytes.Contains(log.Bytes(), []byte("hello from serve-a"))
	}, patience, 10*time.Millisecond)
	require.NoError(t, p.Err())
	var u pod.Usage
	require.Eventually(t, func() bool { u, err = p.Usage(t.Context()); return err == nil && u.Memory > 0 }, patience, 10*time.Millisecond,
		"a runtime may need time to measure")
	require.GreaterOrEqual(t, u.CPU, 0.0)
	require.NoError(t, p.Stop(t.Context()))
	wait(t, p.Done())
	require.NoError(t, p.Err(), "it was wanted")
	require.NoError(t, p.Stop(t.Context()))
	list, err = rt.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = start(t, rt, progs.Serve, "serve-a")
	require.NoError(t, err, "the name is free again")
}

func environment(t *testing.T, rt pod.Runtime, progs Programs) {
	s := progs.Serve
	s.Env = append(s.Env, api.EnvVar{Name: api.EnvTargetURL, Value: "http://x/y?z=a b"})
	p, err := start(t, rt, s, "serve-env")
	require.NoError(t, err)
	require.Equal(t, "http://x/y?z=a b", get(t, p.Info().URL+"/env/"+api.EnvTargetURL))
}

func crash(t *testing.T, rt pod.Runtime, progs Programs) {
	s := progs.Crash
	s.Container = "main"
	_, err := start(t, rt, s, "crash")
	var exit *pod.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, "main", exit.Container)
	require.Equal(t, 3, exit.ExitCode)
	require.ErrorContains(t, err, "cannot go on")
	list, err := rt.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
}

func diesLater(t *testing.T, rt pod.Runtime, progs Programs) {
	p, err := start(t, rt, progs.Serve, "serve-die")
	require.NoError(t, err)
	resp, err := http.Get(p.Info().URL + "/die")
	if err == nil {
		resp.Body.Close()
	}
	wait(t, p.Done())
	var exit *pod.ExitError
	require.ErrorAs(t, p.Err(), &exit)
	require.NotZero(t, exit.ExitCode)
}

func neverReady(t *testing.T, rt pod.Runtime, progs Programs) {
	s := progs.Deaf
	s.Name = "deaf"
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := rt.Start(ctx, s)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	list, err := rt.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
}

func unknownImage(t *testing.T, rt pod.Runtime, progs Programs) {
	_, err := start(t, rt, progs.Unknown, "unknown")
	require.Error(t, err)
}

func cannotRead(t *testing.T, rt pod.Runtime, progs Programs) {
	s := progs.Serve
	s.Reads = progs.Readable
	_, err := start(t, rt, s, "serve-reads")
	require.NoError(t, err)
	s.Reads = "/nosuch/" + progs.Readable
	_, err = start(t, rt, s, "serve-nothing")
	require.ErrorIs(t, err, pod.ErrSpec)
	require.ErrorContains(t, err, "argument: the pod cannot read")
	list, err := rt.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func closeStops(t *testing.T, rt pod.Runtime, progs Programs) {
	var pods []pod.Pod
	for _, name := range []string{"serve-1", "serve-2"} {
		p, err := start(t, rt, progs.Serve, name)
		require.NoError(t, err)
		pods = append(pods, p)
	}
	require.NoError(t, rt.Close())
	for _, p := range pods {
		wait(t, p.Done())
		_, err := http.Get(p.Info().URL + "/health")
		require.Error(t, err)
		require.False(t, errors.Is(err, context.DeadlineExceeded))
	}
}
