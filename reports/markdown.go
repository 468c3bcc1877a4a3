package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	humanize "github.com/dustin/go-humanize"
)

// maxMarkdown is the most that a comment on a pull request may have, with some
// room for what others add; maxMarkdownRows is that of a table.
const (
	maxMarkdown     = 60 << 10
	maxMarkdownRows = 120
)

// WriteMarkdown writes the report as Markdown with tables, under the headings
// of the HTML page. It is at most 60 KiB, to be a comment on a pull request:
// sections that do not fit are left out, and named.
func WriteMarkdown(w io.Writer, r *Report) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n", markdown(r.Title))
	var left []string
	for _, s := range r.markdownSections() {
		var b bytes.Buffer
		s.write(&b)
		switch {
		case b.Len() == 0:
		case out.Len()+b.Len() > maxMarkdown-1<<10:
			left = append(left, s.title)
		default:
			fmt.Fprintf(&out, "\n## %s\n", s.title)
			out.Write(b.Bytes())
		}
	}
	if left != nil {
		fmt.Fprintf(&out, "\nLeft out, as this is to stay below 60 KiB: %s. See %s.\n", strings.Join(left, ", "), htmlFile)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// section is a part of the Markdown; one that writes nothing is left out.
type section struct {
	title string
	write func(io.Writer)
}

func (r *Report) markdownSections() []section {
	tables := func(list ...Table) func(io.Writer) {
		return func(w io.Writer) {
			for _, t := range list {
				markdownSection(w, t)
			}
		}
	}
	return []section{
		{"Verdict", r.markdownVerdict},
		{"Communication types", func(w io.Writer) {
			r.markdownTable(w)
			markdownList(w, "", r.NotOffered)
			markdownList(w, "", r.Footnotes)
			markdownSection(w, r.Accounts)
		}},
		{"Latency", tables(r.Starts, r.Phases)},
		{"Time", tables(r.Faults, r.FaultErrors, r.Events, r.Jobs)},
		{"Size", func(w io.Writer) {
			markdownSection(w, r.Costs)
			markdownList(w, "", r.Crossovers)
		}},
		{"Scaling", tables(r.Scaling)},
		{"Comparison", func(w io.Writer) {
			markdownSection(w, r.Factors)
			markdownSection(w, r.Contrasts)
			markdownList(w, "", r.Conclusion)
		}},
		{"Health of the tool", tables(r.Health, r.Memory)},
		{"Reproduce", func(w io.Writer) {
			fmt.Fprintf(w, "\n    %s\n\n", clean(r.reproduce()))
			markdownFacts(w, r.Facts)
			markdownFacts(w, r.environment())
			markdownList(w, "", cleanAll(r.Run.Summary.Notes))
			markdownList(w, "", r.HowTo)
		}},
	}
}

func (r *Report) markdownVerdict(w io.Writer) {
	fmt.Fprintf(w, "\n**%s**\n", markdown(r.Verdict))
	markdownList(w, "", r.Reasons)
	var rows [][]string
	for _, g := range r.Gates {
		rows = append(rows, []string{g.GateWord(), g.Condition, g.Found, g.Text})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		markdownTable(w, []string{"", "gate", "found", "what to do"}, 4, rows)
	}
	for i, s := range r.Warnings {
		fmt.Fprintf(w, "%s> **Warning:** %s\n>\n", map[bool]string{true: "\n"}[i == 0], markdown(s))
	}
	markdownList(w, "", r.Pairs[:min(len(r.Pairs), maxMarkdownRows)])
	r.markdownErrors(w)
	if r.ReadNext != "" {
		fmt.Fprintf(w, "\nRead next: %s\n", markdown(r.ReadNext))
	}
}

// markdownSection writes a table under its title, with its notes.
func markdownSection(w io.Writer, t Table) {
	if !t.Empty() {
		titles, left := t.Columns, t.Left
		grouped := slices.ContainsFunc(t.Groups, func(g TableGroup) bool { return g.Title != "" })
		if grouped {
			titles, left = append([]string{""}, titles...), left+1
		}
		var rows [][]string
		for _, g := range t.Groups {
			for _, row := range g.Rows {
				if grouped {
					row = append([]string{g.Title}, row...)
				}
				rows = append(rows, row)
			}
		}
		fmt.Fprintf(w, "\n%s\n\n", markdown(t.Title))
		markdownTable(w, titles, left, rows)
	}
	markdownList(w, "", t.Notes)
}

func (r *Report) markdownTable(w io.Writer) {
	var rows [][]string
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			rows = append(rows, append([]string{g.Name(), joined(g.Mode, g.Level)}, l.Cells...))
		}
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		markdownTable(w, append([]string{"transform", "mode"}, r.Columns...), 3, rows)
	}
}

func (r *Report) markdownErrors(w io.Writer) {
	if len(r.Run.Errors) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, e := range r.Run.Errors {
		rows = append(rows, []string{clean(e.Arm), clean(e.Class),
			clean(firstOf(e.Examples)), humanize.Comma(e.Count)})
	}
	markdownTable(w, []string{"arm", "class", "first example", "count"}, 3, rows)
}

func firstOf(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// markdownTable aligns the first columns left and the others right.
func markdownTable(w io.Writer, titles []string, left int, rows [][]string) {
	markdownRow(w, titles)
	rule := strings.Repeat("| --- ", left) + strings.Repeat("| ---: ", len(titles)-left)
	fmt.Fprintf(w, "%s|\n", rule)
	for _, row := range rows[:min(len(rows), maxMarkdownRows)] {
		markdownRow(w, row)
	}
	if more := len(rows) - maxMarkdownRows; more > 0 {
		fmt.Fprintf(w, "\n%s more.\n", plural(more, "row"))
	}
}

func markdownRow(w io.Writer, cells []string) {
	for _, c := range cells {
		fmt.Fprintf(w, "| %s ", markdown(c))
	}
	fmt.Fprintln(w, "|")
}

func markdownFacts(w io.Writer, facts []Fact) {
	for _, f := range facts {
		fmt.Fprintf(w, "- %s: %s\n", f.Name, markdown(f.Value))
	}
}

func markdownList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(w, "\n## %s\n", title)
	}
	fmt.Fprintln(w)
	for _, s := range lines {
		fmt.Fprintf(w, "- %s\n", markdown(s))
	}
}

// markdown escapes what Markdown, or the HTML inside it, would act on.
func markdown(s string) string {
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`,
		"<", "&lt;", ">", "&gt;", "&", "&amp;", "|", `\|`, "#", `\#`, "~", `\~`, "@", "&#64;",
	).Replace(s)
}
