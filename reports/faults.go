package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// faults shows what faults on purpose did to each arm, and which errors came of
// them.
func (r *Report) faults() {
	list := r.Judgement.Faults
	r.Faults = Table{Title: "Faults on purpose", Left: 2,
		Columns: []string{"arm", "against", "at s", "lasts s", "intended", "lost", "errors", "first good s", "recovered s"}}
	r.FaultErrors = Table{Title: "Errors while faults lasted, by class", Left: 1, Columns: append([]string{"arm"}, classes(list)...)}
	for _, f := range byFault(list) {
		group := clean(joined(f.What, bracketed(f.How)))
		r.Faults.add(group, clean(f.Arm), clean(against(f)), seconds(f.AtS), seconds(f.LastsS), humanize.Comma(f.Intended), humanize.Comma(f.Lost),
			humanize.Comma(sum(f.Errors)), few(f.FirstGoodS, f.NoGood, f.Blocks, "none"), recovered(f))
		for _, why := range f.Failed {
			r.Faults.note(clean(fmt.Sprintf("%s, %s: failed: %s", f.What, f.Arm, why)))
		}
		if len(f.Errors) == 0 {
			continue
		}
		row := []string{clean(f.Arm)}
		for _, c := range classes(list) {
			row = append(row, humanize.Comma(sum(slices.DeleteFunc(slices.Clone(f.Errors), func(e results.FaultErrors) bool { return clean(e.Class) != c }))))
		}
		r.FaultErrors.add(group, row...)
	}
	if r.Faults.Empty() {
		return
	}
	r.Faults.note("lost: due while it lasted, and not done. first good: from the fault to the end of the first good operation at a target that it befell.")
	r.Faults.note("recovered: from a kill, or the end of a fault that lasts, to the first of 5 intervals in a row without a loss, each with a rate and p99 within 10 % of before or as intervals before had; as exact as an interval is long. n/a: too few intervals before or after.")
	r.Faults.note("The numbers of the whole arm have its faults in them; its errors above do not make the run ERRORS, and only what was not disturbed has to be steady.")
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// byFault puts the arms of a fault together.
func byFault(list []judge.FaultOutcome) []judge.FaultOutcome {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b judge.FaultOutcome) int { return a.Number - b.Number })
	return list
}

func classes(list []judge.FaultOutcome) (names []string) {
	for _, f := range list {
		for _, e := range f.Errors {
			if c := clean(e.Class); !slices.Contains(names, c) {
				names = append(names, c)
			}
		}
	}
	slices.Sort(names)
	return names
}

func sum(list []results.FaultErrors) (n int64) {
	for _, e := range list {
		n += e.Count
	}
	return n
}

// against is whom it befell: "pod on tgt00002", "3 pods", "1 of 3 pods".
func against(f judge.FaultOutcome) string {
	if len(f.Against) < 2 {
		return strings.Join(f.Against, "")
	}
	kind, _, _ := strings.Cut(f.Against[0], " ")
	if f.AtOnce < len(f.Against) {
		return fmt.Sprintf("%d of %s", f.AtOnce, plural(len(f.Against), kind))
	}
	return plural(len(f.Against), kind)
}

// seconds has two places: intervals are not shorter than that makes sense.
func seconds(s float64) string { return fmt.Sprintf("%.2f", s) }

// few is a time that not all blocks have.
func few(i *judge.Interval, without, blocks int, none string) string {
	if i == nil {
		return none
	}
	s := seconds(i.Estimate)
	if i.Low != nil && i.High != nil {
		s += fmt.Sprintf(" [%s, %s]", seconds(*i.Low), seconds(*i.High))
	}
	if without > 0 {
		s += fmt.Sprintf(" (%s in %d of %d)", none, without, blocks)
	}
	return s
}

func recovered(f judge.FaultOutcome) string {
	if f.Unknown == f.Blocks {
		return notTold
	}
	return few(f.RecoverS, f.NotRecovered, f.Blocks-f.Unknown, "did not")
}

// WriteFaultsCSV writes a header and one line for each fault, arm and block.
// Errors are those of all classes together, which the JSON tells apart.
func WriteFaultsCSV(w io.Writer, r *Report) error {
	lines := [][]string{{"arm", "block", "partial", "fault", "what", "how", "against", "at", "until", "intended", "done", "lost", "errors", "first_good_s", "recovered_s", "failed"}}
	for i := range r.Run.Summary.Faults {
		f := &r.Run.Summary.Faults[i]
		back := ""
		if got := r.Evidence.Recovery(f); got.Known && got.Recovered {
			back = exact(got.S)
		}
		lines = append(lines, []string{f.Arm, whole(int64(f.Block)), fmt.Sprint(f.Partial), whole(int64(f.Number)), f.What, f.How, strings.Join(f.Against, "; "),
			f.At.UTC().Format(time.RFC3339Nano), f.Until.UTC().Format(time.RFC3339Nano), whole(f.Intended), whole(f.Done), whole(f.Lost()), whole(f.Errored()),
			orEmpty(f.FirstGoodS), back, f.Failed})
	}
	return csv.NewWriter(w).WriteAll(lines)
}
