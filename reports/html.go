package reports

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strings"

	humanize "github.com/dustin/go-humanize"

	"github.com/etlbench/etlbench/reports/results"
)

// page is the template of report.html, with its style sheet.
//
//go:embed report.html.tmpl
var page string

// maxPage is the size of the page, maxCharts what charts and their data may take
// of it, and maxPageRows the length of a table.
const (
	maxPage     = 1 << 20
	maxCharts   = 900 << 10
	maxPageRows = 240
)

// shown cuts a table's rows to what the page has of it, and says so.
func shown(t Table) *Table {
	n, all := 0, 0
	groups := t.Groups
	t.Groups = nil
	for _, g := range groups {
		all += len(g.Rows)
		g.Rows = g.Rows[:min(len(g.Rows), maxPageRows-n)]
		if n += len(g.Rows); len(g.Rows) > 0 {
			t.Groups = append(t.Groups, g)
		}
	}
	if more := all - n; more > 0 {
		t.Notes = append(slices.Clone(t.Notes), plural(more, "row")+" more are in report.json.")
	}
	t.Notes = t.Notes[:min(len(t.Notes), maxPageRows)]
	return &t
}

// maxScenario is how many bytes of the scenario are shown; the folder has all.
const maxScenario = 100 << 10

// pageData is what the template is filled from. Its strings are foreign: only
// the template's escaping makes them safe.
type pageData struct {
	*Report
	Sections    []pageSection
	LeftOut     int // charts
	Environment []Fact
	Scenario    string
	Reproduce   string
	Errors      []results.ErrorClass
	Notes       []string
}

// WriteHTML writes the report as one page that needs nothing else: no script,
// which those who show pages of others forbid, and no network. Charts that would make it larger than 1 MiB are left out, and
// the page says so.
func WriteHTML(w io.Writer, r *Report) error {
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	// Charts get what the rest of the page leaves of it.
	for budget := maxCharts; ; {
		var b bytes.Buffer
		if err := t.Execute(&b, newPageData(r, budget)); err != nil {
			return err
		}
		over := b.Len() - maxPage
		if over < 0 || budget == 0 {
			_, err := w.Write(b.Bytes())
			return err
		}
		budget = max(budget-over-1<<10, 0)
	}
}

// pageTemplate is the template of the page.
func pageTemplate() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"comma": humanize.Comma,
		"clean": clean,
		"css":   func(s string) template.CSS { return template.CSS(s) },
		"shown": shown,
		"left":  func(column int, t *Table) bool { return column < t.Left },
	}).Parse(page)
}

// newPageData draws charts of at most some bytes.
func newPageData(r *Report, charts int) *pageData {
	a := newArtist(r, charts)
	data := &pageData{
		Report:      r,
		Sections:    a.sections(),
		Environment: r.environment(),
		Scenario:    beginning(r.Run.Scenario),
		Reproduce:   clean(r.reproduce()),
		Errors:      r.Run.Errors,
		Notes:       cleanAll(r.Run.Summary.Notes),
	}
	data.LeftOut = a.left
	return data
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
