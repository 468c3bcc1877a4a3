package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
)

// mostSlow is how many slow objects a target remembers of a job.
const mostSlow = 10

// slowest are the objects of a job that took longest, the slowest first.
type slowest []api.ObjectTime

// add takes in an object.
func (s *slowest) add(name string, took time.Duration) {
	i, _ := slices.BinarySearchFunc(*s, took, func(o api.ObjectTime, took time.Duration) int { return cmp.Compare(took, o.Took) })
	if i == mostSlow {
		return
	}
	*s = slices.Insert(*s, i, api.ObjectTime{Name: name, Took: took})
	*s = (*s)[:min(len(*s), mostSlow)]
}
