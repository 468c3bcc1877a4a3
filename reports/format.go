package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	humanize "github.com/dustin/go-humanize"
)

// notTold stands for a number that nobody could tell.
const notTold = "n/a"

// number prints x with three significant digits, and whole from 1,000 on.
func number(x float64) string {
	if math.Abs(x) < 1000 {
		// Round first: 99.96 is 100, not 100.0.
		x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	}
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 1e9 || a < 0.001:
		return strconv.FormatFloat(x, 'g', 3, 64)
	case a >= 1000:
		return humanize.Comma(int64(math.Round(x)))
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 1:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}

func orNotTold(x *float64) string {
	if x == nil {
		return notTold
	}
	return number(*x)
}

// percent rounds down, so that only what is whole is printed as 100.
func percent(x float64) string {
	if x >= 100 {
		return "100"
	}
	return strconv.FormatFloat(math.Floor(x*100)/100, 'f', -1, 64)
}

// exact prints x so that it reads back as the same number.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// plural prints "1 target", "3 targets".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + one + "s"
}

// clean makes a foreign string fit for one line of a terminal: what is not
// printable (line breaks, escape sequences, marks that turn the direction of
// writing) becomes a space.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// short cuts a cleaned string to n characters, in the middle: messages say at
// their begin what failed and at their end why.
func short(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	front := (n - 1) / 2
	return string(r[:front]) + "…" + string(r[len(r)-(n-1-front):])
}
