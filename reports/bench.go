package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etlbench/etlbench/reports/results"
)

// benchNumbers are the numbers of a benchmark line, by results.Numbers, with
// their units in Go's benchmark format.
func benchNumbers() []struct {
	name, unit string
	scale      float64
} {
	return []struct {
		name, unit string
		scale      float64
	}{
		{"mean", "ns/op", 1e6}, {"p50", "p50-ns/op", 1e6}, {"p99", "p99-ns/op", 1e6}, {"service.p99", "service-p99-ns/op", 1e6},
		{"ops/s", "ops/s", 1}, {"mib/s", "B/s", 1 << 20}, {"cpu-us/op", "cpu-ns/op", 1000},
	}
}

// WriteBench writes a line of Go's benchmark format for each complete sample,
// so that benchstat can compare runs: a sample is a block. Times that are
// infinite are left out.
func WriteBench(w io.Writer, r *Report) error {
	b := bufio.NewWriter(w)
	e := r.Run.Env
	for _, f := range []Fact{{"goos", e.OS}, {"goarch", e.Arch}, {"cpu", e.CPU}, {"pkg", "etlbench/" + r.Run.Summary.Name},
		{"etlbench", e.Version}, {"seed", fmt.Sprint(r.Run.Summary.Seed)}} {
		if f.Value != "" {
			fmt.Fprintf(b, "%s: %s\n", f.Name, clean(f.Value))
		}
	}
	fmt.Fprintf(b, "Unit ops/s better=higher\nUnit B/s better=higher\n")
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			name := benchName(l.Row)
			for i := range r.Run.Summary.Samples {
				if s := &r.Run.Summary.Samples[i]; s.Arm == l.Row.Name && s.Op == l.Row.Op && !s.Partial && s.Ops > 0 {
					benchLine(b, name, &s.Measured)
				}
			}
		}
	}
	return b.Flush()
}

func benchLine(w io.Writer, name string, m *results.Measured) {
	fmt.Fprintf(w, "%s %d", name, m.Ops)
	for _, n := range benchNumbers() {
		if v, ok := m.Value(n.name); ok {
			fmt.Fprintf(w, " %s %s", exact(v*n.scale), n.unit)
		}
	}
	fmt.Fprintln(w)
}

// benchName has the factors as key=value, for benchstat to split.
func benchName(row results.Row) string {
	name := "Benchmark"
	for part := range strings.FieldsFuncSeq(row.Op, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		first, size := utf8.DecodeRuneInString(part)
		name += string(unicode.ToUpper(first)) + part[size:]
	}
	workers, replica := "", ""
	if row.Workers > 0 {
		workers = whole(int64(row.Workers))
	}
	if row.Replica > 0 {
		replica = whole(int64(row.Replica))
	}
	for _, f := range []Fact{{"transform", row.Transform}, {"comm", row.Comm}, {"mode", row.Mode}, {"size", row.Size}, {"put", row.Put},
		{"stream", row.Argument}, {"workers", workers}, {"replica", replica}} {
		if f.Value != "" {
			name += "/" + f.Name + "=" + benchWord(f.Value)
		}
	}
	return name
}

// benchWord is a value that ends neither the name nor its part.
func benchWord(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '/' || c == '-' || unicode.IsSpace(c) || !unicode.IsPrint(c) {
			return '_'
		}
		return c
	}, s)
}
