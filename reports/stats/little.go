package stats

import (
	"fmt"
	"math"
	"time"
)

// Little is the relative error of Little's law (1961), L = λW: λW/L - 1, for
// the mean number of requests in flight L, the rate λ of those that ended, a
// second, and their mean time W from begin to end of being in flight. In a
// window much longer than W, more than ±5 % is a mistake in the bookkeeping.
func Little(inFlight, rate float64, mean time.Duration) (float64, error) {
	if err := positive([]float64{inFlight, rate, mean.Seconds()}); err != nil {
		return 0, fmt.Errorf("law of Little for %v in flight, %v/s and %v: want numbers above 0", inFlight, rate, mean)
	}
	e := rate*mean.Seconds()/inFlight - 1
	if math.IsInf(e, 0) {
		return 0, fmt.Errorf("law of Little for %v in flight, %v/s and %v: out of range", inFlight, rate, mean)
	}
	return e, nil
}
