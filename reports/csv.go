package reports

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/etlbench/etlbench/reports/results"
)

// components are those that CSV has columns for.
func components() []string {
	return []string{results.ComponentClient, results.ComponentProxy, results.ComponentTarget, results.ComponentTransformer}
}

// allBlocks is the block of a line that sums an arm's samples up.
const allBlocks = "all"

// WriteCSV writes a header and, of each operation of an arm, one line for all
// blocks together ("all") and one for each block. Numbers are unrounded, those
// not told empty. The shares of single targets are in the JSON.
func WriteCSV(w io.Writer, r *Report) error {
	lines := [][]string{append(armColumns(), "block", "partial", "samples", "intended", "ops", "errors", "timeouts", "shed", "unsent",
		"verified_pct", "seconds", "ops_per_s")}
	for _, q := range []string{"response", "service", "delay", "ttfb"} {
		for _, n := range []string{"count", "infinite", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"} {
			lines[0] = append(lines[0], q+"_"+n)
		}
	}
	lines[0] = append(lines[0], "bytes_in", "bytes_out", "mib_per_s", "out_mib_per_s", "moved_bytes")
	for _, c := range components() {
		lines[0] = append(lines[0], c+"_cpu_s", c+"_peak_bytes")
	}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			lines = append(lines, csvLine(arm(l.Row), allBlocks, false, l.Row.Samples, l.Row.Measured))
			for _, s := range r.Run.Summary.Samples {
				if s.Arm == l.Row.Name && s.Op == l.Row.Op {
					lines = append(lines, csvLine(arm(l.Row), whole(int64(s.Block)), s.Partial, 1, s.Measured))
				}
			}
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

func csvLine(arm []string, block string, partial bool, samples int, m results.Measured) []string {
	line := append(arm, block, strconv.FormatBool(partial), whole(int64(samples)), whole(m.Intended), whole(m.Ops), whole(m.Errors), whole(m.Timeouts),
		whole(m.Shed), whole(m.Unsent), exact(m.VerifiedPct), exact(m.Seconds), exact(m.OpsPerS))
	for _, q := range []results.Quantiles{m.Response, m.Service, m.Delay, m.TTFB} {
		line = append(line, whole(q.Count), whole(q.Infinite), orEmpty(q.MeanMs), orEmpty(q.P50Ms), orEmpty(q.P90Ms),
			orEmpty(q.P99Ms), orEmpty(q.P999Ms), orEmpty(q.MaxMs))
	}
	moved := ""
	if m.MovedBytes != nil {
		moved = whole(*m.MovedBytes)
	}
	line = append(line, whole(m.BytesIn), whole(m.BytesOut), exact(m.MiBPerS), exact(m.OutMiBPerS), moved)
	for _, name := range components() {
		cpu, peak := "", ""
		for _, c := range m.Resources {
			if c.Component == name {
				cpu, peak = exact(c.CPUSeconds), whole(c.PeakBytes)
			}
		}
		line = append(line, cpu, peak)
	}
	return line
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
