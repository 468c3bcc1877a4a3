package loader

import (
	"bytes"
	"strconv"
	"time"
)

// HdrTiming asks nodes and pods to tell, in Server-Timing, how long they took.
// Others ignore it.
const HdrTiming = "Etlbench-Timing"

// hdrServerTiming is the standard header of such answers:
//
//	Server-Timing: target;dur=1.25, pod;dur=0.8;desc="a comment"
const hdrServerTiming = "Server-Timing"

// shares are the times that servers told of one operation, in the order of
// serverNames; notTold where they did not.
type shares [3]time.Duration

const notTold time.Duration = -1

// serverNames are the metrics of a Server-Timing header that count here.
var serverNames = [len(shares{})]string{"proxy", "target", "pod"}

func (s *shares) reset() { *s = shares{notTold, notTold, notTold} }

// maxShare is the longest time that is believed.
const maxShare = time.Hour

// add takes in a header's value. What makes no sense is passed over: whoever
// wrote it may not have meant us. Hops of one name add up.
func (s *shares) add(value []byte) {
	for len(value) > 0 {
		var metric []byte
		metric, value = cutUnquoted(value, ',')
		name, params := cutUnquoted(metric, ';')
		name = bytes.TrimSpace(name)
		for i, n := range serverNames {
			if string(name) != n {
				continue
			}
			if d := duration(params); d != notTold {
				s[i] = max(s[i], 0) + d
			}
		}
	}
}

// duration is the dur parameter, in milliseconds; notTold without a sane one.
func duration(params []byte) time.Duration {
	for len(params) > 0 {
		var param []byte
		param, params = cutUnquoted(params, ';')
		key, v, ok := bytes.Cut(param, []byte("="))
		if !ok || !bytes.EqualFold(bytes.TrimSpace(key), []byte("dur")) {
			continue
		}
		ms, err := strconv.ParseFloat(string(bytes.Trim(bytes.TrimSpace(v), `"`)), 64)
		if err != nil || !(ms >= 0 && ms <= maxShare.Seconds()*1000) {
			return notTold
		}
		return time.Duration(ms * float64(time.Millisecond))
	}
	return notTold
}

// cutUnquoted cuts at the first sep that is not within quotes.
func cutUnquoted(b []byte, sep byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == sep && !quoted:
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}
