package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Errors that callers may test for with errors.Is.
var (
	// ErrNotEmpty is returned by Create for a folder that holds something.
	ErrNotEmpty = errors.New("the folder is not empty")
	// ErrUnfinished is returned by Read for a folder without summary.json.
	ErrUnfinished = errors.New("the run did not end")
	// ErrSchema is returned by Read for a summary.json of another format.
	ErrSchema = errors.New("unknown schema")
	// ErrClosed is returned by Interval and Finish after Close.
	ErrClosed = errors.New("the run folder is closed")
)

// SyntaxError says where a file of a run folder is not what it should be.
type SyntaxError struct {
	File string // its path
	Line int    // from 1; 0 when it is about the whole file
	Err  error
}

// Error returns one line: file, line and what is wrong.
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *SyntaxError) Unwrap() error { return e.Err }

// lineOf returns the line of data that a JSON error is about, 0 when the
// error does not tell.
func lineOf(data []byte, err error) int {
	var offset int64
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	default:
		return 0
	}
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + strings.Count(string(data[:offset]), "\n")
}
