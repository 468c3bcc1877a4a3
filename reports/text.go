package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// exampleWidth is how much of an error message the terminal gets; the other
// outputs have it whole.
const exampleWidth = 100

// WriteText writes the report for a terminal of 110 columns, without colour.
func WriteText(w io.Writer, r *Report) error {
	b := bufio.NewWriter(w)
	for _, s := range r.Warnings {
		fmt.Fprintf(b, "WARNING   %s\n", s)
	}
	for _, f := range r.Facts {
		fmt.Fprintf(b, "%-9s %s\n", f.Name, f.Value)
	}
	if len(r.Groups) > 0 {
		fmt.Fprintf(b, "\n%s\n", r.textTable())
	}
	textList(b, "", r.Footnotes)
	textList(b, "How to read it", r.HowTo)
	r.textErrors(b)
	textList(b, "Notes", cleanAll(r.Run.Summary.Notes))
	if r.Run.Dir != "" {
		fmt.Fprintf(b, "\nHTML: %s\n", clean(r.htmlPath()))
	}
	return b.Flush()
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
		out = append(out, b.title)
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
		fmt.Fprintf(w, "  %s\n", s)
	}
}

func cleanAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, s := range lines {
		out[i] = clean(s)
	}
	return out
}
