package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/scenarios"
)

func objectGetCmd(r *remote) *cobra.Command {
	var offset, length scenarios.Bytes
	cmd := &cobra.Command{Use: "get BUCKET/OBJECT [FILE|FOLDER|-]", Short: "read an object into a file or to standard output", Args: count(1, 2),
		Long: "Reads an object into a file, the one with the object's last name if none is given, or to standard output.\n" +
			"Length and checksum are compared. A file is there when all of it has come, or not at all.",
		Example: "  etlbench object get ais://src/dir/a.tar\n  etlbench object get src/a.tar - | tar t\n" +
			"  etlbench object get src/a.tar head.bin --length 1KiB",
		RunE: r.do(func(ctx context.Context, args []string) error {
			b, name, err := parseObject(args[0])
			switch {
			case err != nil:
				return err
			case offset < 0 || length < 0:
				return misuse("--offset %s and --length %s: must not be negative", offset, length)
			}
			dst := "."
			if len(args) > 1 {
				dst = args[1]
			}
			return r.with(ctx, func(c *api.Client) error {
				return r.aboutObject(b, r.fetch(ctx, c, b, name, dst, api.GetOptions{Offset: int64(offset), Length: int64(length)}))
			})
		})}
	cmd.Flags().TextVar(&offset, "offset", scenarios.Bytes(0), "begin behind this `SIZE`")
	cmd.Flags().TextVar(&length, "length", scenarios.Bytes(0), "read this `SIZE` (0B: to the end)")
	return cmd
}

// fetch reads an object into dst: a file, a folder, or "-" for standard output.
func (r *remote) fetch(ctx context.Context, c *api.Client, b api.Bucket, name, dst string, opt api.GetOptions) error {
	if dst == "-" {
		return r.copyObject(ctx, c, b, name, opt, r.e.out)
	}
	var n int64
	file, err := saveAs(dst, path.Base(name), func(w io.Writer) error {
		counted := &countWriter{w: w}
		err := r.copyObject(ctx, c, b, name, opt, counted)
		n = counted.n
		return err
	})
	if err == nil {
		fmt.Fprintf(r.e.err, "%s: %s\n", shown(file), size(n))
	}
	return err
}

func (r *remote) copyObject(ctx context.Context, c *api.Client, b api.Bucket, name string, opt api.GetOptions, w io.Writer) error {
	o, err := c.GetObject(ctx, b, name, opt)
	if err != nil {
		return err
	}
	defer o.Close()
	if _, err := o.CopyTo(w); err != nil {
		return fmt.Errorf("%s/%s: %w", b, name, err)
	}
	return nil
}

// countWriter counts what it passes on.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// saveAs makes a file of what write writes, or leaves what was there before. In
// a folder the file is called base. Devices and pipes are written to directly.
func saveAs(dst, base string, write func(io.Writer) error) (string, error) {
	info, err := os.Stat(dst)
	if err == nil && info.IsDir() {
		dst = filepath.Join(dst, base)
		info, err = os.Stat(dst)
	}
	switch {
	case err == nil && info.IsDir():
		return dst, fmt.Errorf("%s is a folder", dst)
	case err == nil && !info.Mode().IsRegular():
		return dst, writeThrough(dst, write)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return dst, err
	case err == nil:
		// A link goes on to lead to the file.
		if dst, err = filepath.EvalSymlinks(dst); err != nil {
			return dst, err
		}
	}
	return dst, replaceFile(dst, write)
}

func writeThrough(dst string, write func(io.Writer) error) error {
	f, err := os.OpenFile(dst, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// replaceFile writes beside dst and renames at the end. The name in between
// says whose it is, as a killed process leaves it behind.
func replaceFile(dst string, write func(io.Writer) error) (err error) {
	tmp := filepath.Join(filepath.Dir(dst), ".etlbench-"+rand.Text()+".part")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	var pe *fs.PathError
	if errors.As(err, &pe) { // the name in it would tell nobody anything
		err = fmt.Errorf("%s: %w", dst, pe.Err)
	}
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(tmp, dst)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
