package cluster_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// TestBucketProps sets what a bucket can be told, and looks whether it heeds it.
func TestBucketProps(t *testing.T) {
	c := start(t, 1, 2)
	ask := func(method, path, body string) (*http.Response, string) {
		return raw(t, method, c.URL+path, strings.NewReader(body))
	}
	head := func(object string) http.Header {
		resp, _ := ask("HEAD", "/v1/objects/"+object, "")
		resp, _ = raw(t, "HEAD", resp.Header.Get("Location"), nil)
		require.Equal(t, 200, resp.StatusCode)
		return resp.Header
	}
	resp, body := ask("POST", "/v1/buckets/sums", `{"action":"create-bck","value":{"checksum":{"type":"md5"},"versioning":{"enabled":false}}}`)
	require.Equal(t, 200, resp.StatusCode, body)
	put(t, c, "sums", "o", []byte("old"))
	put(t, c, "sums", "o", []byte("hello world"))
	h := head("sums/o")
	require.Equal(t, "md5", h.Get("Ais-Checksum-Type"))
	require.Equal(t, "5eb63bbbe01eeed093cb22bb8f5acdc3", h.Get("Ais-Checksum-Value"))
	require.Equal(t, "1", h.Get("Ais-Version"), "without versions all are the first")

	// A copy has the properties of the bucket that it is made in: of the
	// source, if it is made for the copy.
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("plain")))
	for _, to := range []string{"plain", "made"} {
		id, err := c.Client.CopyBucket(t.Context(), api.AIS("sums"), api.AIS(to), api.TransformMsg{})
		require.NoError(t, err)
		require.NoError(t, c.Client.WaitJob(t.Context(), id))
	}
	require.Equal(t, "xxhash2", head("plain/o").Get("Ais-Checksum-Type"))
	require.Equal(t, "md5", head("made/o").Get("Ais-Checksum-Type"))

	tests := []struct {
		body   string
		status int
		text   string
	}{
		{`{"action":"set-bprops","value":{"checksum":{"type":"none"}}}`, 200, ""},
		{`{"action":"set-bprops","value":{"checksum":{"type":"sha1"}}}`, 400, "checksum.type"},
		{`{"action":"set-bprops","value":{"mirror":{"copies":2,"enabled":true}}}`, 501, "mirror.enabled cannot be true"},
		{`{"action":"set-bprops","value":{"versioning":{"enabled":null},"mirror":{"copies":2}}}`, 200, ""},
		{`{"action":"set-bprops","value":{"versioning":true}}`, 501, "versioning cannot be true"},
		{`{"action":"set-bprops","value":{"access":{"x":1}}}`, 400, "access is a value"},
		{`{"action":"set-bprops","value":"x"}`, 400, "bucket properties"},
		{`{"action":"nosuch"}`, 400, `invalid action \"nosuch\"`},
	}
	for _, tt := range tests {
		resp, body := ask("PATCH", "/v1/buckets/sums", tt.body)
		require.Equal(t, tt.status, resp.StatusCode, body)
		require.Contains(t, body, tt.text)
	}
	put(t, c, "sums", "none", []byte("x"))
	require.NotContains(t, head("sums/none"), "Ais-Checksum-Type")
	resp, _ = ask("PATCH", "/v1/buckets/sums", `{"action":"reset-bprops"}`)
	require.Equal(t, 200, resp.StatusCode)
	put(t, c, "sums", "o", []byte("hello world"))
	require.Equal(t, "45ab6734b21e6968", head("sums/o").Get("Ais-Checksum-Value"))
	resp, _ = ask("PATCH", "/v1/buckets/nosuch", `{"action":"reset-bprops"}`)
	require.Equal(t, 404, resp.StatusCode)
}

// TestShallowListing lists one level of names that several targets have, page
// by page.
func TestShallowListing(t *testing.T) {
	c := start(t, 1, 3)
	b := api.AIS("deep")
	require.NoError(t, c.Client.CreateBucket(t.Context(), b))
	for _, name := range []string{"a", "d/1", "d/2", "d/3", "d/e/1", "d/e/2", "f/1", "z"} {
		put(t, c, "deep", name, []byte("x"))
	}
	list := func(prefix string, flags uint64) (names []string) {
		msg := api.ListMsg{Prefix: prefix, Flags: flags, PageSize: 2}
		for {
			page, err := c.Client.List(t.Context(), b, msg)
			require.NoError(t, err)
			for _, e := range page.Entries {
				require.Equal(t, strings.HasSuffix(e.Name, "/"), e.Flags&api.EntryIsDir != 0)
				names = append(names, e.Name)
			}
			if page.Token == "" {
				return names
			}
			msg.UUID, msg.Token = page.UUID, page.Token
		}
	}
	require.Equal(t, []string{"a", "d/", "f/", "z"}, list("", api.ListNonRecurse))
	require.Equal(t, []string{"a", "z"}, list("", api.ListNonRecurse|api.ListNoDirs))
	require.Equal(t, []string{"d/1", "d/2", "d/3", "d/e/"}, list("d/", api.ListNonRecurse))
	require.Len(t, list("", api.ListNoDirs), 8)
}

// TestBucketSummary asks for the sums of two buckets.
func TestBucketSummary(t *testing.T) {
	c := start(t, 1, 2)
	for _, name := range []string{"one", "two"} {
		require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS(name)))
	}
	for name, size := range map[string]int{"a": 10, "b": 31, "p/c": 1} {
		put(t, c, "one", name, fill(size))
	}
	resp, id := raw(t, "GET", c.URL+"/v1/buckets", strings.NewReader(`{"action":"summary-bck"}`))
	require.Equal(t, 202, resp.StatusCode)
	resp, body := raw(t, "GET", c.URL+"/v1/buckets", strings.NewReader(`{"action":"summary-bck","value":{"uuid":"`+id+`"}}`))
	require.Equal(t, 200, resp.StatusCode)
	var sums []struct {
		Name     string
		ObjCount struct {
			Present int64 `json:"obj_count_present,string"`
		}
		ObjSize struct {
			Min int64 `json:"obj_min_size"`
			Avg int64 `json:"obj_avg_size"`
			Max int64 `json:"obj_max_size"`
		}
		TotalSize struct {
			Present int64 `json:"size_all_present_objs,string"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &sums))
	require.Len(t, sums, 2)
	one, two := sums[0], sums[1]
	require.Equal(t, []int64{3, 1, 14, 31, 42}, []int64{one.ObjCount.Present, one.ObjSize.Min, one.ObjSize.Avg, one.ObjSize.Max, one.TotalSize.Present})
	require.Zero(t, two.ObjCount.Present)
	require.Zero(t, two.ObjSize.Min)
	resp, body = raw(t, "GET", c.URL+"/v1/buckets/one", strings.NewReader(`{"action":"summary-bck","value":{"uuid":"`+id+`","prefix":"p/"}}`))
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, `"obj_count_present":"1"`)
	resp, _ = raw(t, "GET", c.URL+"/v1/buckets/nosuch", strings.NewReader(`{"action":"summary-bck"}`))
	require.Equal(t, 404, resp.StatusCode)
}
