package cluster_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// normal takes out of a reply what differs from call to call: addresses, ids,
// secrets, times and what processes take of the machine.
var normal = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDR"},
	{regexp.MustCompile(`prx0000\d`), "PRX"},
	{regexp.MustCompile(`(etl|tco)-[a-z0-9]{10}\b`), "XACT"},
	{regexp.MustCompile(`\b[a-z][a-z0-9]{8,9}\b`), "ID"},
	{regexp.MustCompile(`utm=[a-z0-9]+`), "utm"},
	{regexp.MustCompile(`"cpu":[-+.e0-9]+,"mem":\d+`), "USAGE"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[-+:.0-9]+(Z)?`), "TIME"},
	{regexp.MustCompile(`"object-times":"[^"]*"`), "TIMES"},
	{regexp.MustCompile(`"end_time":\d+`), "END"},
	{regexp.MustCompile(`"(bid|created)":"\d+"`), "BUCKET"},
	{regexp.MustCompile(`"logs":"[^"]*"`), "LOGS"},
	{regexp.MustCompile(`"caller":"[^"]*"`), "CALLER"},
	{regexp.MustCompile(`"version":"\d+"`), "VERSION"},
}

// answer is what a call is answered with: status, body and the headers that
// carry something.
func answer(t *testing.T, base, method, uri, body string) string {
	req, err := http.NewRequestWithContext(t.Context(), method, base+uri, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintln(resp.StatusCode, string(data))
	for _, h := range []string{"Location", "Content-Type", api.HdrError, api.HdrBucketProps, "Allow"} {
		s += fmt.Sprintln(h, resp.Header.Get(h))
	}
	for _, n := range normal {
		s = n.re.ReplaceAllString(s, n.to)
	}
	return s
}

// TestEveryRouteOfEveryProxy holds that it does not matter which proxy a
// client has: each call of the API, good or bad, has the same answer.
func TestEveryRouteOfEveryProxy(t *testing.T) {
	const toDst = "?provider=ais&bck_to=ais%2F%40%23%2Fdst%2F"
	c := filled(t, "a", "d/b")
	type call struct{ method, uri, body string }
	calls := []call{ // in this order: they build on each other
		{"GET", "/v1/health", ""}, {"GET", "/v1/health?readiness=true", ""}, {"GET", "/v1/health?prr=true", ""}, {"GET", "/v1/health?cii=true", ""},
		{"GET", "/v1/daemon?what=smap", ""}, {"GET", "/v1/daemon?what=nosuch", ""},
		{"GET", "/v1/cluster?what=smap", ""}, {"GET", "/v1/cluster?what=target_ips", ""}, {"GET", "/v1/cluster?what=backends", ""},
		{"GET", "/v1/cluster?what=remote", ""}, {"GET", "/v1/cluster?what=nosuch", ""},
		{"GET", "/v1/download", "{}"}, {"GET", "/v1/sort", ""}, {"POST", "/v1/download", "{}"},

		{"POST", "/v1/buckets/b", `{"action":"create-bck"}`}, {"POST", "/v1/buckets/b", `{"action":"create-bck"}`},
		{"POST", "/v1/buckets/b", `{"action":"nosuch"}`}, {"POST", "/v1/buckets/b", `garbage`}, {"POST", "/v1/buckets/b", ``}, {"POST", "/v1/buckets/a$b", `{"action":"create-bck"}`},
		{"PATCH", "/v1/buckets/b", `{"action":"set-bprops","value":{"checksum":{"type":"md5"}}}`},
		{"HEAD", "/v1/buckets/b", ""}, {"HEAD", "/v1/buckets/nosuch", ""},
		{"PATCH", "/v1/buckets/b", `{"action":"reset-bprops"}`}, {"PUT", "/v1/buckets/b", ""},
		{"GET", "/v1/buckets", ""}, {"GET", "/v1/buckets?provider=ais&presence=2", `{"action":"list","name":"b"}`}, {"GET", "/v1/buckets?provider=s3", ""},
		{"GET", "/v1/buckets/src", ""}, {"GET", "/v1/buckets/src", `{"action":"list","value":{"flags":"2048","props":"name"}}`},
		{"GET", "/v1/buckets/nosuch", ""}, {"GET", "/v1/buckets/src", `{"action":"list","value":7}`},
		{"DELETE", "/v1/buckets/b", `{"action":"destroy-bck"}`}, {"DELETE", "/v1/buckets/b", `{"action":"destroy-bck"}`}, {"DELETE", "/v1/buckets/b", `{"action":"nosuch"}`},

		{"GET", "/v1/objects/src/a", ""}, {"HEAD", "/v1/objects/src/a", ""}, {"PUT", "/v1/objects/src/x", "x"}, {"DELETE", "/v1/objects/src/x", ""},
		{"POST", "/v1/objects/src/a", `{"action":"rename-obj","name":"c"}`}, {"PATCH", "/v1/objects/src/a", ""},
		{"GET", "/v1/objects/nosuch/a", ""}, {"GET", "/v1/objects/src/../a", ""}, {"GET", "/v1/objects/src", ""},
		{"PUT", "/v1/objects/src/a?object_to=ais%2F%40%23%2Fsrc%2Fz&etl_name=nosuch-etl", ""},

		{"GET", "/v1/etl", ""},
		{"PUT", "/v1/etl", `{"name":"etl-a1","runtime":{"image":"test/md5"}}`}, {"PUT", "/v1/etl", `{"name":"etl-a1","runtime":{"image":"test/md5"}}`},
		{"PUT", "/v1/etl/init", `{"id":"etl_b2","runtime":{"image":"test/md5"}}`}, {"PUT", "/v1/etl", `{"name":"etl-b2","runtime":{"image":"test/md5"}}`},
		{"PUT", "/v1/etl", `{"name":"x"}`}, {"PUT", "/v1/etl", `garbage`}, {"PUT", "/v1/etl", `{"name":"etl-c3","runtime":{"image":"test/nosuch"}}`},
		{"GET", "/v1/etl", ""}, {"GET", "/v1/etl/etl-a1", ""}, {"GET", "/v1/etl/etl-a1?uuid=", ""}, {"GET", "/v1/etl/etl-c3", ""}, {"GET", "/v1/etl/nosuch-etl", ""}, {"GET", "/v1/etl/x", ""},
		{"GET", "/v1/etl/etl-a1/logs", ""}, {"GET", "/v1/etl/etl-a1/logs/tgt00001", ""}, {"GET", "/v1/etl/etl-a1/logs/nosuch", ""},
		{"GET", "/v1/etl/etl-a1/health", ""}, {"GET", "/v1/etl/etl-a1/metrics", ""}, {"GET", "/v1/etl/etl-a1/details", ""}, {"GET", "/v1/etl/etl-c3/health", ""},
		{"GET", "/v1/objects/src/a?etl_name=etl-a1", ""}, {"GET", "/v1/objects/src/a?uuid=etl_b2", ""},
		{"PUT", "/v1/objects/src/a?object_to=ais%2F%40%23%2Fsrc%2Fz&etl_name=etl-a1", ""},
		{"POST", "/v1/buckets/src" + toDst, `{"action":"etl-bck","value":{"id":"etl-a1"}}`},
		{"POST", "/v1/buckets/src" + toDst, `{"action":"copy-bck","value":{"prepend":"x-"}}`},
		{"POST", "/v1/buckets/src", `{"action":"etl-listrange","value":{"id":"etl-a1","tobck":{"name":"dst"},"objnames":["a"]}}`},
		{"POST", "/v1/buckets/src", `{"action":"copy-listrange","value":{"tobck":{"name":"dst"},"template":"d/"}}`},
		{"DELETE", "/v1/buckets/dst", `{"action":"delete-listrange","value":{"template":"x-"}}`},
		{"POST", "/v1/buckets/src", `{"action":"etl-bck","value":{"id":"etl-a1"}}`}, {"POST", "/v1/buckets/src" + toDst, `{"action":"etl-bck","value":{"id":"nosuch-etl"}}`},
		{"GET", "/v1/cluster?what=status", `{"id":"etl-a1"}`}, {"GET", "/v1/cluster?what=status", `{}`}, {"GET", "/v1/cluster?what=status", `{"id":"nosuch1234"}`},
		{"GET", "/v1/cluster?what=status_all", `{"kind":"etl-inline","show_active":true}`}, {"GET", "/v1/cluster?what=qryxstats", `{"id":"nosuch1234"}`},
		{"GET", "/v1/cluster?what=qryxstats", `{"kind":"lru"}`}, {"GET", "/v1/cluster?what=running_all", `{"kind":"etl-inline"}`},
		{"PUT", "/v1/cluster", `{"action":"start","value":{"kind":"lru"}}`}, {"PUT", "/v1/cluster", `{"action":"stop","value":{"id":"nosuch1234"}}`}, {"PUT", "/v1/cluster", `{"action":"nosuch"}`},
		{"PUT", "/v1/cluster", `{"action":"decommission-node","value":{"sid":"nosuch"}}`}, {"DELETE", "/v1/cluster", ""},
		{"POST", "/v1/etl/etl-a1/start", ""}, {"POST", "/v1/etl/etl-a1/stop", ""}, {"POST", "/v1/etl/etl-a1/stop", ""}, {"POST", "/v1/etl/etl-a1/start", ""},
		{"POST", "/v1/etl/etl-a1/nosuch", ""}, {"DELETE", "/v1/etl/etl-a1/stop", ""}, {"DELETE", "/v1/etl/etl-a1", ""}, {"DELETE", "/v1/etl/etl-a1", ""},
		{"DELETE", "/v1/etl/etl_b2", ""}, {"DELETE", "/v1/etl/etl-c3", ""}, {"PATCH", "/v1/etl", ""}, {"POST", "/v1/etl/nosuch-etl/stop", ""},
		{"DELETE", "/v1/buckets/dst", `{"action":"destroy-bck"}`},
		{"GET", "/v1/nosuch", ""}, {"GET", "/", ""},
	}
	var of [2][]string
	for i, id := range []string{"prx00001", "prx00002"} {
		for _, call := range calls {
			of[i] = append(of[i], answer(t, c.NodeURL(id), call.method, call.uri, call.body))
		}
	}
	for i, call := range calls {
		t.Run(fmt.Sprintf("%s %s %.20s", call.method, call.uri, call.body), func(t *testing.T) {
			require.Equal(t, of[0][i], of[1][i])
			require.NotRegexp(t, `^(50[^1]|[^2345])`, of[0][i])
		})
	}
}

// TestWithoutAMajority holds which calls need one: what changes something is
// refused with 503 and has no effect, what only asks is answered.
func TestWithoutAMajority(t *testing.T) {
	c := start(t, 2, 2)
	ctx := t.Context()
	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	put(t, c, "b", "o", []byte("hello"))
	_, err := c.Client.InitETL(ctx, spec("etl-md5", "md5", "hpush"))
	require.NoError(t, err)
	_, err = c.Client.InitETL(ctx, spec("etl-off", "md5", "hpush"))
	require.NoError(t, err)
	require.NoError(t, c.Client.StopETL(ctx, "etl-off"))
	require.NoError(t, c.StopNode("prx00002"))
	tests := []struct{ method, uri, body string }{
		{"POST", "/v1/buckets/c", `{"action":"create-bck"}`},
		{"DELETE", "/v1/buckets/b", `{"action":"destroy-bck"}`},
		{"PATCH", "/v1/buckets/b", `{"action":"set-bprops","value":{"checksum":{"type":"md5"}}}`},
		{"PUT", "/v1/etl", `{"name":"etl-a1","runtime":{"image":"test/md5"}}`},
		{"POST", "/v1/etl/etl-md5/stop", ""},
		{"POST", "/v1/etl/etl-off/start", ""},
		{"DELETE", "/v1/etl/etl-md5", ""},
		{"POST", "/v1/buckets/b?bck_to=ais%2F%40%23%2Fc%2F", `{"action":"copy-bck","value":{}}`},
		{"PUT", "/v1/cluster", `{"action":"decommission-node","value":{"sid":"tgt00001"}}`},
	}
	var wg sync.WaitGroup
	answers := make([]string, len(tests)) // each waits for an election
	for i, tt := range tests {
		wg.Go(func() { answers[i] = answer(t, c.URL, tt.method, tt.uri, tt.body) })
	}
	wg.Wait()
	for i, tt := range tests {
		require.Regexp(t, "^503", answers[i], "%s %s", tt.method, tt.uri)
		require.Contains(t, answers[i], "no majority")
	}
	for uri, want := range map[string]string{
		"/v1/buckets":                  `"name":"b"`,
		"/v1/buckets/b":                `"name":"o"`,
		"/v1/objects/b/o":              "301 ",
		"/v1/etl":                      `"stage":"Running"`,
		"/v1/etl/etl-md5":              `"stage":"Running"`,
		"/v1/etl/etl-md5/logs":         `"target_id":"tgt00001"`,
		"/v1/etl/etl-md5/health":       `"health_status":"Running"`,
		"/v1/etl/etl-md5/metrics":      `"target_id":"tgt00002"`,
		"/v1/daemon?what=smap":         `"tgt00001"`,
		"/v1/cluster?what=running_all": "etl-inline",
		"/v1/cluster?what=qryxstats":   "etl-inline",
		"/v1/health?prr=true":          "200 ",
		"/v1/objects/b/o?etl_name=etl-md5&pid=whichever1": "301 ",
	} {
		got := answer(t, c.URL, "GET", uri, "")
		require.Contains(t, got, want, uri)
		require.Regexp(t, `^(200|301)`, got)
	}
	got, err := get(t, c, "b", "o", map[string][]string{"etl_name": {"etl-md5"}})
	require.NoError(t, err, "objects pass through what runs")
	require.Equal(t, "5d41402abc4b2a76b9719d911017c592", string(got))
	put(t, c, "b", "o2", []byte("objects are not metadata"))
}
