package loader

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSharesOfServers(t *testing.T) {
	const ms = time.Millisecond
	s := noShares()
	s.add([]byte("proxy;dur=0.25"))
	require.Equal(t, shares{ms / 4, notTold, notTold}, s)
	s.add([]byte("target;dur=1.5, pod;dur=1, cache;dur=7, target;dur=2"))
	s.add([]byte("pod;dur=x, proxy;dur=-1"))
	s.add(nil)
	require.Equal(t, shares{ms / 4, 3500 * time.Microsecond, ms}, s)
}
