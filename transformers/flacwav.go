package transformers

import (
	"context"
	"io"
	"os"
	"sync/atomic"

	"github.com/etlbench/etlbench/cluster/comm"
)

// newFlacWAV returns the transform that turns audio, such as FLAC, into WAV: an
// ffmpeg for each object, which must be on the PATH. Nothing of the machine or
// the time gets into its output, only the version of ffmpeg. The samples in
// package python run the same command.
func newFlacWAV() comm.Transform {
	ffmpeg := comm.Command([]string{"ffmpeg", "-v", "error", "-nostdin", "-i", "pipe:0", "-map_metadata", "-1", "-fflags", "+bitexact",
		"-flags:a", "+bitexact", "-threads", "1", "-f", "wav", "pipe:1"}, os.Environ(), io.Discard)
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		var f fault
		err := ffmpeg(ctx, faultWriter{dst, &f}, faultReader{src, &f}, o)
		if cause := f.Load(); cause != nil && ctx.Err() == nil {
			return *cause
		}
		return err
	}
}

// fault is the first error of a stream: a command that a stream fails tells but
// what it made of that.
type fault struct{ atomic.Pointer[error] }

func (f *fault) note(err error) {
	if err != nil && err != io.EOF {
		f.CompareAndSwap(nil, &err)
	}
}

type faultReader struct {
	r io.Reader
	f *fault
}

func (r faultReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.f.note(err)
	return n, err
}

type faultWriter struct {
	w io.Writer
	f *fault
}

func (w faultWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.f.note(err)
	return n, err
}
