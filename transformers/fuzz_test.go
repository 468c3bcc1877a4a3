package transformers

import (
	"archive/tar"
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/etlbench/etlbench/cluster/comm"
)

// FuzzTarImages sends foreign bytes, whole archives and single pictures. It
// stands in the package for the limits, which it makes small.
func FuzzTarImages(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 9, 5))
	m.SetNRGBA(3, 3, color.NRGBA{R: 200, A: 100})
	var asJPEG, asPNG bytes.Buffer
	require.NoError(f, jpeg.Encode(&asJPEG, m, nil))
	require.NoError(f, png.Encode(&asPNG, m))
	for _, picture := range [][]byte{asJPEG.Bytes(), asPNG.Bytes(), []byte("text"), nil} {
		f.Add(picture, true)
		f.Add(packed(f, "a/b.jpg", picture), false)
		f.Add(packed(f, "a/b.cls", picture), false)
	}
	limited := tarImages{maxPicture: 64 << 10, maxPixels: 4096}
	f.Fuzz(func(t *testing.T, in []byte, isPicture bool) {
		if isPicture {
			in = packed(t, "p.png", in)
		}
		var out bytes.Buffer
		if limited.transform(t.Context(), &out, bytes.NewReader(in), comm.Info{Size: -1, Args: "3"}) != nil {
			return
		}
		for r := tar.NewReader(&out); ; {
			_, err := r.Next()
			if err == io.EOF {
				return
			}
			require.NoError(t, err, "what it writes can be read")
		}
	})
}

func packed(t testing.TB, name string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(body)), Mode: 0o600}))
	_, err := w.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}
