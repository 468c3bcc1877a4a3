package reports

// pageSection is one of the nine parts of the page.
type pageSection struct {
	ID, Title string
	Missing   string // what to say when there is nothing
	Choice    *choice
	Figures   []figure
	Tables    []Table
	Lists     [][]string
}

// choice is what a reader picks one of, by mouse or keyboard: option i shows
// the figures of Variant "vi".
type choice struct {
	Title   string
	Options []string
}

// Empty is true of a section with nothing to show.
func (s *pageSection) Empty() bool {
	for _, l := range s.Lists {
		if len(l) > 0 {
			return false
		}
	}
	for i := range s.Tables {
		if t := &s.Tables[i]; !t.Empty() || len(t.Notes) > 0 {
			return false
		}
	}
	return len(s.Figures) == 0
}

// sections are the nine parts, in their order. Verdict, results and reproduce
// have more, which the template takes from the report. What is drawn first is
// what is kept when not all fits: the few charts of the whole run.
func (a *artist) sections() []pageSection {
	r := a.r
	size, scaling, comparison := a.sizeFigures(), a.scalingFigures(), a.comparisonFigures()
	return []pageSection{
		{ID: "verdict", Title: "Verdict"},
		{ID: "comm", Title: "Communication types", Figures: a.commFigures(), Tables: []Table{r.Accounts}},
		a.latencySection(),
		a.timeSection(),
		{ID: "size", Title: "Size", Missing: "Nothing to show: sizes are not a factor of this run (arms.size, three sizes or more).",
			Figures: size, Tables: []Table{r.Costs}, Lists: [][]string{r.Crossovers}},
		{ID: "scaling", Title: "Scaling", Missing: "Nothing to show: workers are not a factor of this run (arms.workers).",
			Figures: scaling, Tables: []Table{r.Scaling}},
		{ID: "comparison", Title: "Comparison", Missing: "Nothing to show: no two arms of this run differ in one factor only.",
			Figures: comparison, Tables: []Table{r.Factors, r.Contrasts}, Lists: [][]string{r.Conclusion}},
		{ID: "health", Title: "Health of the tool", Missing: "Nothing to show: the run has no arms.", Tables: []Table{r.Health, r.Memory}},
		{ID: "reproduce", Title: "Reproduce"},
	}
}

func (a *artist) commFigures() []figure {
	var figures []figure
	for _, mode := range a.modes() {
		figures = a.add(figures, a.overview(mode))
	}
	return append(figures, a.eachGroup(a.intervals, a.shares, a.cpus, a.moved, a.targets)...)
}

func (a *artist) latencySection() pageSection {
	s := pageSection{ID: "latency", Title: "Latency", Missing: "Nothing to show: no response times were recorded of inline operations.",
		Figures: a.eachGroup(a.responseTimes, a.serviceTimes), Tables: []Table{a.r.Starts, a.r.Phases}}
	switch {
	case len(s.Figures) == 0:
	case a.delayed():
		s.Choice = &choice{"Show", []string{"response time", "service time"}}
	default:
		s.Lists = [][]string{{"Operations were sent when they were due: the service time is the response time."}}
	}
	return s
}

func (a *artist) timeSection() pageSection {
	s := pageSection{ID: "time", Title: "Time", Missing: "Nothing to show: the run folder has no intervals.", Tables: []Table{a.r.Faults, a.r.FaultErrors, a.r.Events, a.r.Jobs},
		Figures: a.eachGroup(a.rates, a.percentileOverTime(0), a.percentileOverTime(1), a.percentileOverTime(2), a.failures,
			a.byBlock("cpu-us/op", "µs/op", "CPU of all components by block: "))}
	for _, f := range s.Figures {
		if f.Variant != "" {
			s.Choice = &choice{"Show", []string{"p50", "p99", "p99.9"}}
		}
	}
	return s
}

func (a *artist) sizeFigures() []figure {
	return a.add(a.add(nil, a.sizes("service time")), a.sizes("CPU time"))
}

func (a *artist) scalingFigures() []figure {
	var figures []figure
	for _, f := range a.r.laws {
		figures = a.add(a.add(figures, a.law(f)), a.saturation(f))
	}
	return figures
}

func (a *artist) comparisonFigures() []figure {
	var figures []figure
	for _, metric := range []string{"p99", "p50", "mib/s", "ops/s", "cpu-s/gib", "cpu-us/op"} {
		figures = a.add(figures, a.forest(metric))
	}
	drawn := map[[2]string]bool{}
	for _, x := range a.r.Judgement.Comparison.Contrasts {
		if base := [2]string{x.Base, x.Op}; !drawn[base] {
			drawn[base] = true
			figures = a.add(figures, a.paired("p99", x.Base, x.Op))
		}
	}
	return append(figures, a.eachGroup(a.byBlock("p99", "ms", "p99 by block: "))...)
}
