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
	lines := [][]string{append(armColumns(), "samples", "intended", "ops", "errors", "timeouts", "shed", "unsent",
		"verified_pct", "seconds", "ops_per_s")}
	for _, q := range []string{"response", "service", "delay", "ttfb"} {
		for _, n := range []string{"count", "infinite", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"} {
			lines[0] = append(lines[0], q+"_"+n)
		}
	}
	lines[0] = append(lines[0], "bytes_in", "bytes_out", "mib_per_s", "out_mib_per_s", "moved_bytes")
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			lines = append(lines, csvLine(l.Row))
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func csvLine(row results.Row) []string {
	line := append(arm(row), whole(int64(row.Samples)), whole(row.Intended), whole(row.Ops), whole(row.Errors), whole(row.Timeouts),
		whole(row.Shed), whole(row.Unsent), exact(row.VerifiedPct), exact(row.Seconds), exact(row.OpsPerS))
	for _, q := range []results.Quantiles{row.Response, row.Service, row.Delay, row.TTFB} {
		line = append(line, whole(q.Count), whole(q.Infinite), orEmpty(q.MeanMs), orEmpty(q.P50Ms), orEmpty(q.P90Ms),
			orEmpty(q.P99Ms), orEmpty(q.P999Ms), orEmpty(q.MaxMs))
	}
	moved := ""
	if row.MovedBytes != nil {
		moved = whole(*row.MovedBytes)
	}
	return append(line, whole(row.BytesIn), whole(row.BytesOut), exact(row.MiBPerS), exact(row.OutMiBPerS), moved)
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

func armColumns() []string {
	return []string{"arm", "transform", "language", "comm", "mode", "size", "put", "stream", "workers", "replica", "op"}
}

func arm(row results.Row) []string {
	return []string{row.Name, row.Transform, row.Language, row.Comm, row.Mode, row.Size, row.Put, row.Argument,
		whole(int64(row.Workers)), whole(int64(row.Replica)), row.Op}
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

func orEmpty(x *float64) string {
	if x == nil {
		return ""
	}
	return exact(*x)
}
