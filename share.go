package main

import (
	"fmt"

	"github.com/etlbench/etlbench/reports/results"
)

const shareUsage = "issue only a share of the operations, such as `2/4`; the source bucket must be there; see: etlbench merge"

// shareFlag is a share as a command line has it, nil without one.
type shareFlag struct{ *results.Share }

func (s *shareFlag) String() string {
	if s.Share == nil {
		return ""
	}
	return s.Share.String()
}

func (s *shareFlag) Type() string { return "share" }

func (s *shareFlag) Set(text string) error {
	var v results.Share
	if n, err := fmt.Sscanf(text+"\n", "%d/%d\n", &v.Number, &v.Of); n != 2 || err != nil || v.Number < 1 || v.Number > v.Of {
		return fmt.Errorf("%q: want a number of so many, such as 2/4", text)
	}
	s.Share = &v
	return nil
}
