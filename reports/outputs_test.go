package reports_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/reports"
	"github.com/etlbench/etlbench/reports/results"
)

// A run folder gets the reports that were asked for, and no others.
func TestOutputsAskedFor(t *testing.T) {
	for _, c := range []struct{ ask, want string }{
		{"", "bench.txt report.csv report.html report.json report.md report.txt"},
		{"prom hgrm", "report.hgrm report.prom"},
		{"text", "report.txt"},
		{"hlog", ""},
	} {
		r := written(t, fourWay())
		made := func() (list []string) {
			entries, err := os.ReadDir(r.Run.Dir)
			require.NoError(t, err)
			for _, e := range entries {
				list = append(list, e.Name())
			}
			return list
		}
		before := made()
		ask := strings.Fields(c.ask)
		require.NoError(t, r.Write(ask...))
		added := slices.DeleteFunc(made(), func(name string) bool { return slices.Contains(before, name) })
		require.Equal(t, c.want, strings.Join(added, " "), c.ask)
		text := drawn(t, reports.WriteText, r)
		require.Equal(t, strings.Contains(c.want, "report.html"), strings.Contains(text, "report.html"), "named only where it is")
		require.Contains(t, before, results.LogFile)
	}
}

// What Prometheus' own parser reads is what was measured.
func TestProm(t *testing.T) {
	r := madeFourWay(t)
	row := &r.Run.Summary.Rows[1]
	row.Response.Infinite, row.Response.P999Ms, row.Response.MeanMs = 3, nil, nil
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(drawn(t, reports.WriteProm, r)))
	require.NoError(t, err)
	find := func(name string, labels ...string) *dto.Metric {
		require.Contains(t, families, name)
		for _, m := range families[name].Metric {
			have := ""
			for _, l := range m.Label {
				have += l.GetName() + "=" + l.GetValue() + " "
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(have, l+" ") }) {
				return m
			}
		}
		require.Fail(t, "no such metric", "%s %s", name, labels)
		return nil
	}
	require.Equal(t, 1.0, find("etlbench_run_valid", "scenario="+r.Run.Summary.Name).GetGauge().GetValue())
	require.Len(t, families["etlbench_gate_holds"].Metric, 4)
	require.Equal(t, 0.0, find("etlbench_gate_holds", "on=arm(io).p99").GetGauge().GetValue())
	for _, row := range r.Run.Summary.Rows {
		require.Equal(t, float64(row.Ops), find("etlbench_operations_total", "arm="+row.Name, "outcome=ok").GetCounter().GetValue())
		q := find("etlbench_service_seconds", "arm="+row.Name, "op="+row.Op).GetSummary()
		require.Equal(t, uint64(row.Service.Count), q.GetSampleCount())
		require.InEpsilon(t, *row.Service.P99Ms/1000, q.Quantile[2].GetValue(), 1e-9)
		require.InEpsilon(t, *row.Service.MeanMs*float64(row.Service.Count)/1000, q.GetSampleSum(), 1e-9)
	}
	late := find("etlbench_response_seconds", "arm="+row.Name).GetSummary()
	require.Equal(t, math.Inf(1), late.Quantile[3].GetValue(), "among those that were never served")
	require.Equal(t, math.Inf(1), late.GetSampleSum())
}
