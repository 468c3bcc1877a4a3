package cluster_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/comm"
)

// hops does a GET and gives the shares that each reply on the way to the object
// tells of.
func hops(t *testing.T, u, timing string) (shares []map[string]time.Duration) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
		require.NoError(t, err)
		req.Header.Set(api.HdrTiming, timing)
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		got := map[string]time.Duration{}
		api.ParseServerTiming(resp.Header.Get(api.HdrServerTiming), func(name string, d time.Duration) { got[name] = d })
		shares = append(shares, got)
		if u = resp.Header.Get("Location"); u == "" {
			require.Equal(t, http.StatusOK, resp.StatusCode)
			break
		}
	}
	return shares
}

func TestTimingTellsWhereTheTimeWent(t *testing.T) {
	c := start(t, 1, 1)
	require.NoError(t, c.Client.CreateBucket(t.Context(), api.AIS("src")))
	put(t, c, "src", "a", fill(100))
	put(t, c, "src", "large", fill(1<<20))
	for _, name := range comm.Names() {
		short := strings.TrimSuffix(name, "://")
		etl := "timed-" + short
		_, err := c.Client.InitETL(t.Context(), spec(etl, "echo", short))
		require.NoError(t, err)
		for _, object := range []string{"a", "large"} {
			t.Run(name+object, func(t *testing.T) {
				u := c.URL + "/v1/objects/src/" + object + "?etl_name=" + etl
				got := hops(t, u, "1")
				require.Greater(t, len(got), 1)
				var sum time.Duration
				for i, share := range got {
					want := [][]string{{"proxy"}, {"target", "pod"}}[min(i, 1)]
					if typ, _ := comm.Lookup(name); typ.Redirects {
						want = [][]string{{"proxy"}, {"target"}, {"pod"}}[i]
					}
					require.Len(t, share, len(want), "%v", got)
					for _, who := range want {
						require.Contains(t, share, who, "%v", got)
						sum += share[who]
					}
				}
				require.Positive(t, sum)
				for _, share := range hops(t, u, "0") {
					require.Empty(t, share, "nobody asked")
				}
			})
		}
	}
}
