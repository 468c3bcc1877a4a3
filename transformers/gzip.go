package transformers

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/etlbench/etlbench/cluster/comm"
)

// newGzip returns the transform that compresses its input at gzip's default
// level. The header has neither name nor time, so that the same input gives
// the same output. Compressors are some hundred KiB each and are kept for the
// next object; a used one gives the same bytes as a new one (tested).
func newGzip() comm.Transform {
	compressors := sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	return func(ctx context.Context, dst io.Writer, src io.Reader, o comm.Info) error {
		z := compressors.Get().(*gzip.Writer)
		defer compressors.Put(z)
		z.Reset(dst)
		z.ModTime = time.Unix(0, 0) // the zero Time comes out as garbage here, and the format's "no time" is 0
		if err := copyBlocks(ctx, z, src, o.Size); err != nil {
			return err // without Close: a truncated stream must not look whole
		}
		return z.Close()
	}
}
