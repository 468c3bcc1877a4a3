package loader

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// schedule says when the operations of a phase are due: a pure function of
// their number, from 0 to count-1. What it gives never falls.
type schedule interface {
	count() int64
	// at is when operation i is due, from the start of the phase. It is
	// cheapest for rising i, and not for concurrent use.
	at(i int64) time.Duration
	// length is the phase's.
	length() time.Duration
}

// maxOperations is the most that a phase may schedule.
const maxOperations = 1_000_000_000

// profile is a rate over time, in straight pieces. It maps a number of
// operations to the moment by which so many are due, the inverse of the
// rate's integral.
type profile struct {
	pieces []piece
	total  float64 // operations, not cut to a whole number
	took   time.Duration
}

// piece of a profile. In it, t seconds from its start, from·t + slope·t²/2
// operations are due.
type piece struct {
	start       time.Duration
	took        float64 // seconds
	from, slope float64 // operations/s, and their change a second
	before      float64 // operations of the pieces before
	operations  float64 // of this one
}

func steady(rate scenarios.Rate, d time.Duration) *profile {
	p := &profile{}
	p.add(float64(rate), float64(rate), d)
	return p
}

// staged goes through stages, beginning at a rate.
func staged(rate scenarios.Rate, stages []scenarios.Stage) *profile {
	p, now := &profile{}, float64(rate)
	for _, s := range stages {
		if s.Hold > 0 {
			p.add(now, now, time.Duration(s.Hold))
			continue
		}
		p.add(now, float64(s.To), time.Duration(s.Over))
		now = float64(s.To)
	}
	return p
}

func (p *profile) add(from, to float64, d time.Duration) {
	if d <= 0 {
		return
	}
	sec := d.Seconds()
	n := float64((from + to) / 2 * sec)
	p.pieces = append(p.pieces, piece{start: p.took, took: sec, from: from, slope: (to - from) / sec, before: p.total, operations: n})
	p.total += n
	p.took += d
}

// when is the moment by which n operations are due, n below total.
func (p *profile) when(n float64) time.Duration {
	i := 0
	for i < len(p.pieces)-1 && n >= p.pieces[i+1].before {
		i++
	}
	q := &p.pieces[i]
	n -= q.before
	// The root of from·t + slope·t²/2 = n that does not cancel.
	root := math.Sqrt(max(0, float64(q.from*q.from)+float64(2*float64(q.slope*n))))
	t := 0.0
	if n > 0 {
		t = 2 * n / (q.from + root)
	}
	return min(q.start+time.Duration(math.Round(min(t, q.took)*1e9)), p.took-1)
}

// operations is how many are due in all: the integral of the rate, cut to a
// whole number. What binary fractions lack to one is made up.
func (p *profile) operations() int64 { return int64(math.Floor(p.total + 1e-6)) }

// evenly spaces operations evenly in terms of the rate: number i is due when i
// of them should have been.
type evenly struct{ *profile }

func (s evenly) count() int64             { return s.operations() }
func (s evenly) at(i int64) time.Duration { return s.when(float64(i)) }
func (s evenly) length() time.Duration    { return s.took }

// check refuses what would take minutes to compute.
func (p *profile) check() error {
	if n := p.operations(); n > maxOperations {
		return fmt.Errorf("load: %d operations an arm and block, more than %d (choose a lower rate or a shorter time)", n, maxOperations)
	}
	return nil
}

// poisson spaces operations as those of many independent clients. That there
// are count of them is given, and so they are where a Poisson process has
// them: the sums of count+1 exponential gaps, scaled to the whole, mapped
// through the rate.
type poisson struct {
	*profile
	key   uint64
	n     int64
	marks []uint64 // sums of the gaps before every markEvery-th
	whole uint64   // sum of all
	next  int64    // whose gap comes next
	sum   uint64   // of those before
}

const markEvery = 4096

func newPoisson(p *profile, key uint64) *poisson {
	s := &poisson{profile: p, key: key, n: p.operations()}
	for i := range s.n + 1 {
		if i%markEvery == 0 {
			s.marks = append(s.marks, s.whole)
		}
		s.whole += s.gap(i)
	}
	return s
}

// gap is in units of 2^-30 of the mean: sums of whole numbers do not depend on
// their order.
func (s *poisson) gap(i int64) uint64 {
	return uint64(draw.Exponential(draw.Word(s.key, uint64(i))) * (1 << 30))
}

func (s *poisson) count() int64          { return s.n }
func (s *poisson) length() time.Duration { return s.took }

func (s *poisson) at(i int64) time.Duration {
	if i < s.next-1 || i >= s.next+markEvery {
		s.next = i / markEvery * markEvery
		s.sum = s.marks[s.next/markEvery]
	}
	for s.next <= i {
		s.sum += s.gap(s.next)
		s.next++
	}
	share := float64(s.sum) / float64(s.whole)
	return s.when(share * s.total)
}

// trace is a recorded sequence of moments.
type trace []time.Duration

func (s trace) count() int64             { return int64(len(s)) }
func (s trace) at(i int64) time.Duration { return s[i] }

// length ends right behind the last operation.
func (s trace) length() time.Duration { return s[len(s)-1] + 1 }

// readTrace reads one moment a line, in seconds.
func readTrace(file string) (trace, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("load.trace: %w", err)
	}
	defer f.Close()
	var list trace
	scan := bufio.NewScanner(f)
	for line := 1; scan.Scan(); line++ {
		text := strings.TrimSpace(scan.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		sec, err := strconv.ParseFloat(text, 64)
		at := time.Duration(math.Round(sec * 1e9))
		switch {
		case err != nil || !(sec >= 0 && sec < 1e9):
			return nil, fmt.Errorf("%s:%d: %q is not a moment (write it in seconds, like 0.25)", file, line, text)
		case len(list) > 0 && at < list[len(list)-1]:
			return nil, fmt.Errorf("%s:%d: %s s is before the one above it", file, line, text)
		case len(list) == maxTrace:
			return nil, fmt.Errorf("%s has more than %d moments", file, maxTrace)
		}
		list = append(list, at)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no moments (write one a line, in seconds)", file)
	}
	return list, nil
}

// maxTrace keeps a trace in memory.
const maxTrace = 20_000_000
