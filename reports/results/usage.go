package results

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// usageHeader is the first line of resources.csv: the fields of a Usage.
var usageHeader = []string{"at", "seconds", "arm", "block", "component", "processes", "cpu_s", "rss_bytes"}

func (u *Usage) fields() []string {
	return []string{u.At.UTC().Format(time.RFC3339Nano), strconv.FormatFloat(u.Seconds, 'f', 3, 64), u.Arm, strconv.Itoa(u.Block), u.Component,
		strconv.Itoa(u.Processes), strconv.FormatFloat(u.CPUSeconds, 'f', 2, 64), strconv.FormatInt(u.RSSBytes, 10)}
}

// writeUsage writes rows in one piece: a run that dies leaves whole lines.
func writeUsage(w io.Writer, rows ...[]string) error {
	return csv.NewWriter(w).WriteAll(rows)
}

// EachUsage calls fn with every line of a run folder's resources.csv, in its
// order. A folder of before there was such a file has none.
func EachUsage(dir string, fn func(Usage) error) error {
	f, err := os.Open(filepath.Join(dir, ResourcesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.ReuseRecord = len(usageHeader), true
	for line := 1; ; line++ {
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		var u Usage
		if err == nil && line > 1 {
			u, err = parseUsage(row)
		}
		if err != nil {
			return &SyntaxError{File: f.Name(), Line: line, Err: err}
		}
		if line == 1 {
			continue
		}
		if err := fn(u); err != nil {
			return err
		}
	}
}

func parseUsage(row []string) (u Usage, err error) {
	var errs [6]error
	u.Arm, u.Component = row[2], row[4]
	u.At, errs[0] = time.Parse(time.RFC3339Nano, row[0])
	u.Seconds, errs[1] = strconv.ParseFloat(row[1], 64)
	u.Block, errs[2] = strconv.Atoi(row[3])
	u.Processes, errs[3] = strconv.Atoi(row[5])
	u.CPUSeconds, errs[4] = strconv.ParseFloat(row[6], 64)
	u.RSSBytes, errs[5] = strconv.ParseInt(row[7], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return u, err
	}
	if !(u.Seconds >= 0 && u.CPUSeconds >= 0 && u.RSSBytes >= 0 && max(u.Seconds, u.CPUSeconds) < math.Inf(1)) {
		return u, fmt.Errorf("a number of %s is out of range", u.Component)
	}
	return u, nil
}
