package loader

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerTiming(t *testing.T) {
	const ms = time.Millisecond
	for value, want := range map[string]shares{
		"":                                 {notTold, notTold, notTold},
		"proxy;dur=0.25":                   {250 * time.Microsecond, notTold, notTold},
		"target;dur=1.5, pod;dur=1":        {notTold, 1500 * time.Microsecond, ms},
		" pod ; DUR = 2 ,":                 {notTold, notTold, 2 * ms},
		`pod;desc="a, target;dur=9";dur=3`: {notTold, notTold, 3 * ms},
		`pod;desc="\"";dur="4"`:            {notTold, notTold, 4 * ms},
		"target;dur=1,target;dur=2":        {notTold, 3 * ms, notTold},
		"cache;dur=1,miss,db;dur=53":       {notTold, notTold, notTold},
		"pod;dur=-1":                       {notTold, notTold, notTold},
		"pod;dur=NaN, proxy;dur=1e300":     {notTold, notTold, notTold},
		"pod;dur=x;dur=1":                  {notTold, notTold, notTold},
		"pod;duration=1,target":            {notTold, notTold, notTold},
		`pod;desc="never closed;dur=1`:     {notTold, notTold, notTold},
		",,;;==,\"":                        {notTold, notTold, notTold},
	} {
		var s shares
		s.reset()
		s.add([]byte(value))
		require.Equal(t, want, s, value)
	}
}

func TestServerTimingDoesNotAllocate(t *testing.T) {
	value := []byte("target;dur=1.523, pod;dur=0.811")
	var s shares
	require.Zero(t, testing.AllocsPerRun(100, func() { s.reset(); s.add(value) }))
}

func FuzzServerTiming(f *testing.F) {
	f.Add([]byte(`pod;desc="a, b";dur=1, target;dur=2`))
	f.Fuzz(func(t *testing.T, value []byte) {
		var s shares
		s.reset()
		s.add(value)
		for _, d := range s {
			require.GreaterOrEqual(t, d, notTold)
		}
	})
}
