package transformers

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/etlbench/etlbench/cluster/comm"
)

const (
	defaultSide = 224      // pixels; what most image classifiers are trained on
	maxSide     = 4096     // pixels
	jpegQuality = 85       // of 100
	maxPicture  = 64 << 20 // bytes of one picture as it stands in the archive
	maxPixels   = 64 << 20 // of one picture when decoded
)

// newTarImages returns the transform that prepares a TAR shard of pictures for
// training: each JPEG and PNG is cut to its centre square, resized to SxS and
// encoded again in its own format. Everything else is copied as it is. S is
// comm.Info.Args, a decimal number of pixels from 1 to 4096; 224 when empty.
//
// A picture is a regular file whose name ends in .jpg, .jpeg or .png in any
// case; its first bytes say which of the two formats it is. Names beginning
// with "._" are left alone: macOS archives hold such a companion, which is no
// picture, for each file. One entry is in memory at a time.
//
// Decoder, encoder and scaler are Go code without assembly, but a processor
// with fused multiply-add rounds differently: the output is the same on every
// machine of one architecture and with one version of Go, not beyond.
func newTarImages() comm.Transform {
	return tarImages{maxPicture: maxPicture, maxPixels: maxPixels}.transform
}

// tarImages holds the limits, which tests make small.
type tarImages struct {
	maxPicture int64
	maxPixels  int64
}

// transform implements comm.Transform.
func (t tarImages) transform(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
	side, err := parseSide(o.Args)
	if err != nil {
		return fmt.Errorf("tar-images: %w", err)
	}
	if err := t.archive(ctx, dst, src, newResizer(side)); err != nil {
		return fmt.Errorf("tar-images: %w", err)
	}
	return nil
}

func parseSide(args string) (int, error) {
	if args == "" {
		return defaultSide, nil
	}
	side, err := strconv.Atoi(args)
	if err != nil || side < 1 || side > maxSide {
		return 0, fmt.Errorf("argument %q is not a size in pixels from 1 to %d", args, maxSide)
	}
	return side, nil
}

// archive copies a TAR stream entry by entry, pictures resized.
func (t tarImages) archive(ctx context.Context, dst io.Writer, src io.Reader, r *resizer) error {
	in := bufio.NewReaderSize(&ctxReader{ctx: ctx, r: src}, 64<<10)
	if _, err := in.Peek(1); err == io.EOF {
		return errors.New("not a TAR archive: it is empty")
	}
	out := bufio.NewWriterSize(dst, 64<<10)
	reader, writer := tar.NewReader(in), tar.NewWriter(out)
	if err := t.entries(ctx, writer, reader, r); err != nil {
		return err // without Close: half an archive must not look whole
	}
	if err := errors.Join(writer.Close(), out.Flush()); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in) // what follows the archive's end mark: padding
	return err
}

func (t tarImages) entries(ctx context.Context, w *tar.Writer, content *tar.Reader, r *resizer) error {
	last := ""
	for {
		if err := ctx.Err(); err != nil {
			return err // asked here too: the source's buffer may hold many entries
		}
		header, err := content.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return headerError(last, err)
		}
		if err := t.entry(w, content, header, r); err != nil {
			return fmt.Errorf("entry %q: %w", header.Name, err)
		}
		last = header.Name
	}
}

func headerError(last string, err error) error {
	switch {
	case !errors.Is(err, tar.ErrHeader) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err // of the source or of ctx
	case last == "":
		return fmt.Errorf("not a TAR archive: %w", err)
	default:
		return fmt.Errorf("archive is damaged after entry %q: %w", last, err)
	}
}

// entry writes one entry, resized when it is a picture.
func (t tarImages) entry(w *tar.Writer, content io.Reader, h *tar.Header, r *resizer) error {
	if isSparse(h) {
		// A few bytes of it can stand for terabytes of zeros.
		return errors.New("sparse files are not supported")
	}
	if isPicture(h) {
		picture, err := t.read(content, h.Size, r)
		if err != nil {
			return err
		}
		small, err := t.resize(picture, r)
		if err != nil {
			return err
		}
		h.Size, content = int64(len(small)), bytes.NewReader(small)
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func isPicture(h *tar.Header) bool {
	if h.Typeflag != tar.TypeReg || strings.HasPrefix(path.Base(h.Name), "._") {
		return false
	}
	switch strings.ToLower(path.Ext(h.Name)) {
	case ".jpg", ".jpeg", ".png":
		return true
	}
	return false
}

// read reads one picture into r's buffer.
func (t tarImages) read(content io.Reader, size int64, r *resizer) ([]byte, error) {
	if size > t.maxPicture {
		return nil, fmt.Errorf("picture of %d bytes is bigger than the limit of %d", size, t.maxPicture)
	}
	r.in.Reset()
	_, err := r.in.ReadFrom(content)
	return r.in.Bytes(), err
}

// resize checks a picture's dimensions before it decodes it: a few KiB of PNG
// can decode to gigabytes.
func (t tarImages) resize(picture []byte, r *resizer) ([]byte, error) {
	f, err := sniff(picture)
	if err != nil {
		return nil, err
	}
	config, err := f.config(bytes.NewReader(picture))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", f.name, err)
	}
	if pixels := int64(config.Width) * int64(config.Height); pixels > t.maxPixels {
		return nil, fmt.Errorf("picture of %dx%d pixels is bigger than the limit of %d pixels",
			config.Width, config.Height, t.maxPixels)
	}
	decoded, err := f.decode(bytes.NewReader(picture))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", f.name, err)
	}
	return r.resize(decoded, f)
}

// format is a picture format and its codec.
type format struct {
	name   string
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	encode func(*resizer) error // r.square to r.out
}

// formats is the table of formats. It is never written to.
var formats = []format{
	{"JPEG", "\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode, (*resizer).encodeJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode, (*resizer).encodePNG},
}

func sniff(picture []byte) (format, error) {
	for _, f := range formats {
		if bytes.HasPrefix(picture, []byte(f.magic)) {
			return f, nil
		}
	}
	return format{}, errors.New("neither a JPEG nor a PNG, though its name says so")
}

// resizer holds the buffers that the pictures of one archive share.
type resizer struct {
	square  *image.RGBA  // the resized picture; overwritten whole by each
	in, out bytes.Buffer // one encoded picture before and after
	png     png.Encoder
}

func newResizer(side int) *resizer {
	r := &resizer{square: image.NewRGBA(image.Rect(0, 0, side, side))}
	r.png.BufferPool = &onePNGBuffer{}
	return r
}

// resize returns the picture's centre square, resized and encoded. The result
// is valid until the next call.
//
// The scaler is ApproxBiLinear, which reads four source pixels for each of the
// square's. The kernel scalers weigh all of them, and look better below half
// size, but then cost more than the decoder: a JPEG of 1600x1200 took 36 ms in
// all so, 82 ms with BiLinear and 110 ms with CatmullRom.
func (r *resizer) resize(picture image.Image, f format) ([]byte, error) {
	draw.ApproxBiLinear.Scale(r.square, r.square.Bounds(), picture, centreSquare(picture.Bounds()), draw.Src, nil)
	r.out.Reset()
	if err := f.encode(r); err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.name, err)
	}
	return r.out.Bytes(), nil
}

func (r *resizer) encodeJPEG() error {
	return jpeg.Encode(&r.out, r.square, &jpeg.Options{Quality: jpegQuality})
}

func (r *resizer) encodePNG() error { return r.png.Encode(&r.out, r.square) }

func centreSquare(b image.Rectangle) image.Rectangle {
	side := min(b.Dx(), b.Dy())
	x, y := b.Min.X+(b.Dx()-side)/2, b.Min.Y+(b.Dy()-side)/2
	return image.Rect(x, y, x+side, y+side)
}

// onePNGBuffer keeps the encoder's buffer from picture to picture.
type onePNGBuffer struct{ b *png.EncoderBuffer }

// Get implements png.EncoderBufferPool.
func (o *onePNGBuffer) Get() *png.EncoderBuffer { return o.b }

// Put implements png.EncoderBufferPool.
func (o *onePNGBuffer) Put(b *png.EncoderBuffer) { o.b = b }
