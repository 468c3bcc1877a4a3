package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/etlbench/etlbench/cluster/api"
)

// folder is a set of files. Open files may change under us: a reader gives
// what is there, and Size is that of New.
type folder struct {
	dir     string
	root    *os.Root // closed by its finalizer, with the set
	objects []Object // sorted
	bytes   int64
}

var _ Set = (*folder)(nil)

// newFolder lists the regular files below dir. Links to files inside dir are
// objects too; links to folders, links that leave dir and files that cannot
// be read are errors; devices, sockets and pipes are passed over.
func newFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset folder %s: %w (see dataset.dir)", dir, bare(err))
	}
	f := &folder{dir: dir, root: root}
	if err := f.list(); err != nil {
		root.Close()
		return nil, fmt.Errorf("dataset folder %s: %w", dir, err)
	}
	return f, nil
}

func (f *folder) list() error {
	err := fs.WalkDir(f.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", name, bare(err))
		}
		if e.IsDir() {
			return nil
		}
		return f.add(name, e.Type()&fs.ModeSymlink != 0)
	})
	if err != nil {
		return err
	}
	if len(f.objects) == 0 {
		return errors.New("has no files (put some in, or choose another dataset.kind)")
	}
	sortByName(f.objects)
	return nil
}

// add checks one entry. It is opened, as that is the only sure way to learn
// whether it can be read.
func (f *folder) add(name string, link bool) error {
	info, err := f.root.Stat(name)
	switch {
	case err != nil && link:
		return fmt.Errorf("%s: a link that leaves the folder or leads nowhere (remove it): %w", name, bare(err))
	case err != nil:
		return fmt.Errorf("%s: %w", name, bare(err))
	case info.IsDir():
		return fmt.Errorf("%s: a link to a folder (copy the folder instead)", name)
	case !info.Mode().IsRegular():
		return nil
	}
	if err := api.CheckObjectName(name); err != nil {
		return err
	}
	r, err := f.root.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, bare(err))
	}
	defer r.Close()
	f.objects = append(f.objects, Object{Name: name, Size: info.Size()})
	f.bytes += info.Size()
	return nil
}

// bare drops the operation and path that an error of os carries, as the
// callers name the path themselves.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (f *folder) Objects() []Object { return f.objects }

func (f *folder) Open(name string) (io.ReadCloser, error) {
	if _, err := lookup(f.objects, name); err != nil {
		return nil, err
	}
	r, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("dataset folder %s: %s: %w", f.dir, name, bare(err))
	}
	return r, nil
}

func (f *folder) Describe() string {
	return fmt.Sprintf("%d files of %s, %d bytes", len(f.objects), f.dir, f.bytes)
}
