package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a scenario.
type Problem struct {
	// File, Line and Column say where it stands, both from 1. File is "--set"
	// with no line for an override; all are zero from Validate, which has no
	// file.
	File         string
	Line, Column int
	// Path names the key, as "load.workers" or "arms.comm[1]"; empty for the
	// whole file.
	Path string
	// Text says what is wrong and, in parentheses, what to do.
	Text string
}

// String is the line "file:line:col: path: what is wrong (what to do)",
// without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Text
}

// Error is every problem of one scenario, in the file's order. Parse, LoadFile
// and Validate return it; callers get at it with errors.As.
type Error struct {
	Problems []Problem // never empty
}

// Error gives one line a problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// asError sorts problems by file and position, those of --set last; nil when there are
// none.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if (a.File == setFile) != (b.File == setFile) {
			if a.File == setFile {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{Problems: problems}
}

// suggest ends a problem's text: the nearest of the valid words when one is
// near, else all of them.
func suggest(got string, valid []string) string {
	best, bestDist := "", 1+max(1, len(got)/3)
	for _, v := range valid {
		if d := editDistance(got, v); d < bestDist {
			best, bestDist = v, d
		}
	}
	if best != "" {
		return fmt.Sprintf("(did you mean %q?)", best)
	}
	return "(use " + orList(valid) + ")"
}

// orList joins words as "a, b or c".
func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// editDistance is how many letters to add, drop, change or swap with their
// neighbour to get from a to b, without regard to case (the optimal string
// alignment distance, in bytes).
func editDistance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
		for j := range rows[i] {
			rows[0][j] = j
		}
	}
	for i := range len(a) {
		for j := range len(b) {
			change := rows[i][j]
			if a[i] != b[j] {
				change++
			}
			rows[i+1][j+1] = min(change, rows[i][j+1]+1, rows[i+1][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				rows[i+1][j+1] = min(rows[i+1][j+1], rows[i-1][j-1]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
