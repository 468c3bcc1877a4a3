package cluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster"
	"github.com/etlbench/etlbench/cluster/api"
)

// props are what HEAD of a bucket tells.
func props(t *testing.T, c *cluster.LocalCluster, bucket string) (p struct {
	Checksum   struct{ Type string }
	Versioning struct{ Enabled bool }
	Mirror     struct{ Copies int }
}) {
	resp, _ := raw(t, http.MethodHead, c.URL+"/v1/buckets/"+bucket, nil)
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, json.Unmarshal([]byte(resp.Header.Get(api.HdrBucketProps)), &p))
	return p
}

// putRaw stores an object and gives the target's reply.
func putRaw(t *testing.T, c *cluster.LocalCluster, name, data string, header ...string) *http.Response {
	resp, _ := raw(t, http.MethodPut, c.URL+"/v1/objects/"+name, strings.NewReader(data))
	resp, body := raw(t, http.MethodPut, resp.Header.Get("Location"), strings.NewReader(data), header...)
	require.Equal(t, 200, resp.StatusCode, body)
	return resp
}

// checksums are those of "hello world".
var checksums = map[string]string{
	"xxhash": "45ab6734b21e6968", "xxhash2": "45ab6734b21e6968", "none": "",
	"md5": "5eb63bbbe01eeed093cb22bb8f5acdc3", "crc32c": "c99465aa",
	"sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
	"sha512": "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f" +
		"989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f",
}

func TestBucketProperties(t *testing.T) {
	c := start(t, 2, 2)
	ctx := t.Context()
	act := func(method, bucket, body string) (int, string) {
		resp, text := raw(t, method, c.URL+"/v1/buckets/"+bucket, strings.NewReader(body))
		return resp.StatusCode, text
	}
	for typ, want := range checksums {
		t.Run(typ, func(t *testing.T) {
			b := "b-" + typ
			status, body := act("POST", b, fmt.Sprintf(`{"action":"create-bck","value":{"checksum":{"type":%q}}}`, typ))
			require.Equal(t, 200, status, body)
			require.Equal(t, typ, props(t, c, b).Checksum.Type)
			// Another type's is verified, and the bucket's own is kept.
			resp := putRaw(t, c, b+"/o", "hello world", "Ais-Checksum-Type", "md5", "Ais-Checksum-Value", checksums["md5"], "Ais-Custom-Md", "k=v")
			for range 2 {
				if typ == "none" {
					typ = "" // then there are no headers
				}
				require.Equal(t, []string{typ, want, "k=v"}, []string{resp.Header.Get("Ais-Checksum-Type"), resp.Header.Get("Ais-Checksum-Value"), resp.Header.Get("Ais-Custom-Md")})
				resp, _ = raw(t, http.MethodGet, c.URL+"/v1/objects/"+b+"/o", nil)
				resp, _ = raw(t, http.MethodGet, resp.Header.Get("Location"), nil)
			}
			page, err := c.Client.List(ctx, api.AIS(b), api.ListMsg{Props: "name,checksum,custom"})
			require.NoError(t, err)
			require.Equal(t, want, page.Entries[0].Checksum)

			// A copy makes a bucket with the source's properties.
			id, err := c.Client.CopyBucket(ctx, api.AIS(b), api.AIS("copy-"+b), api.TransformMsg{})
			done(t, c, id, err)
			require.Equal(t, props(t, c, b), props(t, c, "copy-"+b))
			page, err = c.Client.List(ctx, api.AIS("copy-"+b), api.ListMsg{Props: "name,checksum,custom"})
			require.NoError(t, err)
			require.Equal(t, want, page.Entries[0].Checksum)
			require.Equal(t, "[k:v]", page.Entries[0].Custom)
		})
	}

	require.NoError(t, c.Client.CreateBucket(ctx, api.AIS("b")))
	before := props(t, c, "b")
	require.Equal(t, "1", putRaw(t, c, "b/o", "x").Header.Get("Ais-Version"))
	require.Equal(t, "2", putRaw(t, c, "b/o", "x").Header.Get("Ais-Version"))
	status, body := act("PATCH", "b", `{"action":"set-bprops","value":{"versioning":{"enabled":false}}}`)
	require.Equal(t, 200, status, body)
	require.Empty(t, body)
	require.False(t, props(t, c, "b").Versioning.Enabled)
	require.Equal(t, "1", putRaw(t, c, "b/o", "x").Header.Get("Ais-Version"))
	status, body = act("PATCH", "b", `{"action":"set-bprops","value":{"checksum":{"type":"md5"}}}`)
	require.Equal(t, 200, status, body)
	require.Equal(t, "md5", putRaw(t, c, "b/o", "x").Header.Get("Ais-Checksum-Type"))
	require.False(t, props(t, c, "b").Versioning.Enabled, "one property at a time")

	for _, tt := range []struct {
		bucket, body string
		status       int
		text         string
	}{
		{"b", `{"action":"set-bprops","value":{"checksum":{"type":"sha1"}}}`, 400, "checksum.type"},
		{"b", `{"action":"set-bprops","value":{"mirror":{"enabled":true}}}`, 501, "mirror.enabled"},
		{"b", `{"action":"nosuch"}`, 400, `invalid action \"nosuch\"`},
		{"b", `garbage`, 400, "unmarshal"},
		{"nosuch", `{"action":"set-bprops","value":{}}`, 404, "does not exist"},
	} {
		status, body := act("PATCH", tt.bucket, tt.body)
		require.Equal(t, tt.status, status, body)
		require.Contains(t, body, tt.text)
	}
	status, body = act("PATCH", "b", `{"action":"reset-bprops"}`)
	require.Equal(t, 200, status, body)
	require.Equal(t, before, props(t, c, "b"))

	// They are metadata as all other: a proxy that comes back has them.
	status, body = act("PATCH", "b", `{"action":"set-bprops","value":{"checksum":{"type":"crc32c"}}}`)
	require.Equal(t, 200, status, body)
	require.NoError(t, c.StopNode("prx00001"))
	require.NoError(t, c.StartProxy(0))
	require.Eventually(t, func() bool {
		resp, _ := raw(t, http.MethodHead, c.URL+"/v1/buckets/b", nil)
		return strings.Contains(resp.Header.Get(api.HdrBucketProps), `"type":"crc32c"`)
	}, patience, 5*time.Millisecond)
}
