package reports

import "github.com/etlbench/etlbench/reports/results"

// starts shows what cold starts took, stage by stage. Stages are means, which
// add up to the mean of the whole.
func (r *Report) starts() {
	r.Starts = Table{Title: "Cold starts: from the init call to the first answer that is right", Left: 1,
		Columns: []string{"comm", "starts", "median ms [95 % CI]", "mean ms", "control ms", "pull ms", "launch ms", "ready ms", "first GET ms"}}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			if l.Row.Mode != "init" {
				continue
			}
			row := []string{clean(l.Row.Comm), whole(l.Row.Ops), r.overBlocks(l.Row, "mean"), orNotTold(l.Row.Service.MeanMs)}
			for _, stage := range []string{results.MetricInitControl, results.MetricInitPull, results.MetricInitLaunch, results.MetricInitReady, results.MetricInitFirst} {
				ms := meanOf(&l.Row.Measured, stage)
				if stage == results.MetricInitPull && ms == nil {
					row = append(row, "none")
					continue
				}
				row = append(row, orNotTold(ms))
			}
			r.Starts.add(g.Title(), row...)
		}
	}
	if !r.Starts.Empty() {
		r.Starts.Notes = []string{"control: of the init call, what no pod took; pull, launch (until its program runs) and ready (from there): of the slowest pod; the means add up."}
	}
}

// meanOf is the mean of a phase in milliseconds, nil when it is not told.
func meanOf(m *results.Measured, name string) *float64 {
	for _, p := range m.Phases {
		if p.Name == name {
			return p.MeanMs
		}
	}
	return nil
}
