package loader

import (
	"sync"
	"time"
)

// underWay is how many operations are under way, and for how long together.
// Looking now and then would not do: an open loop begins its operations by a
// clock, and looks by another would fall into step with it.
type underWay struct {
	mu   sync.Mutex
	n    int64         // guarded by mu, like the rest
	last time.Time     // when n changed
	sum  time.Duration // of the operations' times until then
}

// add begins (1) or ends (-1) an operation at a moment.
func (u *underWay) add(n int64, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.advance(at)
	u.n += n
}

func (u *underWay) advance(at time.Time) {
	if d := at.Sub(u.last); d > 0 {
		u.sum += time.Duration(u.n) * d
		u.last = at
	}
}

// at is how many operations are under way, and what their times and those of
// all before them add up to.
func (u *underWay) at(now time.Time) (n int64, sum time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.advance(now)
	return u.n, u.sum
}
