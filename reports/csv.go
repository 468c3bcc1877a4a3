package reports

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/etlbench/etlbench/reports/results"
)

// WriteJSON writes the run's summary.json, byte for byte as its writer did.
func WriteJSON(w io.Writer, r *Report) error {
	data, err := r.Run.Summary.Encode()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// WriteCSV writes a header and one line per row, numbers unrounded and those
// not told left empty. The shares of single targets are in WriteTargetsCSV.
func WriteCSV(w io.Writer, r *Report) error {
	lines := [][]string{append(armColumns(), "ops", "errors", "verified_pct", "seconds", "ops_per_s",
		"mean_ms", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "ttfb_p50_ms", "ttfb_p99_ms",
		"bytes_in", "bytes_out", "mib_per_s", "out_mib_per_s")}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			row := l.Row
			lines = append(lines, append(arm(row),
				whole(row.Ops), whole(row.Errors), exact(row.VerifiedPct), exact(row.Seconds), exact(row.OpsPerS),
				orEmpty(row.MeanMs), orEmpty(row.P50Ms), orEmpty(row.P90Ms), orEmpty(row.P99Ms), orEmpty(row.P999Ms),
				orEmpty(row.MaxMs), orEmpty(row.TTFBP50Ms), orEmpty(row.TTFBP99Ms),
				whole(row.BytesIn), whole(row.BytesOut), exact(row.MiBPerS), exact(row.OutMiBPerS)))
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// WriteTargetsCSV writes a header and one line per row and target.
func WriteTargetsCSV(w io.Writer, r *Report) error {
	lines := [][]string{append(armColumns(), "target", "ops", "errors", "mib_per_s", "p50_ms", "p99_ms")}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			for _, t := range l.Row.Targets {
				lines = append(lines, append(arm(l.Row), t.ID, whole(t.Ops), whole(t.Errors),
					exact(t.MiBPerS), orEmpty(t.P50Ms), orEmpty(t.P99Ms)))
			}
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func armColumns() []string { return []string{"transform", "language", "comm", "mode", "op"} }

func arm(row results.Row) []string {
	return []string{row.Transform, row.Language, row.Comm, row.Mode, row.Op}
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

func orEmpty(x *float64) string {
	if x == nil {
		return ""
	}
	return exact(*x)
}
