package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/etlbench/etlbench/reports/judge"
)

// exampleWidth is how much of an error message the terminal gets; the other
// outputs have it whole.
const exampleWidth = 100

// maxTextContrasts is how many lines a comparison has on the terminal; the
// other outputs have them all.
const maxTextContrasts = 24

// WriteText writes the report for a terminal of 100 columns, without colour:
// first whether it is valid, whether gates hold and what the arms reached.
func WriteText(w io.Writer, r *Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "VERDICT   %s\n", r.Verdict)
	for _, s := range r.Reasons {
		wrapped(b, "          ", s)
	}
	for i, g := range r.Gates {
		fmt.Fprintf(b, "%-9s %-4s %s  %s\n", map[bool]string{true: "GATES"}[i == 0], g.GateWord(), g.Condition, g.Found)
		if g.Text != "" {
			wrapped(b, "               ", g.Text)
		}
	}
	for _, s := range r.Warnings {
		wrapped(b, "WARNING   ", s)
	}
	if len(r.Groups) > 0 {
		fmt.Fprintf(b, "\n%s\n", r.textTable())
	}
	textList(b, "", r.NotOffered)
	textList(b, "", append(r.Footnotes, r.Conclusion...))
	for _, t := range []Table{r.Starts, r.Factors, r.Contrasts, r.Faults, r.FaultErrors, r.Accounts, r.Phases, r.Events, r.Jobs, r.Costs} {
		limit := 0
		if t.Title == r.Contrasts.Title {
			limit = maxTextContrasts
		}
		textTable(b, t, limit)
	}
	textList(b, "", r.Crossovers)
	textTable(b, r.Scaling, 0)
	if r.Judgement.Validity.Verdict == judge.Valid {
		textList(b, r.Health.Title, r.Health.Notes) // explain has the rest
	} else {
		textTable(b, r.Health, 0)
	}
	textTable(b, r.Memory, 0)
	fmt.Fprintln(b)
	for _, f := range r.Facts {
		wrapped(b, fmt.Sprintf("%-9s ", f.Name), f.Value)
	}
	textList(b, "How to read it", r.HowTo)
	r.textErrors(b)
	textList(b, "Notes", cleanAll(r.Run.Summary.Notes))
	if r.ReadNext != "" {
		fmt.Fprintf(b, "\nRead next: %s\n", r.ReadNext)
	}
	if r.Run.Dir != "" && !r.noPage {
		fmt.Fprintf(b, "HTML:      %s\n", clean(r.htmlPath()))
	}
	return b.Flush()
}

// textWidth is how wide running text is.
const textWidth = 100

// wrapped prints text behind a title, further lines below its begin.
func wrapped(w io.Writer, title, s string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(title))
	lines := strings.Split(text.WrapSoft(s, textWidth-len(indent)), "\n")
	for i, line := range lines {
		if i > 0 {
			title = indent
		}
		fmt.Fprintln(w, strings.TrimRight(title+line, " "))
	}
}

// textTable prints a table, of limit rows at most if that is not 0.
func textTable(w io.Writer, t Table, limit int) {
	if t.Empty() {
		textList(w, "", t.Notes)
		return
	}
	var blocks []block
	n := 0
	for _, g := range t.Groups {
		rows := g.Rows
		if limit > 0 {
			rows = rows[:min(len(rows), max(limit-n, 0))]
		}
		n += len(g.Rows)
		if len(rows) > 0 {
			blocks = append(blocks, block{title: g.Title, rows: rows})
		}
	}
	notes := t.Notes
	if limit > 0 {
		notes = notes[:min(len(notes), limit)]
	}
	fmt.Fprintf(w, "\n%s\n\n%s\n", t.Title, layOut(t.Columns, blocks))
	if limit > 0 && n > limit {
		notes = append([]string{fmt.Sprintf("%d more are in report.md and in the JSON.", n-limit)}, notes...)
	}
	textList(w, "", notes)
}

func (r *Report) textTable() string {
	var blocks []block
	for _, g := range r.Groups {
		b := block{title: g.Title()}
		for _, l := range g.Lines {
			b.rows = append(b.rows, l.Cells)
		}
		blocks = append(blocks, b)
	}
	return layOut(r.Columns, blocks)
}

// block is rows of a table that share a title.
type block struct {
	title string
	rows  [][]string
}

// layOut makes one table of all blocks, so that their columns line up, and
// then puts each title above its rows. The first column is aligned left, the
// others right.
func layOut(titles []string, blocks []block) string {
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	configs := make([]table.ColumnConfig, len(titles))
	for i := range titles {
		align := text.AlignRight
		if i == 0 {
			align = text.AlignLeft
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(tableRow(titles))
	for _, b := range blocks {
		for _, row := range b.rows {
			t.AppendRow(tableRow(row))
		}
	}
	lines := strings.Split(t.Render(), "\n")
	out := []string{"  " + lines[0], "--" + lines[1]}
	lines = lines[2:]
	for _, b := range blocks {
		if b.title != "" {
			out = append(out, b.title)
		}
		for i := range b.rows {
			out = append(out, strings.TrimRight("  "+lines[i], " "))
		}
		lines = lines[len(b.rows):]
	}
	return strings.Join(out, "\n")
}

// plainStyle is columns two spaces apart, under a rule.
func plainStyle() table.Style {
	style := table.StyleDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", ""
	style.Box.MiddleVertical, style.Box.MiddleSeparator = "  ", "--"
	style.Options = table.Options{SeparateColumns: true, SeparateHeader: true}
	style.Format.Header = text.FormatDefault
	return style
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		row[i] = c
	}
	return row
}

func (r *Report) textErrors(w io.Writer) {
	if len(r.Run.Errors) == 0 {
		return
	}
	fmt.Fprintf(w, "\nErrors\n")
	for _, e := range r.Run.Errors {
		fmt.Fprintf(w, "  %s × %s: %s\n", humanize.Comma(e.Count), clean(e.Class), clean(e.Arm))
		if len(e.Examples) > 0 {
			fmt.Fprintf(w, "      %s\n", short(e.Examples[0], exampleWidth))
		}
	}
}

func textList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(w, "\n%s\n", title)
	}
	for _, s := range lines {
		wrapped(w, "  ", s)
	}
}

func cleanAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, s := range lines {
		out[i] = clean(s)
	}
	return out
}
