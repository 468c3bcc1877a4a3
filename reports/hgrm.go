package reports

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// perHalf is how many percentiles a spectrum has for each halving of the
// distance to 100 %.
const perHalf = 5

// WriteHgrm writes the response times of every arm, or of one, as the percentile
// spectrum that HdrHistogram's tools plot, in milliseconds. Each begins with a
// line "# arm operation". Operations that were never served are not in it:
// the line says how many there are.
func WriteHgrm(w io.Writer, r *Report, arm string) error {
	b := bufio.NewWriter(w)
	found := false
	for _, s := range r.Evidence.Series {
		if arm != "" && s.Row.Name != arm || s.Response == nil {
			continue
		}
		found = true
		fmt.Fprintf(b, "# %s %s, response ms, %d never served in time\n", clean(s.Row.Name), clean(s.Row.Op), s.Late)
		if _, err := s.Response.PercentilesPrint(b, perHalf, float64(time.Millisecond)); err != nil {
			return err
		}
	}
	if arm != "" && !found {
		return fmt.Errorf("no arm %q with response times in %s", arm, r.Run.Dir)
	}
	return b.Flush()
}
