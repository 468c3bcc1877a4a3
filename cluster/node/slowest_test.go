package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlowest(t *testing.T) {
	var s slowest
	for i := range 100 {
		n := i * 37 % 100 // every number below 100 once
		s.add(fmt.Sprint(n), time.Duration(n)*time.Millisecond)
	}
	require.Len(t, s, mostSlow)
	for i, o := range s {
		require.Equal(t, fmt.Sprint(99-i), o.Name)
	}
	s = nil
	s.add("a", 1)
	s.add("b", 2)
	require.Equal(t, "b", s[0].Name)
	require.Len(t, s, 2)
}
