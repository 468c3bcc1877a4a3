package fleet

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClockOfTheQuickestAnswer: an agent's clock is ahead by an hour, and all
// its answers but one are slow on their way back, which would make it look
// further behind by half of that.
func TestClockOfTheQuickestAnswer(t *testing.T) {
	const slow = 40 * time.Millisecond
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		now := time.Now().Add(time.Hour)
		if asked != 5 {
			time.Sleep(slow)
		}
		reply(w, clockReply{now.UnixNano()})
	}))
	defer srv.Close()
	l := &link{name: strings.TrimPrefix(srv.URL, "http://"), http: srv.Client()}
	c, err := l.compare(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, asked, probes)
	require.Less(t, c.unsure, slow/2)
	require.LessOrEqual(t, (c.ahead - time.Hour).Abs(), c.unsure, "the uncertainty is a bound")
}
