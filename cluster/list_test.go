package cluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

// TestListFlags holds the flags that clients send, alone and together, in both
// encodings.
func TestListFlags(t *testing.T) {
	const all = "a d.x/b d/a d/e/f d/e/g e/h z"
	c := filled(t, strings.Fields(all)...)
	tests := []struct {
		flags  int
		prefix string
		want   string // names; folders end in '/'
		size   bool
	}{
		{0, "", all, true},
		{1, "", all, true},
		{16, "", all, false},
		{32, "", all, true},
		{64, "", all, true},
		{8192, "", all, true},
		{17, "", all, false},
		{2048, "", "a d.x/ d/ e/ z", true},
		{2048, "d", "d.x/ d/", true},
		{2048, "d/", "d/a d/e/", true},
		{2048, "d/e", "d/e/", true},
		{2048, "d/e/", "d/e/f d/e/g", true},
		{2048, "q/", "", true},
		{2048 | 8192, "", "a z", true},
		{2064, "d/", "d/a d/e/", false},
	}
	for _, tt := range tests {
		for _, accept := range []string{api.MimeMsgpack, ""} {
			for _, size := range []int{0, 1, 2} {
				t.Run(fmt.Sprint(tt.flags, " ", tt.prefix, " ", accept, " ", size), func(t *testing.T) {
					var names []string
					token := ""
					for range len(all) {
						body := fmt.Sprintf(`{"action":"list","value":{"flags":"%d","prefix":%q,"pagesize":%d,"continuation_token":%q}}`, tt.flags, tt.prefix, size, token)
						resp, text := raw(t, http.MethodGet, c.URL+"/v1/buckets/src?provider=ais", strings.NewReader(body), "Accept", accept)
						require.Equal(t, 200, resp.StatusCode, text)
						page := &api.ListPage{}
						if accept == "" {
							require.Equal(t, api.MimeJSON, resp.Header.Get("Content-Type"))
							require.NoError(t, json.Unmarshal([]byte(text), page))
						} else {
							require.Equal(t, api.MimeMsgpack, resp.Header.Get("Content-Type"))
							var err error
							page, err = api.ParseMsgpackPage([]byte(text))
							require.NoError(t, err)
						}
						for _, e := range page.Entries {
							names = append(names, e.Name)
							if strings.HasSuffix(e.Name, "/") {
								require.Equal(t, api.ListEntry{Name: e.Name, Flags: api.EntryIsDir}, *e)
								continue
							}
							want := api.ListEntry{Name: e.Name, Flags: api.EntryInCluster}
							if tt.size {
								want.Size = int64(len(e.Name))
							}
							require.Equal(t, want, *e)
						}
						if token = page.Token; token == "" {
							break
						}
					}
					require.Equal(t, strings.Fields(tt.want), append([]string{}, names...))
				})
			}
		}
	}
}

func TestListProps(t *testing.T) {
	c := filled(t)
	before := time.Now().Add(-time.Second)
	putRaw(t, c, "src/o", "hello world", "Ais-Custom-Md", "k=v")
	ask := func(msg api.ListMsg) api.ListEntry {
		page, err := c.Client.List(t.Context(), api.AIS("src"), msg)
		require.NoError(t, err)
		require.Len(t, page.Entries, 1)
		return *page.Entries[0]
	}
	for props, want := range map[string]api.ListEntry{
		"":                {Size: 11},
		"name":            {},
		"name,size":       {Size: 11},
		"name, size":      {Size: 11},
		"size,cached":     {Size: 11},
		"checksum":        {Checksum: "45ab6734b21e6968"},
		"version,copies":  {Version: "1", Copies: 1},
		"custom":          {Custom: "[k:v]"},
		"nosuch,checksum": {Checksum: "45ab6734b21e6968"},
	} {
		want.Name, want.Flags = "o", api.EntryInCluster
		require.Equal(t, want, ask(api.ListMsg{Props: props}), props)
	}
	require.Regexp(t, `^t\[tgt0000\d\]:mp\[.+\]$`, ask(api.ListMsg{Props: "location"}).Location)
	for _, format := range []string{"", time.RFC3339Nano} {
		layout := format
		if layout == "" {
			layout = time.RFC822
			before = before.Add(-time.Minute) // it has no seconds
		}
		at, err := time.Parse(layout, ask(api.ListMsg{Props: "atime", TimeFormat: format}).Atime)
		require.NoError(t, err)
		require.WithinRange(t, at, before, time.Now())
	}
}

func TestListStart(t *testing.T) {
	c := filled(t, "a", "b", "c", "d")
	for _, tt := range []struct {
		msg  api.ListMsg
		want string
	}{
		{api.ListMsg{StartAfter: "b"}, "c d"},
		{api.ListMsg{StartAfter: "bb"}, "c d"},
		{api.ListMsg{StartAfter: "b", Token: "c"}, "d"},
		{api.ListMsg{StartAfter: "c", Token: "a"}, "d"},
		{api.ListMsg{Token: "../../etc"}, "a b c d"},
		{api.ListMsg{Token: "d"}, ""},
		{api.ListMsg{PageSize: -1}, "a b c d"},
		{api.ListMsg{PageSize: 1 << 40}, "a b c d"},
		{api.ListMsg{Prefix: "../"}, ""},
	} {
		page, err := c.Client.List(t.Context(), api.AIS("src"), tt.msg)
		require.NoError(t, err)
		got := []string{}
		for _, e := range page.Entries {
			got = append(got, e.Name)
		}
		require.Equal(t, strings.Fields(tt.want), got, "%+v", tt.msg)
		require.GreaterOrEqual(t, len(page.UUID), 9)
	}
}
