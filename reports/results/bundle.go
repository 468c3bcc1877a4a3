package results

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// maxBundled is the most bytes that a file of a bundle may have.
const maxBundled = 4 << 30

// bundled are the files of a run folder that a bundle holds, and only they: what
// reports are made from.
func bundled() []string {
	return []string{ScenarioFile, EnvFile, SummaryFile, ErrorsFile, EventsFile, IntervalsFile, LogFile}
}

// Names of the files that a scenario may name, in a bundle. A run folder that
// came from one has them as well.
const (
	TraceFile = "load.trace"
	SizesFile = "dataset.sizes"
)

// WriteBundle writes the run folder dir to w as one file, a compressed tar: all
// that another machine needs to run it again, and to compare. extra gives the
// paths of files by their name in the bundle, TraceFile or SizesFile.
func WriteBundle(w io.Writer, dir string, extra map[string]string) error {
	if _, err := ReadDocuments(dir); err != nil {
		return err
	}
	zip := gzip.NewWriter(w)
	t := tar.NewWriter(zip)
	for _, name := range bundled() {
		if err := pack(t, name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{TraceFile, SizesFile} {
		if path := extra[name]; path != "" {
			if err := pack(t, name, path); err != nil {
				return err
			}
		}
	}
	return errors.Join(t.Close(), zip.Close())
}

func pack(t *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644, ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, info.Size())
	return err
}

// ReadBundle makes the run folder dir, which must be new or empty, of a bundle.
// It takes files of the names that a bundle may have, each once, and nothing
// else; a bundle with anything more is refused, and leaves nothing.
func ReadBundle(r io.Reader, dir string) (err error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("no bundle: %w", err)
	}
	if err := makeEmpty(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	t := tar.NewReader(zip)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		if err := unpack(t, h, dir); err != nil {
			return err
		}
	}
	_, err = ReadDocuments(dir)
	return err
}

func unpack(t *tar.Reader, h *tar.Header, dir string) error {
	i := slices.Index(append(bundled(), TraceFile, SizesFile), h.Name)
	switch {
	case i < 0 || h.Typeflag != tar.TypeReg:
		return fmt.Errorf("bundle: %q is nothing that a bundle has", h.Name)
	case h.Size > maxBundled:
		return fmt.Errorf("bundle: %s has %d bytes, more than %d", h.Name, h.Size, int64(maxBundled))
	}
	f, err := createFile(dir, h.Name)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	_, err = io.Copy(f, t) // as many bytes as the header says
	return errors.Join(err, f.Close())
}
