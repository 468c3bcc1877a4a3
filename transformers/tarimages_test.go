package transformers_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
	"github.com/etlbench/etlbench/transformers"
)

// draw paints a picture with a red centre square, blue to its sides.
func draw(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	side := min(w, h)
	centre := image.Rect((w-side)/2, (h-side)/2, (w+side)/2, (h+side)/2)
	for y := range h {
		for x := range w {
			c := color.NRGBA{B: 255, A: 255}
			if (image.Point{x, y}).In(centre) {
				c = color.NRGBA{R: 255, G: uint8(y * 60 / h), A: 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}))
	return b.Bytes()
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return b.Bytes()
}

type entry struct {
	header tar.Header
	body   []byte
}

func file(name string, body []byte) entry {
	return entry{tar.Header{Name: name, Mode: 0o640, ModTime: time.Unix(1_700_000_000, 0)}, body}
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.header.Size = int64(len(e.body))
		require.NoError(t, w.WriteHeader(&e.header))
		_, err := w.Write(e.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func unpack(t testing.TB, archive []byte) []entry {
	t.Helper()
	var entries []entry
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		entries = append(entries, entry{*h, body})
	}
}

// shard is a small archive of everything that one may hold.
func shard(t testing.TB) []byte {
	long := strings.Repeat("deep/", 60) + "picture.png"
	return archive(t,
		entry{tar.Header{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, nil},
		file("a/1.jpg", asJPEG(t, draw(80, 60))),
		file("a/1.cls", []byte("7")),
		file("a/2.PNG", asPNG(t, draw(40, 90))),
		file("a/._2.PNG", []byte("not a picture")),
		file("a/3.JpEg", asPNG(t, draw(300, 300))), // named wrongly
		entry{tar.Header{Name: "link.jpg", Typeflag: tar.TypeSymlink, Linkname: "a/1.jpg"}, nil},
		file(long, asPNG(t, draw(20, 20))),
		file("empty.txt", nil),
		entry{tar.Header{Name: "exact.txt", Format: tar.FormatPAX, ModTime: time.Unix(1_700_000_000, 5e8)}, []byte("x")},
	)
}

func TestTarImages(t *testing.T) {
	in := unpack(t, shard(t))
	packed, err := run(t, lookup(t, "tar-images"), bytes.NewReader(shard(t)), comm.Info{Size: -1, Args: "32"})
	require.NoError(t, err)
	out := unpack(t, packed)
	require.Len(t, out, len(in))
	formats := map[string]string{"a/1.jpg": "jpeg", "a/2.PNG": "png", "a/3.JpEg": "png", in[7].header.Name: "png"}
	for i, e := range out {
		was := in[i].header
		require.Equal(t, was.Name, e.header.Name)
		require.Equal(t, was.Mode, e.header.Mode)
		require.Equal(t, was.Typeflag, e.header.Typeflag)
		require.Equal(t, was.Linkname, e.header.Linkname)
		require.True(t, was.ModTime.Equal(e.header.ModTime), "%s: %s, was %s", was.Name, e.header.ModTime, was.ModTime)
		want, isPicture := formats[was.Name]
		if !isPicture {
			require.Equal(t, in[i].body, e.body)
			continue
		}
		m, format, err := image.Decode(bytes.NewReader(e.body))
		require.NoError(t, err)
		require.Equal(t, want, format)
		require.Equal(t, image.Rect(0, 0, 32, 32), m.Bounds())
		for _, p := range []image.Point{{0, 0}, {31, 0}, {0, 31}, {31, 31}, {16, 16}} {
			r, _, b, a := m.At(p.X, p.Y).RGBA()
			require.Greater(t, r, uint32(0xd000), "%s %v: red, for the sides are cut off", was.Name, p)
			require.Less(t, b, uint32(0x4000), "%s %v", was.Name, p)
			require.Equal(t, uint32(0xffff), a)
		}
	}
}

func TestTarImagesGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64: floating point rounds differently elsewhere")
	}
	for _, c := range []struct{ args, golden string }{ // they change with the codecs of a new Go, too
		{"", "6b540f2533aab411"},
		{"1", "08a40bd66ad061d7"},
		{"100", "fb82bbe7cb4c0e88"},
	} {
		got, err := run(t, lookup(t, "tar-images"), bytes.NewReader(shard(t)), comm.Info{Size: -1, Args: c.args})
		require.NoError(t, err)
		require.Equal(t, c.golden, digest(got), "size %q", c.args)
	}
}

func TestTarImagesKeepsTransparency(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 50, 50))
	for i := range m.Pix {
		m.Pix[i] = 128
	}
	packed, err := run(t, lookup(t, "tar-images"), bytes.NewReader(archive(t, file("a.png", asPNG(t, m)))), comm.Info{Args: "8"})
	require.NoError(t, err)
	got, err := png.Decode(bytes.NewReader(unpack(t, packed)[0].body))
	require.NoError(t, err)
	c := color.NRGBAModel.Convert(got.At(4, 4)).(color.NRGBA)
	require.Equal(t, uint8(128), c.A)
	require.InDelta(t, 128, c.R, 1)
}

func TestTarImagesErrors(t *testing.T) {
	picture := asJPEG(t, draw(80, 60))
	whole := archive(t, file("a.jpg", picture), file("b.txt", []byte("b")))
	damaged := bytes.Clone(whole)
	copy(damaged[len(damaged)-4*512:], "damaged") // b.txt's header
	bomb := bytes.Clone(asPNG(t, draw(1, 1)))
	copy(bomb[16:], "\x00\x01\x00\x00\x00\x01\x00\x00") // width and height, 65536 each
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	sparse := archive(t, entry{tar.Header{Name: "a.bin", Format: tar.FormatGNU}, []byte("a")})
	var sum int
	_, err := fmt.Sscanf(string(sparse[148:154]), "%o", &sum)
	require.NoError(t, err)
	copy(sparse[148:], fmt.Sprintf("%06o", sum+tar.TypeGNUSparse-tar.TypeReg))
	sparse[156] = tar.TypeGNUSparse
	for _, c := range []struct {
		name, args string
		in         []byte
		want       string
	}{
		{name: "args not a number", args: "big", in: whole, want: `tar-images: argument "big" is not a size in pixels from 1 to 4096`},
		{name: "args zero", args: "0", in: whole, want: `tar-images: argument "0" is not a size`},
		{name: "args too big", args: "4097", in: whole, want: `tar-images: argument "4097" is not a size`},
		{name: "empty", want: "tar-images: not a TAR archive: it is empty"},
		{name: "text", in: text(5000), want: "tar-images: not a TAR archive: archive/tar: invalid tar header"},
		{name: "short", in: []byte("abc"), want: "tar-images: not a TAR archive: unexpected EOF"},
		{name: "cut in an entry", in: whole[:600], want: `tar-images: entry "a.jpg": unexpected EOF`},
		{name: "damaged header", in: damaged, want: `tar-images: archive is damaged after entry "a.jpg": archive/tar: invalid tar header`},
		{name: "not a picture", in: archive(t, file("dir/a.jpg", []byte("hello"))), want: `tar-images: entry "dir/a.jpg": neither a JPEG nor a PNG, though its name says so`},
		{name: "empty picture", in: archive(t, file("a.png", nil)), want: `tar-images: entry "a.png": neither a JPEG nor a PNG`},
		{name: "cut header", in: archive(t, file("a.jpg", picture[:20])), want: `tar-images: entry "a.jpg": decode JPEG: `},
		{name: "cut picture", in: archive(t, file("a.jpg", picture[:len(picture)-50])), want: `tar-images: entry "a.jpg": decode JPEG: `},
		{name: "bomb", in: archive(t, file("a.png", bomb)), want: `tar-images: entry "a.png": picture of 65536x65536 pixels is bigger than the limit of 67108864 pixels`},
		{name: "sparse", in: sparse, want: `tar-images: entry "a.bin": sparse files are not supported`},
		{name: "long picture", in: archive(t, file("a.png", make([]byte, 64<<20+1))), want: `tar-images: entry "a.png": picture of 67108865 bytes is bigger than the limit of 67108864`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, lookup(t, "tar-images"), bytes.NewReader(c.in), comm.Info{Size: -1, Args: c.args})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTarImagesReadsToTheEnd(t *testing.T) {
	src := bytes.NewReader(append(shard(t), make([]byte, 100_000)...))
	_, err := run(t, lookup(t, "tar-images"), src, comm.Info{})
	require.NoError(t, err)
	require.Zero(t, src.Len())
}

// noisy is like a photograph to a decoder: draw's flat colours are too easy.
func noisy(w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			n := uint8(r.IntN(24))
			m.SetNRGBA(x, y, color.NRGBA{uint8(x/2) + n, uint8(y/2) + n, uint8(x*y/999) + n, 255})
		}
	}
	return m
}

func BenchmarkTarImages(b *testing.B) {
	for _, c := range []struct {
		name   string
		w, h   int
		encode func(testing.TB, image.Image) []byte
	}{
		{"500x375.jpg", 500, 375, asJPEG},
		{"1600x1200.jpg", 1600, 1200, asJPEG},
		{"500x375.png", 500, 375, asPNG},
	} {
		b.Run("picture="+c.name, func(b *testing.B) {
			f, _ := transformers.Lookup("tar-images")
			picture := c.encode(b, noisy(c.w, c.h))
			var entries []entry
			for n := range 8 {
				entries = append(entries, file(fmt.Sprintf("%d.%s", n, c.name), picture), file(fmt.Sprintf("%d.cls", n), []byte("1")))
			}
			in := archive(b, entries...)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if err := f(b.Context(), io.Discard, bytes.NewReader(in), comm.Info{Size: -1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
