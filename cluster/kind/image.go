package kind

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Program is where an image has the executable, which is its entrypoint.
const Program = "/etlbench"

// repository of the images. No registry is asked for them: they are loaded
// into the nodes.
const repository = "localhost/etlbench"

// nobody is the user that the image runs as.
const nobody = "65532"

// Image is a container image with nothing but an executable in it.
type Image struct {
	Name string // with a tag made of its content
	ref  name.Tag
	img  v1.Image
}

// NewImage makes an image of an executable, which must be linked statically:
// there is nothing else in it.
func NewImage(exe string) (*Image, error) {
	if err := checkStatic(exe); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return layerOf(exe) })
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", exe, err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", exe, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", exe, err)
	}
	file = file.DeepCopy()
	file.Architecture, file.OS = runtime.GOARCH, "linux"
	file.Config = v1.Config{Entrypoint: []string{Program}, User: nobody + ":" + nobody, Env: []string{"PATH=/"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, fmt.Errorf("image of %s: %w", exe, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", exe, err)
	}
	ref, err := name.NewTag(repository + ":" + digest.Hex[:12])
	if err != nil {
		return nil, err
	}
	return &Image{Name: ref.String(), ref: ref, img: img}, nil
}

// Write writes the image as an archive that container engines load.
func (i *Image) Write(w io.Writer) error {
	if err := tarball.Write(i.ref, i.img, w); err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	return nil
}

// checkStatic refuses executables that would not start in an empty image.
func checkStatic(exe string) error {
	f, err := elf.Open(exe)
	if err != nil {
		return fmt.Errorf("image of %s: it is no Linux executable: %w", exe, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("image of %s: it needs libraries of this machine: build it with CGO_ENABLED=0", exe)
		}
	}
	return nil
}

// layerOf is the file system of an image. Times are none, so that the same
// executable always gives the same image.
func layerOf(exe string) (io.ReadCloser, error) {
	data, err := os.ReadFile(exe)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err = errors.Join(
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: time.Unix(0, 0)}),
		w.WriteHeader(&tar.Header{Name: path.Base(Program), Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0)}),
	)
	if err == nil {
		_, err = w.Write(data)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), nil
}
