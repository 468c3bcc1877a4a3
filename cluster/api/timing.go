package api

import (
	"strconv"
	"strings"
	"time"
)

// TimingPod is a pod's share in Server-Timing; proxies and targets go by
// TypeProxy and TypeTarget. Shares do not overlap: a target's is without what
// it waited for its pod.
const TimingPod = "pod"

// ServerTiming adds a share to the value of a Server-Timing header:
// "target;dur=0.25, pod;dur=1.5", in milliseconds, to the microsecond.
func ServerTiming(value []byte, name string, d time.Duration) []byte {
	if len(value) > 0 {
		value = append(value, ", "...)
	}
	value = append(append(value, name...), ";dur="...)
	return strconv.AppendFloat(value, float64(max(0, d))/float64(time.Millisecond), 'f', 3, 64)
}

// ParseServerTiming gives the shares of a Server-Timing header to each. What it
// cannot read it passes over: the header may be anybody's.
func ParseServerTiming(value string, each func(name string, d time.Duration)) {
	for metric := range strings.SplitSeq(value, ",") {
		name, params, _ := strings.Cut(metric, ";")
		for param := range strings.SplitSeq(params, ";") {
			key, v, _ := strings.Cut(param, "=")
			if !strings.EqualFold(strings.TrimSpace(key), "dur") {
				continue
			}
			ms, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(v), `"`), 64)
			if err == nil && ms >= 0 && ms < float64(maxShare/time.Millisecond) {
				each(strings.TrimSpace(name), time.Duration(ms*float64(time.Millisecond)))
			}
			break
		}
	}
}

// maxShare is longer than any share can be.
const maxShare = 24 * time.Hour
