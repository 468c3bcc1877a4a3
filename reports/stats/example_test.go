package stats_test

import (
	"fmt"

	"github.com/etlbench/etlbench/reports/stats"
)

// p99 in milliseconds of 8 blocks, in each of which all three arms ran, in an
// order drawn for it. The machine slowed down meanwhile, which cancels.
func ExampleCompare() {
	hpush := []float64{30.1, 31.0, 31.9, 33.2, 34.0, 34.8, 36.1, 37.2}
	hpull := []float64{26.9, 27.1, 28.4, 29.3, 29.5, 30.8, 31.9, 32.6}
	hrev := []float64{30.5, 30.7, 32.1, 33.0, 34.3, 34.9, 35.8, 37.5}
	family, err := stats.Compare([]stats.Contrast{{Base: hpush, Other: hpull}, {Base: hpush, Other: hrev}}, stats.CompareOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range family {
		fmt.Printf("%+.1f %% [%+.1f, %+.1f] %s\n", 100*c.Change.Estimate, 100*c.Change.Low, 100*c.Change.High, c.Verdict)
	}
	// Output:
	// -11.8 % [-12.6, -11.1] FASTER
	// +0.2 % [-0.8, +0.9] SAME
}

// A search for the highest rate at which windows meet an objective.
func ExampleSearch() {
	s, err := stats.NewSearch(stats.SearchConfig{Low: 100, High: 10_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for rate, more := s.Next(); more; rate, more = s.Next() {
		met := rate <= 1234 // what a window at this rate would tell
		if err := s.Observe(rate, met); err != nil {
			fmt.Println(err)
			return
		}
	}
	found, err := s.Found()
	fmt.Printf("%.0f/s [%.0f, %.0f] %v\n", found.Estimate, found.Low, found.High, err)
	// Output: 1239/s [1221, 1258] <nil>
}
