// Package dataset makes the source objects of a scenario: a pure function of
// the seed and an object's name, or the files of a folder. Nothing generated
// is kept on disk, and whoever knows seed and name can check an answer. It
// does not store objects anywhere: the loader PUTs them.
package dataset

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/etlbench/etlbench/scenarios"
)

// Set is a fixed list of objects whose contents are the same at every Open.
// Safe for concurrent use.
type Set interface {
	// Objects lists all objects, sorted by name. Callers must not change it.
	Objects() []Object
	// Open gives an object's content, which the caller closes; fs.ErrNotExist
	// when the set has no such object.
	Open(name string) (io.ReadCloser, error)
	// Describe says in one line what the set is.
	Describe() string
}

// Object is one object of a Set.
type Object struct {
	Name string // slashes separate folders
	Size int64  // bytes
}

// New makes the set that d describes. d has been validated and has its
// defaults; seed is the scenario's. Kinds pictures and audio take a second or
// so to build, kind folder reads the whole tree's metadata. With size classes, which
// kind generated has, d.Size does not count: see ClassPrefix.
func New(d scenarios.Dataset, seed uint64, classes ...scenarios.Bytes) (Set, error) {
	switch d.Kind {
	case scenarios.KindGenerated:
		return newGenerated(d, seed, classes)
	case scenarios.KindPictures:
		return newPictures(d.Objects, seed, goPhotos())
	case scenarios.KindAudio:
		return newAudio(d.Objects, seed)
	case scenarios.KindFolder:
		return newFolder(d.Dir)
	}
	return nil, fmt.Errorf("dataset: unknown kind %q", d.Kind)
}

// lookup finds name in objects, which are sorted.
func lookup(objects []Object, name string) (int, error) {
	i, ok := slices.BinarySearchFunc(objects, name, func(o Object, name string) int {
		return cmp.Compare(o.Name, name)
	})
	if !ok {
		return 0, fmt.Errorf("dataset object %q: %w", name, fs.ErrNotExist)
	}
	return i, nil
}

func sortByName(objects []Object) {
	slices.SortFunc(objects, func(a, b Object) int { return cmp.Compare(a.Name, b.Name) })
}
