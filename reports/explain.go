package reports

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
	"github.com/etlbench/etlbench/scenarios"
)

// nearby is how far from an interval events are told.
const nearby = 5 * time.Second

// Explain writes the way from a number to its evidence: its blocks, the worst
// interval, where the time went there, who used CPU, what failed, and what
// happened nearby. what is "ARM.NUMBER", such as "hpush.p99"; "" is what
// Report.ReadNext names.
func Explain(w io.Writer, r *Report, what string) error {
	if what == "" {
		return explainRun(w, r)
	}
	s, number, err := r.named(what)
	if err != nil {
		return err
	}
	x := &explainer{r: r, s: s, number: number, w: bufio.NewWriter(w)}
	x.head()
	x.validity()
	x.blocks()
	if err := x.interval(); err != nil {
		return err
	}
	x.cpu()
	x.errors()
	return x.w.Flush()
}

// explainRun tells the verdict with its evidence, and what can be asked.
func explainRun(w io.Writer, r *Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "VERDICT   %s\n", r.Verdict)
	for _, s := range r.Reasons {
		wrapped(b, "          ", s)
	}
	textTable(b, r.Health, 0)
	fmt.Fprintf(b, "\nAsk of an arm and a number, such as\n")
	for _, s := range r.Evidence.Series {
		fmt.Fprintf(b, "  %s\n", r.explain(s.Row.Name, "p99"))
	}
	fmt.Fprintf(b, "Numbers: %s\n", strings.Join(results.Numbers(), ", "))
	return b.Flush()
}

// named finds the arm and the number of "ARM.NUMBER". Of an arm's operations
// it takes the first, unless the number begins with one: "ARM.put.p99".
func (r *Report) named(what string) (*judge.Series, string, error) {
	var arms []string
	for _, s := range r.Evidence.Series {
		rest, ok := strings.CutPrefix(what, s.Row.Name+".")
		arms = append(arms, s.Row.Name)
		if !ok {
			continue
		}
		if op, number, cut := strings.Cut(rest, "."); cut {
			if other := r.Evidence.Find(s.Row.Name, op); other != nil {
				s, rest = other, number
			}
		}
		rest = strings.TrimPrefix(rest, results.MetricResponse+".")
		if !slices.Contains(results.Numbers(), rest) {
			return nil, "", fmt.Errorf("unknown number %q %s", rest, scenarios.Suggest(rest, results.Numbers()))
		}
		return s, rest, nil
	}
	name, _, _ := strings.Cut(what, ".")
	return nil, "", fmt.Errorf("no arm %q in this run; want ARM.NUMBER %s", name, scenarios.Suggest(name, slices.Compact(arms)))
}

type explainer struct {
	r      *Report
	s      *judge.Series
	number string
	w      *bufio.Writer
	worst  *results.Sample
}

func (x *explainer) head() {
	m := &x.s.Row.Measured
	value := measured(m, x.number)
	if value == notTold && m.Response.Infinite > 0 && judge.Unit(x.number) == "ms" {
		value = infinite
	}
	fmt.Fprintf(x.w, "%s, %s: %s is %s%s", clean(x.s.Row.Name), clean(x.s.Row.Op), x.number, value, unitAfter(judge.Unit(x.number)))
	if i := map[string]func() *judge.Interval{"p50": x.s.P50, "p99": x.s.P99}[x.number]; i != nil {
		if ci := i(); ci != nil {
			fmt.Fprintf(x.w, " [%s, %s]", number(*ci.Low), number(*ci.High))
		}
	}
	fmt.Fprintf(x.w, "\n  of %s intended = %s done + %s errors + %s shed + %s unsent, in %s\n", humanize.Comma(m.Intended), humanize.Comma(m.Ops),
		humanize.Comma(m.Errors), humanize.Comma(m.Shed), humanize.Comma(m.Unsent), plural(max(x.s.Row.Samples, 1), "block"))
}

func (x *explainer) validity() {
	a := x.r.Judgement.Validity.Arm(x.s.Row.Name)
	fmt.Fprintf(x.w, "  the arm is %s\n", a.Verdict)
	for _, c := range a.Checks {
		if c.State == judge.Fail || c.State == judge.Warn {
			value := ""
			if c.Value != nil {
				value = " " + number(*c.Value) + unitAfter(c.Unit)
			}
			wrapped(x.w, "  ", clean(fmt.Sprintf("- %s%s (wants %s): %s", c.Name, value, c.Wants, c.Text)))
		}
	}
}

// blocks lists the worst blocks of the number.
func (x *explainer) blocks() {
	type one struct {
		*results.Sample
		value float64
	}
	var all []one
	for i := range x.r.Run.Summary.Samples {
		s := &x.r.Run.Summary.Samples[i]
		if s.Arm != x.s.Row.Name || s.Op != x.s.Row.Op {
			continue
		}
		v, ok := s.Value(x.number)
		if !ok && s.Response.Infinite > 0 && judge.Unit(x.number) == "ms" {
			v, ok = math.Inf(1), true
		}
		if ok {
			all = append(all, one{s, v})
		}
	}
	if len(all) == 0 {
		fmt.Fprintf(x.w, "\nNo block tells it.\n")
		return
	}
	slices.SortStableFunc(all, func(a, b one) int {
		if judge.HigherIsBetter(x.number) {
			a, b = b, a
		}
		return cmp.Compare(b.value, a.value)
	})
	x.worst = all[0].Sample
	t := Table{Title: "Blocks, the worst first", Left: 1, Columns: []string{"block", x.number, "ops", "errors", "shed", "pods"}}
	for i, o := range all {
		if i == 5 && len(all) > 6 {
			t.note(fmt.Sprintf("… the median of all %d is %s, the best %s", len(all), number(all[len(all)/2].value), number(all[len(all)-1].value)))
			break
		}
		pods := ""
		for _, b := range x.r.Run.Summary.Blocks {
			if b.Arm == o.Arm && b.Block == o.Block && b.Deployed {
				pods = "new"
			}
		}
		partial := ""
		if o.Partial {
			partial = " (partial)"
		}
		value := number(o.value)
		if math.IsInf(o.value, 1) {
			value = infinite
		}
		t.add("", fmt.Sprint(o.Block)+partial, value, humanize.Comma(o.Ops), humanize.Comma(o.Errors), humanize.Comma(o.Shed), pods)
	}
	textTable(x.w, t, 0)
}

// interval finds the worst interval of the worst block, and tells its phases
// and what happened near it.
func (x *explainer) interval() error {
	var worst *judge.Point
	for i := range x.s.Points {
		p := &x.s.Points[i]
		if p.Warmup || x.worst != nil && p.Block != x.worst.Block {
			continue
		}
		if worst == nil || x.badness(p) > x.badness(worst) {
			worst = p
		}
	}
	if worst == nil {
		return nil
	}
	begin := worst.Start
	if x.worst != nil && !x.worst.Started.IsZero() {
		begin = x.worst.Started
	}
	fmt.Fprintf(x.w, "\nWorst interval: block %d, %s to %s s of the measured time\n", worst.Block, number(worst.Start.Sub(begin).Seconds()),
		number(worst.Start.Sub(begin).Seconds()+worst.Duration.Seconds()))
	fmt.Fprintf(x.w, "  %s ops, %s errors, %s shed, %s unsent; response mean %s, p50 %s, p99 %s ms\n", humanize.Comma(worst.Ops), humanize.Comma(worst.Errors),
		humanize.Comma(worst.Shed), humanize.Comma(worst.Unsent), orUnknown(worst.MeanMs), orUnknown(worst.P50Ms), orUnknown(worst.P99Ms))
	if err := x.phases(worst); err != nil {
		return err
	}
	x.events(worst)
	return nil
}

// badness orders intervals by what the number is about.
func (x *explainer) badness(p *judge.Point) float64 {
	switch judge.Unit(x.number) {
	case "%":
		return float64(p.Accounted() - p.Ops)
	case "/s", "MiB/s":
		return -float64(p.Ops) / max(p.Duration.Seconds(), 1e-9)
	}
	v := p.P99Ms
	if strings.HasSuffix(x.number, "p50") {
		v = p.P50Ms
	}
	if math.IsNaN(v) {
		return math.Inf(-1)
	}
	return v
}

func orUnknown(v float64) string {
	switch {
	case math.IsNaN(v):
		return notTold
	case math.IsInf(v, 1):
		return infinite
	}
	return number(v)
}

// phases shows where the time went in an interval, and in the whole arm.
func (x *explainer) phases(p *judge.Point) error {
	if x.r.Run.Dir == "" {
		return nil
	}
	here, err := x.within(p)
	if err != nil {
		return err
	}
	now, told := Shares(&here)
	usual, _ := Shares(&x.s.Row.Measured)
	if now == nil || here.Service.MeanMs == nil {
		fmt.Fprintf(x.w, "  where its time went is not recorded\n")
		return nil
	}
	t := Table{Title: "Where its time went", Left: 1, Columns: []string{"part", "ms", "share %", "usually ms"}}
	for _, s := range now {
		was := notTold
		for _, u := range usual {
			if u.Name == s.Name {
				was = number(u.Ms)
			}
		}
		t.add("", s.Name, number(s.Ms), fmt.Sprintf("%.1f", 100*s.Ms / *here.Service.MeanMs), was)
	}
	if !told {
		t.note("the servers do not tell: the pod's part is in the target's")
	}
	textTable(x.w, t, 0)
	return nil
}

// within merges the service time and the phases of an interval anew.
func (x *explainer) within(p *judge.Point) (here results.Measured, err error) {
	merged := map[string]*hdrhistogram.Histogram{}
	last := p.Start.Add(p.Duration)
	err = results.Each(x.r.Run.Dir, func(iv results.Interval) error {
		k := iv.Key
		if k.Arm != x.s.Row.Name || k.Op != x.s.Row.Op || k.Block != p.Block || k.Phase != results.PhaseMeasure || k.Target != "" ||
			iv.Start.Before(p.Start) || !iv.Start.Before(last) {
			return nil
		}
		if merged[k.Metric] == nil {
			merged[k.Metric] = results.NewHistogram()
		}
		merged[k.Metric].Merge(iv.Latency)
		return nil
	})
	here.Service = results.NewQuantiles(merged[results.MetricService], 0)
	for _, name := range results.PhaseMetrics() {
		if h := merged[name]; h != nil {
			here.Phases = append(here.Phases, results.Phase{Name: name, Quantiles: results.NewQuantiles(h, 0)})
		}
	}
	return here, err
}

func (x *explainer) events(p *judge.Point) {
	var lines []string
	for _, e := range x.r.Run.Events {
		if e.At.Before(p.Start.Add(-nearby)) || e.At.After(p.Start.Add(p.Duration+nearby)) {
			continue
		}
		lines = append(lines, clean(fmt.Sprintf("%+.1f s  %s %s %s", e.At.Sub(p.Start).Seconds(), e.Kind, e.Arm, e.Text)))
	}
	textList(x.w, "Events nearby, seconds from the begin of the interval", lines)
}

// cpu holds the worst block's use of CPU against the whole arm's, and tells how
// the generator fared in it.
func (x *explainer) cpu() {
	if x.worst == nil || len(x.worst.Resources) == 0 {
		return
	}
	t := Table{Title: fmt.Sprintf("CPU in block %d", x.worst.Block), Left: 1, Columns: []string{"component", "CPU s", "µs/op", "usually µs/op", "peak"}}
	for _, c := range x.worst.Resources {
		usual := notTold
		for _, u := range x.s.Row.Resources {
			if u.Component == c.Component {
				usual = orNotTold(u.CPUUsPerOp)
			}
		}
		t.add("", clean(c.Component), number(c.CPUSeconds), orNotTold(c.CPUUsPerOp), usual, humanize.IBytes(uint64(max(c.PeakBytes, 0))))
	}
	for _, b := range x.r.Run.Summary.Blocks {
		if g := b.Generator; b.Arm == x.worst.Arm && b.Block == x.worst.Block {
			who := "the generator"
			if b.Loader != "" {
				who = "loader " + b.Loader
			}
			t.note(who + fmt.Sprintf(" used %s %% of its CPUs; hiccups p99 %s ms, at most %s ms; pauses p99 %s ms; throttled %s s",
				number(100*g.CPUShare), orNotTold(g.HiccupP99Ms), orNotTold(g.HiccupMaxMs), orNotTold(g.GCPauseP99Ms), orNotTold(g.ThrottledS)))
		}
	}
	textTable(x.w, t, 0)
}

func (x *explainer) errors() {
	var lines []string
	for _, e := range x.r.Run.Errors {
		if e.Arm != x.s.Row.Name {
			continue
		}
		lines = append(lines, clean(fmt.Sprintf("%s × %s", humanize.Comma(e.Count), e.Class)))
		for _, s := range e.Examples {
			lines = append(lines, "    "+short(s, exampleWidth))
		}
	}
	textList(x.w, "Errors of the arm", lines)
}
