package scenarios

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextUnmarshaler = (*Bytes)(nil)
)

// Duration is a time.Duration that is written with its unit ("10s").
type Duration time.Duration

// String is d with its unit and without trailing zero parts ("1m", not
// "1m0s"); UnmarshalText reads it back.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// MarshalText gives d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "10s", "1m30s" or "250ms". A number without a unit is
// an error, zero too. Negative durations are read; Validate refuses them.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("%q has no unit (write %ss or %sms)", s, s, s)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration (write it like 10s, 250ms or 1m30s)", s)
	}
	*d = Duration(v)
	return nil
}

// Bytes is a size that is written with its unit ("64KiB", "1MB", "10B").
type Bytes int64

// byteUnit is one spelling of a unit.
type byteUnit struct {
	name string
	size int64
}

// byteUnits are all units, in the order in which String prefers them: the
// largest of 1024 that divides, then of 1000. B comes last, as every other
// name ends in it.
func byteUnits() []byteUnit {
	return []byteUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

// String is b in the largest unit that gives a whole number ("64KiB", "1MB",
// "0B"); [ParseBytes] reads it back.
func (b Bytes) String() string {
	if b != 0 {
		for _, u := range byteUnits() {
			if int64(b)%u.size == 0 {
				return strconv.FormatInt(int64(b)/u.size, 10) + u.name
			}
		}
	}
	return "0B"
}

// MarshalText gives b as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what [ParseBytes] reads.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := ParseBytes(string(text))
	if err != nil {
		return err
	}
	*b = v
	return nil
}

// ParseBytes reads a size: a whole number and its unit, nothing between.
// KiB, MiB, GiB and TiB count in 1024s, KB, MB, GB and TB in 1000s, B is one
// byte. A number without a unit is an error, and so are "64K" and "64M",
// which people read both ways. Negative sizes are read; Validate refuses them.
func ParseBytes(s string) (Bytes, error) {
	digits := strings.TrimRight(s, "BKMGTibkmgt")
	unit := s[len(digits):]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.HasPrefix(digits, "+") {
		return 0, fmt.Errorf("%q is not a size (write a whole number and a unit, like 64KiB, 1MB or 10B)", s)
	}
	size, err := unitSize(digits, unit)
	if err != nil {
		return 0, fmt.Errorf("%q %w", s, err)
	}
	if n > math.MaxInt64/size || n < math.MinInt64/size {
		return 0, fmt.Errorf("%q is too large (at most 8388607TiB)", s)
	}
	return Bytes(n * size), nil
}

// unitSize is how many bytes unit has; the error is the end of a sentence
// that starts with the whole size.
func unitSize(digits, unit string) (int64, error) {
	for _, u := range byteUnits() {
		if u.name == unit {
			return u.size, nil
		}
	}
	if unit == "" {
		return 0, fmt.Errorf("has no unit (write %sB, %sKiB or %sMiB)", digits, digits, digits)
	}
	if big := strings.ToUpper(unit[:1]); big != "B" && big != "I" {
		return 0, fmt.Errorf("has no clear unit (write %s%siB for 1024s or %s%sB for 1000s)", digits, big, digits, big)
	}
	return 0, fmt.Errorf("has an unknown unit (use B, KiB, MiB, GiB, TiB, KB, MB, GB or TB)")
}

// parseCount reads a count of things: a whole number, or one with k
// (thousand) or M (million) after it.
func parseCount(s string) (int, error) {
	digits, factor := s, 1
	if d, ok := strings.CutSuffix(s, "k"); ok {
		digits, factor = d, 1e3
	} else if d, ok := strings.CutSuffix(s, "M"); ok {
		digits, factor = d, 1e6
	}
	n, err := parseInt(digits)
	if err != nil || n > math.MaxInt/factor || n < math.MinInt/factor {
		return 0, fmt.Errorf("%q is not a count (write it like 500, 20k or 1M)", s)
	}
	return n * factor, nil
}

// parseInt reads a decimal whole number. It refuses "0x10", "1_000" and
// "010", which YAML readers disagree on.
func parseInt(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("%q is not a plain whole number (write it like 10)", s)
	}
	return n, nil
}

func parseSeed(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a whole number of 0 to 18446744073709551615", s)
	}
	return n, nil
}

func parseNumber(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number (write it like 0.5)", s)
	}
	return n, nil
}

// MarshalYAML gives a const size as a scalar and others as a map with the keys
// that belong to them.
func (s Size) MarshalYAML() (any, error) {
	type bounds struct {
		Dist string `yaml:"dist"`
		Min  Bytes  `yaml:"min"`
		Max  Bytes  `yaml:"max"`
	}
	switch s.Dist {
	case DistUniform:
		return bounds{s.Dist, s.Min, s.Max}, nil
	case DistLognormal:
		return struct {
			Dist   string  `yaml:"dist"`
			Median Bytes   `yaml:"median"`
			Sigma  float64 `yaml:"sigma"`
			Min    Bytes   `yaml:"min"`
			Max    Bytes   `yaml:"max"`
		}{s.Dist, s.Median, s.Sigma, s.Min, s.Max}, nil
	case DistPareto:
		return struct {
			Dist  string  `yaml:"dist"`
			Alpha float64 `yaml:"alpha"`
			Min   Bytes   `yaml:"min"`
			Max   Bytes   `yaml:"max,omitempty"`
		}{s.Dist, s.Alpha, s.Min, s.Max}, nil
	case DistWeighted:
		return struct {
			Dist string  `yaml:"dist"`
			Of   []Share `yaml:"of"`
		}{s.Dist, s.Of}, nil
	case DistTrace:
		return struct {
			Dist string `yaml:"dist"`
			File string `yaml:"file"`
		}{s.Dist, s.File}, nil
	}
	return s.Value, nil
}

// IsZero tells a size that was never set.
func (s Size) IsZero() bool { return s.Dist == "" }

// Warmup is a duration, or WarmupAuto.
type Warmup Duration

// WarmupAuto is written "auto".
const WarmupAuto Warmup = math.MinInt64

// String is w as a file has it.
func (w Warmup) String() string {
	if w == WarmupAuto {
		return "auto"
	}
	return Duration(w).String()
}

// MarshalText gives w as String does.
func (w Warmup) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads "auto" or a duration.
func (w *Warmup) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*w = WarmupAuto
		return nil
	}
	return (*Duration)(w).UnmarshalText(text)
}

// Rate is a number of things a second that is written with its unit ("2000/s").
type Rate float64

// String is r with its unit; UnmarshalText reads it back.
func (r Rate) String() string { return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s" }

// MarshalText gives r as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads "2000/s", "0.5/s" or "20k/s".
func (r *Rate) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "/s")
	digits, factor := s, 1.0
	if d, ok := strings.CutSuffix(s, "k"); ok {
		digits, factor = d, 1000
	}
	v, err := decimalNumber(digits)
	switch {
	case !ok && err == nil:
		return fmt.Errorf("%q has no unit (write %s/s)", s, s)
	case err != nil:
		return fmt.Errorf("%q is not a rate (write it like 2000/s, 0.5/s or 20k/s)", text)
	}
	*r = Rate(v * factor)
	return nil
}

// Bandwidth is bytes a second, written as a size and "/s" ("100MiB/s").
type Bandwidth Bytes

// String is b with its unit; UnmarshalText reads it back.
func (b Bandwidth) String() string { return Bytes(b).String() + "/s" }

// MarshalText gives b as String does.
func (b Bandwidth) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads "100MiB/s", or whatever size a second.
func (b *Bandwidth) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "/s")
	v, err := ParseBytes(s)
	switch {
	case err != nil:
		return fmt.Errorf("%w, and /s behind it", err)
	case !ok:
		return fmt.Errorf("%q is no bandwidth (write %s/s)", s, s)
	}
	*b = Bandwidth(v)
	return nil
}

// Percent is a share that is written with its sign ("3%").
type Percent float64

// String is p with its sign; UnmarshalText reads it back.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText gives p as String does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "3%" or "0.5%".
func (p *Percent) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "%")
	v, err := decimalNumber(s)
	switch {
	case !ok && err == nil:
		return fmt.Errorf("%q has no unit (write %s%%)", s, s)
	case err != nil:
		return fmt.Errorf("%q is not a share (write it like 3%% or 0.5%%)", text)
	}
	*p = Percent(v)
	return nil
}

// decimalNumber reads a finite number without sign, exponent or other base.
func decimalNumber(s string) (float64, error) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// Sampling is of how many operations something is done: "all", "sample N%",
// "size" (of verify.content: the size alone) or "off".
type Sampling string

// Values of a Sampling beside "sample N%".
const (
	SampleAll  Sampling = "all"
	SampleSize Sampling = "size"
	SampleOff  Sampling = "off"
)

// Share is the share of operations, 0 to 1; false when s is none of the words.
func (s Sampling) Share() (share float64, ok bool) {
	switch s {
	case SampleAll:
		return 1, true
	case SampleOff, SampleSize:
		return 0, true
	}
	rest, ok := strings.CutPrefix(string(s), "sample ")
	var p Percent
	if !ok || p.UnmarshalText([]byte(rest)) != nil || p > 100 {
		return 0, false
	}
	return float64(p) / 100, true
}
