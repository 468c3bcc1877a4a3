package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/etlbench/etlbench/reports/results"
)

// Objects in hand of the two arms of offlineScenario: one after the other, and
// what a target does by itself where its writes are durable.
const (
	oneByOne = 1
	inHand   = 16
)

// offlineScenario transforms a bucket of many small objects into another one.
const offlineScenario = `apiVersion: etlbench/v1
name: bench-offline
transforms: [echo]
target: {targets: 2}
dataset: {objects: 10k, size: 4KiB}
arms: {comm: [hpush], mode: [offline], workers: [%d, %d]}
trials: {blocks: %d}
verify: {content: size}
`

// offlineBlocks: a walk one by one takes half a minute.
const offlineBlocks = 3

func (o *options) offlineYAML() string {
	return fmt.Sprintf(offlineScenario, oneByOne, inHand, min(o.blocks, offlineBlocks))
}

// writeOffline adds the row of what an offline job must reach.
func writeOffline(s *results.Summary) func(table.Writer) int {
	return func(t table.Writer) (failed int) {
		const what, least = "job of 10,000 objects / one by one", 3
		if s == nil {
			t.AppendRow(table.Row{what, "4KiB", fmt.Sprintf(">= %d", least), "n/a", "", "", "n/a"})
			return 0
		}
		rates := map[int]map[int]float64{oneByOne: {}, inHand: {}} // by workers and block
		workers := map[string]int{}
		for _, a := range s.Arms {
			workers[a.Name] = a.Workers
		}
		var ratios []float64
		for i := range s.Samples {
			x := &s.Samples[i]
			rates[workers[x.Arm]][x.Block] = x.OpsPerS
		}
		for b, one := range rates[oneByOne] {
			if many := rates[inHand][b]; one > 0 && many > 0 {
				ratios = append(ratios, many/one)
			}
		}
		verdict := "PASS"
		if i, ok := interval(ratios); !ok {
			verdict = "n/a"
		} else if i.High < least {
			verdict, failed = "FAIL", 1
		}
		t.AppendRow(table.Row{what, "4KiB", fmt.Sprintf(">= %d", least), span(ratios), "", "objects/s", verdict})
		return failed
	}
}
