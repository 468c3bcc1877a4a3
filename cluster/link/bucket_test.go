package link

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBandwidth: what several connections take together passes at the link's
// bandwidth, and each gets the same, whatever it takes at a time.
func TestBandwidth(t *testing.T) {
	for _, rate := range []int64{64 << 10, 10 << 20, 1 << 30} {
		synctest.Test(t, func(t *testing.T) {
			b := &New(rate).in
			stop, moved := make(chan struct{}), make([]int64, 4)
			start := time.Now()
			for i := range moved {
				go func() {
					for b.take(b.chunk(), stop) {
						moved[i] += int64(b.chunk())
					}
				}()
			}
			time.Sleep(10 * time.Second)
			close(stop)
			synctest.Wait()
			sum := int64(0)
			for _, m := range moved {
				sum += m
				require.InEpsilon(t, moved[0], m, 0.1)
			}
			require.InEpsilon(t, float64(rate)*time.Since(start).Seconds(), sum, 0.02)
		})
	}
}

// TestRateChanges: who waits gets the new rate at once, and an idle link saves
// up no more than its burst.
func TestRateChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(minBurst)
		b := &l.out
		took := func(n int) time.Duration {
			start := time.Now()
			require.True(t, b.take(n, nil))
			return time.Since(start)
		}
		require.Zero(t, took(minBurst), "an idle link has a burst")
		require.Equal(t, time.Second, took(minBurst))
		time.Sleep(time.Hour)
		require.Zero(t, took(minBurst))
		time.AfterFunc(time.Second/2, func() { l.SetRate(100 * minBurst) })
		require.Equal(t, time.Second/2+5*time.Millisecond, took(minBurst))
		time.AfterFunc(time.Millisecond, func() { l.SetRate(0) })
		require.Equal(t, time.Millisecond, took(minBurst))
		require.Zero(t, took(maxChunk), "no limit")
	})
}

// TestForced: what was given away too early is held back later.
func TestForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &New(minBurst).in
		b.force(3 * minBurst)
		start := time.Now()
		require.True(t, b.take(minBurst, nil))
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

// TestStopped: a wait ends, in the line too, and takes nothing.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &New(minBurst).in
		require.True(t, b.take(minBurst, nil))
		stop := make(chan struct{})
		for range 3 {
			go func() { require.False(t, b.take(minBurst, stop)) }()
		}
		synctest.Wait()
		close(stop)
		synctest.Wait()
		start := time.Now()
		require.True(t, b.take(minBurst, nil))
		require.Equal(t, time.Second, time.Since(start))
	})
}
