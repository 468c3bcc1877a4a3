package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxSpan is the longest time that a line may tell, about thirty years. It
// keeps foreign numbers clear of the ends of time.Duration.
const maxSpan = 1e9 * time.Second

// record is one line of intervals.jsonl.
type record struct {
	Key
	StartS    float64 `json:"start_s"` // since the StartTime of ops.hlog
	DurationS float64 `json:"duration_s"`
	Counts
}

func newRecord(iv Interval, origin time.Time) record {
	return record{
		Key:       iv.Key,
		StartS:    iv.Start.Sub(origin).Seconds(),
		DurationS: iv.Duration.Seconds(),
		Counts:    iv.Counts,
	}
}

// check refuses what cannot be. The Writer asks as well, so that it never
// makes a folder that Read refuses.
func (r record) check() error {
	if min(r.Ops, r.Errors, r.Timeouts, r.Shed, r.Unsent, r.BytesIn, r.BytesOut, int64(r.Block)) < 0 || r.DurationS < 0 {
		return errors.New("negative count or duration")
	}
	if max(math.Abs(r.StartS), r.DurationS) > maxSpan.Seconds() {
		return errors.New("start or duration out of range")
	}
	return nil
}

// parseRecord reads one line of intervals.jsonl.
func parseRecord(line []byte, origin time.Time) (Interval, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return Interval{}, err
	}
	if err := r.check(); err != nil {
		return Interval{}, err
	}
	return Interval{
		Key:      r.Key,
		Start:    origin.Add(seconds(r.StartS)),
		Duration: seconds(r.DurationS),
		Counts:   r.Counts,
	}, nil
}

// seconds rounds where a plain conversion would cut, so that what was written
// from a Duration comes back as the same one.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s * 1e9))
}

// tag is a key as ops.hlog has it, where commas, spaces and line breaks would
// end the field. Two keys may share a tag: intervals.jsonl tells them apart.
func (k Key) tag() string {
	tag := strings.Join([]string{k.Arm, k.Op, k.Phase, k.Metric, "b" + strconv.Itoa(k.Block), k.Target}, ".")
	return strings.Map(func(r rune) rune {
		if r == ',' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, tag)
}

// logHeader opens ops.hlog. The times of its lines are absolute (BaseTime 0):
// a target may record an object from before the first interval, and readers
// differ on negative times.
func logHeader(origin time.Time) string {
	return "#[Histogram log format version 1.3]\n" +
		"#[BaseTime: 0.000 (seconds since epoch)]\n" +
		fmt.Sprintf("#[StartTime: %d.%03d (seconds since epoch), %s]\n",
			origin.Unix(), origin.Nanosecond()/1e6, origin.UTC().Format(time.RFC3339)) +
		"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
}

// logLine is one interval histogram in the HdrHistogram log format. The
// library's HistogramLogWriter makes the same line, but takes tag and times
// from the histogram, which is the caller's, and cuts times to milliseconds.
func logLine(iv Interval) (string, error) {
	if iv.Start.Unix() < 0 {
		return "", errors.New("start is not set")
	}
	h := iv.Latency
	if h == nil {
		h = NewHistogram()
	}
	if err := checkBounds(h); err != nil {
		return "", err
	}
	payload, err := EncodeHistogram(h)
	if err != nil {
		return "", err
	}
	maxMs := float64(h.Max()) / float64(time.Millisecond)
	return fmt.Sprintf("Tag=%s,%s,%.9f,%.3f,%s\n",
		iv.Key.tag(), decimal(iv.Start), iv.Duration.Seconds(), maxMs, payload), nil
}

// parseLogLine reads one line of ops.hlog that is no comment and no legend.
func parseLogLine(line string) (tag string, start time.Time, h *hdrhistogram.Histogram, err error) {
	fields := strings.Split(line, ",")
	if len(fields) != 5 || !strings.HasPrefix(fields[0], "Tag=") {
		return "", time.Time{}, nil, errors.New("want Tag=…,start,length,max,histogram")
	}
	start, err = parseDecimal(fields[1])
	if err != nil {
		return "", time.Time{}, nil, err
	}
	h, err = DecodeHistogram(fields[4])
	return strings.TrimPrefix(fields[0], "Tag="), start, h, err
}

// DecodeHistogram takes back what EncodeHistogram gave of one of NewHistogram.
func DecodeHistogram(text string) (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return h, checkBounds(h)
}

// checkBounds refuses histograms that cannot be added up without loss. It also
// bounds what a line can make a reader hold.
func checkBounds(h *hdrhistogram.Histogram) error {
	low, high, digits := h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures()
	if low != MinLatency || high != MaxLatency || digits != Digits {
		return fmt.Errorf("histogram: bounds %d to %d with %d digits, want %d to %d with %d: see NewHistogram",
			low, high, digits, MinLatency, MaxLatency, Digits)
	}
	return nil
}

// decimal is a moment as seconds since the epoch with nine decimals: a float64
// could not hold them.
func decimal(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// parseDecimal undoes decimal; fewer decimals are read as well.
func parseDecimal(s string) (time.Time, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if len(frac) > 9 {
		return time.Time{}, fmt.Errorf("time %q: more than nine decimals", s)
	}
	sec, err := strconv.ParseUint(whole, 10, 40)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: %w", s, err)
	}
	nano, err := strconv.ParseUint((frac + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: %w", s, err)
	}
	return time.Unix(int64(sec), int64(nano)).UTC(), nil
}

// parseStartTime reads the header line that intervals.jsonl counts from.
func parseStartTime(line string) (t time.Time, ok bool, err error) {
	rest, ok := strings.CutPrefix(line, "#[StartTime: ")
	if !ok {
		return time.Time{}, false, nil
	}
	number, _, _ := strings.Cut(rest, " ")
	t, err = parseDecimal(number)
	return t, true, err
}
