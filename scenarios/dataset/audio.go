package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/etlbench/etlbench/scenarios/draw"
)

// Clips are as those of speech corpora: mono, 16 bits, some seconds long.
const (
	sampleRate = 16_000
	minClip    = 2 * sampleRate // in samples
	maxClip    = 16 * sampleRate
)

// audio is a set of FLAC files, all in memory: 50 to 400 KiB each.
type audio struct {
	describe string
	objects  []Object // sorted
	clips    [][]byte // by index in objects
}

var _ Set = (*audio)(nil)

// newAudio makes count clips, called "clip-000.flac" on, with the ffmpeg on the
// PATH. Clip i depends on seed, i and the version of ffmpeg alone.
func newAudio(count int, seed uint64) (*audio, error) {
	version, err := ffmpegVersion()
	if err != nil {
		return nil, err
	}
	a := &audio{describe: fmt.Sprintf("%d clips of drawn speech-like sound in FLAC, 2 to 16 s each, by %s", count, version),
		objects: make([]Object, count), clips: make([][]byte, count)}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range count {
		g.Go(func() (err error) {
			name := fmt.Sprintf("clip-%03d.flac", i)
			if a.clips[i], err = flac(clip(draw.Key(seed, name))); err != nil {
				return fmt.Errorf("dataset audio: %s: %w", name, err)
			}
			a.objects[i] = Object{Name: name, Size: int64(len(a.clips[i]))}
			return nil
		})
	}
	return a, g.Wait()
}

func (a *audio) Objects() []Object { return a.objects }

func (a *audio) Open(name string) (io.ReadCloser, error) {
	i, err := lookup(a.objects, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(a.clips[i])), nil
}

func (a *audio) Describe() string { return a.describe }

// ffmpegVersion is the first words of what ffmpeg says of itself.
func ffmpegVersion() (string, error) {
	out, err := exec.Command("ffmpeg", "-version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("dataset audio: there is no ffmpeg on the PATH; Debian: apt-get install ffmpeg")
	}
	if err != nil {
		return "", fmt.Errorf("dataset audio: ffmpeg -version: %w", err)
	}
	words := strings.Fields(string(out))
	return strings.Join(words[:min(3, len(words))], " "), nil
}

// clip draws samples: syllables of a third of a second, each a tone with three
// overtones that swells and fades, and noise. Samples are rounded sums of sines:
// processors that compute those differently in the last bit seldom differ here.
func clip(key uint64) []byte {
	d := &draws{key: key}
	samples := d.between(minClip, maxClip)
	data := make([]byte, 0, 2*samples)
	const syllable = sampleRate / 3
	pitch := 0.0
	for i := range samples {
		at := i % syllable
		if at == 0 {
			pitch = float64(d.between(90, 260)) * 2 * math.Pi / sampleRate
		}
		loud := math.Sin(math.Pi * float64(at) / syllable)
		x := 0.0
		for k := 1.0; k <= 4; k++ {
			x += math.Sin(k*pitch*float64(at)) / k
		}
		noise := int64(draw.Word(^key, uint64(i))>>56) - 128
		data = binary.LittleEndian.AppendUint16(data, uint16(int16(int64(math.Round(6000*loud*x))+noise/2)))
	}
	return data
}

// flac encodes samples. Nothing but they and the version of ffmpeg decides the
// bytes.
func flac(samples []byte) ([]byte, error) {
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "s16le", "-ar", fmt.Sprint(sampleRate), "-ac", "1", "-i", "pipe:0",
		"-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1", "-f", "flac", "pipe:1")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(samples), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}
