package stats

import (
	"cmp"
	"errors"
	"fmt"
	"math"
)

// SearchConfig is what a search for the highest rate that meets an objective
// starts from.
type SearchConfig struct {
	Low, High float64 // requests a second: the first rate tried, and the highest; High at most a million times Low
	Width     float64 // of the interval at which to stop, as a share: 0.01 to 1; 0 is 0.05
	Correct   float64 // chance that a window's vote is right, between 0.5 and 1; 0 is 0.8
	Windows   int     // most windows; 0 is 40
}

// Search looks for the highest rate that meets an objective, from votes of
// windows, each of which may be wrong: probabilistic bisection (Horstein 1963;
// Waeber, Frazier and Henderson 2013). It doubles the rate from Low until a
// window fails, then always tries the rate that halves what the votes leave
// likely. All votes count by Bayes' rule, so that a wrong one is outvoted later.
// Votes that are right by 0.8 take about 30 windows to a width of 5 %.
//
// A window at nearly the rate sought is a coin toss, which the search does not
// know: a narrow interval may be next to the truth. Confirm it by fresh windows.
//
// It is a state machine without clock or randomness: ask Next, run a window,
// tell Observe. Not for concurrent use.
type Search struct {
	cfg      SearchConfig
	edges    []float64 // of cells between Low and High, each a tenth of Width wide
	likely   []float64 // chance that the rate sought lies below edges[0], in cells between edges, above the last
	rate     float64   // to try next
	doubling bool
	windows  int
}

// searchLevel is of the interval of the rate found.
const searchLevel = 0.9

// NewSearch starts a search. Its error says what is wrong with the config.
func NewSearch(c SearchConfig) (*Search, error) {
	c.Width, c.Correct, c.Windows = cmp.Or(c.Width, 0.05), cmp.Or(c.Correct, 0.8), cmp.Or(c.Windows, 40)
	if !(c.Low >= smallest && c.High > c.Low && c.High <= largest && c.High <= 1e6*c.Low) {
		return nil, fmt.Errorf("search from %v to %v a second: want numbers above 0, the second larger, and at most a million times", c.Low, c.High)
	}
	if !(c.Width >= 0.01 && c.Width <= 1 && c.Correct > 0.5 && c.Correct < 1 && c.Windows > 0) {
		return nil, fmt.Errorf("search of width %v, votes right by %v, %d windows: want 0.01 to 1, 0.5 to 1, and 1 or more", c.Width, c.Correct, c.Windows)
	}
	cells := int(math.Ceil(math.Log(c.High/c.Low) / math.Log1p(c.Width/10)))
	s := &Search{cfg: c, rate: c.Low, doubling: true, edges: make([]float64, cells+1), likely: make([]float64, cells+2)}
	for i := range s.edges {
		s.edges[i] = c.Low * math.Pow(c.High/c.Low, float64(i)/float64(cells))
	}
	s.edges[cells] = c.High
	for i := range s.likely {
		s.likely[i] = 0.8 / float64(cells) // any ratio of rates is as likely, before the first vote
	}
	s.likely[0], s.likely[cells+1] = 0.1, 0.1
	return s, nil
}

// Next is the rate to try, between Low and High; false when the search is done.
func (s *Search) Next() (rate float64, more bool) {
	if s.windows >= s.cfg.Windows {
		return 0, false
	}
	low, high := s.bounds()
	beyond := high <= s.cfg.Low || low >= s.cfg.High
	return s.rate, !beyond && high/low-1 >= s.cfg.Width
}

// Observe takes a window's vote: whether the objective was met at a rate, which
// need not be Next's. The error says that it is no rate; nothing changes then.
func (s *Search) Observe(rate float64, ok bool) error {
	if !(rate >= smallest && rate <= largest) {
		return fmt.Errorf("a window at %v a second: want a number above 0", rate)
	}
	total := 0.0
	for i := range s.likely {
		above := i > 0 && s.edges[i-1] >= rate*(1-1e-9) // all of the cell
		if above == ok {
			s.likely[i] *= s.cfg.Correct
		} else {
			s.likely[i] *= 1 - s.cfg.Correct
		}
		total += s.likely[i]
	}
	for i := range s.likely {
		s.likely[i] /= total
	}
	s.windows++
	if s.doubling = s.doubling && ok && rate < s.cfg.High; s.doubling {
		s.rate = min(2*rate, s.cfg.High)
		return nil
	}
	s.rate = s.middle()
	return nil
}

// middle is the edge that best halves what is likely. The upper edge of the
// cell with the median would not do: its lower one would never be tried.
func (s *Search) middle() float64 {
	below, best, nearest := 0.0, 0, math.Inf(1)
	for i := range s.edges {
		below += s.likely[i]
		if off := math.Abs(below - 0.5); off < nearest {
			best, nearest = i, off
		}
	}
	return s.edges[best]
}

// at is the cell below whose upper edge the rate sought lies with a chance of p.
func (s *Search) at(p float64) int {
	for i, l := range s.likely {
		if p -= l; p <= 0 {
			return i
		}
	}
	return len(s.likely) - 1
}

// bounds are those of the interval: 0 and +Inf beyond Low and High.
func (s *Search) bounds() (low, high float64) {
	high = math.Inf(1)
	if i := s.at((1 - searchLevel) / 2); i > 0 {
		low = s.edges[i-1]
	}
	if i := s.at((1 + searchLevel) / 2); i < len(s.edges) {
		high = s.edges[i]
	}
	return low, high
}

// Found is the rate sought with its interval, and its error why it is not
// known: it is below Low or above High, or windows ran out while the interval
// was wider than Width, which is then returned too.
func (s *Search) Found() (Interval, error) {
	low, high := s.bounds()
	switch {
	case high <= s.cfg.Low:
		return Interval{}, fmt.Errorf("the objective is not met at %g a second, the lowest rate", s.cfg.Low)
	case low >= s.cfg.High:
		return Interval{}, fmt.Errorf("the objective is met at %g a second, the highest rate", s.cfg.High)
	case low == 0 || math.IsInf(high, 1):
		return Interval{}, fmt.Errorf("not found after %d windows: it may be beyond %g to %g a second", s.windows, s.cfg.Low, s.cfg.High)
	}
	found := Interval{s.edges[s.at(0.5)], low, high, searchLevel}
	if high/low-1 >= s.cfg.Width {
		return found, errors.New("windows ran out")
	}
	return found, nil
}
