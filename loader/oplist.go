package loader

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/dataset"
)

// WriteStream writes the first n measured operations of every inline arm and
// block as CSV, or all if there are fewer: the index in the stream, the
// operation, its object with its size in bytes, and when an open loop has it
// due, in seconds from the start of the measured phase. They are a function of
// scenario and data set alone. How many of them a closed loop gets to is not;
// its warm-up takes the first ones.
func WriteStream(w io.Writer, sc *scenarios.Scenario, data dataset.Set, n int64) error {
	r := &run{Config: Config{Scenario: sc, Data: data}, arms: arms(sc), classes: map[scenarios.Bytes][]object{}}
	for _, o := range data.Objects() {
		r.objects = append(r.objects, object{name: o.Name, size: o.Size, number: len(r.objects)})
	}
	if err := r.classify(); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write([]string{"arm", "block", "index", "op", "object", "size", "due_s"}); err != nil {
		return err
	}
	for _, s := range steps(r.arms, sc.Trials, sc.Seed) {
		if s.arm.Mode != scenarios.ModeInline {
			continue
		}
		if err := r.writeStep(out, s, n); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (r *run) writeStep(w *csv.Writer, s step, n int64) error {
	phases, err := r.phases(s.arm, s.block)
	if err != nil {
		return err
	}
	p := &phases[len(phases)-1]
	switch {
	case p.due != nil:
		n = min(n, p.due.count())
	case p.most > 0:
		n = min(n, p.most)
	}
	objects := r.objectsOf(s.arm)
	stream := newStream(r.asked(s.arm), len(objects), s.block)
	for i := range n {
		o := stream.at(p.first + uint64(i))
		due := ""
		if p.due != nil {
			due = strconv.FormatFloat(p.due.at(i).Seconds(), 'f', 9, 64)
		}
		obj := objects[o.object]
		err := w.Write([]string{s.arm.Name, strconv.Itoa(s.block), strconv.FormatUint(o.index, 10), opNames[o.kind], obj.name,
			strconv.FormatInt(obj.size, 10), due})
		if err != nil {
			return err
		}
	}
	return nil
}
