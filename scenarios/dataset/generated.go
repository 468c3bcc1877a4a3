package dataset

import (
	"fmt"
	"io"

	"github.com/etlbench/etlbench/scenarios"
)

// sizesName is the sequence that sizes are drawn from. Object names have no
// NUL, so it is no object's content.
const sizesName = "\x00sizes"

// generated is a set of computed objects.
type generated struct {
	seed    uint64
	data    scenarios.Dataset
	objects []Object // sorted
}

var _ Set = (*generated)(nil)

// newGenerated lists the objects. Number i, from 1, is called "obj-000001"
// and has size(i) bytes, however many objects there are.
func newGenerated(d scenarios.Dataset, seed uint64) *generated {
	g := &generated{seed: seed, data: d, objects: make([]Object, d.Objects)}
	key := keyOf(seed, sizesName)
	for i := range g.objects {
		n := i + 1
		g.objects[i] = Object{Name: fmt.Sprintf("obj-%06d", n), Size: sizeOf(d.Size, key, uint64(n))}
	}
	sortByName(g.objects) // "obj-1000000" comes before "obj-999999"
	return g
}

// sizeOf draws the size of object n.
func sizeOf(s scenarios.Size, key, n uint64) int64 {
	if s.Dist != scenarios.DistUniform {
		return int64(s.Value)
	}
	span := uint64(s.Max-s.Min) + 1
	return int64(s.Min) + int64(scale(word(key, n), span))
}

func (g *generated) Objects() []Object { return g.objects }

func (g *generated) Open(name string) (io.ReadCloser, error) {
	i, err := lookup(g.objects, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(Content(g.seed, name, g.objects[i].Size, g.data.Compressible)), nil
}

func (g *generated) Describe() string {
	size := g.data.Size.Value.String()
	if g.data.Size.Dist == scenarios.DistUniform {
		size = fmt.Sprintf("%s to %s", g.data.Size.Min, g.data.Size.Max)
	}
	return fmt.Sprintf("%d generated objects of %s, %.0f%% compressible",
		g.data.Objects, size, 100*g.data.Compressible)
}
