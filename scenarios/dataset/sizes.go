package dataset

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// sizesName is the sequence that sizes are drawn from. Object names have no
// NUL, so it is no object's content.
const sizesName = "\x00sizes"

// Limits of what is read and drawn.
const (
	maxTraceSizes = 5_000_000
	maxDraws      = 100 // of one size within its bounds, until the nearer bound is taken
)

// sizes gives the size of object n, from 1: a pure function of seed and n.
func sizes(s scenarios.Size, seed uint64) (func(n uint64) int64, error) {
	key := draw.Key(seed, sizesName)
	low, high := float64(s.Min), float64(s.Max)
	switch s.Dist {
	case scenarios.DistUniform:
		span := uint64(s.Max-s.Min) + 1
		return func(n uint64) int64 { return int64(s.Min) + int64(draw.Below(draw.Word(key, n), span)) }, nil
	case scenarios.DistLognormal:
		return func(n uint64) int64 {
			return within(draw.Word(key, n), low, high, func(u float64) float64 {
				return float64(s.Median) * draw.Exp(s.Sigma*draw.Normal(u))
			})
		}, nil
	case scenarios.DistPareto:
		if s.Max == 0 {
			high = float64(maxSize)
		}
		return func(n uint64) int64 {
			return within(draw.Word(key, n), low, high, func(u float64) float64 {
				return low * draw.Exp(-draw.Log(u)/s.Alpha)
			})
		}, nil
	case scenarios.DistWeighted:
		return weighted(s.Of, key), nil
	case scenarios.DistTrace:
		list, err := readSizes(s.File)
		if err != nil {
			return nil, err
		}
		return func(n uint64) int64 { return list[(n-1)%uint64(len(list))] }, nil
	}
	return func(uint64) int64 { return int64(s.Value) }, nil
}

// maxSize is the largest object that a scenario may have.
const maxSize = 512 << 30

// within draws until a number lies within the bounds, so that the distribution
// is cut off there rather than piled up.
func within(word uint64, low, high float64, at func(u float64) float64) int64 {
	v := 0.0
	for i := range uint64(maxDraws) {
		v = at(draw.Unit(draw.Word(word, i)))
		if v >= low && v <= high {
			return int64(math.Floor(v))
		}
	}
	return int64(min(max(v, low), high))
}

func weighted(of []scenarios.Share, key uint64) func(n uint64) int64 {
	var sum uint64
	for _, s := range of {
		sum += uint64(s.Weight)
	}
	return func(n uint64) int64 {
		at := draw.Below(draw.Word(key, n), sum)
		for _, s := range of {
			if at < uint64(s.Weight) {
				return int64(s.Size)
			}
			at -= uint64(s.Weight)
		}
		return 0 // not reached: at was below the sum
	}
}

// readSizes reads one size a line.
func readSizes(file string) ([]int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("dataset.size.file %s: %w", file, bare(err))
	}
	defer f.Close()
	var list []int64
	scan := bufio.NewScanner(f)
	for line := 1; scan.Scan(); line++ {
		text := strings.TrimSpace(scan.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		v, err := scenarios.ParseBytes(text)
		if err == nil && (v < 0 || v > maxSize || len(list) == maxTraceSizes) {
			err = fmt.Errorf("%s is out of range, or one of more than %d sizes", v, maxTraceSizes)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		list = append(list, int64(v))
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no sizes (write one a line, like 64KiB)", file)
	}
	return list, nil
}

// describeSize says in a few words what a distribution is.
func describeSize(s scenarios.Size) string {
	switch s.Dist {
	case scenarios.DistUniform:
		return fmt.Sprintf("%s to %s", s.Min, s.Max)
	case scenarios.DistLognormal:
		return fmt.Sprintf("%s to %s (lognormal, median %s, sigma %g)", s.Min, s.Max, s.Median, s.Sigma)
	case scenarios.DistPareto:
		return fmt.Sprintf("at least %s (pareto, alpha %g)", s.Min, s.Alpha)
	case scenarios.DistWeighted:
		return fmt.Sprintf("%d sizes by weight", len(s.Of))
	case scenarios.DistTrace:
		return "sizes as in " + s.File
	}
	return s.Value.String()
}
