package dataset

import (
	"context"
	"image"
	"image/color"
	imagedraw "image/draw"
	_ "image/jpeg" // formats of image.Decode
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/etlbench/etlbench/scenarios/draw"
)

// Photos outside of these sides, in pixels, and larger files are not used.
const (
	minSide      = 64
	maxSide      = 4096
	maxPhotoFile = 8 << 20
)

// goPhotos are the photographs in the source of the Go distribution on this
// machine; none when it has no Go.
func goPhotos() []*image.RGBA {
	for _, root := range []func() string{builtWith, installed} {
		if dir := root(); dir != "" {
			if photos := readPhotos(filepath.Join(dir, "src", "image", "testdata")); len(photos) > 0 {
				return photos
			}
		}
	}
	return nil
}

// builtWith is the root of the Go that built this program, which is gone
// when the program has moved to another machine.
func builtWith() string {
	//lint:ignore SA1019 a root that does not exist is no harm here, and asking the go command costs a process
	return runtime.GOROOT()
}

// installed is the root of the go command on the path.
func installed() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	// Away from any go.mod, which could make it download another toolchain.
	cmd.Dir = os.TempDir()
	cmd.Env = append(cmd.Environ(), "GOTOOLCHAIN=local")
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// readPhotos decodes the JPEG and PNG files of dir, in the order of their
// names, and passes over those that are of no use.
func readPhotos(dir string) []*image.RGBA {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var photos []*image.RGBA
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".jpeg", ".jpg", ".png":
		default:
			continue
		}
		if strings.Contains(e.Name(), "truncated") {
			continue // broken on purpose, though some decode in part
		}
		if p := readPhoto(filepath.Join(dir, e.Name())); p != nil {
			photos = append(photos, p)
		}
	}
	return photos
}

// readPhoto decodes one file; nil when it is broken or of an odd size.
func readPhoto(path string) *image.RGBA {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > maxPhotoFile {
		return nil
	}
	config, _, err := image.DecodeConfig(f)
	if err != nil || min(config.Width, config.Height) < minSide || max(config.Width, config.Height) > maxSide {
		return nil
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil
	}
	img, _, err := image.Decode(f)
	if err != nil {
		return nil
	}
	rgba := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	imagedraw.Draw(rgba, rgba.Rect, img, img.Bounds().Min, imagedraw.Src)
	return rgba
}

// drawnPhotos stand in for photographs: gradients under discs and bars, with
// a grain over all of it so that they compress about as badly.
func drawnPhotos(seed uint64) []*image.RGBA {
	photos := make([]*image.RGBA, 8)
	d := &draws{key: draw.Key(seed, "\x00drawn")}
	for i := range photos {
		photos[i] = drawnPhoto(d)
	}
	return photos
}

func drawnPhoto(d *draws) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, d.between(200, 320), d.between(150, 240)))
	w, h := img.Rect.Dx(), img.Rect.Dy()
	from, to := anyColor(d), anyColor(d)
	paint(img, img.Rect, func(x, y int) (color.RGBA, bool) { return mix(from, to, x*h+y*w, 2*w*h), true })
	for range d.between(4, 9) {
		c, r := anyColor(d), d.between(10, h/3)
		at := image.Pt(d.between(0, w), d.between(0, h))
		square := image.Rect(at.X-r, at.Y-r, at.X+r, at.Y+r)
		disc := d.between(0, 1) == 1
		paint(img, square.Intersect(img.Rect), func(x, y int) (color.RGBA, bool) {
			dx, dy := x-at.X, y-at.Y
			return c, !disc || dx*dx+dy*dy < r*r
		})
	}
	grain(img, d, 12)
	return img
}

func anyColor(d *draws) color.RGBA {
	return color.RGBA{uint8(d.between(0, 255)), uint8(d.between(0, 255)), uint8(d.between(0, 255)), 255}
}

// paint sets the pixels of r for which at says so.
func paint(img *image.RGBA, r image.Rectangle, at func(x, y int) (color.RGBA, bool)) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if c, ok := at(x, y); ok {
				img.SetRGBA(x, y, c)
			}
		}
	}
}

// mix is part/whole of the way from a to b.
func mix(a, b color.RGBA, part, whole int) color.RGBA {
	one := func(a, b uint8) uint8 { return uint8(int(a) + (int(b)-int(a))*part/whole) }
	return color.RGBA{one(a.R, b.R), one(a.G, b.G), one(a.B, b.B), 255}
}

// grain moves every colour of every pixel by up to level.
func grain(img *image.RGBA, d *draws, level int) {
	for i, v := range img.Pix {
		if i%4 != 3 {
			img.Pix[i] = uint8(min(255, max(0, int(v)+d.between(-level, level))))
		}
	}
}
