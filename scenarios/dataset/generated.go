package dataset

import (
	"fmt"
	"io"
	"strings"

	"github.com/etlbench/etlbench/scenarios"
)

// generated is a set of computed objects.
type generated struct {
	seed     uint64
	data     scenarios.Dataset
	describe string
	objects  []Object // sorted
}

var _ Set = (*generated)(nil)

// newGenerated lists the objects. Number i, from 1, is called "obj-000001"
// and has size(i) bytes, however many objects there are. Those of a size class
// have its prefix in front.
func newGenerated(d scenarios.Dataset, seed uint64, classes []scenarios.Bytes) (*generated, error) {
	g := &generated{seed: seed, data: d}
	what := ""
	if len(classes) > 0 {
		what = g.addClasses(classes)
	} else {
		size, err := sizes(d.Size, seed)
		if err != nil {
			return nil, err
		}
		g.add("", d.Objects, size)
		what = "of " + describeSize(d.Size)
	}
	g.describe = fmt.Sprintf("%d generated objects %s, %.0f%% compressible", len(g.objects), what, 100*d.Compressible)
	sortByName(g.objects) // "obj-1000000" comes before "obj-999999"
	return g, nil
}

func (g *generated) add(prefix string, n int, size func(n uint64) int64) {
	for i := range n {
		g.objects = append(g.objects, Object{Name: fmt.Sprintf("%sobj-%06d", prefix, i+1), Size: size(uint64(i + 1))})
	}
}

// addClasses adds the objects of every class, as many as there is room for.
func (g *generated) addClasses(classes []scenarios.Bytes) string {
	var names []string
	for _, c := range classes {
		n := g.data.Objects
		if most := g.data.MaxBytes; most > 0 && c > 0 {
			n = max(1, min(n, int(most/c)))
		}
		g.add(ClassPrefix(c), n, func(uint64) int64 { return int64(c) })
		names = append(names, fmt.Sprintf("%d of %s", n, c))
	}
	return "in classes: " + strings.Join(names, ", ")
}

// ClassPrefix is what the names of a size class begin with.
func ClassPrefix(size scenarios.Bytes) string { return size.String() + "/" }

func (g *generated) Objects() []Object { return g.objects }

func (g *generated) Open(name string) (io.ReadCloser, error) {
	i, err := lookup(g.objects, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(Content(g.seed, name, g.objects[i].Size, g.data.Compressible)), nil
}

func (g *generated) Describe() string { return g.describe }
