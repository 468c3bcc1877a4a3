package reports

import (
	"fmt"
	"strings"

	"github.com/etlbench/etlbench/reports/results"
)

// Share is a part of an arm's mean service time.
type Share struct {
	Name string // "proxy", "target", "pod", "body"
	Ms   float64
}

// Shares divides the mean service time: to the proxy's redirect, in the target
// and on the way to it and back, in the pod, and to read the answer. Without
// the pod's word, told is false and its share is in the target's. Nil without
// phases.
func Shares(m *results.Measured) (shares []Share, told bool) {
	mean := func(name string) (float64, bool) {
		for _, p := range m.Phases {
			if p.Name == name && p.MeanMs != nil {
				return *p.MeanMs, true
			}
		}
		return 0, false
	}
	proxy, a := mean(results.MetricProxy)
	target, b := mean(results.MetricTarget)
	body, c := mean(results.MetricBody)
	if !a && !b && !c {
		return nil, false
	}
	pod, told := mean(results.MetricServerPod)
	// Servers are asked on some operations only, whose mean may be larger.
	pod = min(pod, target)
	shares = []Share{{"proxy", proxy}, {"target", target - pod}}
	if told {
		shares = append(shares, Share{"pod", pod})
	}
	return append(shares, Share{"body", body}), told
}

// phases shows where the service time goes.
func (r *Report) phases() {
	r.Phases = Table{Title: "Where the time goes: shares of the mean service time", Left: 1,
		Columns: []string{"comm", "service ms", "proxy %", "target %", "pod %", "body %", "sum %", "service p99", "delay p99"}}
	untold := false
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			shares, told := Shares(&l.Row.Measured)
			whole := l.Row.Service.MeanMs
			if shares == nil || whole == nil || *whole <= 0 {
				continue
			}
			parts, sum := map[string]string{"pod": "in target*"}, 0.0
			for _, s := range shares {
				parts[s.Name] = fmt.Sprintf("%.1f", 100*s.Ms / *whole)
				sum += s.Ms
			}
			untold = untold || !told
			r.Phases.add(g.Title(), clean(l.Row.Comm), number(*whole), parts["proxy"], parts["target"], parts["pod"], parts["body"],
				fmt.Sprintf("%.1f", 100*sum / *whole), credible(l.Row.Service, l.Row.Service.P99Ms, 0.99), credible(l.Row.Delay, l.Row.Delay.P99Ms, 0.99))
		}
	}
	if untold {
		r.Phases.Notes = append(r.Phases.Notes, "* the servers do not tell: the pod's share is in the target's.")
	}
	if r.Run.Summary.Load.Model == "open" && !r.Phases.Empty() {
		r.Phases.Notes = append(r.Phases.Notes, "service: from when a request was sent; response, above, from when it was due: they differ by the start delay.")
	}
}

// jobs shows, of each offline arm, the block with the longest job: how long it
// took, when the first and the last target had ended, and its stragglers.
func (r *Report) jobs() {
	r.Jobs = Table{Title: "Offline jobs: the slowest of each arm", Left: 1,
		Columns: []string{"comm", "block", "job s", "first done s", "last done s", "slowest objects"}}
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			s := slowestJob(r.Run.Summary.Samples, l.Row)
			if s == nil {
				continue
			}
			var slow []string
			for _, o := range s.Job.Stragglers[:min(2, len(s.Job.Stragglers))] {
				slow = append(slow, short(o.Name, 16)+" "+number(o.Ms)+" ms")
			}
			if slow == nil {
				slow = []string{notTold}
			}
			r.Jobs.add(g.Title(), clean(l.Row.Comm), fmt.Sprint(s.Block), number(s.Seconds), orNotTold(s.Job.FirstDoneS), orNotTold(s.Job.LastDoneS), strings.Join(slow, ", "))
		}
	}
}

func slowestJob(samples []results.Sample, row results.Row) *results.Sample {
	var slow *results.Sample
	for i := range samples {
		s := &samples[i]
		if s.Arm == row.Name && s.Op == row.Op && s.Job != nil && (slow == nil || s.Seconds > slow.Seconds) {
			slow = s
		}
	}
	return slow
}

// events lists faults of arms that have no table of them, and why a run ended
// early.
func (r *Report) events() {
	r.Events = Table{Title: "What happened meanwhile", Left: 2, Columns: []string{"what", "arm", "second of the run", "block"}}
	tabled := map[string]bool{}
	for _, f := range r.Judgement.Faults {
		tabled[f.Arm] = true
	}
	for _, e := range r.Run.Events {
		if e.Kind == results.EventFault && !tabled[e.Arm] || e.Kind == results.EventStop {
			second := e.At.Sub(r.Run.Summary.Started).Seconds()
			r.Events.add("", clean(e.Kind+": "+e.Text), clean(e.Arm), number(second), fmt.Sprint(e.Block))
		}
	}
}
