package loader

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUnderWayAddsUpTimes(t *testing.T) {
	var u underWay
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	n, sum := u.at(at(5))
	require.Zero(t, n)
	require.Zero(t, sum)
	u.add(1, at(10))
	u.add(1, at(12))
	n, sum = u.at(at(15))
	require.EqualValues(t, 2, n)
	require.Equal(t, 8*time.Millisecond, sum) // 5 and 3
	u.add(-1, at(20))
	u.add(-1, at(19)) // told later, and no time runs backwards
	n, sum = u.at(at(100))
	require.Zero(t, n)
	require.Equal(t, 18*time.Millisecond, sum)
}
