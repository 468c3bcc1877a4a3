package dataset

import (
	"io"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAudio(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("no ffmpeg: apt-get install ffmpeg")
	}
	a, err := newAudio(3, 42)
	require.NoError(t, err)
	b, err := newAudio(2, 42)
	require.NoError(t, err)
	other, err := newAudio(2, 43)
	require.NoError(t, err)
	require.Equal(t, a.objects[:2], b.objects)
	require.Equal(t, a.clips[:2], b.clips, "the same bytes for the same seed")
	require.NotEqual(t, a.clips[:2], other.clips)
	require.Contains(t, a.Describe(), "ffmpeg version")
	for _, o := range a.Objects() {
		r, err := a.Open(o.Name)
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.EqualValues(t, o.Size, len(data))
		require.Equal(t, "fLaC", string(data[:4]))
	}
}

func TestAudioWithoutFFmpeg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := newAudio(1, 1)
	require.EqualError(t, err, "dataset audio: there is no ffmpeg on the PATH; Debian: apt-get install ffmpeg")
}
