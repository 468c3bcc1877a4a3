package main

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	humanize "github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// newTable begins a table on w. The caller renders it.
func newTable(w io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	if len(header) > 0 {
		t.AppendHeader(header)
	}
	return t
}

// wrapWidth is where long texts, such as errors, go on in the next line.
const wrapWidth = 100

// newDetails begins a table of names and values.
func newDetails(w io.Writer) table.Writer { return wrapped(newTable(w), 2) }

// wrapped makes the texts of a column, counted from 1, go on in the next line.
func wrapped(t table.Writer, column int) table.Writer {
	t.SetColumnConfigs([]table.ColumnConfig{{Number: column, WidthMax: wrapWidth, WidthMaxEnforcer: text.WrapSoft}})
	return t
}

// size is bytes for people: "3.4 MiB".
func size(n int64) string {
	if n < 0 {
		return "-"
	}
	return humanize.IBytes(uint64(n))
}

// clock is a time for people, in their own zone; "-" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// shown is text from elsewhere, such as an object's name, safe for a terminal:
// quoted when there is something in it that a terminal would obey.
func shown(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return s
}

// orDash stands for nothing in a table.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// plural is "1 object", "3 objects".
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + one + "s"
}
