package reports

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/results"
)

// page is the template of report.html, with its style sheet.
//
//go:embed report.html.tmpl
var page string

// maxScenario is how many bytes of the scenario are shown; the folder has all.
const maxScenario = 100 << 10

// pageData is what the template is filled from. Its strings are foreign: only
// the template's escaping makes them safe.
type pageData struct {
	*Report
	Sections    []chartSection
	LeftOut     int // charts
	Environment []Fact
	Scenario    string
	Reproduce   string
	Errors      []results.ErrorClass
	Notes       []string
}

// WriteHTML writes the report as one page that needs nothing else: no script,
// no network. Charts that would make it larger than 1 MiB are left out, and
// the page says so.
func WriteHTML(w io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"comma": humanize.Comma,
		"clean": clean,
		"css":   func(s string) template.CSS { return template.CSS(s) },
	}).Parse(page)
	if err != nil {
		return err
	}
	a := newArtist(r)
	data := pageData{
		Report:      r,
		Sections:    a.sections(),
		Environment: r.environment(),
		Scenario:    beginning(r.Run.Scenario),
		Reproduce:   clean(r.reproduce()),
		Errors:      r.Run.Errors,
		Notes:       cleanAll(r.Run.Summary.Notes),
	}
	data.LeftOut = a.left
	return t.Execute(w, data)
}

// beginning is as much of a scenario as the page shows, its lines cleaned.
func beginning(scenario []byte) string {
	rest := ""
	if len(scenario) > maxScenario {
		scenario, rest = scenario[:maxScenario], "\n# …\n"
	}
	lines := strings.Split(strings.ToValidUTF8(string(scenario), ""), "\n")
	return strings.Join(cleanAll(lines), "\n") + rest
}
