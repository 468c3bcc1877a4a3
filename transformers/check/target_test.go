package check_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/transformers/check"
)

func TestTargetURL(t *testing.T) {
	for _, bad := range []string{"127.0.0.1:9000", "http://127.0.0.1:9000", "http://127.0.0.1/v1/etl", "https://127.0.0.1:9000/v1/etl",
		"http://127.0.0.1:9000/v1/etl?x=y", "http://192.0.2.1:9000/v1/etl", "http://:9000/v1/etl", "http://0.0.0.0:9000/v1/etl"} {
		_, err := check.NewTarget(bad)
		require.Error(t, err, bad)
	}
	target, err := check.NewTarget("http://127.0.0.1:0/v1/etl/_object/mine/secret/")
	require.NoError(t, err)
	require.NoError(t, target.Listen())
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/v1/etl/_object/mine/secret$`, target.URL())
	require.Contains(t, target.Env("/files"), api.EnvVar{Name: "AIS_TARGET_URL", Value: target.URL()})
	require.Contains(t, target.Env("/files"), api.EnvVar{Name: "direct_put", Value: "true"})
	require.Contains(t, target.Env("/files"), api.EnvVar{Name: "ARG_TYPE", Value: "fqn"})
	require.Len(t, target.Env(""), 3)
	require.NoError(t, target.Close())
}

// TestTarget has what transformers ask a target for, beside the GET of a whole
// object.
func TestTarget(t *testing.T) {
	target := newTarget(t)
	u := newUser(target.URL())
	base, _, _ := strings.Cut(target.URL(), "/v1/")
	tests := []struct {
		method, url, bytes string
		status             int
		body               string
	}{
		{"GET", target.URL() + "/ais%2F@%23%2Fcheck%2Fplain.txt", "bytes=0-5", 206, "line 0"},
		{"GET", target.URL() + "/check/plain.txt?etl_args=x", "bytes=0-5", 206, "line 0"},
		{"HEAD", target.URL() + "/ais%2F@%23%2Fcheck%2Fplain.txt", "", 200, ""},
		{"GET", target.URL() + "/ais%2F@%23%2Fcheck%2Fnosuch", "", 404, "ais://check/nosuch does not exist"},
		{"GET", target.URL() + "/..%2F", "", 400, "bucket name is invalid"},
		{"POST", target.URL() + "/check/plain.txt", "", 405, "method not allowed"},
		{"GET", base + "/v1/etl/_object/etl-check/guess/check/plain.txt", "", 403, "below AIS_TARGET_URL"},
	}
	u.fetch = func(u *user, path string) ([]byte, int) {
		for _, tt := range tests {
			req, err := http.NewRequest(tt.method, tt.url, nil)
			if err != nil {
				return []byte(err.Error()), http.StatusInternalServerError
			}
			req.Header.Set("Range", tt.bytes)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return []byte(err.Error()), http.StatusInternalServerError
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) {
				t.Errorf("%s %s: %s %q", tt.method, tt.url, resp.Status, body)
			}
		}
		u.fetch = (*user).get
		return u.get(path)
	}
	cfg := config(t, target)
	cfg.URL, cfg.Types = u.serve(t), types(t, "hpull")
	r, err := check.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Empty(t, outcome(r, check.Failed), details(r))
}

func TestClaims(t *testing.T) {
	target := newTarget(t)
	u := newUser("")
	u.fetch = func(*user, string) ([]byte, int) {
		return []byte("AIS_TARGET_URL is not set"), http.StatusInternalServerError
	}
	cfg := config(t, target)
	cfg.URL, cfg.Foreign = u.serve(t), true
	r, err := check.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Empty(t, outcome(r, check.Failed), details(r))
	require.Contains(t, details(r), "pipeline hpush://: not applicable: it was started with another AIS_TARGET_URL")
	why := map[string]string{}
	for _, c := range r.Claims {
		require.Equal(t, c.Type == "hpush://" || c.Type == "ws://", c.Claimed, c.Type)
		why[c.Type] = c.Why
	}
	require.Equal(t, "GET /ais%2F@%23%2Fcheck%2Fplain.txt: 500 Internal Server Error, and the object was not fetched from AIS_TARGET_URL", why["hpull://"])
	require.Equal(t, "PUT /check/plain.txt: 200 OK", why["hpush://"])
	require.Equal(t, "GET /ws: 101 Switching Protocols", why["ws://"])
	require.Contains(t, why["io://"], "not probed")
}

func TestRunThatCannotBe(t *testing.T) {
	target := newTarget(t)
	cfg := config(t, target)
	cfg.URL = "http://127.0.0.1:1"
	_, err := check.Run(t.Context(), cfg)
	require.ErrorContains(t, err, "connection refused")

	cfg.Expect = lookup(t, "tar-images")
	_, err = check.Run(t.Context(), cfg)
	require.ErrorContains(t, err, "refuses the objects of this check")

	r := check.NotReady(errors.New("it sleeps"))
	require.Equal(t, []string{"ready"}, outcome(r, check.Failed))
}
