package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	humanize "github.com/dustin/go-humanize"
)

// WriteMarkdown writes the report as Markdown with tables, short enough to be
// a comment on a pull request.
func WriteMarkdown(w io.Writer, r *Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s\n\n", markdown(r.Title))
	for _, s := range r.Warnings {
		fmt.Fprintf(b, "> **Warning:** %s\n>\n", markdown(s))
	}
	if len(r.Warnings) > 0 {
		fmt.Fprintln(b)
	}
	markdownFacts(b, r.Facts)
	r.markdownTable(b)
	markdownList(b, "", r.Footnotes)
	markdownList(b, "How to read it", r.HowTo)
	r.markdownErrors(b)
	markdownList(b, "Notes", cleanAll(r.Run.Summary.Notes))
	fmt.Fprintf(b, "\n## Environment\n\n")
	markdownFacts(b, r.environment())
	fmt.Fprintf(b, "\n## Reproduce\n\n    %s\n", clean(r.reproduce()))
	return b.Flush()
}

func (r *Report) markdownTable(w io.Writer) {
	if len(r.Groups) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Results\n\n")
	var rows [][]string
	for _, g := range r.Groups {
		for _, l := range g.Lines {
			rows = append(rows, append([]string{g.Name(), joined(g.Mode, g.Level)}, l.Cells...))
		}
	}
	markdownTable(w, append([]string{"transform", "mode"}, r.Columns...), 3, rows)
}

func (r *Report) markdownErrors(w io.Writer) {
	if len(r.Run.Errors) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Errors\n\n")
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
	for _, row := range rows {
		markdownRow(w, row)
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
