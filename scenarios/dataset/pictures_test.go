package dataset

import (
	"archive/tar"
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/scenarios"
	"github.com/etlbench/etlbench/scenarios/draw"
)

// sources are both origins of pictures, so that each is tested on machines
// with and without Go's source.
func sources(t *testing.T) map[string][]*image.RGBA {
	dir := t.TempDir()
	for i, p := range drawnPhotos(99)[:3] {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)+".png"))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, p))
		require.NoError(t, f.Close())
	}
	photos := readPhotos(dir)
	require.Len(t, photos, 3)
	return map[string][]*image.RGBA{"photos": photos, "drawn": nil}
}

func TestPictures(t *testing.T) {
	for name, photos := range sources(t) {
		t.Run(name, func(t *testing.T) {
			p, err := newPictures(2, 42, photos)
			require.NoError(t, err)
			require.Len(t, p.Objects(), 2)
			names := map[string]bool{}
			for _, o := range p.Objects() {
				checkShard(t, p, o, names)
			}
		})
	}
}

// checkShard reads a shard as training would: pairs of a label and a picture
// that decodes, no name twice in the whole set.
func checkShard(t *testing.T, p *pictures, o Object, names map[string]bool) {
	require.Greater(t, o.Size, int64(60<<10))
	require.Less(t, o.Size, int64(1<<20))
	r, err := p.Open(o.Name)
	require.NoError(t, err)
	defer r.Close()
	tr := tar.NewReader(r)
	count := 0
	for {
		label, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.Equal(t, ".cls", path.Ext(label.Name))
		class, err := io.ReadAll(tr)
		require.NoError(t, err)
		_, err = strconv.Atoi(string(class))
		require.NoError(t, err)

		picture, err := tr.Next()
		require.NoError(t, err)
		ext := path.Ext(picture.Name)
		require.Equal(t, label.Name, picture.Name[:len(picture.Name)-len(ext)]+".cls")
		require.False(t, names[picture.Name], picture.Name)
		names[picture.Name] = true
		require.Equal(t, int64(1_700_000_000), picture.ModTime.Unix())
		require.Equal(t, int64(0o644), picture.Mode)
		decode := map[string]func(io.Reader) (image.Image, error){".jpg": jpeg.Decode, ".png": png.Decode}[ext]
		img, err := decode(tr)
		require.NoError(t, err, picture.Name)
		require.GreaterOrEqual(t, img.Bounds().Dx(), minWidth)
		count++
	}
	require.GreaterOrEqual(t, count, minPictures)
	require.LessOrEqual(t, count, maxPictures)
}

func TestPicturesDeterministic(t *testing.T) {
	for name, photos := range sources(t) {
		t.Run(name, func(t *testing.T) {
			a, err := newPictures(1, 42, photos)
			require.NoError(t, err)
			b, err := newPictures(2, 42, photos)
			require.NoError(t, err)
			require.True(t, bytes.Equal(a.shards[0], b.shards[0]), "whatever the count")
			require.False(t, bytes.Equal(b.shards[0], b.shards[1]), "shards differ")

			other, err := newPictures(1, 43, photos)
			require.NoError(t, err)
			require.False(t, bytes.Equal(a.shards[0], other.shards[0]), "the seed matters")
		})
	}
}

// TestDrawnGolden pins the pixels of drawn pictures before any encoder, whose
// output may change with the Go version.
func TestDrawnGolden(t *testing.T) {
	sum := xxhash.New()
	d := &draws{key: draw.Key(42, "golden")}
	for _, p := range drawnPhotos(42) {
		sum.Write(vary(p, d).Pix)
	}
	require.Equal(t, uint64(0xe4ef0e06157c047), sum.Sum64(), "got %#x", sum.Sum64())
}

// TestVarySmallest: the crop of the smallest photo stays inside it.
func TestVarySmallest(t *testing.T) {
	photo := image.NewRGBA(image.Rect(0, 0, minSide, minSide))
	for i := range photo.Pix {
		photo.Pix[i] = 200
	}
	d := &draws{key: 1}
	for range 20 {
		out := vary(photo, d)
		require.NotZero(t, out.Pix[len(out.Pix)-4])
		require.True(t, out.Opaque())
	}
}

func TestReadPhotos(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, w, h int) {
		f, err := os.Create(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, image.NewGray(image.Rect(0, 0, w, h))))
		require.NoError(t, f.Close())
	}
	require.Empty(t, readPhotos(dir))
	file("good.png", 100, 70)
	file("small.png", 63, 100)
	file("wide.png", 4097, 64)
	file("good.truncated.png", 100, 100)
	file("other.gif", 100, 100)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.jpg"), []byte("no picture"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.png"), 0o755))
	photos := readPhotos(dir)
	require.Len(t, photos, 1)
	require.Equal(t, image.Rect(0, 0, 100, 70), photos[0].Rect)
	require.Empty(t, readPhotos(filepath.Join(dir, "missing")))
}

func TestNewPictures(t *testing.T) {
	s, err := New(scenarios.Dataset{Kind: "pictures", Objects: 1}, 42)
	require.NoError(t, err)
	require.Len(t, s.Objects(), 1)
	require.Equal(t, "shard-000.tar", s.Objects()[0].Name)
	require.Regexp(t, `^1 TAR shards, \d+ pictures (cut from the photographs of Go's image test data|drawn by formula .*)$`, s.Describe())
}

// BenchmarkPictures builds the demo's 24 shards; the limit is 3 s.
func BenchmarkPictures(b *testing.B) {
	photos := goPhotos()
	for b.Loop() {
		if _, err := newPictures(24, 42, photos); err != nil {
			b.Fatal(err)
		}
	}
}
