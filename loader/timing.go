package loader

import (
	"slices"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
)

// shares are the times that servers told of one operation, in the order of
// serverNames; notTold where they did not.
type shares [3]time.Duration

const notTold time.Duration = -1

// serverNames are the shares of a Server-Timing header that count here.
var serverNames = [len(shares{})]string{api.TypeProxy, api.TypeTarget, api.TimingPod}

func noShares() shares { return shares{notTold, notTold, notTold} }

// add takes in a header's value. Hops of one name add up.
func (s *shares) add(value []byte) {
	api.ParseServerTiming(string(value), func(name string, d time.Duration) {
		if i := slices.Index(serverNames[:], name); i >= 0 {
			s[i] = max(s[i], 0) + d
		}
	})
}
