package api_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
)

func TestPlacementMatchesRecordedClusters(t *testing.T) {
	data, err := os.ReadFile("testdata/hrw.json")
	require.NoError(t, err)
	var golden struct {
		IDDigest   map[string]string `json:"id_digest"`
		Placements []struct {
			Uname, Digest, Target string
			Scores                map[string]string
		}
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	require.NotEmpty(t, golden.Placements)
	for id, want := range golden.IDDigest {
		require.Equal(t, want, strconv.FormatUint(api.Digest(id), 10), id)
	}
	for _, p := range golden.Placements {
		require.Equal(t, p.Digest, strconv.FormatUint(api.Digest(p.Uname), 10), p.Uname)
		m := &api.Map{Targets: map[string]*api.NodeInfo{}}
		for id := range p.Scores {
			n, err := api.NewNode(api.TypeTarget, id, "http://127.0.0.1:1")
			require.NoError(t, err)
			m.Targets[id] = n
		}
		bucket, object, err := api.ParseUname(p.Uname)
		require.NoError(t, err)
		owner, err := m.Owner(api.AIS(bucket), object)
		require.NoError(t, err)
		require.Equal(t, p.Target, owner.ID, p.Uname)
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string // "" is fine
	}{
		{"bucket", api.CheckBucketName("a.b_c-1"), ""},
		{"bucket with a space", api.CheckBucketName("bad name"), "may only contain"},
		{"bucket with dots", api.CheckBucketName("a..b"), "'..'"},
		{"empty bucket", api.CheckBucketName(""), "empty"},
		{"object", api.CheckObjectName("a/b//c.txt"), ""},
		{"object going up", api.CheckObjectName("../../etc"), `invalid object name "../../etc"`},
		{"object with NUL", api.CheckObjectName("a\x00b"), "NUL"},
		{"etl", api.CheckETLName("etl_MD-5"), ""},
		{"short etl", api.CheckETLName("etl"), "6 to 32"},
		{"old etl of 21", api.CheckNewETLName("abcdefghijklmnopqrstu", true), "shorter than 21"},
		{"old etl, digit first", api.CheckNewETLName("1abcdef", true), "start with a letter"},
		{"old etl, capitals", api.CheckNewETLName("Etl_MD5", true), ""},
		{"new etl, capitals", api.CheckNewETLName("Etl-MD5", false), "lower-case"},
		{"new etl, dash first", api.CheckNewETLName("-abcdef", false), "start and end"},
		{"new etl", api.CheckNewETLName("1abcdef-2", false), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				require.NoError(t, tt.err)
				return
			}
			require.ErrorContains(t, tt.err, tt.want)
		})
	}
}

func TestListPageMsgpackRoundTrip(t *testing.T) {
	page := &api.ListPage{UUID: "KMoynfZcW", Token: "b", Flags: 3, Entries: []*api.ListEntry{
		{Name: "a", Size: 1 << 40, Checksum: "45ab6734b21e6968", Version: "2", Atime: "x", Location: "t[a]", Custom: "[k:v]", Copies: 1, Flags: 64},
		{Name: "empty", Flags: 64},
	}}
	back, err := api.ParseMsgpackPage(page.AppendMsgpack(nil))
	require.NoError(t, err)
	require.Equal(t, page, back)
}

func FuzzParseMsgpackPage(f *testing.F) {
	f.Add((&api.ListPage{UUID: "x", Entries: []*api.ListEntry{{Name: "a", Size: 3}}}).AppendMsgpack(nil))
	f.Add([]byte{0x81, 0xa7, 'E', 'n', 't', 'r', 'i', 'e', 's', 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := api.ParseMsgpackPage(b)
		if err == nil {
			_, err = api.ParseMsgpackPage(p.AppendMsgpack(nil))
			require.NoError(t, err)
		}
	})
}

func TestETLSpecIsLenient(t *testing.T) {
	tests := []struct {
		name, body string
		want       func(*testing.T, api.ETLSpec)
	}{
		{"plain text code", `{"id":"etl-md5","code":"def transform(b): return b"}`, func(t *testing.T, s api.ETLSpec) {
			require.Equal(t, "def transform(b): return b", string(s.Code))
			require.True(t, s.Old())
		}},
		{"base64 and other case", `{"Name":"etl-md5","SPEC":"YWJj","init_timeout":""}`, func(t *testing.T, s api.ETLSpec) {
			require.Equal(t, "abc", string(s.Spec))
			require.False(t, s.Old())
			require.Zero(t, s.InitTimeout)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s api.ETLSpec
			require.NoError(t, json.Unmarshal([]byte(tt.body), &s))
			tt.want(t, s)
		})
	}
	var s api.ETLSpec
	require.ErrorContains(t, json.Unmarshal([]byte(`{"init_timeout": 45}`), &s), "45s")
}

func TestErrorCrossesTheWire(t *testing.T) {
	e := api.Errorf(404, api.KindBucketNotFound, "bucket %q does not exist", "ais://x")
	data, err := json.Marshal(e)
	require.NoError(t, err)
	back := api.ParseError(404, data)
	require.ErrorIs(t, back, api.ErrNotFound)
	require.ErrorIs(t, back, api.ErrBucketNotFound)
	require.NotErrorIs(t, back, api.ErrExists)
	require.Equal(t, "status 502: <html>", api.ParseError(502, []byte("<html>")).Error())
}

// FuzzNames: names that are taken stay themselves on every way that they go.
func FuzzNames(f *testing.F) {
	f.Add("b", "d/a b#%2F", "Etl_MD-5")
	f.Add("a..b", "../x", "-abcdef")
	f.Fuzz(func(t *testing.T, bucket, object, etl string) {
		if api.CheckBucketName(bucket) == nil {
			b, o, err := api.ParseUname(api.AIS(bucket).Uname(object))
			require.NoError(t, err)
			require.Equal(t, [2]string{bucket, object}, [2]string{b, o})
			if api.CheckObjectName(object) == nil {
				u, err := url.Parse("http://h" + api.ObjectPath(api.AIS(bucket), object))
				require.NoError(t, err)
				require.Equal(t, api.PathObjects+"/"+bucket+"/"+object, u.Path)
			}
		}
		if b, _, err := api.ParseUname(object); err == nil {
			require.NoError(t, api.CheckBucketName(b))
		}
		if api.CheckNewETLName(etl, true) == nil || api.CheckNewETLName(etl, false) == nil {
			require.NoError(t, api.CheckETLName(etl))
			require.Regexp(t, `^[a-z0-9][a-z0-9-]*-t1$`, api.PodName(etl, "T1"), "a name for a folder and for Kubernetes")
		}
	})
}
