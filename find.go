package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/reports/stats"
	"github.com/etlbench/etlbench/scenarios"
)

type findFlags struct {
	runFlags
	slos     []string
	within   scenarios.Percent
	windows  int
	from, to scenarios.Rate
	drain    time.Duration
}

func findCmd(e *env) *cobra.Command {
	f := findFlags{within: 5, to: 1e6}
	cmd := &cobra.Command{
		Use:   "find FILE|NAME --slo CONDITION",
		Short: "find the highest rate that holds an objective, for each arm",
		Long: "Looks for the highest rate of requests at which an objective holds, for one inline arm of the scenario\n" +
			"after the other. A window is a run of the scenario at one rate in an open loop, of Poisson arrivals unless\n" +
			"the scenario has another open loop, with warm-up and measured time of its own (phases), which is longer\n" +
			"where a percentile needs more operations. It holds when it is valid and the objective is met; gates of the\n" +
			"scenario are left out. Rates double until a window does not hold; then windows halve what is likely, by\n" +
			"probabilistic bisection, in which a wrong window is outvoted; and 3 windows at the rate found and 3 at\n" +
			"--within above it confirm it. Pods are made anew for each window.\n\n" +
			"The folder has a run folder for each window (etlbench report), and find.json and find.txt.\n" +
			"Exits with 4 when there is an arm without a rate.",
		Example: "  etlbench find inline-by-comm --slo 'p99<50ms'\n" +
			"  etlbench find my.yaml --slo 'p99<20ms' --slo 'errors<0.1%' --within 10% --set phases.measure=5s",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.find(cmd.Context(), e, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.slos, "slo", nil, "`CONDITION` such as 'p99<50ms' or 'errors<0.1%', of any number of a gate; may repeat")
	_ = cmd.MarkFlagRequired("slo")
	fl.TextVar(&f.within, "within", f.within, "how narrow the interval has to be, 1% to 100%: `SHARE`")
	fl.IntVar(&f.windows, "max-windows", 40, "most `N` windows of an arm's search; those that confirm come on top")
	fl.TextVar(&f.from, "from", f.from, "lowest `RATE`, tried first, such as 50/s (default: what gives a window enough operations)")
	fl.TextVar(&f.to, "to", f.to, "highest `RATE`")
	fl.DurationVar(&f.drain, "drain", 500*time.Millisecond, "`TIME` between two windows")
	f.named(cmd)
	f.common(cmd)
	fl.Lookup("output").Usage = "what to print: `text|json`"
	return cmd
}

func (f *findFlags) check() error {
	switch {
	case f.output != "text" && f.output != "json":
		return misuse("-o %q: must be text or json", f.output)
	case f.within < 1 || f.within > 100:
		return misuse("--within %s: must be 1%% to 100%%", f.within)
	case f.windows < 1:
		return misuse("--max-windows %d: must be 1 or more", f.windows)
	case f.drain < 0:
		return misuse("--drain %s: must be 0s or more", f.drain)
	}
	return nil
}

// objective is the conditions as gates of every arm.
func (f *findFlags) objective() (gates []scenarios.Gate, err error) {
	for _, slo := range f.slos {
		at := strings.IndexAny(slo, "<>")
		if at < 0 {
			return nil, misuse("--slo %q: must be a number and its bound, such as 'p99<50ms'", slo)
		}
		g := scenarios.Gate{On: "all." + strings.TrimSpace(slo[:at]), Is: strings.TrimSpace(slo[at:])}
		if _, err := judge.ParseGates([]results.Gate{{On: g.On, Is: g.Is}}, []results.Arm{{Name: "arm"}}); err != nil {
			return nil, misuse("--slo: %w", err)
		}
		gates = append(gates, g)
	}
	return gates, nil
}

// needed is how many operations the objective's percentiles want.
func needed(gates []scenarios.Gate) int64 {
	most := int64(1)
	for _, g := range gates {
		name := g.On[strings.LastIndex(g.On, "p")+1:]
		if q, err := strconv.ParseFloat(name, 64); err == nil && q > 0 && q < 100 {
			most = max(most, stats.Needed(q/100))
		}
	}
	return most
}

// windowScenario is an arm's scenario at a rate of 1/s.
func windowScenario(s *scenarios.Scenario, a scenarios.Arm, objective []scenarios.Gate) *scenarios.Scenario {
	one := s.Only(a)
	one.Gates = objective
	l := &one.Load
	if l.Model != scenarios.ModelOpen {
		l.Model, l.InFlight, l.Arrival, l.Think, l.Epochs = scenarios.ModelOpen, 512, scenarios.ArrivalPoisson, 0, 0
		l.Workers = l.InFlight
	}
	if l.Arrival == scenarios.ArrivalTrace {
		l.Arrival = scenarios.ArrivalPoisson
	}
	l.Rate, l.Stages, l.Trace = 1, nil, ""
	if one.Phases.Measure == 0 {
		one.Phases.Measure = scenarios.Duration(10 * time.Second)
	}
	return one
}

func (f *findFlags) find(ctx context.Context, e *env, name string) error {
	if err := f.check(); err != nil {
		return err
	}
	if list, err := os.ReadDir(f.out); f.out != "" && err == nil && len(list) > 0 {
		return misuse("--out %s: the folder is not empty", f.out)
	}
	objective, err := f.objective()
	if err != nil {
		return err
	}
	s, err := checkedScenario(name, f.sets)
	if err != nil {
		return err
	}
	arms, err := f.arms(s, objective)
	if err != nil {
		return err
	}
	ctx, where, done, err := f.place(ctx, e, s)
	if err != nil {
		return err
	}
	defer done()
	dir, err := f.folder(s.Name + "-find")
	if err != nil {
		return fail(err)
	}
	out := &findings{Schema: findSchema, Scenario: s.Name, Objective: f.slos, WithinPct: float64(f.within), CPUs: runtime.NumCPU(), Cluster: where.kind}
	runs := newSweep(&f.runFlags, e, dir)
	for _, a := range arms {
		found, err := f.arm(ctx, runs, where, a, windowScenario(s, a, objective))
		if found != nil && len(found.Windows) > 0 {
			out.Arms = append(out.Arms, *found)
		}
		if err != nil {
			return fail(errors.Join(err, out.save(dir)))
		}
	}
	return f.report(e, out, dir)
}

// arms are those that can be searched.
func (f *findFlags) arms(s *scenarios.Scenario, objective []scenarios.Gate) (arms []scenarios.Arm, err error) {
	for _, a := range s.Plan() {
		if a.Mode != scenarios.ModeInline {
			continue
		}
		one := windowScenario(s, a, objective)
		if err := one.Validate(); err != nil {
			return nil, misuse("a window of arm %s: %w", a.Name, err)
		}
		if _, err := stats.NewSearch(f.config(one)); err != nil {
			return nil, misuse("--from, --to: %w", err)
		}
		arms = append(arms, a)
	}
	if arms == nil {
		return nil, misuse("scenario %s has offline arms alone, and a job has no rate: --set arms.mode=[inline]", s.Name)
	}
	return arms, nil
}

// config is that of an arm's search.
func (f *findFlags) config(one *scenarios.Scenario) stats.SearchConfig {
	low := float64(f.from)
	if low == 0 {
		low = max(1, float64(needed(one.Gates))/time.Duration(one.Phases.Measure).Seconds())
	}
	return stats.SearchConfig{Low: low, High: float64(f.to), Width: float64(f.within) / 100, Windows: f.windows}
}

// arm searches one arm. A rate that is not found is no error.
func (f *findFlags) arm(ctx context.Context, runs *sweep, where *chosen, a scenarios.Arm, one *scenarios.Scenario) (found *findingArm, err error) {
	remove, err := keepBucket(ctx, where, one)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	found = &findingArm{Arm: a.Name, NotFound: "the search was cut short"}
	finder := rateFinder{search: f.config(one), within: float64(f.within) / 100}
	finder.try = func(rate float64) (bool, error) {
		w, err := f.window(ctx, runs, where, one, rate, fmt.Sprintf("%s-%03d", strings.NewReplacer(":", "-", "/", "-", "#", "").Replace(a.Name), len(found.Windows)+1))
		if err != nil {
			return false, err
		}
		found.Windows = append(found.Windows, *w)
		fmt.Fprintf(runs.e.err, "%s %3d: %s\n", a.Name, len(found.Windows), w)
		return w.Holds, nil
	}
	got, err := finder.find()
	if errors.Is(err, errNoRate) {
		found.NotFound = err.Error()
		if i := slices.IndexFunc(found.Windows, func(w window) bool { return !w.Holds }); i >= 0 && !slices.ContainsFunc(found.Windows, func(w window) bool { return w.Holds }) {
			found.NotFound += "; " + found.Windows[i].Reason
		}
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.found(got)
	return found, nil
}

// window runs one window.
func (f *findFlags) window(ctx context.Context, runs *sweep, where *chosen, one *scenarios.Scenario, rate float64, name string) (*window, error) {
	at := *one
	at.Load.Rate = scenarios.Rate(rate)
	// A little more than needed: times at the ends are not whole.
	enough := time.Duration(1.05 * float64(needed(one.Gates)) / rate * float64(time.Second))
	at.Phases.Measure = scenarios.Duration(max(time.Duration(at.Phases.Measure), enough.Round(time.Millisecond)))
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(f.drain):
	}
	r, err := runs.run(ctx, where, &at, name)
	if err != nil {
		return nil, err
	}
	return newWindow(r, rate, name), nil
}

// window is what was seen at a rate.
type window struct {
	Rate    float64       `json:"rate_per_s"`
	Holds   bool          `json:"holds"`
	Verdict judge.Verdict `json:"verdict"`
	P50Ms   *float64      `json:"p50_ms"`
	P99Ms   *float64      `json:"p99_ms"`
	CPUs    *float64      `json:"cpus"`   // used by all components; nil where nobody can tell
	Reason  string        `json:"reason"` // why it does not hold
	Folder  string        `json:"folder"` // below that of the search
}

func newWindow(r *reports.Report, rate float64, folder string) *window {
	row := mainRow(r.Run.Summary.Rows)
	v := r.Judgement.Validity
	w := &window{Rate: rate, Verdict: v.Verdict, P50Ms: row.Response.P50Ms, P99Ms: row.Response.P99Ms, CPUs: cpusUsed(&row.Measured), Folder: folder}
	var reasons []string
	if v.Verdict != judge.Valid {
		reasons = append(reasons, string(v.Verdict)+": "+strings.Join(v.Reasons, "; "))
	}
	for _, g := range r.Gates {
		if !g.Holds {
			reasons = append(reasons, fmt.Sprintf("%s: %s", strings.TrimPrefix(g.Condition, "all."), g.Found))
		}
	}
	w.Holds, w.Reason = reasons == nil, strings.Join(reasons, "; ")
	return w
}

// String is the window in one line.
func (w *window) String() string {
	text := fmt.Sprintf("%s p50 %s ms, p99 %s ms, %s CPUs: ", perSecond(w.Rate), orNone(w.P50Ms), orNone(w.P99Ms), orNone(w.CPUs))
	if w.Holds {
		return text + "holds"
	}
	return text + w.Reason
}

func perSecond(rate float64) string { return humanize.CommafWithDigits(rate, 1) + "/s" }

func orNone(v *float64) string {
	if v == nil {
		return "n/a"
	}
	return strconv.FormatFloat(*v, 'g', 3, 64)
}

// findSchema names the format of find.json.
const findSchema = "etlbench/find/v1"

// findings are find.json.
type findings struct {
	Schema    string       `json:"schema"`
	Scenario  string       `json:"name"`
	Objective []string     `json:"objective"`
	WithinPct float64      `json:"within_pct"`
	CPUs      int          `json:"cpus"` // of this machine
	Cluster   string       `json:"cluster"`
	Arms      []findingArm `json:"arms"`
}

type findingArm struct {
	Arm      string   `json:"arm"`
	Rate     *float64 `json:"rate_per_s"` // highest that was confirmed; nil when none was
	NotFound string   `json:"not_found"`  // why
	// Low and High are the interval of the limit by all windows, of a chance of
	// 90 %; nil when it is open.
	Low       *float64 `json:"low_per_s"`
	High      *float64 `json:"high_per_s"`
	Above     *float64 `json:"above_per_s"` // the rate that does not hold
	HeldAt    int      `json:"held_at"`     // of 3 windows at the rate
	HeldAbove int      `json:"held_above"`  // of 3 at Above
	Windows   []window `json:"windows"`
}

func (a *findingArm) found(r *foundRate) {
	a.NotFound = ""
	a.Rate, a.Above, a.HeldAt, a.HeldAbove = &r.Rate, &r.Above, r.HeldAt, r.HeldAbove
	if r.Interval.Level > 0 {
		a.Low, a.High = &r.Interval.Low, &r.Interval.High
	}
}

// bound says when what ended the search was not the cluster.
func (a *findingArm) bound() string {
	for _, w := range a.Windows {
		if a.Above != nil && w.Rate == *a.Above && w.Verdict == judge.GeneratorBound {
			return "above it the load generator is the limit: the cluster may do more"
		}
	}
	return ""
}

// String is the conclusion in one line.
func (a *findingArm) String() string {
	if a.Rate == nil {
		return fmt.Sprintf("%s: %s", a.Arm, a.NotFound)
	}
	text := fmt.Sprintf("%s: holds at %s (%d of %d windows), not at %s (%d of %d)", a.Arm,
		perSecond(*a.Rate), a.HeldAt, confirmations, perSecond(*a.Above), a.HeldAbove, confirmations)
	if a.Low != nil {
		text += fmt.Sprintf("; by all windows its limit lies between %s and %s with a chance of 90 %%", perSecond(*a.Low), perSecond(*a.High))
	}
	if b := a.bound(); b != "" {
		text += "; " + b
	}
	return text
}

// save writes find.json and find.txt.
func (o *findings) save(dir string) error {
	if len(o.Arms) == 0 {
		return nil // no window has made the folder
	}
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	o.text(&text)
	return errors.Join(results.WriteFile(filepath.Join(dir, "find.json"), append(data, '\n')),
		results.WriteFile(filepath.Join(dir, "find.txt"), text.Bytes()))
}

// text is the curve of each arm and what was found.
func (o *findings) text(w io.Writer) {
	fmt.Fprintf(w, "%s: highest rate with %s, within %g %%; cluster: %s; %d CPUs of this machine\n\n",
		o.Scenario, strings.Join(o.Objective, " and "), o.WithinPct, o.Cluster, o.CPUs)
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"arm", "rate", "hold", "p50 ms", "p99 ms", "CPUs"})
	for _, a := range o.Arms {
		for _, row := range a.curve() {
			t.AppendRow(row)
		}
		t.AppendSeparator()
	}
	t.Render()
	fmt.Fprintln(w)
	for i := range o.Arms {
		fmt.Fprintln(w, &o.Arms[i])
	}
}

// curve is a line for each rate, with the middle of its windows' numbers.
func (a *findingArm) curve() (rows []table.Row) {
	at := map[float64][]window{}
	var rates []float64
	for _, w := range a.Windows {
		if at[w.Rate] == nil {
			rates = append(rates, w.Rate)
		}
		at[w.Rate] = append(at[w.Rate], w)
	}
	slices.Sort(rates)
	for _, rate := range rates {
		held := 0
		for _, w := range at[rate] {
			if w.Holds {
				held++
			}
		}
		middle := func(of func(window) *float64) string {
			list := slices.Clone(at[rate])
			// Nobody knows how large what is not told is, and it is large.
			slices.SortFunc(list, func(x, y window) int {
				a, b := of(x), of(y)
				if a == nil || b == nil {
					return cmp.Compare(btoi(a == nil), btoi(b == nil))
				}
				return cmp.Compare(*a, *b)
			})
			return orNone(of(list[len(list)/2]))
		}
		rows = append(rows, table.Row{a.Arm, perSecond(rate), fmt.Sprintf("%d of %d", held, len(at[rate])),
			middle(func(w window) *float64 { return w.P50Ms }), middle(func(w window) *float64 { return w.P99Ms }), middle(func(w window) *float64 { return w.CPUs })})
	}
	return rows
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// report prints what was found and says where the rest is.
func (f *findFlags) report(e *env, out *findings, dir string) error {
	if err := out.save(dir); err != nil {
		return fail(err)
	}
	if f.output == "json" {
		data, err := json.MarshalIndent(out, "", "  ")
		if err != nil {
			return fail(err)
		}
		fmt.Fprintf(e.out, "%s\n", data)
	} else {
		out.text(e.out)
	}
	fmt.Fprintf(e.err, "folder: %s\n", dir)
	var without []string
	for _, a := range out.Arms {
		if a.Rate == nil {
			without = append(without, a.Arm)
		}
	}
	if without != nil {
		return &exitError{exitUnfit, fmt.Errorf("no rate was found for %s", strings.Join(without, ", "))}
	}
	return nil
}
