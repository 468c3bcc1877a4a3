package reports

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/etlbench/etlbench/reports/judge"
	"github.com/etlbench/etlbench/reports/results"
)

// JSONSchema names the format of WriteJSON. It changes whenever a reader of the
// previous one would misread it.
const JSONSchema = "etlbench/report/v1"

// schema is the JSON Schema of WriteJSON's output, made from the types by
// go test -update.
//
//go:embed report.schema.json
var schema []byte

// JSONReport is what WriteJSON writes: what was measured, as summary.json has
// it, and what follows.
type JSONReport struct {
	Schema    string           `json:"schema"` // always JSONSchema
	Summary   *results.Summary `json:"summary"`
	Judgement *judge.Judgement `json:"judgement"`
	Rows      []JSONRow        `json:"rows"` // in the order of summary.rows
}

// JSONRow is what is known of a row beyond the summary.
type JSONRow struct {
	Arm string `json:"arm"`
	Op  string `json:"op"`
	// P50Ms and P99Ms are of the response time, with the interval of all
	// requests over time; null when they rest on too little.
	P50Ms *judge.Interval `json:"p50_ms"`
	P99Ms *judge.Interval `json:"p99_ms"`
	// PhasesMs divide the mean service time.
	PhasesMs map[string]float64 `json:"phases_ms"`
	// PodTold is false where the pod's share is in the target's.
	PodTold bool `json:"pod_told"`
}

// WriteJSON writes the report as one JSON object: see JSONReport.
func WriteJSON(w io.Writer, r *Report) error {
	out := JSONReport{Schema: JSONSchema, Summary: &results.Summary{}, Judgement: r.Judgement, Rows: []JSONRow{}}
	data, err := r.Run.Summary.Encode() // which leaves no list null
	if err == nil {
		err = json.Unmarshal(data, out.Summary)
	}
	if err != nil {
		return err
	}
	for _, s := range r.Evidence.Series {
		row := JSONRow{Arm: s.Row.Name, Op: s.Row.Op, P50Ms: s.P50(), P99Ms: s.P99(), PhasesMs: map[string]float64{}}
		shares, told := Shares(&s.Row.Measured)
		for _, p := range shares {
			row.PhasesMs[p.Name] = p.Ms
		}
		row.PodTold = told
		out.Rows = append(out.Rows, row)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// WriteSchema writes the JSON Schema of WriteJSON's output.
func WriteSchema(w io.Writer) error {
	_, err := w.Write(schema)
	return err
}

// WriteSummary writes the run's summary.json, byte for byte as its writer did.
func WriteSummary(w io.Writer, r *Report) error {
	data, err := r.Run.Summary.Encode()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
