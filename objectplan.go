package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etlbench/etlbench/cluster/api"
)

// upload is one file on its way.
type upload struct {
	file, name string
	size       int64
}

// plan finds all files and their names. What cannot be stored under a good
// name is an error before anything is sent, all of it at once.
func plan(sources []string, name string) ([]upload, error) {
	var (
		list []upload
		errs []error
		from = map[string]string{} // file by object name
	)
	add := func(u upload) {
		err := api.CheckObjectName(u.name)
		if other, ok := from[u.name]; ok {
			err = fmt.Errorf("it would overwrite %s, which has the name %q too", other, u.name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", u.file, err))
			return
		}
		from[u.name] = u.file
		list = append(list, u)
	}
	folder := name == "" || strings.HasSuffix(name, "/")
	for _, src := range sources {
		info, err := os.Stat(src)
		switch {
		case src == "-" && folder:
			errs = append(errs, errors.New("standard input has no name of its own: write BUCKET/NAME"))
		case src == "-":
			add(upload{file: src, name: name, size: -1})
		case err != nil:
			errs = append(errs, err)
		case info.IsDir():
			errs = append(errs, planFolder(src, name, add))
		case !info.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("%s: is neither a file nor a folder", src))
		case folder:
			add(upload{file: src, name: name + filepath.Base(src), size: info.Size()})
		default:
			add(upload{file: src, name: name, size: info.Size()})
		}
	}
	if len(list) == 0 && errors.Join(errs...) == nil {
		errs = append(errs, fmt.Errorf("there are no files in %s", strings.Join(sources, ", ")))
	}
	return list, errors.Join(errs...)
}

// planFolder adds the files of a folder. Links to files are followed; a link to
// a folder may lead round in a circle and is refused, as is what is no file.
func planFolder(dir, name string, add func(upload)) error {
	if name != "" && !strings.HasSuffix(name, "/") {
		name += "/"
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	var errs []error
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !info.Mode().IsRegular():
			errs = append(errs, fmt.Errorf("%s: is not a file", path))
		default:
			add(upload{file: path, name: name + filepath.ToSlash(rel), size: info.Size()})
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}
