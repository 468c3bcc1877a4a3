package dataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"strconv"
	"time"

	"github.com/etlbench/etlbench/scenarios/draw"
)

const (
	minPictures = 8 // of one shard
	maxPictures = 12
	// pngEvery is which pictures are PNG, three to ten times as large as a
	// JPEG of the same picture: shards come to 150 to 600 KiB.
	pngEvery    = 6
	jpegQuality = 85
	minWidth    = 280 // of a picture, in pixels
	maxWidth    = 480
)

// pictures is a set of TAR shards, all in memory.
type pictures struct {
	describe string
	objects  []Object // sorted
	shards   [][]byte // by index in objects
}

var _ Set = (*pictures)(nil)

// newPictures builds count shards, called "shard-000.tar" on, of crops of
// photos; without photos, of drawn pictures. Shard i depends on photos, seed
// and i alone. It also depends on the Go version, whose JPEG and PNG encoders
// may change; scaling is in whole numbers so that the processor does not
// matter.
func newPictures(count int, seed uint64, photos []*image.RGBA) (*pictures, error) {
	source := "cut from the photographs of Go's image test data"
	if len(photos) == 0 {
		source = "drawn by formula (Go's image test data not found)"
		photos = drawnPhotos(seed)
	}
	p := &pictures{}
	total := 0
	for i := range count {
		name := fmt.Sprintf("shard-%03d.tar", i)
		data, n, err := buildShard(i, &draws{key: draw.Key(seed, name)}, photos)
		if err != nil {
			return nil, fmt.Errorf("dataset pictures: %s: %w", name, err)
		}
		total += n
		p.objects = append(p.objects, Object{Name: name, Size: int64(len(data))})
		p.shards = append(p.shards, data)
	}
	p.describe = fmt.Sprintf("%d TAR shards, %d pictures %s", count, total, source)
	return p, nil
}

func (p *pictures) Objects() []Object { return p.objects }

func (p *pictures) Open(name string) (io.ReadCloser, error) {
	i, err := lookup(p.objects, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(p.shards[i])), nil
}

func (p *pictures) Describe() string { return p.describe }

// draws are the random decisions of one shard.
type draws struct{ key, n uint64 }

// between draws from low to high, both included.
func (d *draws) between(low, high int) int {
	d.n++
	return low + int(draw.Below(draw.Word(d.key, d.n), uint64(high-low+1)))
}

// buildShard makes one TAR and says how many pictures it has. As in the
// shards that training reads, a picture and its label share a name.
func buildShard(index int, d *draws, photos []*image.RGBA) (data []byte, count int, err error) {
	var out, picture bytes.Buffer
	tw := tar.NewWriter(&out)
	count = d.between(minPictures, maxPictures)
	for i := range count {
		key := fmt.Sprintf("img-%04d", index*maxPictures+i)
		img := vary(photos[d.between(0, len(photos)-1)], d)
		picture.Reset()
		ext, err := encode(&picture, img, i%pngEvery == pngEvery-1)
		if err != nil {
			return nil, 0, err
		}
		label := strconv.Itoa(d.between(0, 999))
		if err := addFile(tw, key+".cls", []byte(label)); err != nil {
			return nil, 0, err
		}
		if err := addFile(tw, key+ext, picture.Bytes()); err != nil {
			return nil, 0, err
		}
	}
	err = tw.Close()
	return out.Bytes(), count, err
}

func encode(w io.Writer, img image.Image, asPNG bool) (ext string, err error) {
	if asPNG {
		fast := png.Encoder{CompressionLevel: png.BestSpeed} // a third of the default's time
		return ".png", fast.Encode(w, img)
	}
	return ".jpg", jpeg.Encode(w, img, &jpeg.Options{Quality: jpegQuality})
}

// addFile adds a file whose header is the same wherever and whenever it is
// made.
func addFile(tw *tar.Writer, name string, data []byte) error {
	err := tw.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Format:   tar.FormatUSTAR,
		Name:     name,
		Size:     int64(len(data)),
		Mode:     0o644,
		ModTime:  time.Unix(1_700_000_000, 0),
	})
	if err != nil {
		return err
	}
	_, err = tw.Write(data)
	return err
}

// vary makes a picture of its own from a photo: another crop, size, tint, and
// left and right swapped or not.
func vary(photo *image.RGBA, d *draws) *image.RGBA {
	full := photo.Bounds()
	crop := image.Rect(0, 0, full.Dx()*d.between(55, 100)/100, full.Dy()*d.between(55, 100)/100)
	crop = crop.Add(full.Min).Add(image.Pt(d.between(0, full.Dx()-crop.Dx()), d.between(0, full.Dy()-crop.Dy())))
	width := d.between(minWidth, maxWidth)
	out := image.NewRGBA(image.Rect(0, 0, width, max(64, width*crop.Dy()/crop.Dx())))
	tint := [3]int{d.between(200, 290), d.between(200, 290), d.between(200, 290)} // of 256
	stretch(out, photo, crop, tint, d.between(0, 1) == 1)
	return out
}

// stretch fills out with crop of photo, bilinearly and in 16.16 fixed point:
// floating point rounds differently on processors that fuse operations.
func stretch(out, photo *image.RGBA, crop image.Rectangle, tint [3]int, flip bool) {
	w, h := out.Rect.Dx(), out.Rect.Dy()
	stepX, stepY := (crop.Dx()-1)<<16/w, (crop.Dy()-1)<<16/h
	for y := range h {
		fy := y * stepY
		top := photo.Pix[photo.PixOffset(crop.Min.X, crop.Min.Y+fy>>16):]
		bottom := top[photo.Stride:]
		row := out.Pix[y*out.Stride:][:4*w]
		for x := range w {
			fx := x * stepX
			if flip {
				fx = (w - 1 - x) * stepX
			}
			at, wx, wy := fx>>16*4, fx&0xffff>>8, fy&0xffff>>8
			for c := range 3 {
				up := int(top[at+c])*(256-wx) + int(top[at+4+c])*wx
				down := int(bottom[at+c])*(256-wx) + int(bottom[at+4+c])*wx
				v := (up*(256-wy) + down*wy) >> 16
				row[4*x+c] = uint8(min(255, v*tint[c]>>8))
			}
			row[4*x+3] = 255
		}
	}
}
